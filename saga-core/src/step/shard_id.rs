//! The shards of a store: equal parts of the partitions, each with a lease of its own.
//!
//! Owns: which shard an address belongs to. Does not own: who holds the lease of a shard.

use super::Address;

/// The number of partitions of a store (rule [R35](crate::rules#r35)).
const PARTITIONS: u32 = 256;

/// One shard of a store. A store with one shard is whole.
///
/// The shard of an address follows from its [partition](crate::message::Key::partition) and from the number of shards
/// alone. So each process knows it without a question. All rows of an instance belong to one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId {
    number: u16,
    of: u16,
}

impl ShardId {
    /// The only shard of a store that is not divided.
    pub const WHOLE: Self = Self { number: 0, of: 1 };

    /// The maximum number of shards. Each shard has at least one partition.
    pub const MAX: u16 = 256;

    /// Returns the shard `number`, counted from 0, of a store with `of` shards. `None` if there is no such shard.
    pub const fn new(number: u16, of: u16) -> Option<Self> {
        if of <= Self::MAX && number < of { Some(Self { number, of }) } else { None }
    }

    /// Returns all shards of a store with `of` shards, in order.
    pub fn all(of: u16) -> impl Iterator<Item = Self> {
        (0..of).filter_map(move |number| Self::new(number, of))
    }

    /// Returns the shard of `address` in a store with `of` shards.
    pub fn of_address(address: &Address, of: u16) -> Self {
        let partition = if of > 1 { address.partition() } else { 0 };
        Self { number: number(partition, of), of }
    }

    /// Returns the number of this shard, from 0.
    pub const fn number(self) -> u16 {
        self.number
    }

    /// Returns the number of shards of the store.
    pub const fn of(self) -> u16 {
        self.of
    }

    /// Returns whether the store has no other shard.
    pub const fn is_whole(self) -> bool {
        self.of == 1
    }

    /// Returns whether the rows of `address` belong to this shard.
    pub fn owns(self, address: &Address) -> bool {
        self.is_whole() || self.has_partition(address.partition())
    }

    /// Returns whether the partition belongs to this shard.
    pub fn has_partition(self, partition: u8) -> bool {
        number(partition, self.of) == self.number
    }

    /// Returns the first and the last partition of this shard.
    pub fn partitions(self) -> (u8, u8) {
        let first = |number: u16| (u32::from(number) * PARTITIONS).div_ceil(u32::from(self.of));
        let byte = |n: u32| u8::try_from(n).unwrap_or(u8::MAX);
        (byte(first(self.number)), byte(first(self.number + 1).saturating_sub(1)))
    }
}

fn number(partition: u8, of: u16) -> u16 {
    // Less than `of`, because a partition is less than 256.
    u16::try_from(u32::from(partition) * u32::from(of) / PARTITIONS).unwrap_or_default()
}

impl std::fmt::Display for ShardId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "shard {} of {}", self.number, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Key;

    #[test]
    fn r35_each_partition_belongs_to_one_shard_and_the_shards_are_equal() {
        for of in 1..=ShardId::MAX {
            let shards: Vec<ShardId> = ShardId::all(of).collect();
            assert_eq!(shards.len(), usize::from(of));
            for partition in 0..=u8::MAX {
                let owners: Vec<_> =
                    shards.iter().filter(|shard| shard.has_partition(partition)).copied().collect();
                let [owner] = owners[..] else { panic!("{partition} of {of}: {owners:?}") };
                let (first, last) = owner.partitions();
                assert!((first..=last).contains(&partition), "{partition} of {owner}: {first} to {last}");
            }
            let sizes = shards.iter().map(|shard| {
                let (first, last) = shard.partitions();
                u32::from(last) - u32::from(first) + 1
            });
            let (least, most) = (sizes.clone().min(), sizes.clone().max());
            assert_eq!(sizes.sum::<u32>(), PARTITIONS, "{of}");
            assert!(most <= least.map(|least| least + 1), "{of}");
        }
    }

    #[test]
    fn r35_the_shard_of_an_address_is_a_published_constant() {
        let address = Address::new("order", Key::new("order-1017").unwrap());
        // The partition is 231.
        let shard = |of| ShardId::of_address(&address, of).number();
        assert_eq!([shard(1), shard(2), shard(8), shard(256)], [0, 1, 7, 231]);
        assert!(ShardId::new(7, 8).unwrap().owns(&address) && !ShardId::new(0, 8).unwrap().owns(&address));
        assert!(ShardId::WHOLE.owns(&address));
        assert_eq!([ShardId::new(8, 8), ShardId::new(0, 257), ShardId::new(0, 0)], [None; 3]);
    }
}
