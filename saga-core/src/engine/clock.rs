//! Corrections of the wall clock while the engine runs (rule R33).
//!
//! Owns: detection of a wall clock that went back, and new due times for everything in memory that waits for wall-clock
//! time. Does not own: waits on the monotonic clock. Rates, breakers and attempt timeouts use that clock, and no
//! correction affects them.
//!
//! A wall clock that goes forward makes items due, as downtime does. A wall clock that goes back was ahead before. An
//! item that was armed in the present future keeps the rest of its wait. A `timeout(at(..))` names a wall-clock time
//! and is never moved.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Shard;
use super::advance::Purpose;
use super::slot::Presence;
use crate::definition::{Definition, Due, Timer};
use crate::machine::Input;
use crate::message::Timestamp;
use crate::store::{Address, Step, Task, TaskChange, TaskProgress, TimerChange, TimerRow};

/// An item armed further than this in the future was armed by a clock that was ahead.
pub(super) const AHEAD: Duration = Duration::from_secs(60);

/// True if a clock that was ahead of `now` armed the item.
pub(super) fn ahead(armed: Timestamp, now: Timestamp) -> bool {
    armed > now.plus(AHEAD)
}

/// The due time of an item from the store. If the clock that armed the item was ahead, the item waits its whole wait
/// again.
pub(super) fn rebased(armed: Timestamp, due: Timestamp, now: Timestamp) -> Timestamp {
    if ahead(armed, now) { now.plus(due.since(armed)) } else { due }
}

/// The due time of a task or delivery from the store.
pub(super) fn progress_due(progress: &TaskProgress, now: Timestamp) -> Timestamp {
    if progress.due == Timestamp::EPOCH { progress.due } else { rebased(progress.armed, progress.due, now) }
}

/// The due time of a timer from the store.
pub(super) fn timer_due(wall: bool, timer: &TimerRow, now: Timestamp) -> Timestamp {
    if wall { timer.due } else { rebased(timer.armed, timer.due, now) }
}

/// True if the timer `name` of `state` waits for a wall-clock time, not for a duration. Without `state`, every timer of
/// that name must wait for a wall-clock time. A wake-up that is too early has no effect, because the timer is then not
/// due.
pub(super) fn is_wall_time(definition: &Definition, state: Option<&str>, name: &str) -> bool {
    let by_state = state.and_then(|state| definition.timer(definition.state(state)?, name));
    let is = |timer: &Timer| matches!(timer.due, Due::AtMethod(_));
    match by_state {
        Some(timer) => is(&definition.timers[timer]),
        None => {
            let mut named = definition.timers.iter().filter(|timer| named(timer, name)).peekable();
            named.peek().is_some() && named.all(is)
        }
    }
}

fn named(timer: &Timer, name: &str) -> bool {
    crate::message::name_matches(name, timer.name, timer.was)
}

/// The largest difference between the wall clock and the monotonic clock so far, in milliseconds.
#[derive(Debug, Default)]
pub(super) struct Offset(Option<i64>);

impl Offset {
    /// Takes a reading. If the wall clock went back further than rule R33 tolerates, returns how far it went back.
    fn read(&mut self, moment: super::Moment) -> Option<Duration> {
        let mono = i64::try_from(moment.mono.as_millis()).unwrap_or(i64::MAX);
        let offset = moment.wall.as_millis().saturating_sub(mono);
        let furthest = self.0.get_or_insert(offset);
        let back = Duration::from_millis(u64::try_from(furthest.saturating_sub(offset)).unwrap_or(0));
        if back > AHEAD || offset > *furthest {
            *furthest = offset;
        }
        (back > AHEAD).then_some(back)
    }
}

impl Shard {
    /// Detects a corrected wall clock. The engine calls this before it handles an input.
    pub(super) fn follow_clock(&mut self) {
        if let Some(back) = self.offset.read(self.moment) {
            tracing::warn!(
                ?back,
                "the wall clock went back; timers and delays from before the correction keep their remaining wait"
            );
            self.set_back(back);
        }
    }

    /// Corrects the due times of an instance that was just loaded, and writes them. Otherwise every load would restart
    /// the wait.
    pub(super) fn rebase_loaded(&mut self, address: &Address) {
        let now = self.moment.wall;
        let Some(slot) = self.slots.get_mut(address) else {
            return self.broken("an instance stays in memory after its load", Some(address));
        };
        let (queue, resumed) = (&slot.queue, slot.runs.take_due());
        let Presence::Present(instance) = &mut slot.presence else { return };
        let (definition, state) = (instance.definition(), instance.record.state.clone());
        let mut step = Step { row: instance.row, ..Step::default() };
        // A timer in the queue has already been found due.
        let fired = |timer: &TimerRow| {
            queue.iter().any(|item| match &item.what {
                Input::Timer { name, visit, due } => {
                    timer.name == **name && timer.visit == *visit && timer.due == *due
                }
                _ => false,
            })
        };
        for timer in &mut instance.timers {
            let found_due = timer.due > now && fired(timer);
            if (found_due || ahead(timer.armed, now)) && !is_wall_time(definition, Some(&state), &timer.name)
            {
                timer.due = if found_due { now } else { rebased(timer.armed, timer.due, now) };
                timer.armed = now;
                step.timers.push(TimerChange::Set(timer.clone()));
            }
        }
        let waits =
            |task: &&mut Task| task.progress.due != Timestamp::EPOCH && ahead(task.progress.armed, now);
        for task in instance.tasks.iter_mut().filter(waits) {
            let due = progress_due(&task.progress, now);
            task.progress.due = if resumed.contains(&task.id) { now } else { due };
            task.progress.armed = now;
            step.tasks.push(TaskChange::Progress(task.id, task.progress.clone()));
        }
        if !(step.timers.is_empty() && step.tasks.is_empty()) {
            slot.runs.begin_progress_write();
            self.queue_step(Purpose::Progress(address.clone()), step);
        }
    }

