//! The names of the things that each shard has for itself, and the numbers of its rows.
//!
//! Owns: how a number says its shard. Does not own: which shard an address belongs to (`saga-core`).

use saga_core::store::ShardId;

/// The lowest bits of a row number have the shard, in a store with several of them.
pub(crate) const BITS: u32 = 8;

/// The numbers of the inbox rows of a shard begin above this bit.
const INBOX_BITS: u32 = 48;

/// Returns the number of a shard as the tables hold it.
pub(crate) fn number(shard: ShardId) -> i16 {
    // There are at most 256 shards.
    i16::try_from(shard.number()).unwrap_or_default()
}

/// Returns the sequence of the numbers of inbox rows.
pub(crate) fn inbox_sequence(shard: ShardId) -> String {
    match shard.number() {
        0 => "saga_inbox_number".to_owned(),
        number => format!("saga_inbox_number_{number}"),
    }
}

/// Returns the number before the first inbox row of the shard, and the highest number.
pub(crate) fn inbox_range(shard: ShardId) -> (i64, i64) {
    if shard.is_whole() {
        return (0, i64::MAX);
    }
    let first = i64::from(shard.number()) << INBOX_BITS;
    (first, first + (1 << INBOX_BITS) - 1)
}

/// Returns the shard of a row with this number.
pub(crate) fn of_row(row: i64, of: u16) -> u16 {
    let number = u16::try_from(row & ((1 << BITS) - 1)).unwrap_or_default();
    if of > 1 { number } else { 0 }
}

/// Returns the condition that the number in `column` belongs to the shard. The condition of the whole store is always true.
pub(crate) fn owns(column: &str, shard: Option<ShardId>) -> String {
    match shard.filter(|shard| !shard.is_whole()) {
        Some(shard) => format!("({column} & {}) = {}", (1 << BITS) - 1, shard.number()),
        None => "true".to_owned(),
    }
}

/// Returns the statement that creates the sequence of a shard.
pub(crate) fn create_sequence(shard: ShardId) -> String {
    let (sequence, (before, last)) = (inbox_sequence(shard), inbox_range(shard));
    // The first number is the next one.
    format!(
        "CREATE SEQUENCE {sequence} MINVALUE {before} MAXVALUE {last}; SELECT setval('{sequence}', {before})"
    )
}

/// Returns the call that takes the advisory lock `lock` of a sequence until the end of the transaction.
pub(crate) fn lock_of(sequence: &str, lock: i64) -> String {
    format!("pg_advisory_xact_lock(({lock}::int8 << 32) | ('{sequence}'::regclass)::oid::int8)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_says_its_shard() {
        let shard = ShardId::new(3, 8).expect("a shard");
        assert_eq!(inbox_range(shard), (3 << 48, (4 << 48) - 1));
        assert_eq!(inbox_range(ShardId::WHOLE), (0, i64::MAX));
        assert_eq!((of_row((77 << BITS) | 3, 8), of_row((77 << BITS) | 3, 1)), (3, 0));
        assert_eq!(owns("i.id", Some(shard)), "(i.id & 255) = 3");
        assert_eq!(owns("i.id", Some(ShardId::WHOLE)), "true");
        assert_eq!(
            (inbox_sequence(shard), inbox_sequence(ShardId::WHOLE)),
            ("saga_inbox_number_3".to_owned(), "saga_inbox_number".to_owned())
        );
    }
}
