//! Reading from the store: at the start, on a cache miss, and after writes by others.
//!
//! The inbox is read once, in order, behind a cursor. Rows of the present epoch are skipped, because their writer
//! remembers them.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use super::Shard;
use super::io::{Accepted, Out, Ticket};
use super::slot::{Item, Place};
use crate::machine::Instance;
use crate::store::{Address, DeliveryId, InboxId, Loaded, Mail, OpenTask, RowId, TaskId, TaskKind};

/// How far the inbox and the other stored work have been read.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    cursor: InboxId,
    /// Rows after the cursor that a verb has used up before the scan. A page that was read earlier may still bring
    /// these rows.
    used: BTreeSet<InboxId>,
    /// The newest row of this epoch that a handled outcome has reported.
    told: InboxId,
    /// The number of page requests so far.
    scans: u64,
    scanning: bool,
    /// Unread rows exist, and nothing may overtake them.
    behind: bool,
    /// A wake-up came while a page was being read. One more read follows.
    again: bool,
    /// Too many items are in memory. Reading continues when they are done.
    paused: bool,
    /// Where reading of the tasks of an earlier lease continues, when there is room.
    tasks_after: Option<(RowId, TaskId)>,
    /// Where reading of the compensating instances continues.
    compensating_after: Option<RowId>,
    /// Number of instances that are being read.
    loads: usize,
    /// Shared by all items from the inbox that are in memory.
    room: Arc<()>,
    /// Events that were published while a page was being read.
    held: VecDeque<(Accepted, Ticket)>,
}

impl Inbox {
    pub(super) fn is_scanning(&self) -> bool {
        self.scanning
    }

    /// The number of the next page request.
    pub(super) fn next_scan(&self) -> u64 {
        self.scans + 1
    }

    pub(super) fn is_behind(&self) -> bool {
        self.behind
    }

    pub(super) fn hold(&mut self, event: Accepted, ticket: Ticket) {
        self.held.push_back((event, ticket));
    }

    /// Records inbox rows that became durable with a step of this epoch.
    pub(super) fn tell(&mut self, mail: &[InboxId]) {
        self.told = mail.iter().copied().fold(self.told, InboxId::max);
    }

    /// Records inbox rows that a step has used up before the scan.
    pub(super) fn use_up(&mut self, rows: &[InboxId]) {
        self.used.extend(rows.iter().filter(|row| **row > self.cursor));
    }

    /// A share of the room for items from the inbox. Dropping the share frees the room.
    pub(super) fn room(&self) -> Arc<()> {
        Arc::clone(&self.room)
    }

    /// The epoch to write into a row. 0 leaves the row to the scan, so that the row does not overtake unread rows.
    pub(super) fn epoch(&self, epoch: u64) -> u64 {
        // With `again`, the rows of the next read are still unread while the rows of this page are taken up.
        if self.behind || self.scanning || self.again { 0 } else { epoch }
    }
}

impl Shard {
    /// Takes up everything that an earlier lease left.
    pub(crate) fn start(&mut self, moment: super::Moment) {
        self.moment = moment;
        self.follow_clock();
        self.lanes.started = moment.mono;
        self.out.push(Out::FetchTasks(None));
        self.out.push(Out::FetchCompensating(None));
        self.fetch_deliveries(DeliveryId::default());
        self.fetch_timers();
        self.inbox.behind = true;
        self.scan();
    }

    /// Accepts and starts nothing more. Running attempts may end.
    pub(super) fn stop(&mut self) {
        self.stopping = true;
        for (_, ticket) in std::mem::take(&mut self.inbox.held) {
            self.out.push(Out::Answer(ticket, super::Answer::Stopped));
        }
        self.stop_taking_up();
        self.write_attempts();
        self.write_deliveries();
    }

    pub(super) fn load(&mut self, address: &Address) {
        let slot = self.slot(address);
        if !slot.is_loading() {
            slot.place = Place::Loading;
            self.read_instance(address);
        }
    }

    pub(super) fn read_instance(&mut self, address: &Address) {
        self.inbox.loads += 1;
        self.out.push(Out::Load(address.clone()));
    }

