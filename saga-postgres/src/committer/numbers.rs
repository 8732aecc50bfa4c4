//! The row numbers that the lease holder gives out by itself.
//!
//! A number is never used twice, and later numbers of a shard are higher. Numbers of a statement that was not written are lost.
//!
//! A store with one shard has blocks of a sequence. With several shards, a number is the time, a counter and the shard, so rows
//! of all shards are roughly in the order of time. Twitter numbers its messages in the same way (Snowflake). A clock that goes
//! back does no harm: the next number is then the one after the last.

use std::time::{Duration, SystemTime};

use saga_core::store::ShardId;

use crate::shard::BITS;

/// The size of a block, as the sequence `saga_number` has it.
pub(super) const BLOCK: i64 = 65_536;

/// The bits of the counter within a millisecond.
const COUNTER: u32 = 14;
/// 2020-01-01. With it, 41 bits of milliseconds last until 2089.
const FIRST: Duration = Duration::from_secs(1_577_836_800);

#[derive(Clone, Copy, Debug)]
pub(crate) enum Numbers {
    Block { next: i64, end: i64 },
    Times { shard: i64, last: i64 },
}

impl Numbers {
    /// Returns the block that begins with the value of the sequence.
    pub(crate) fn block(first: i64) -> Self {
        Self::Block { next: first, end: first.saturating_add(BLOCK) }
    }

    /// Returns the numbers of a shard, above every number that the tables have.
    pub(crate) fn of_shard(shard: ShardId, highest: i64) -> Self {
        Self::Times { shard: shard.number().into(), last: highest >> BITS }
    }

    /// Returns how many numbers are left.
    pub(super) fn left(&self) -> i64 {
        match self {
            Self::Block { next, end } => end - next,
            Self::Times { .. } => i64::MAX,
        }
    }

    /// Returns the last number of a shard. 0 for a store with one shard, whose sequence is durable.
    pub(super) fn last(&self) -> i64 {
        match self {
            Self::Block { .. } => 0,
            Self::Times { shard, last } => (*last << BITS) | *shard,
        }
    }

    pub(super) fn next(&mut self) -> i64 {
        match self {
            Self::Block { next, .. } => {
                *next += 1;
                *next - 1
            }
            Self::Times { shard, last } => {
                *last = (*last + 1).max(now() << COUNTER);
                (*last << BITS) | *shard
            }
        }
    }
}

/// The latest time that the bits can hold, in 2089. Numbers rise one by one from then on.
const LATEST: i64 = (1 << 41) - 1;

/// The milliseconds since [`FIRST`]. 0 for a clock that is far behind.
fn now() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.saturating_sub(FIRST).as_millis()).unwrap_or(LATEST).min(LATEST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::of_row;

    #[test]
    fn numbers_of_a_shard_rise_and_say_their_shard() {
        let shard = ShardId::new(5, 8).expect("a shard");
        let mut numbers = Numbers::of_shard(shard, 0);
        let drawn: Vec<i64> = (0..100_000).map(|_| numbers.next()).collect();
        assert!(drawn.is_sorted_by(|a, b| a < b));
        assert!(drawn.iter().all(|number| *number > 0 && of_row(*number, 8) == 5));
    }

    #[test]
    fn numbers_stay_above_those_of_a_clock_that_was_ahead() {
        let highest = (i64::MAX >> BITS >> 1) << BITS;
        let mut numbers = Numbers::of_shard(ShardId::new(0, 2).expect("a shard"), highest);
        let first = numbers.next();
        assert!(first > highest && numbers.next() > first);
    }
}
