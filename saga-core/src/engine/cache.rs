//! The cache of instances: the most recently used instances stay in memory, up to a number of bytes.

use std::collections::VecDeque;

use super::Shard;
use super::slot::Slot;
use crate::store::{Address, RowId};

/// The order of accesses. Only the newest entry of an instance counts.
#[derive(Debug, Default)]
pub(super) struct Lru {
    touches: VecDeque<(Address, u64)>,
    clock: u64,
    /// The clock at the last eviction.
    looked: u64,
    bytes: usize,
}

/// An eviction examines this many entries, plus two per access since the last eviction. Entries that cannot be evicted
/// are examined repeatedly, and there may be many of them.
const LOOKS: usize = 64;

/// Bytes of a slot without its contents: the slot, its table entries and its accesses. Tables allocate up to twice as
/// many entries.
const SLOT: usize = size_of::<Slot>()
    + 2 * size_of::<(Address, Box<Slot>)>()
    + 2 * size_of::<(RowId, Address)>()
    + 2 * size_of::<(Address, u64)>();

impl Shard {
    /// The slot of `address`, created if it is missing. The slot becomes the most recently used one.
    pub(super) fn slot(&mut self, address: &Address) -> &mut Slot {
        self.lru.clock += 1;
        let clock = self.lru.clock;
        self.lru.touches.push_back((address.clone(), clock));
        if !self.slots.contains_key(address) {
            self.slots.insert(address.clone(), Box::new(Slot::new()));
        }
        // A missing slot was inserted above.
        let slot = self.slots.get_mut(address).expect("the slot was just made");
        slot.touched = clock;
        slot
    }

    /// Updates the size of an instance after a change.
    pub(super) fn weigh(&mut self, address: &Address) {
        if let Some(slot) = self.slots.get_mut(address) {
            slot.free_empty();
            let weight = SLOT + 2 * address.key.stored().len() + slot.weigh();
            self.lru.bytes = self.lru.bytes + weight - slot.weight;
            slot.weight = weight;
        }
    }

    /// Drops the least recently used instances while the cache is too large. An instance with data that only memory
    /// holds stays.
    pub(super) fn evict(&mut self) {
        let touched = usize::try_from(self.lru.clock - self.lru.looked).unwrap_or(usize::MAX);
        self.lru.looked = self.lru.clock;
        let mut left = self.lru.touches.len().min(touched.saturating_mul(2).saturating_add(LOOKS));
        let crowded = |lru: &Lru, slots: usize| lru.touches.len() > 2 * slots + 1024;
        while (self.lru.bytes > self.limits.cache_bytes || crowded(&self.lru, self.slots.len())) && left > 0 {
            left -= 1;
            let Some((address, touched)) = self.lru.touches.pop_front() else { break };
            let Some(slot) = self.slots.get(&address) else { continue };
            if slot.touched != touched {
                continue;
            }
            if self.lru.bytes > self.limits.cache_bytes && slot.is_idle() {
                self.forget(&address);
            } else {
                self.lru.touches.push_back((address, touched));
            }
        }
    }

    /// Drops an ended instance at once, if nothing waits for it. A later event loads it again, as after a restart.
    pub(super) fn forget_if_over(&mut self, address: &Address) {
        let Some(slot) = self.slots.get(address) else { return };
        if slot.instance().is_some_and(|instance| instance.status().is_over() && !instance.is_parked())
            && slot.is_idle()
        {
            self.forget(address);
        }
    }

    /// Drops a slot. Afterwards only the store holds the instance.
    pub(super) fn forget(&mut self, address: &Address) {
        if let Some(slot) = self.slots.remove(address) {
            self.lru.bytes -= slot.weight;
            if let Some(row) = slot.instance().and_then(|instance| instance.row) {
                self.rows.remove(&row);
            }
        }
    }
}
