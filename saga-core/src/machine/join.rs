//! `when_all(..)`: the memory of the events of a set (rule R5).
//!
//! The memory belongs to the set, by the names of its events. It is kept while the instance moves between states that
//! declare the same set. Entering a state without the set clears it. A last event without a row of its own completes
//! the set in its own step. If the last event has a row of its own, the step of that row sets a timer that is due at
//! once. One commit holds both, so no crash in between can lose a complete set.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::context::Context;
use super::fired::Fired;
use super::input::{Decision, Effect, StepContext};
use super::instance::{Instance, guarded};
use super::record::{self, ParkReason, Subject};
use super::saga::Cause;
use super::work::Work;
use crate::definition::{Definition, Trigger};
use crate::message::Name;
use crate::step::{Status, TimerRow};

/// The timer that fires a set after the last event was taken by a row of its own.
pub(crate) const JOIN: &str = "when_all";

/// The separator between the event names in the name of a set.
const BETWEEN: &str = " + ";

/// The sets of the present state, by name.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct NotedRecord(BTreeMap<String, SetRecord>);

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct SetRecord {
    events: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    fired: bool,
}

/// The stored names of a row's events, in alphabetical order.
pub(super) fn set_of(definition: &Definition, row: usize) -> BTreeSet<String> {
    let events = definition.rows[row].triggers.iter().filter_map(|trigger| match trigger {
        Trigger::Event(event) => Some(definition.events[*event].name.to_owned()),
        _ => None,
    });
    events.collect()
}

pub(super) fn set_name(definition: &Definition, row: usize) -> String {
    set_of(definition, row).into_iter().collect::<Vec<_>>().join(BETWEEN)
}

/// True if `name` is the present name or an earlier name of the row's set.
pub(super) fn is_set(definition: &Definition, row: usize, name: &str) -> bool {
    let events: Option<BTreeSet<usize>> = name.split(BETWEEN).map(|name| definition.event(name)).collect();
    let of_row: Option<BTreeSet<usize>> =
        set_of(definition, row).iter().map(|name| definition.event(name)).collect();
    events.is_some() && events == of_row
}

impl Instance {
    fn noted_record(&self) -> NotedRecord {
        let noted = self.record.joined.as_ref();
        let noted: NotedRecord =
            noted.and_then(|noted| record::read("noted events", noted).ok()).unwrap_or_default();
        // Earlier names of events are replaced by their present names.
        let definition = self.definition();
        let now = |name: &str| {
            definition
                .event(name)
                .map_or_else(|| name.to_owned(), |event| definition.events[event].name.to_owned())
        };
        let renamed = noted.0.into_iter().map(|(set, record)| {
            let set: BTreeSet<String> = set.split(BETWEEN).map(now).collect();
            let events = record.events.iter().map(|event| now(event)).collect();
            (set.into_iter().collect::<Vec<_>>().join(BETWEEN), SetRecord { events, ..record })
        });
        NotedRecord(renamed.collect())
    }

    /// The `when_all` rows of the present state.
    fn joins(&self) -> Vec<usize> {
        let definition = self.definition();
        let Ok((_, state)) = self.state() else { return Vec::new() };
        state.rows.iter().copied().filter(|&row| definition.rows[row].all).collect()
    }

    /// True if `event` belongs to a set of the present state.
    pub(super) fn is_member(&self, event: usize) -> bool {
        let definition = self.definition();
        self.joins().iter().any(|&row| definition.rows[row].triggers.contains(&Trigger::Event(event)))
    }

    /// The first row with a complete set that has not fired and with a guard that returns true. `event` counts as an
    /// event of the set. `Err` if the guard panics.
    pub(super) fn joined(&self, event: Option<usize>, cx: &Context) -> Result<Option<usize>, String> {
        let definition = self.definition();
        let noted = self.noted_record();
        let live = self.live.as_ref().map_err(Clone::clone)?;
        for row in self.joins() {
            if event.is_some_and(|event| !definition.rows[row].triggers.contains(&Trigger::Event(event))) {
                continue;
            }
            let known = noted.0.get(&set_name(definition, row)).cloned().unwrap_or_default();
            let event = event.map(|event| definition.events[event].name);
            let complete = set_of(definition, row)
                .iter()
                .all(|name| known.events.contains(name) || event == Some(name.as_str()));
            if complete
                && !known.fired
                && (definition.rows[row].guard.is_none() || guarded(|| Ok(live.guard(row, Cause(None), cx)))?)
            {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }
}

impl Work<'_> {
    /// Notes an event in every set of the present state that contains it. If a set is then complete, the row of the set
    /// follows at once.
    pub(super) fn join_event(&mut self, event: usize) {
        if self.instance.record.status != Status::Running || !self.instance.is_member(event) {
            return;
        }
        let definition = self.instance.definition();
        let mut noted = self.instance.noted_record();
        let mut complete = false;
        for row in self.instance.joins() {
            if !definition.rows[row].triggers.contains(&Trigger::Event(event)) {
                continue;
            }
            let set = noted.0.entry(set_name(definition, row)).or_default();
            set.events.insert(definition.events[event].name.to_owned());
            complete |= !set.fired && set.events == set_of(definition, row);
        }
        self.instance.record.joined = Some(record::write(&noted));
        // A timer, so that the row of the event commits first. The row of the set then has a step of its own.
        if complete {
            let (visit, now) = (self.instance.record.visit, self.at.now);
            self.set_timer(TimerRow { name: Name::Borrowed(JOIN), visit, armed: now, due: now, fired: 0 });
        }
    }

    /// Records that a set has fired. A set fires once.
    pub(super) fn set_fired(&mut self, row: usize) {
        let definition = self.instance.definition();
        let mut noted = self.instance.noted_record();
        noted.0.entry(set_name(definition, row)).or_default().fired = true;
        self.instance.record.joined = Some(record::write(&noted));
        if self.instance.timers.iter().any(|timer| timer.name == JOIN) {
            self.clear_timer(JOIN);
        }
    }

    /// Marks the complete sets as fired, because a person has skipped them.
    pub(super) fn skip_joined(&mut self) {
        let definition = self.instance.definition();
        let noted = self.instance.noted_record();
        for row in self.instance.joins() {
            let set = noted.0.get(&set_name(definition, row));
            if set.is_some_and(|set| set.events == set_of(definition, row)) {
                self.set_fired(row);
            }
        }
    }

    /// Clears the memory of sets that the entered state does not declare.
    pub(super) fn keep_sets(&mut self) {
        if self.instance.record.joined.is_none() {
            return;
        }
        let definition = self.instance.definition();
        let declared: Vec<String> =
            self.instance.joins().into_iter().map(|row| set_name(definition, row)).collect();
        let mut noted = self.instance.noted_record();
        noted.0.retain(|set, _| declared.contains(set));
        self.instance.record.joined = (!noted.0.is_empty()).then(|| record::write(&noted));
    }
}

impl Instance {
    /// Fires a set after the last event was taken by a row of its own.
    pub(super) fn apply_join(&mut self, at: StepContext<'_>) -> Decision {
        let cx = self.context(at, None);
        match self.joined(None, &cx) {
            Ok(Some(row)) => self.run_row(row, Fired::new(Trigger::All(row)), at),
            // The guard returns false. The next event of the set asks again.
            Ok(None) => {
                let mut work = Work::new(self, at);
                work.clear_timer(JOIN);
                work.finish(Effect::Stale)
            }
            Err(error) => {
                let subject = Subject::Timer(JOIN.to_owned());
                self.parked_over(ParkReason::ActionFailed, error, subject, at)
            }
        }
    }
}
