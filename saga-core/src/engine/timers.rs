//! The window of timers: the earliest timers are in memory, the others are in the store (rule R7).
//!
//! A due timer joins the queue of its instance, behind the accepted items. When the timer is taken from the queue, its
//! visit is checked again.

use std::collections::{BTreeMap, BTreeSet};

use super::clock::{is_wall_time, timer_due};
use super::slot::{Item, Presence};
use super::{Out, Shard, first_key};
use crate::machine::Input;
use crate::message::Timestamp;
use crate::store::{Address, DueTimer, RowId, TimerKey, TimerRow};

/// The timers in memory, by due time, and the read position in the store.
#[derive(Debug)]
pub(super) struct Timers {
    pub(super) window: BTreeMap<(Timestamp, RowId, String), Armed>,
    /// All timers due until this time are in the window. `None` before the first read.
    horizon: Option<Timestamp>,
    /// The place in the store after which the next page starts. `None` if there is no further page.
    after: Option<TimerKey>,
    fetching: bool,
    /// Instances that set timers while a page was being read. The page may be older than these timers.
    set: BTreeSet<Address>,
    /// The window was shortened while a page was being read, so the page does not continue the window.
    cut: bool,
    most: usize,
    /// The longest delay of a fired timer since the last read of it.
    pub(super) late: std::time::Duration,
}

/// A timer in the window.
#[derive(Debug)]
pub(super) struct Armed {
    pub(super) address: Address,
    pub(super) visit: u32,
    pub(super) armed: Timestamp,
    /// The due time in the store. No correction of the clock moves it.
    stored: Timestamp,
    /// True if the timer waits for a wall-clock time. No correction of the clock moves such a timer.
    pub(super) wall: bool,
}

impl Timers {
    pub(super) fn new(most: usize) -> Self {
        Self {
            window: BTreeMap::new(),
            horizon: None,
            after: None,
            fetching: false,
            set: BTreeSet::new(),
            cut: false,
            most,
            late: std::time::Duration::ZERO,
        }
    }

    pub(super) fn next(&self) -> Option<Timestamp> {
        first_key(&self.window).map(|(due, ..)| due)
    }
}

impl Shard {
    /// Updates the window with the timers of an instance after a step or a load.
    pub(super) fn sync_timers(&mut self, address: &Address) {
        let Some(slot) = self.slots.get_mut(address) else { return };
        let Some(instance) = slot.instance() else { return };
        let Some(row) = instance.row else { return };
        if slot.armed.is_empty() && instance.timers.is_empty() {
            return;
        }
        if self.timers.fetching && !instance.timers.is_empty() {
            self.timers.set.insert(address.clone());
        }
        let wanted = instance.timers.clone();
        if slot.armed != wanted {
            let before = std::mem::replace(&mut slot.armed, wanted.clone());
            for timer in before.into_iter().filter(|timer| !wanted.contains(timer)) {
                self.timers.window.remove(&(timer.due, row, timer.name.into_owned()));
            }
        }
        // Also timers that are seen again. One of them may have been beyond the horizon.
        for timer in wanted {
            self.arm(row, address, &timer);
        }
    }

    fn arm(&mut self, row: RowId, address: &Address, timer: &TimerRow) {
        if self.timers.horizon.is_some_and(|horizon| timer.due <= horizon) {
            self.rows.insert(row, address.clone());
            self.put_in_window(timer.due, row, address.clone(), timer);
            self.shrink_window();
        }
    }

    fn waits_for_wall_time(&self, address: &Address, timer: &TimerRow) -> bool {
        let program = self.registry.sagas.get(&*address.saga);
        let state = self.slots.get(address).and_then(|slot| slot.instance()).map(|i| &*i.record.state);
        program.is_some_and(|program| is_wall_time(program.definition(), state, &timer.name))
    }

    fn put_in_window(&mut self, due: Timestamp, row: RowId, address: Address, timer: &TimerRow) {
        let wall = self.waits_for_wall_time(&address, timer);
        let (armed, stored) = (timer.armed.min(self.moment.wall), timer.due);
        let armed = Armed { address, visit: timer.visit, armed, stored, wall };
        self.timers.window.insert((due, row, timer.name.to_string()), armed);
    }

