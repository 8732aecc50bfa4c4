//! The search for one page of a list that no index serves.
//!
//! Owns: the end of a page, after its limit or after the rows that it looks at. Does not own: the read of the rows, or the
//! conditions.

/// The rows of one read.
pub(super) const PORTION: usize = 200;
/// The rows that one page looks at. A page with rare conditions ends there, and the list goes on.
const LOOKS: usize = 5_000;
/// The rows of a page without a limit.
const LIMIT: usize = 50;

/// A page that is being searched.
pub(super) struct Search<T, Id> {
    pub(super) rows: Vec<T>,
    /// The last row that the page has looked at.
    pub(super) after: Id,
    limit: usize,
    looks: usize,
}

/// The end of a page: where the list continues, or `None` at the end of the list.
pub(super) struct End<Id>(pub(super) Option<Id>);

impl<T, Id: Copy> Search<T, Id> {
    /// Begins a page behind `after`. A `limit` of 0 means the default.
    pub(super) fn new(after: Id, limit: usize) -> Self {
        let limit = if limit == 0 { LIMIT } else { limit.min(PORTION) };
        Self { rows: Vec::new(), after, limit, looks: 0 }
    }

    /// Looks at one portion, which was read behind [`after`](Self::after). Returns the end of the page, or `None` if
    /// another portion is needed.
    pub(super) fn take(
        &mut self,
        portion: Vec<T>,
        id: impl Fn(&T) -> Id,
        holds: impl Fn(&T) -> bool,
    ) -> Option<End<Id>> {
        let is_last = portion.len() < PORTION;
        for row in portion {
            if self.rows.len() == self.limit || self.looks == LOOKS {
                return Some(End(Some(self.after)));
            }
            (self.after, self.looks) = (id(&row), self.looks + 1);
            if holds(&row) {
                self.rows.push(row);
            }
        }
        is_last.then_some(End(None))
    }
}
