//! Which instances stay in memory: the last touched ones, up to a number of bytes.

use std::collections::VecDeque;

use super::Shard;
use super::slot::Slot;
use crate::store::{Address, RowId};

/// The order of touches. An entry counts only while it is the newest of its instance.
#[derive(Debug, Default)]
pub(super) struct Lru {
    touches: VecDeque<(Address, u64)>,
    clock: u64,
    /// The clock when room was last made.
    looked: u64,
    bytes: usize,
}

/// So many instances are looked at when room is made, beside two for each touch since. Those that must stay are passed over
/// again and again, and there may be many.
const LOOKS: usize = 64;

/// What a slot takes beside what is in it: itself, its place in tables, which have room for up to twice as many, and its
/// touches.
const SLOT: usize = size_of::<Slot>()
    + 2 * size_of::<(Address, Box<Slot>)>()
    + 2 * size_of::<(RowId, Address)>()
    + 2 * size_of::<(Address, u64)>();

impl Shard {
    /// The slot of `address`, made when there is none, and now the last touched one.
    pub(super) fn slot(&mut self, address: &Address) -> &mut Slot {
        self.lru.clock += 1;
        let clock = self.lru.clock;
        self.lru.touches.push_back((address.clone(), clock));
        if !self.slots.contains_key(address) {
            self.slots.insert(address.clone(), Box::new(Slot::new()));
        }
        // Inserted on the line before when it was not there.
        let slot = self.slots.get_mut(address).expect("the slot was just made");
        slot.touched = clock;
        slot
    }

    /// Notes the bytes an instance takes after a change.
    pub(super) fn weigh(&mut self, address: &Address) {
        if let Some(slot) = self.slots.get_mut(address) {
            slot.free_empty();
            let weight = SLOT + 2 * address.key.as_str().len() + slot.weigh();
            self.lru.bytes = self.lru.bytes + weight - slot.weight;
            slot.weight = weight;
        }
    }

    /// Forgets the instances touched longest ago while there are too many bytes. One that has anything in memory only
    /// stays.
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

    /// Drops a slot. What the store holds of the instance is all there is of it from now on.
    pub(super) fn forget(&mut self, address: &Address) {
        if let Some(slot) = self.slots.remove(address) {
            self.lru.bytes -= slot.weight;
            if let Some(row) = slot.instance().and_then(|instance| instance.row) {
                self.rows.remove(&row);
            }
        }
    }
}
