//! What belongs to another shard of the store (rule R23): mail goes there, and notices tell its engine what has changed here.
//!
//! ```text
//!  this shard: an instance claims an alias ──▶ notice to the shard of the alias ──▶ its holder is read again
//!  this shard: a saga is paused            ──▶ notice to each other shard       ──▶ the pauses are read again
//! ```
//!
//! A notice says only that something must be read again. So it may come late, twice, or after the opposite change. Owns: the
//! notices, and what they make the engine read. Does not own: the effect of a pause (`pauses`).

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::Shard;
use crate::engine::advance::Purpose;
use crate::engine::io::Out;
use crate::engine::slot::Presence;
use crate::engine::store_verb::CONSUMER;
use crate::message::{Key, Message, Name, Payload};
use crate::store::{
    Address, AliasChange, Delivery, DeliveryChange, InboxId, Mail, MailKind, PauseOf, ShardId, Step,
};

impl Shard {
    /// Returns whether this engine advances the instance. Only then it writes its deduplication records and deliveries.
    pub(in crate::engine) fn is_here(&self, address: &Address) -> bool {
        self.lease.shard.owns(address)
    }

    /// The epoch to write into a row. The owner of another shard finds the row by its scan.
    pub(in crate::engine) fn mail_epoch(&self, to: &Address) -> u64 {
        if self.is_here(to) { self.intake.epoch(self.lease.epoch) } else { 0 }
    }

    /// Adds a delivery to a step. The owner of another shard turns the row into a delivery, and checks its id there unless it
    /// is `deduplicated`. While the inbox is being read, the delivery stays behind the unread rows in the same way.
    pub(in crate::engine) fn deliver(
        &self,
        delivery: Delivery,
        deduplicated: bool,
        cause: Option<Name>,
        step: &mut Step,
    ) {
        let is_here = self.is_here(&delivery.to);
        if is_here && self.mail_epoch(&delivery.to) != 0 {
            return step.deliveries.push(DeliveryChange::Add(delivery));
        }
        let Delivery { to, event, id, hops, trace, .. } = delivery;
        step.mail.push(Mail {
            id: Some(id),
            deduplicated: deduplicated || is_here,
            hops,
            cause,
            trace,
            ..Mail::new(to, MailKind::Delivery, event, self.moment.wall)
        });
    }

    /// Returns whether the holder of an alias must be read for the item at the head of its queue. An instance of another
    /// shard can claim and release the alias, so a read counts only for the items that were there before it.
    pub(in crate::engine) fn is_outdated(&self, address: &Address) -> bool {
        !self.lease.shard.is_whole()
            && address.key.is_alias()
            && self.slots.get(address).is_some_and(|slot| slot.read_for == 0)
    }

    /// Tells the shards of the aliases that an instance claims. Events may wait there.
    pub(in crate::engine) fn tell_of_claims(&self, holder: &Address, step: &mut Step) {
        if self.lease.shard.is_whole() {
            return;
        }
        for change in &step.aliases {
            let AliasChange::Claim(alias) = change else { continue };
            let alias = self.address(&holder.saga, alias.clone());
            if !self.is_here(&alias) {
                step.mail.push(self.notice(alias, "claimed"));
            }
        }
    }

    /// Tells all other shards that the pauses have changed.
    pub(in crate::engine) fn tell_of_pauses(&self, step: &mut Step) {
        let own = self.lease.shard;
        for shard in ShardId::all(own.of()).filter(|shard| *shard != own) {
            step.mail.extend(place_of(shard).map(|to| self.notice(to, "pauses")));
        }
    }

    fn notice(&self, to: Address, name: &'static str) -> Mail {
        let message = Message { name: Name::Borrowed(name), version: 1, payload: Payload::from("null") };
        Mail { deduplicated: true, ..Mail::new(to, MailKind::Notice, message, self.moment.wall) }
    }

    /// The step of an alias has its outcome. A notice that came meanwhile has its effect now.
    pub(in crate::engine) fn read_holder_after_step(&mut self, alias: &Address) {
        let Some(slot) = self.slots.get_mut(alias) else { return };
        if slot.read_again && slot.in_flight.is_none() && !slot.is_loading() {
            (slot.read_again, slot.presence, slot.newer_holder) = (false, Presence::Unknown, None);
            self.load(alias);
        }
    }

    /// Takes up a notice of another shard.
    pub(super) fn take_notice(&mut self, id: InboxId, to: &Address) {
        // Without the row, a start reads everything anew.
        self.queue_step(Purpose::Housekeeping, Step { consumed: vec![id], ..Step::default() });
        if to.saga == CONSUMER {
            return self.read_pauses();
        }
        let alias = self.address(&to.saga, to.key.clone());
        let Some(slot) = self.slots.get_mut(&alias) else { return };
        if slot.is_loading() {
            slot.read_again = true;
        } else if slot.in_flight.is_none() && slot.backlog.waits() {
            slot.presence = Presence::Unknown;
            self.load(&alias);
        } else {
            slot.read_again = slot.in_flight.is_some();
            slot.read_for = 0;
            self.schedule(&alias);
        }
    }

    /// A verb of this engine on a pause has its outcome. What another shard has changed meanwhile has its effect now.
    pub(in crate::engine) fn read_pauses_after_verb(&mut self) {
        if !self.lease.shard.is_whole() {
            self.read_pauses();
        }
    }

    pub(in crate::engine) fn read_pauses(&mut self) {
        if self.pauses.begin_read() {
            self.out.push(Out::FetchPauses);
        }
    }

    /// The answer to [`Out::FetchPauses`].
    pub(in crate::engine) fn fetched_pauses(&mut self, stored: Vec<PauseOf>) {
        if !self.pauses.end_read() {
            return self.read_pauses();
        }
        let mut now: BTreeMap<PauseOf, BTreeSet<PauseOf>> = BTreeMap::new();
        for of in stored {
            now.entry(self.present_pause(&of)).or_default().insert(of);
        }
        for of in self.pauses.ended(&now) {
            self.resumed(&of);
        }
        for (of, forms) in now {
            // The outcome of a verb on the same object is followed by another read.
            if !self.pauses.is_under_way(&of) && self.pauses.set_stored(&of, forms) {
                self.paused(&of);
            }
        }
    }
}

/// An address of the library itself in this shard.
fn place_of(shard: ShardId) -> Option<Address> {
    // One of 256 partitions is hit after a few hundred tries, so the limit is never reached.
    let places = (0..1_000_000_u32).filter_map(|n| Key::new(format!("shard/{n}")).ok());
    places.map(|key| Address::new(CONSUMER, key)).find(|address| shard.owns(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r23_each_shard_has_a_place_for_notices() {
        for of in [1, 2, 7, 16, ShardId::MAX] {
            for shard in ShardId::all(of) {
                let place = place_of(shard).unwrap();
                assert!(shard.owns(&place) && place.saga == CONSUMER, "{place} of {shard}");
            }
        }
    }
}
