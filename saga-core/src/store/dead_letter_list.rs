//! Lists of dead letters by conditions.
//!
//! Owns: the conditions. Does not own: the read of the letters (`Inspect`). Dead letters are few
//! besides instances, so no index serves the conditions.

use super::list::contains;
use super::search::{End, PORTION, Search};
use super::{DeadId, DeadLetter, DeadLetterReason, DeadLetterRow, Inspect, StoreError, TimeRange};

/// The conditions of a list of dead letters. A letter must meet every condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetterFilter {
    /// Only letters of this saga or subscriber, by its stored name.
    pub consumer: Option<String>,
    /// Only letters with this reason.
    pub reason: Option<DeadLetterReason>,
    /// Only letters with this event, command or verb, by its stored name.
    pub message: Option<String>,
    /// Only letters with a key or alias that begins with this text.
    pub key_prefix: Option<String>,
    /// Only letters with this text in their detail. Upper and lower case of ASCII letters are the same.
    pub detail: Option<String>,
    /// Only letters of this range.
    pub at: TimeRange,
    /// Only letters after this one. `None` is the first page.
    pub after: Option<DeadId>,
    /// The most letters of a page. 0 means the default of 50. The maximum is 200.
    pub limit: usize,
}

/// Dead letters that meet the conditions, oldest first, and where the list continues.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DeadLetterPage {
    /// The letters. A page may have fewer than the limit, although the list continues.
    pub rows: Vec<DeadLetterRow>,
    /// The value of [`DeadLetterFilter::after`] for the next page. `None` at the end of the list.
    pub more: Option<DeadId>,
}

impl DeadLetterFilter {
    /// Returns whether a letter meets the conditions.
    pub fn holds(&self, letter: &DeadLetter) -> bool {
        let is = |wanted: &Option<String>, text: &str| wanted.as_ref().is_none_or(|wanted| wanted == text);
        is(&self.consumer, &letter.to.saga)
            && is(&self.message, &letter.message.name)
            && self.reason.as_ref().is_none_or(|reason| letter.reason == *reason)
            && self.key_prefix.as_ref().is_none_or(|prefix| letter.to.key.text().starts_with(&**prefix))
            && self.detail.as_ref().is_none_or(|part| contains(&letter.detail, part))
            && self.at.contains(letter.at)
    }

    /// Returns whether every letter meets the conditions.
    pub fn is_empty(&self) -> bool {
        let Self { consumer, reason, message, key_prefix, detail, at, after: _, limit: _ } = self;
        [consumer, message, key_prefix, detail].into_iter().all(Option::is_none)
            && reason.is_none()
            && at.is_unbounded()
    }

    /// Reads one page. The page looks at no more than 5,000 letters, so that a rare condition does not read for long.
    ///
    /// # Errors
    /// Those of the store.
    ///
    /// # Cancellation
    /// Dropping the future only ends the search.
    pub async fn page(&self, store: &(impl Inspect + ?Sized)) -> Result<DeadLetterPage, StoreError> {
        let mut search = Search::new(self.after.unwrap_or_default(), self.limit);
        loop {
            let portion = store.dead_letters(search.after, PORTION).await?;
            if let Some(End(more)) = search.take(portion, |row| row.id, |row| self.holds(&row.letter)) {
                return Ok(DeadLetterPage { rows: search.rows, more });
            }
        }
    }
}
