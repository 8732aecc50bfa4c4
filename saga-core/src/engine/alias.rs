//! Events that name their instance by an alias (rule R35).
//!
//! These events queue at the alias. The holder of the alias is found when the events are taken up. An event by an
//! unclaimed alias has no instance (rule R27).
//!
//! Owns: the queue of an alias, and changes of its holder. Does not own: the holder of an alias, which the store
//! records.

use super::Shard;
use super::io::ConsumerAnswer;
use super::slot::{InFlight, Item, Place, Token};
use crate::message::Key;
use crate::store::{Address, AliasChange, Loaded, Mail, Step};

impl Shard {
    /// Moves the item at the head of the alias's queue to the holder of the alias. Returns whether more work is ready
    /// at once.
    ///
    /// An inbox row is moved in one step. Afterwards it is found together with the other rows of the instance.
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
        // While the inbox is being read, an item without a row also goes to the inbox. So the item stays behind earlier
        // events.
        let mut step = Step { consumed: item.inbox.into_iter().collect(), ..Step::default() };
        self.mark(alias, &item, &mut step);
        step.mail.extend(item.mail(&to, epoch).map(|mail| Mail { deduplicated: true, ..mail }));
        if let Some(slot) = self.slots.get_mut(alias) {
            slot.in_flight = Some(InFlight::of(item, ConsumerAnswer::Queued));
        }
        self.queue_step(Token::Instance(alias.clone()), step);
        false
    }

    /// The holder of an alias has been read. The holder that a step committed in the meantime takes precedence.
    pub(super) fn alias_loaded(&mut self, alias: &Address, found: Option<Loaded>) {
        let Some(slot) = self.slots.get_mut(alias) else { return };
        slot.place = match (slot.learned.take(), found) {
            (Some(Some(key)), _) | (None, Some(Loaded::Alias(key))) => Place::Alias(key),
            (None, Some(Loaded::Unreadable(why))) => Place::Quarantined(why),
            (Some(None), _) | (None, Some(Loaded::Snapshot(_)) | None) => Place::Missing,
        };
        // The waiting events are decided again, because their wait may have ended during the load.
        if slot.spilled || slot.deferred.is_some() {
            self.fetch_waiting(alias);
        }
        self.pump(alias);
        self.answer_waiters(alias);
        self.weigh(alias);
    }

    /// A step that claims or releases aliases is durable. [`take_up_by`](Self::take_up_by) takes up the waiting events
    /// later, after the other effects of the step.
    pub(super) fn aliases_changed(&mut self, holder: &Address, changes: &[AliasChange]) {
        for change in changes {
            let (AliasChange::Claim(alias) | AliasChange::Release(alias)) = change;
            let alias = self.address(&holder.saga, alias.clone());
            let Some(slot) = self.slots.get_mut(&alias) else { continue };
            let owner = matches!(change, AliasChange::Claim(_)).then(|| holder.key.clone());
            if slot.is_loading() {
                // The load may return the holder from before this step.
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

    /// Removed instances no longer hold aliases. So the holder of each alias must be read again.
    pub(super) fn purged(&mut self) {
        for slot in self.slots.values_mut().filter(|slot| matches!(slot.place, Place::Alias(_))) {
            slot.place = Place::Unknown;
        }
    }

    /// Takes up the events that waited in the inbox for a claim of the alias.
    pub(super) fn take_up_by_alias(&mut self, alias: &Address) {
        let Some(slot) = self.slots.get(alias) else { return };
        let waits = slot.spilled || slot.deferred.is_some();
        // A row that is being written is taken up after its commit.
        if waits && matches!(slot.place, Place::Alias(_)) && slot.in_flight.is_none() {
            self.fetch_waiting(alias);
        }
        self.pump(alias);
    }
}