    /// Leaves the latest timers to the store if the window is too large.
    fn shrink_window(&mut self) {
        if self.timers.window.len() <= self.timers.most {
            return;
        }
        while self.timers.window.len() > self.timers.most / 2 {
            self.timers.window.pop_last();
        }
        self.timers.cut |= self.timers.fetching;
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

    /// Reads all timers from the beginning, as at the start.
    pub(super) fn read_timers_again(&mut self) {
        self.timers.window.clear();
        self.timers.horizon = None;
        self.timers.after = None;
        if self.timers.fetching {
            self.timers.cut = true;
        } else {
            self.fetch_timers();
        }
    }

    pub(super) fn fetched_timers(&mut self, rows: Vec<DueTimer>, more: bool) {
        self.timers.fetching = false;
        let set = std::mem::take(&mut self.timers.set);
        if std::mem::take(&mut self.timers.cut) {
            return self.fetch_timers();
        }
        let last = rows.last().map(|row| TimerKey {
            due: row.timer.due,
            row: row.row,
            name: row.timer.name.to_string(),
        });
        // All timers up to the last one of this page are known. After the last page, all timers are known.
        self.timers.horizon = if more { last.as_ref().map(|key| key.due) } else { Some(Timestamp::MAX) };
        self.timers.after = if more { last } else { None };
        for DueTimer { row, address, timer } in rows {
            // The timers of an instance in memory are newer than the page.
            if self
                .slots
                .get(&address)
                .is_some_and(|slot| slot.instance().is_some() || slot.in_flight.is_some())
            {
                self.sync_timers(&address);
                continue;
            }
            let due = timer_due(self.waits_for_wall_time(&address, &timer), &timer, self.moment.wall);
            self.rows.insert(row, address.clone());
            self.put_in_window(due, row, address, &timer);
        }
        for address in set {
            match self.slots.get(&address).map(|slot| &slot.presence) {
                Some(Presence::Present(_)) => self.rearm(&address),
                // The end of the load arms the timers.
                Some(Presence::Loading) => {}
                _ => self.load(&address),
            }
        }
        self.refill_timers();
    }

    /// Reads the next page if the window runs low.
    fn refill_timers(&mut self) {
        let low = self.timers.window.len() < self.timers.most / 4;
        if self.timers.after.is_some() && low && !self.timers.fetching {
            self.fetch_timers();
        }
    }

    /// True if a due timer may fire now. Many timers may be due at once, and other events must not wait for all of them.
    /// Each commit and each load makes room, and the next timers fire then.
    pub(super) fn has_room_for_timers(&self) -> bool {
        self.ready.len() + self.intake.loads < self.limits.batch_steps
    }

    /// Puts due timers into the queues of their instances.
    pub(super) fn fire_timers(&mut self) {
        let now = self.moment.wall;
        while self.has_room_for_timers()
            && let Some(entry) = self.timers.window.first_entry()
        {
            if entry.key().0 > now {
                break;
            }
            let ((due, _, name), Armed { address, visit, stored, .. }) = entry.remove_entry();
            if self.pauses.holds(&address.saga) {
                // The timer is read again when the saga is resumed (rule R37).
                if let Some(slot) = self.slots.get_mut(&address) {
                    slot.armed.retain(|timer| timer.name != name);
                }
                continue;
            }
            self.timers.late = self.timers.late.max(now.since(due));
            let slot = self.slot(&address);
            // An instance that is loaded later has the due time of the store, without corrections in memory.
            let due = if slot.instance().is_some() { due } else { stored };
            slot.armed.retain(|timer| timer.name != name);
            slot.queue.push_back(Item::own(Input::Timer { name, visit, due }, now));
            self.older_rows_first(&address);
            self.schedule(&address);
        }
        self.refill_timers();
    }

    /// Arms all timers of an instance again, for example at its release. Due timers fire at once.
    pub(super) fn rearm(&mut self, address: &Address) {
        if let Some(slot) = self.slots.get_mut(address) {
            slot.armed.clear();
        }
        self.sync_timers(address);
    }
}
