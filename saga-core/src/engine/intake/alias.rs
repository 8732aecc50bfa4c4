//! Events that name their instance by an alias (rule R35).
//!
//! These events queue at the alias. The holder of the alias is found when the events are taken up. An event by an
//! unclaimed alias has no instance (rule R27).
//!
//! Owns: the queue of an alias, and changes of its holder. Does not own: the holder of an alias, which the store
//! records.

use crate::engine::slot::{InFlight, Item, Presence};
use crate::engine::{Disposition, Shard};
use crate::message::Key;
use crate::store::{Address, AliasChange, Loaded, Mail, Step};

impl Shard {
    /// Moves the item at the head of the alias's queue to the holder of the alias. Returns whether more work is ready
    /// at once.
    ///
    /// An inbox row is moved in one step. Afterwards it is found together with the other rows of the instance.
    pub(in crate::engine) fn hand_on(&mut self, alias: &Address, to: Key) -> bool {
        let Some(slot) = self.slots.get_mut(alias) else { return false };
        let Some(item) = slot.queue.pop_front() else { return false };
        slot.read_for = slot.read_for.saturating_sub(1);
        if !item.take() {
            return self.withdrawn(&item);
        }
        let to = self.address(&alias.saga, to);
        let epoch = self.mail_epoch(&to);
        if item.inbox.is_none() && epoch > 0 {
            self.accept(&to, Item { alias: Some(alias.key.clone()), ..item });
            return true;
        }
        // While the inbox is being read, an item without a row also goes to the inbox. So the item stays behind earlier
        // events. An item for another shard always goes to the inbox.
        let mut step = Step { consumed: item.inbox.into_iter().collect(), ..Step::default() };
        self.mark(alias, &item, &mut step);
        step.mail.extend(item.mail(&to, epoch).map(|mail| Mail { deduplicated: true, ..mail }));
        self.launch_step(alias, InFlight::of(item, Ok(Disposition::Queued)), step);
        false
    }

    /// The holder of an alias has been read. The holder that a step committed in the meantime takes precedence.
    pub(in crate::engine) fn alias_loaded(&mut self, alias: &Address, found: Option<Loaded>) {
        let Some(slot) = self.slots.get_mut(alias) else {
            return self.broken("an alias stays in memory while its holder is read", Some(alias));
        };
        if std::mem::take(&mut slot.read_again) {
            // The step was committed before the next read begins, so the read sees its holder or a newer one.
            (slot.presence, slot.newer_holder) = (Presence::Unknown, None);
            return self.load(alias);
        }
        slot.presence = match (slot.newer_holder.take(), found) {
            (Some(Some(key)), _) | (None, Some(Loaded::Alias(key))) => Presence::Alias(key),
            (None, Some(Loaded::Unreadable(why))) => Presence::Quarantined(why),
            (Some(None), _) | (None, Some(Loaded::Snapshot(_)) | None) => Presence::Missing,
        };
        // The waiting events are decided again, because their wait may have ended during the load. With several shards, the
        // alias is read for each event, and the others wait on until it is claimed.
        let decided = self.lease.shard.is_whole() || matches!(slot.presence, Presence::Alias(_));
        if decided && slot.backlog.waits() {
            self.fetch_waiting(alias);
        }
        self.schedule(alias);
        self.answer_waiters(alias);
        self.weigh(alias);
    }

    /// A step that claims or releases aliases is durable. [`take_up_by`](Self::take_up_by) takes up the waiting events
    /// later, after the other effects of the step.
    pub(in crate::engine) fn aliases_changed(&mut self, holder: &Address, changes: &[AliasChange]) {
        for change in changes {
            let (AliasChange::Claim(alias) | AliasChange::Release(alias)) = change;
            let alias = self.address(&holder.saga, alias.clone());
            let Some(slot) = self.slots.get_mut(&alias) else { continue };
            let owner = matches!(change, AliasChange::Claim(_)).then(|| holder.key.as_key()).flatten();
            if slot.is_loading() {
                // The load may return the holder from before this step.
                slot.newer_holder = Some(owner);
                continue;
            }
            slot.presence = owner.map_or(Presence::Missing, Presence::Alias);
        }
    }

    pub(in crate::engine) fn take_up_by(&mut self, holder: &Address, changes: &[AliasChange]) {
        for change in changes {
            let (AliasChange::Claim(alias) | AliasChange::Release(alias)) = change;
            let alias = self.address(&holder.saga, alias.clone());
            self.take_up_by_alias(&alias);
            self.answer_waiters(&alias);
        }
    }

    /// Removed instances no longer hold aliases. So the holder of each alias must be read again.
    pub(in crate::engine) fn purged(&mut self) {
        for slot in self.slots.values_mut().filter(|slot| matches!(slot.presence, Presence::Alias(_))) {
            slot.presence = Presence::Unknown;
        }
    }

    /// Takes up the events that waited in the inbox for a claim of the alias.
    pub(in crate::engine) fn take_up_by_alias(&mut self, alias: &Address) {
        let Some(slot) = self.slots.get(alias) else { return };
        let waits = slot.backlog.waits();
        // A row that is being written is taken up after its commit.
        if waits && matches!(slot.presence, Presence::Alias(_)) && slot.in_flight.is_none() {
            self.fetch_waiting(alias);
        }
        self.schedule(alias);
    }
}
