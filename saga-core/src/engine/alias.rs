//! Events that name their instance by an alias (rule R35).
//!
//! They queue at the alias, as others do at their instance, and whose it is is found out when they are taken up. What
//! nobody has claimed yet is an event without an instance (rule R27). Owns: that queue, and learning of claims. Does not
//! own: who holds an alias; the store does.

use super::Shard;
use super::io::ConsumerAnswer;
use super::slot::{InFlight, Item, Place, Token};
use crate::message::Key;
use crate::store::{Address, AliasChange, Loaded, Mail, Step};

impl Shard {
    /// Hands the item at the head of an alias's queue on to the instance that holds it. Returns whether there is more to
    /// do at once.
    ///
    /// What lies in the inbox is moved there in one step, so that it is found with whatever else waits for the instance.
    pub(super) fn hand_on(&mut self, alias: &Address, to: Key) -> bool {
        let Some(item) = self.slots.get_mut(alias).and_then(|slot| slot.queue.pop_front()) else {
            return false;
        };
        if !item.take() {
            return self.withdrawn(&item);
        }
        let to = self.address(&alias.saga, to);
        let epoch = self.inbox.epoch(self.lease.epoch);
        if item.inbox.is_none() && epoch > 0 {
            self.accept(&to, Item { alias: Some(alias.key.clone()), ..item });
            return true;
        }
        // While the inbox is being read, also what is not in it goes there, behind what came to the alias before.
        let mut step = Step { consumed: item.inbox.into_iter().collect(), ..Step::default() };
        self.mark(alias, &item, &mut step);
        step.mail.extend(item.mail(&to, epoch).map(|mail| Mail { deduplicated: true, ..mail }));
        if let Some(slot) = self.slots.get_mut(alias) {
            slot.in_flight = Some(InFlight::of(item, ConsumerAnswer::Queued));
        }
        self.queue_step(Token::Instance(alias.clone()), step);
        false
    }

    /// Whose an alias is has been read; unless a step has decided it meanwhile.
    pub(super) fn alias_loaded(&mut self, alias: &Address, found: Option<Loaded>) {
        let Some(slot) = self.slots.get_mut(alias) else { return };
        slot.place = match (slot.learned.take(), found) {
            (Some(Some(key)), _) | (None, Some(Loaded::Alias(key))) => Place::Alias(key),
            (None, Some(Loaded::Unreadable(why))) => Place::Quarantined(why),
            (Some(None), _) | (None, Some(Loaded::Snapshot(_)) | None) => Place::Missing,
        };
        // What waits there is decided anew: while it was being read, its time may have passed unnoticed.
        if slot.spilled || slot.deferred.is_some() {
            self.fetch_waiting(alias);
        }
        self.pump(alias);
        self.answer_waiters(alias);
        self.weigh(alias);
    }

    /// A step that claims or gives up aliases is durable. What waits at them is taken up by
    /// [`take_up_by`](Self::take_up_by), when everything else about the step is known.
    pub(super) fn aliases_changed(&mut self, holder: &Address, changes: &[AliasChange]) {
        for change in changes {
            let (AliasChange::Claim(alias) | AliasChange::Release(alias)) = change;
            let alias = self.address(&holder.saga, alias.clone());
            let Some(slot) = self.slots.get_mut(&alias) else { continue };
            let owner = matches!(change, AliasChange::Claim(_)).then(|| holder.key.clone());
            if slot.is_loading() {
                // What is being read may be from before.
                slot.learned = Some(owner);
                continue;
            }
            slot.place = owner.map_or(Place::Missing, Place::Alias);
        }
    }

    pub(super) fn take_up_by(&mut self, holder: &Address, changes: &[AliasChange]) {
        for change in changes {
            let (AliasChange::Claim(alias) | AliasChange::Release(alias)) = change;
            let alias = self.address(&holder.saga, alias.clone());
            self.take_up_by_alias(&alias);
            self.answer_waiters(&alias);
        }
    }

    /// Instances have been removed, and with them their aliases: whose each is must be read again.
    pub(super) fn purged(&mut self) {
        for slot in self.slots.values_mut().filter(|slot| matches!(slot.place, Place::Alias(_))) {
            slot.place = Place::Unknown;
        }
    }

    /// Takes up what has waited in the inbox for an alias to be claimed.
    pub(super) fn take_up_by_alias(&mut self, alias: &Address) {
        let Some(slot) = self.slots.get(alias) else { return };
        let waits = slot.spilled || slot.deferred.is_some();
        // What is on its way to the inbox is looked for when it is there.
        if waits && matches!(slot.place, Place::Alias(_)) && slot.in_flight.is_none() {
            self.fetch_waiting(alias);
        }
        self.pump(alias);
    }
}
