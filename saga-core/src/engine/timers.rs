//! The window of timers: those due first are in memory, the others in the store (rule R7).
//!
//! A timer that is due takes its place in its instance's queue, behind what has been accepted, and is checked again
//! for its visit when its turn comes.

use std::collections::BTreeMap;
use std::time::Duration;

use super::slot::Item;
use super::{Out, Shard, first_key};
use crate::machine::Input;
use crate::message::Timestamp;
use crate::store::{Address, DueTimer, RowId, TimerKey, TimerRow};

/// A timer armed later than this from now was armed by a clock that was ahead (rule R33).
const AHEAD: Duration = Duration::from_secs(60);

/// The timers in memory, by due time.
#[derive(Debug)]
pub(super) struct Timers {
    window: BTreeMap<(Timestamp, RowId, String), (Address, u32)>,
    /// Every timer due up to here is in the window; `None` when none has been read yet.
    horizon: Option<Timestamp>,
    /// The place in the store behind which the next page starts, when there is more.
    after: Option<TimerKey>,
    fetching: bool,
    most: usize,
}

impl Timers {
    pub(super) fn new(most: usize) -> Self {
        Self { window: BTreeMap::new(), horizon: None, after: None, fetching: false, most }
    }

    pub(super) fn next(&self) -> Option<Timestamp> {
        first_key(&self.window).map(|(due, ..)| due)
    }
}

/// When a timer is due, also when the clock that armed it was ahead of the present one.
fn rebased(timer: &TimerRow, now: Timestamp) -> Timestamp {
    if timer.armed > now.plus(AHEAD) { now.plus(timer.due.since(timer.armed)) } else { timer.due }
}

impl Shard {
    /// Brings the window in line with an instance's timers after a step or a load.
    pub(super) fn sync_timers(&mut self, address: &Address) {
        let Some(slot) = self.slots.get_mut(address) else { return };
        let Some(instance) = slot.instance() else { return };
        let Some(row) = instance.row else { return };
        if slot.armed.is_empty() && instance.timers.is_empty() {
            return;
        }
        let wanted = instance.timers.clone();
        let before = std::mem::replace(&mut slot.armed, wanted.clone());
        for timer in before.into_iter().filter(|timer| !wanted.contains(timer)) {
            self.timers.window.remove(&(timer.due, row, timer.name.into_owned()));
        }
        for timer in wanted {
            self.arm(row, address, &timer);
        }
    }

    /// Corrects the timers of an instance that has just been read, once: what follows counts from here.
    pub(super) fn rebase_timers(&mut self, address: &Address) {
        let now = self.moment.wall;
        if let Some(instance) = self.slots.get_mut(address).and_then(|slot| slot.instance_mut()) {
            for timer in &mut instance.timers {
                timer.due = rebased(timer, now);
                timer.armed = timer.armed.min(now);
            }
        }
    }

    fn arm(&mut self, row: RowId, address: &Address, timer: &TimerRow) {
        if self.timers.horizon.is_some_and(|horizon| timer.due <= horizon) {
            self.rows.insert(row, address.clone());
            self.timers
                .window
                .insert((timer.due, row, timer.name.to_string()), (address.clone(), timer.visit));
            self.shrink_window();
        }
    }

    /// Leaves the timers due last to the store when there are too many.
    fn shrink_window(&mut self) {
        if self.timers.window.len() <= self.timers.most {
            return;
        }
        while self.timers.window.len() > self.timers.most / 2 {
            self.timers.window.pop_last();
        }
        self.timers.horizon = self.timers.window.last_key_value().map(|((due, ..), _)| *due);
        self.timers.after = self.timers.window.last_key_value().map(|((due, row, name), _)| TimerKey {
            due: *due,
            row: *row,
            name: name.clone(),
        });
    }

    pub(super) fn fetch_timers(&mut self) {
        self.timers.fetching = true;
        self.out.push(Out::FetchTimers(self.timers.after.clone()));
    }

    pub(super) fn fetched_timers(&mut self, rows: Vec<DueTimer>, more: bool) {
        self.timers.fetching = false;
        let last = rows.last().map(|row| TimerKey {
            due: row.timer.due,
            row: row.row,
            name: row.timer.name.to_string(),
        });
        // All timers up to the last one read are known now; without a further page, all there are.
        self.timers.horizon = if more { last.as_ref().map(|key| key.due) } else { Some(Timestamp::MAX) };
        self.timers.after = if more { last } else { None };
        for DueTimer { row, address, timer } in rows {
            // An instance in memory knows its timers better than a page that was read a moment ago.
            if self
                .slots
                .get(&address)
                .is_some_and(|slot| slot.instance().is_some() || slot.in_flight.is_some())
            {
                self.sync_timers(&address);
                continue;
            }
            let due = rebased(&timer, self.moment.wall);
            self.rows.insert(row, address.clone());
            self.timers.window.insert((due, row, timer.name.into_owned()), (address, timer.visit));
        }
        // Instances that set timers while the page was being read.
        let present: Vec<Address> = self
            .slots
            .iter()
            .filter(|(_, slot)| !slot.armed.is_empty())
            .map(|(address, _)| address.clone())
            .collect();
        for address in present {
            if let Some(slot) = self.slots.get_mut(&address) {
                slot.armed.clear();
            }
            self.sync_timers(&address);
        }
        self.refill_timers();
    }

    /// Reads on when the window runs low.
    fn refill_timers(&mut self) {
        let low = self.timers.window.len() < self.timers.most / 4;
        if self.timers.after.is_some() && low && !self.timers.fetching {
            self.fetch_timers();
        }
    }

    /// Puts due timers into their instances' queues.
    pub(super) fn fire_timers(&mut self) {
        let now = self.moment.wall;
        while let Some(entry) = self.timers.window.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let ((due, _, name), (address, visit)) = entry.remove_entry();
            let slot = self.slot(&address);
            slot.armed.retain(|timer| timer.name != name);
            slot.queue.push_back(Item::own(Input::Timer { name, visit, due }, now));
            self.pump(&address);
        }
        self.refill_timers();
    }

    /// Sets an instance's timers anew, those that are due at once: when a parked instance is released.
    pub(super) fn rearm(&mut self, address: &Address) {
        if let Some(slot) = self.slots.get_mut(address) {
            slot.armed.clear();
        }
        self.sync_timers(address);
    }
}
