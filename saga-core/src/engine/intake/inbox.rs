//! Reading from the store: at the start, on a cache miss, and after writes by others.
//!
//! The inbox is read once, in order, behind a cursor. Rows of the present epoch are skipped, because their writer
//! remembers them.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use crate::engine::Shard;
use crate::engine::io::{Accepted, Out, Ticket};
use crate::store::{Address, InboxId, Mail, RowId, TaskId};

/// How far the inbox and the other stored work have been read.
#[derive(Debug, Default)]
pub(in crate::engine) struct Intake {
    pub(super) cursor: InboxId,
    /// Rows after the cursor that a verb has used up before the scan. A page that was read earlier may still bring
    /// these rows.
    pub(super) used: BTreeSet<InboxId>,
    /// The newest row of this epoch that a handled outcome has reported.
    pub(super) newest_own_row: InboxId,
    /// The number of page requests so far.
    pub(super) scans: u64,
    pub(super) scanning: bool,
    /// Unread rows exist, and nothing may overtake them.
    pub(super) behind: bool,
    /// A wake-up came while a page was being read. One more read follows.
    pub(super) again: bool,
    /// Too many items are in memory. Reading continues when they are done.
    pub(super) paused: bool,
    /// The reading of the open tasks.
    pub(super) tasks: Walk<(RowId, TaskId)>,
    /// The reading of the compensating instances.
    pub(super) compensating: Walk<RowId>,
    /// Number of instances that are being read, or are about to be.
    pub(in crate::engine) loads: usize,
    /// Instances that the next request reads.
    pub(super) to_load: Vec<Address>,
    /// Shared by all items from the inbox that are in memory.
    pub(super) room: Arc<()>,
    /// Events that were published while a page was being read.
    pub(super) waiting_publishes: VecDeque<(Accepted, Ticket)>,
}

/// The reading of all stored rows of one kind, page by page.
#[derive(Debug)]
pub(super) struct Walk<P> {
    /// The walk has begun and has not reached the last page.
    under_way: bool,
    /// Where the walk continues, when there is room.
    after: Option<P>,
    /// Another walk follows this one, from the beginning.
    again: bool,
}

impl<P> Default for Walk<P> {
    fn default() -> Self {
        Self { under_way: false, after: None, again: false }
    }
}

impl<P> Walk<P> {
    /// Begins a walk. `false` if one is under way. Then another one follows it.
    pub(super) fn begin(&mut self) -> bool {
        self.again = self.under_way;
        !std::mem::replace(&mut self.under_way, true)
    }

    /// A page was read. `after` is the place behind it, or `None` after the last page. Returns whether another walk begins.
    pub(super) fn read(&mut self, after: Option<P>) -> bool {
        self.under_way = after.is_some();
        self.after = after;
        !self.under_way && std::mem::take(&mut self.again) && self.begin()
    }

    pub(super) fn waits(&self) -> bool {
        self.after.is_some()
    }

    /// Takes the place where the walk continues.
    pub(super) fn next(&mut self) -> Option<P> {
        self.after.take()
    }
}

impl Intake {
    pub(in crate::engine) fn is_scanning(&self) -> bool {
        self.scanning
    }

    /// The number of the next page request.
    pub(in crate::engine) fn next_scan(&self) -> u64 {
        self.scans + 1
    }

    pub(in crate::engine) fn is_behind(&self) -> bool {
        self.behind
    }

    pub(in crate::engine) fn hold(&mut self, event: Accepted, ticket: Ticket) {
        self.waiting_publishes.push_back((event, ticket));
    }

    /// Records inbox rows that became durable with a step of this epoch.
    pub(in crate::engine) fn own_rows_durable(&mut self, mail: &[InboxId]) {
        self.newest_own_row = mail.iter().copied().fold(self.newest_own_row, InboxId::max);
    }

    /// Records inbox rows that a step has used up before the scan.
    pub(in crate::engine) fn use_up(&mut self, rows: &[InboxId]) {
        self.used.extend(rows.iter().filter(|row| **row > self.cursor));
    }

    /// The last row that the scan or a handled outcome has brought.
    pub(in crate::engine) fn last_taken(&self) -> InboxId {
        self.cursor.max(self.newest_own_row)
    }

    /// A share of the room for items from the inbox. Dropping the share frees the room.
    pub(in crate::engine) fn room(&self) -> Arc<()> {
        Arc::clone(&self.room)
    }

    /// The epoch to write into a row. 0 leaves the row to the scan, so that the row does not overtake unread rows.
    pub(in crate::engine) fn epoch(&self, epoch: u64) -> u64 {
        // With `again`, the rows of the next read are still unread while the rows of this page are taken up.
        if self.behind || self.scanning || self.again { 0 } else { epoch }
    }
}

impl Shard {
    /// Another writer has added rows to the inbox.
    pub(in crate::engine) fn woken(&mut self) {
        if self.intake.scanning {
            self.intake.again = true;
        } else {
            self.scan();
        }
    }

    pub(super) fn scan(&mut self) {
        self.intake.scanning = true;
        self.intake.scans += 1;
        self.out.push(Out::FetchInbox(self.intake.cursor));
    }

    pub(in crate::engine) fn fetched_inbox(&mut self, rows: Vec<(InboxId, Mail)>, more: bool) {
        let scan = self.intake.scans;
        self.intake.scanning = false;
        self.intake.behind = more;
        let mut used = BTreeSet::new();
        if let Some((last, _)) = rows.last() {
            self.intake.cursor = *last;
            used = std::mem::take(&mut self.intake.used);
            self.intake.used = used.split_off(&InboxId(last.0 + 1));
        }
        let epoch = self.lease.epoch;
        for (id, mail) in rows.into_iter().filter(|(id, mail)| mail.epoch != epoch && !used.contains(id)) {
            self.take_mail(id, mail);
        }
        let again = std::mem::take(&mut self.intake.again);
        if more && self.crowded() {
            self.intake.paused = true;
        } else if more || again {
            self.scan();
        }
        if !self.intake.scanning || more {
            for (event, ticket) in std::mem::take(&mut self.intake.waiting_publishes) {
                self.publish_now(event, ticket);
            }
        }
        if !more {
            self.inbox_was_read(scan);
        }
    }

    /// True if memory holds the maximum number of items from the store.
    pub(in crate::engine) fn crowded(&self) -> bool {
        Arc::strong_count(&self.intake.room) > self.limits.taken_up
    }
}