    /// Shifts the due times in memory, and writes those of instances. Otherwise a load would return the old times.
    fn set_back(&mut self, back: Duration) {
        let now = self.moment.wall;
        let shift = |armed: &mut Timestamp, due: &mut Timestamp| {
            let moves = ahead(*armed, now);
            if moves {
                (*armed, *due) = (armed.minus(back), due.minus(back));
            }
            moves
        };
        let mut moved = Vec::new();
        for (address, slot) in &mut self.slots {
            let Presence::Present(instance) = &mut slot.presence else { continue };
            let (definition, state) = (instance.definition(), instance.record.state.clone());
            let mut step = Step { row: instance.row, ..Step::default() };
            for timer in &mut instance.timers {
                if !is_wall_time(definition, Some(&state), &timer.name)
                    && shift(&mut timer.armed, &mut timer.due)
                {
                    step.timers.push(TimerChange::Set(timer.clone()));
                }
            }
            for timer in &mut slot.armed {
                if !is_wall_time(definition, Some(&state), &timer.name) {
                    shift(&mut timer.armed, &mut timer.due);
                }
            }
            for task in instance.tasks.iter_mut().filter(|task| task.progress.due != Timestamp::EPOCH) {
                if shift(&mut task.progress.armed, &mut task.progress.due) {
                    step.tasks.push(TaskChange::Progress(task.id, task.progress.clone()));
                }
            }
            // A step in flight may have set these times. If that step is not written, these changes must not be written
            // either.
            if slot.in_flight.is_none() && !(step.timers.is_empty() && step.tasks.is_empty()) {
                slot.runs.begin_progress_write();
                moved.push((address.clone(), step));
            }
        }
        for (address, step) in moved {
            self.queue_step(Purpose::Progress(address), step);
        }
        for delivery in self.deliveries.open.values_mut() {
            if delivery.progress.due != Timestamp::EPOCH {
                shift(&mut delivery.progress.armed, &mut delivery.progress.due);
            }
        }
        let window = std::mem::take(&mut self.timers.window);
        self.timers.window =
            BTreeMap::from_iter(window.into_iter().map(|((mut due, row, name), mut timer)| {
                if !timer.wall {
                    shift(&mut timer.armed, &mut due);
                }
                ((due, row, name), timer)
            }));
        self.lanes.shift_delays(shift);
        let awaited = std::mem::take(&mut self.awaited);
        self.awaited = BTreeSet::from_iter(awaited.into_iter().map(|mut entry| {
            shift(&mut entry.armed, &mut entry.due);
            entry
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::super::Moment;
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const HOUR: Duration = Duration::from_secs(3600);

    fn moment(wall: i64, mono: u64) -> Moment {
        Moment { wall: Timestamp::from_millis(wall * 1000), mono: Duration::from_secs(mono) }
    }

    #[test]
    fn a_clock_that_goes_back_by_more_than_a_minute_is_noticed_once() {
        let mut offset = Offset::default();
        assert_eq!(offset.read(moment(100_000, 10)), None, "the first reading");
        assert_eq!(offset.read(moment(100_005, 15)), None, "both went on");
        assert_eq!(offset.read(moment(99_960, 20)), None, "50 seconds back are tolerated");
        assert_eq!(offset.read(moment(99_940, 21)), Some(71 * SECOND), "but not as many again");
        assert_eq!(offset.read(moment(99_941, 22)), None);
        assert_eq!(offset.read(moment(199_941, 23)), None, "forward");
        assert_eq!(offset.read(moment(199_941 - 3600, 23)), Some(HOUR), "and back");
    }

    #[test]
    fn what_a_clock_armed_that_was_ahead_waits_as_long_as_it_was_to() {
        let at = Timestamp::from_millis;
        let now = at(1_000_000);
        assert_eq!(rebased(at(900_000), at(2_000_000), now), at(2_000_000));
        assert_eq!(rebased(at(1_060_000), at(2_000_000), now), at(2_000_000), "a minute is tolerated");
        assert_eq!(rebased(at(5_000_000), at(5_000_700), now), at(1_000_700));
    }
}
