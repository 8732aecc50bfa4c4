//! Reading of one instance: its record on a cache miss, and its waiting inbox rows.

use std::collections::BTreeSet;

use crate::engine::Shard;
use crate::engine::io::Out;
use crate::engine::slot::{Item, ParkedInput, Presence};
use crate::machine::Instance;
use crate::store::{Address, InboxId, Loaded, Mail, MailKind};

/// The maximum number of instances in one read, so that a long read does not keep the first instances waiting.
const LOADED_AT_ONCE: usize = 64;

impl Shard {
    pub(in crate::engine) fn load(&mut self, address: &Address) {
        let slot = self.slot(address);
        if !slot.is_loading() {
            slot.presence = Presence::Loading;
            slot.read_for = slot.queue.len();
            self.read_instance(address);
        }
    }

    pub(in crate::engine) fn read_instance(&mut self, address: &Address) {
        self.intake.loads += 1;
        self.intake.to_load.push(address.clone());
    }

    /// Requests the reading of all instances that were named since the last call.
    pub(in crate::engine) fn request_loads(&mut self) {
        let mut to_load = std::mem::take(&mut self.intake.to_load).into_iter().peekable();
        while to_load.peek().is_some() {
            self.out.push(Out::Load(to_load.by_ref().take(LOADED_AT_ONCE).collect()));
        }
    }

    pub(in crate::engine) fn loaded(&mut self, addresses: Vec<Address>, found: Vec<Option<Loaded>>) {
        if addresses.len() != found.len() {
            return self.broken("a store answers each address of a load", addresses.first());
        }
        self.intake.loads -= addresses.len();
        for (address, found) in addresses.into_iter().zip(found) {
            self.loaded_one(address, found);
        }
    }

    fn loaded_one(&mut self, address: Address, found: Option<Loaded>) {
        if address.key.is_alias() {
            return self.alias_loaded(&address, found);
        }
        let program = self.registry.sagas.get(&*address.saga).cloned();
        let Some(slot) = self.slots.get_mut(&address) else {
            return self.broken("an instance stays in memory while it is loading", Some(&address));
        };
        slot.presence = match (found, program) {
            // `Loaded::Alias` is the answer for an alias only, and this address is a key.
            (None | Some(Loaded::Alias(_)), _) => Presence::Missing,
            (Some(Loaded::Unreadable(why)), _) => Presence::Quarantined(why),
            (Some(Loaded::Snapshot(_)), None) => {
                Presence::Quarantined(format!("this build does not have the saga `{}`", address.saga))
            }
            (Some(Loaded::Snapshot(snapshot)), Some(program)) => {
                let row = snapshot.row;
                let mut instance = Instance::load(program, *snapshot);
                instance.rejected_claims = std::mem::take(&mut slot.rejected_claims);
                self.rows.insert(row, address.clone());
                Presence::Present(Box::new(instance))
            }
        };
        if let Presence::Quarantined(why) = &slot.presence {
            tracing::error!(instance = %address, why, "the instance cannot be read and is quarantined");
        }
        let waits = slot.instance().is_some_and(Instance::holds_events_back);
        slot.armed.clear();
        if waits != slot.backlog.has_rows() {
            // The waiting inbox rows are counted. If the instance can take them, they are queued.
            self.fetch_waiting(&address);
        }
        self.remember_progress(&address);
        self.rebase_loaded(&address);
        self.sync_timers(&address);
        self.adopt(&address);
        self.weigh(&address);
        self.schedule(&address);
        self.answer_waiters(&address);
    }

    pub(in crate::engine) fn fetch_waiting(&mut self, address: &Address) {
        if let Some(slot) = self.slots.get_mut(address)
            && slot.backlog.begin_read()
        {
            self.out.push(Out::FetchWaiting(address.clone()));
        }
    }

    /// Puts the inbox rows of one instance at the head of its queue. For a parked instance the rows are only counted.
    pub(in crate::engine) fn fetched_waiting(&mut self, address: Address, rows: Vec<(InboxId, Mail)>) {
        if self.reads_too_early(&address) {
            return;
        }
        // The scan brings later rows itself, in order. Rows of a batch with unhandled outcomes are taken up with these
        // outcomes.
        let (cursor, own, epoch) = (self.intake.cursor, self.intake.newest_own_row, self.lease.epoch);
        let known = |id: InboxId, mail: &Mail| id <= if mail.epoch == epoch { own } else { cursor };
        self.find_head(&address, &rows);
        let used = self.take_used_rows(&address);
        // A notice has its effect when the scan brings it.
        let is_item = |id: InboxId, mail: &Mail| mail.kind != MailKind::Notice && known(id, mail);
        let rows = rows.into_iter().filter(|(id, mail)| is_item(*id, mail) && !used.contains(id));
        let rows: Vec<(InboxId, Mail)> = rows.collect();
        let Some(slot) = self.slots.get_mut(&address) else {
            return self.broken("an instance stays in memory while its inbox rows are read", Some(&address));
        };
        slot.backlog.end_read();
        let parked = slot.instance().is_some_and(Instance::is_parked);
        // A paused saga takes no rows either.
        if parked || self.pauses.holds(&address.saga) {
            slot.backlog.count(&rows);
        } else {
            slot.backlog.clear(rows.last().map(|(id, _)| *id));
            let queued: BTreeSet<InboxId> = slot.queue.iter().filter_map(|item| item.inbox).collect();
            let mut items = Vec::new();
            for (id, mail) in rows.into_iter().filter(|(id, _)| !queued.contains(id)) {
                match Item::from_mail(id, mail) {
                    Ok(item) => items.push(Item { _room: Some(self.intake.room()), ..item }),
                    Err(error) => {
                        tracing::error!(instance = %address, error, "an inbox row cannot be read; the row stays in the inbox");
                    }
                }
            }
            for item in items.into_iter().rev() {
                slot.queue.push_front(item);
            }
            // Items with an inbox row are older than items that are only in memory.
            let (mut durable, fresh): (Vec<Item>, Vec<Item>) =
                slot.queue.take().into_iter().partition(|item| item.inbox.is_some());
            durable.sort_by_key(|item| item.inbox);
            slot.queue = durable.into_iter().chain(fresh).collect();
            self.rearm(&address);
        }
        self.schedule(&address);
        self.answer_waiters(&address);
    }

    /// Finds the input over which the instance is parked, for a verb that skips it. Rows that the scan has not reached
    /// count. Rows of a batch with unhandled outcomes do not count, because the instance cannot be parked over them.
    fn find_head(&mut self, address: &Address, rows: &[(InboxId, Mail)]) {
        let Some(slot) = self.slots.get_mut(address) else {
            return self.broken("an instance stays in memory while its inbox rows are read", Some(address));
        };
        if !slot.queue.iter().any(Item::skips) {
            return;
        }
        // A verb without its inbox row has already been applied.
        slot.queue.retain(|item| {
            !item.skips() || item.inbox.is_none_or(|row| rows.iter().any(|(found, _)| *found == row))
        });
        let Some(head) = slot.instance().and_then(Instance::parked_head) else { return };
        let (own, epoch) = (self.intake.newest_own_row, self.lease.epoch);
        let there = rows.iter().filter(|(id, mail)| mail.epoch != epoch || *id <= own);
        let items = there.filter_map(|(id, mail)| Item::from_mail(*id, mail.clone()).ok());
        slot.parked_input = items
            .filter(|item| head.is(&item.what))
            .map(Box::new)
            .next()
            .map_or(ParkedInput::Missing, ParkedInput::Found);
    }
}
