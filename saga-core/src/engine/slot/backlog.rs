//! The inbox rows of one instance that are not in its queue.
//!
//! Owns: whether such rows may exist, how many of them are events, and the read of these rows. Does not own: the rows
//! and their order, which belong to the store and the scan of the inbox.

use super::Item;
use crate::message::Timestamp;
use crate::store::{InboxId, Mail, MailKind};

/// The waiting inbox rows of an instance. The engine reads them when the instance can take them.
#[derive(Debug, Default)]
pub(in crate::engine) struct Backlog {
    /// True if the inbox may hold rows that are not in the queue.
    stored: bool,
    /// Number of events among these rows.
    events: usize,
    /// The visit that deferred an event. The deferred event is in the inbox.
    deferred_at: Option<u32>,
    /// Set when events have waited their full time for this instance to start.
    given_up: Option<GivenUp>,
    /// The rows are being read.
    reading: bool,
    /// Each item is written in its own step, because an item of a common step was a duplicate.
    one_at_a_time: bool,
}

/// The events that have waited their full time for the instance to start.
#[derive(Clone, Copy, Debug)]
struct GivenUp {
    /// Acceptance time of the newest of these events.
    at: Timestamp,
    /// The last inbox row at the time of the read, or `None` before the read. A later row has its own wait. This holds
    /// even if its timestamp is older after a clock correction.
    last: Option<InboxId>,
}

impl Backlog {
    /// Adds an item with a durable row that leaves the queue.
    pub(in crate::engine) fn keep(&mut self, item: &Item) {
        self.stored = true;
        self.events += usize::from(item.is_event());
    }

    /// Records that the inbox may hold uncounted rows. The next read counts them.
    pub(in crate::engine) fn keep_uncounted(&mut self) {
        self.stored = true;
    }

    /// True if the inbox may hold rows that are not in the queue.
    pub(in crate::engine) fn has_rows(&self) -> bool {
        self.stored
    }

    /// True if an event waits for another visit, or a row waits in the inbox.
    pub(in crate::engine) fn waits(&self) -> bool {
        self.stored || self.deferred_at.is_some()
    }

    /// Number of events among the rows.
    pub(in crate::engine) fn events(&self) -> usize {
        self.events
    }

    /// Records that this visit has deferred an event.
    pub(in crate::engine) fn defer(&mut self, visit: u32) {
        self.deferred_at = Some(visit);
    }

    /// The visit that deferred an event.
    pub(in crate::engine) fn deferred_at(&self) -> Option<u32> {
        self.deferred_at
    }

    /// Begins the read of the rows. `false` if a read is in progress.
    pub(in crate::engine) fn begin_read(&mut self) -> bool {
        !std::mem::replace(&mut self.reading, true)
    }

    pub(in crate::engine) fn end_read(&mut self) {
        self.reading = false;
    }

    pub(in crate::engine) fn is_reading(&self) -> bool {
        self.reading
    }

    /// Replaces the counts by the rows of a read. The rows stay in the inbox.
    pub(in crate::engine) fn count(&mut self, rows: &[(InboxId, Mail)]) {
        self.events = rows.iter().filter(|(_, mail)| mail.kind == MailKind::Event).count();
        self.stored = !rows.is_empty();
    }

    /// Clears the backlog, because the read rows go into the queue. `last` is the last of them.
    pub(in crate::engine) fn clear(&mut self, last: Option<InboxId>) {
        self.events = 0;
        self.stored = false;
        self.deferred_at = None;
        if let Some(given_up) = &mut self.given_up {
            given_up.last = given_up.last.or(last);
        }
    }

    /// Ends the wait of the events that were accepted until `at`. Two calls before the read count as one.
    pub(in crate::engine) fn give_up(&mut self, at: Timestamp) {
        let before = self.given_up.filter(|before| before.last.is_none());
        let at = before.map_or(at, |before| before.at.max(at));
        self.given_up = Some(GivenUp { at, last: None });
    }

    /// True if the wait of this event is over, also if a corrected clock puts its timestamp in the future.
    pub(in crate::engine) fn is_given_up(&self, item: &Item) -> bool {
        self.given_up.is_some_and(|given_up| {
            item.at <= given_up.at && item.inbox.is_some_and(|row| Some(row) <= given_up.last)
        })
    }

    /// Writes each of the waiting items in its own step from now on.
    pub(in crate::engine) fn write_one_at_a_time(&mut self) {
        self.one_at_a_time = true;
    }

    /// The maximum number of items for one step.
    pub(in crate::engine) fn items_per_step(&self) -> usize {
        if self.one_at_a_time { 1 } else { usize::MAX }
    }

    /// The items of a step have been chosen. `rest` tells whether more items wait.
    pub(in crate::engine) fn items_chosen(&mut self, rest: bool) {
        self.one_at_a_time &= rest;
    }
}