    pub(super) fn loaded(&mut self, address: Address, found: Option<Loaded>) {
        self.inbox.loads -= 1;
        if address.key.is_alias() {
            return self.alias_loaded(&address, found);
        }
        let program = self.registry.sagas.get(&*address.saga).cloned();
        let Some(slot) = self.slots.get_mut(&address) else { return };
        slot.place = match (found, program) {
            // `Loaded::Alias` is the answer for an alias only, and this address is a key.
            (None | Some(Loaded::Alias(_)), _) => Place::Missing,
            (Some(Loaded::Unreadable(why)), _) => Place::Quarantined(why),
            (Some(Loaded::Snapshot(_)), None) => {
                Place::Quarantined(format!("this build does not have the saga `{}`", address.saga))
            }
            (Some(Loaded::Snapshot(snapshot)), Some(program)) => {
                let row = snapshot.row;
                let mut instance = Instance::load(program, *snapshot);
                instance.taken = std::mem::take(&mut slot.taken);
                self.rows.insert(row, address.clone());
                Place::Present(Box::new(instance))
            }
        };
        if let Place::Quarantined(why) = &slot.place {
            tracing::error!(instance = %address, why, "quarantined: it cannot be read");
        }
        let waits = slot.instance().is_some_and(Instance::holds_events_back);
        slot.armed.clear();
        if waits != slot.spilled {
            // The waiting inbox rows are counted. If the instance can take them, they are queued.
            self.fetch_waiting(&address);
        }
        self.remember_progress(&address);
        self.rebase_loaded(&address);
        self.sync_timers(&address);
        self.adopt(&address);
        self.weigh(&address);
        self.pump(&address);
        self.answer_waiters(&address);
    }

    pub(super) fn fetch_waiting(&mut self, address: &Address) {
        if let Some(slot) = self.slots.get_mut(address)
            && !slot.fetching
        {
            slot.fetching = true;
            self.out.push(Out::FetchWaiting(address.clone()));
        }
    }

