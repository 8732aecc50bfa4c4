//! The row numbers that the lease holder gives out by itself, from blocks of a sequence.
//!
//! A number is never used twice, and later numbers are higher. Numbers of a statement that was not written are lost.

/// The size of a block, as the sequence `saga_number` has it.
pub(super) const BLOCK: i64 = 65_536;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Numbers {
    next: i64,
    end: i64,
}

impl Numbers {
    /// Returns the block that begins with the value of the sequence.
    pub(super) fn block(first: i64) -> Self {
        Self { next: first, end: first.saturating_add(BLOCK) }
    }

    /// Returns how many numbers are left.
    pub(super) fn left(&self) -> i64 {
        self.end - self.next
    }

    pub(super) fn next(&mut self) -> i64 {
        let number = self.next;
        self.next += 1;
        number
    }
}