    /// Puts the inbox rows of one instance at the head of its queue. For a parked instance the rows are only counted.
    pub(super) fn fetched_waiting(&mut self, address: Address, rows: Vec<(InboxId, Mail)>) {
        // The scan brings later rows itself, in order. Rows of a batch with unhandled outcomes are taken up with these
        // outcomes.
        let (cursor, told, epoch) = (self.inbox.cursor, self.inbox.told, self.lease.epoch);
        let known = |id: InboxId, mail: &Mail| id <= if mail.epoch == epoch { told } else { cursor };
        self.find_head(&address, &rows);
        let rows: Vec<(InboxId, Mail)> = rows.into_iter().filter(|(id, mail)| known(*id, mail)).collect();
        let Some(slot) = self.slots.get_mut(&address) else { return };
        slot.fetching = false;
        let parked = slot.instance().is_some_and(Instance::is_parked);
        if parked {
            slot.held = rows.iter().filter(|(_, mail)| mail.kind == crate::store::MailKind::Event).count();
            slot.spilled = !rows.is_empty();
        } else {
            slot.held = 0;
            slot.spilled = false;
            slot.deferred = None;
            if let Some(given_up) = &mut slot.given_up {
                given_up.last = given_up.last.or(rows.last().map(|(id, _)| *id));
            }
            let queued: BTreeSet<InboxId> = slot.queue.iter().filter_map(|item| item.inbox).collect();
            let mut items = Vec::new();
            for (id, mail) in rows.into_iter().filter(|(id, _)| !queued.contains(id)) {
                match Item::from_mail(id, mail) {
                    Ok(item) => items.push(Item { _room: Some(self.inbox.room()), ..item }),
                    Err(error) => {
                        tracing::error!(instance = %address, error, "an inbox row cannot be read; it stays there");
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
        self.pump(&address);
        self.answer_waiters(&address);
    }

    /// Finds the input over which the instance is parked, for a verb that skips it. Rows that the scan has not reached
    /// count. Rows of a batch with unhandled outcomes do not count, because the instance cannot be parked over them.
    fn find_head(&mut self, address: &Address, rows: &[(InboxId, Mail)]) {
        let Some(slot) = self.slots.get_mut(address) else { return };
        if !slot.queue.iter().any(Item::skips) {
            return;
        }
        // A verb without its inbox row has already been applied.
        slot.queue.retain(|item| {
            !item.skips() || item.inbox.is_none_or(|row| rows.iter().any(|(found, _)| *found == row))
        });
        let Some(head) = slot.instance().and_then(Instance::parked_head) else { return };
        let (told, epoch) = (self.inbox.told, self.lease.epoch);
        let there = rows.iter().filter(|(id, mail)| mail.epoch != epoch || *id <= told);
        let items = there.filter_map(|(id, mail)| Item::from_mail(*id, mail.clone()).ok());
        slot.head = Some(items.filter(|item| head.is(&item.what)).map(Box::new).next());
    }

    // The inbox.

    /// Another writer has added rows to the inbox.
    pub(super) fn woken(&mut self) {
        if self.inbox.scanning {
            self.inbox.again = true;
        } else {
            self.scan();
        }
    }

    fn scan(&mut self) {
        self.inbox.scanning = true;
        self.inbox.scans += 1;
        self.out.push(Out::FetchInbox(self.inbox.cursor));
    }

    pub(super) fn fetched_inbox(&mut self, rows: Vec<(InboxId, Mail)>, more: bool) {
        let scan = self.inbox.scans;
        self.inbox.scanning = false;
        self.inbox.behind = more;
        let mut used = BTreeSet::new();
        if let Some((last, _)) = rows.last() {
            self.inbox.cursor = *last;
            used = std::mem::take(&mut self.inbox.used);
            self.inbox.used = used.split_off(&InboxId(last.0 + 1));
        }
        let epoch = self.lease.epoch;
        for (id, mail) in rows.into_iter().filter(|(id, mail)| mail.epoch != epoch && !used.contains(id)) {
            self.take_mail(id, mail);
        }
        let again = std::mem::take(&mut self.inbox.again);
        if more && self.crowded() {
            self.inbox.paused = true;
        } else if more || again {
            self.scan();
        }
        if !self.inbox.scanning || more {
            for (event, ticket) in std::mem::take(&mut self.inbox.held) {
                self.publish_now(event, ticket);
            }
        }
        if !more {
            self.inbox_was_read(scan);
        }
    }

    // What an earlier lease left.

    pub(super) fn fetched_tasks(&mut self, rows: Vec<OpenTask>, more: bool) {
        let last = rows.last().map(|row| (row.row, row.task.id));
        // The report of a child loads its parent, so the task of a child needs no load.
        for row in rows.into_iter().filter(|row| row.task.kind != TaskKind::Child) {
            let address = self.address(&row.address.saga, row.address.key);
            self.take_up(&address);
        }
        self.inbox.tasks_after = last.filter(|_| more);
    }

    /// True if memory holds the maximum number of items from the store.
    fn crowded(&self) -> bool {
        Arc::strong_count(&self.inbox.room) > self.limits.taken_up
    }

    /// Continues paused reads when there is room.
    pub(super) fn read_on(&mut self) {
        if self.inbox.paused && !self.inbox.scanning && !self.crowded() {
            self.inbox.paused = false;
            self.scan();
        }
        if self.inbox.loads >= self.limits.page {
            return;
        }
        if self.inbox.tasks_after.is_some() && self.lanes.queued() < self.limits.taken_up {
            let after = self.inbox.tasks_after.take();
            self.out.push(Out::FetchTasks(after));
        }
        if let Some(after) = self.inbox.compensating_after.take() {
            self.out.push(Out::FetchCompensating(Some(after)));
        }
    }

    pub(super) fn fetched_compensating(&mut self, rows: Vec<(RowId, Address)>, more: bool) {
        let last = rows.last().map(|(row, _)| *row);
        for (_, address) in rows {
            let address = self.address(&address.saga, address.key);
            self.take_up(&address);
        }
        self.inbox.compensating_after = last.filter(|_| more);
    }

    /// Loads an instance that has work to do. An unknown saga or an instance in memory is skipped.
    fn take_up(&mut self, address: &Address) {
        let known = self.registry.sagas.contains_key(&*address.saga);
        let here = self.slots.get(address).is_some_and(|slot| !matches!(slot.place, Place::Unknown));
        if known && !here {
            self.load(address);
        }
    }
}
