//! Paused sagas and handlers (rule R37), and retired consumers (rule R28).
//!
//! A paused saga takes no message, fires no timer and starts no attempt. Its messages, timers and tasks wait in the store.
//! Instances in memory write what is in their queues to the inbox, as a parked instance does. Verbs of operators are
//! applied.
//!
//! Owns: which sagas and handlers are paused, and the work in memory that a pause puts aside. Does not own: the decision to
//! pause (`intake/operate.rs`), the stored pauses, the end of a pause (`resume`), or the waiting events of a retired consumer
//! (`retired`).

mod resume;
mod retired;

use std::collections::{BTreeMap, BTreeSet};

use super::Shard;
use super::attempts::Job;
use super::slot::{Item, Run};
use crate::message::InstanceName;
use crate::store::{Address, Mail, MailKind, PauseOf, TaskId};
use resume::Resumes;
use retired::Burials;

/// The pauses in force.
#[derive(Debug, Default)]
pub(in crate::engine) struct Pauses {
    /// The pauses under their present names, each with its stored forms. A stored form may have an earlier name.
    of: BTreeMap<PauseOf, BTreeSet<PauseOf>>,
    /// The paused sagas, by their present names.
    sagas: BTreeSet<String>,
    /// The retired consumers.
    consumers: BTreeSet<String>,
    burials: Burials,
    /// Verbs without an outcome: how many for each object, and whether the last one pauses.
    under_way: BTreeMap<PauseOf, (usize, bool)>,
    /// Tasks of paused sagas with attempts that the store may not know, with their lanes. They would run now.
    jobs: BTreeMap<String, Vec<(usize, Job)>>,
    resumes: Resumes,
    /// The stored pauses are being read, because another shard has changed them.
    reading: bool,
    /// The pauses have changed since the read began, so its answer does not count.
    read_again: bool,
}

impl Pauses {
    /// Returns whether the object is paused when all verbs under way are durable.
    pub(in crate::engine) fn will_be_paused(&self, of: &PauseOf) -> bool {
        self.under_way.get(of).map_or_else(|| self.of.contains_key(of), |(_, pauses)| *pauses)
    }

    /// The stored forms of a pause.
    pub(in crate::engine) fn stored(&self, of: &PauseOf) -> BTreeSet<PauseOf> {
        let mut stored = self.of.get(of).cloned().unwrap_or_default();
        stored.insert(of.clone());
        stored
    }

    /// A verb is on its way to the store.
    pub(in crate::engine) fn begin(&mut self, of: PauseOf, pauses: bool) {
        let (count, last) = self.under_way.entry(of).or_default();
        (*count, *last) = (*count + 1, pauses);
    }

    /// A verb has its outcome.
    pub(in crate::engine) fn end(&mut self, of: &PauseOf) {
        if let Some((count, _)) = self.under_way.get_mut(of) {
            *count -= 1;
            if *count == 0 {
                self.under_way.remove(of);
            }
        }
    }

    /// Returns whether a verb on the object has no outcome yet.
    pub(in crate::engine) fn is_under_way(&self, of: &PauseOf) -> bool {
        self.under_way.contains_key(of)
    }

    /// Begins a read of the stored pauses. `false` if one is under way. Then another one follows it.
    pub(in crate::engine) fn begin_read(&mut self) -> bool {
        self.read_again = self.reading;
        !std::mem::replace(&mut self.reading, true)
    }

    /// A read has its answer. Returns whether the answer counts.
    pub(in crate::engine) fn end_read(&mut self) -> bool {
        self.reading = false;
        !std::mem::take(&mut self.read_again)
    }

    /// The pauses that the store has no longer, according to a read.
    pub(in crate::engine) fn ended<V>(&self, now: &BTreeMap<PauseOf, V>) -> Vec<PauseOf> {
        let ended = self.of.keys().filter(|of| !now.contains_key(*of) && !self.is_under_way(of));
        ended.cloned().collect()
    }

    /// Keeps the stored forms of a pause. Returns whether the pause is new.
    pub(in crate::engine) fn set_stored(&mut self, of: &PauseOf, forms: BTreeSet<PauseOf>) -> bool {
        self.of.insert(of.clone(), forms).is_none()
    }

    /// Returns whether the saga with this present name is paused.
    pub(in crate::engine) fn holds(&self, saga: &str) -> bool {
        !self.sagas.is_empty() && self.sagas.contains(saga)
    }
}

impl Shard {
    /// Begins with these stored pauses, before the start.
    pub(crate) fn with_pauses(mut self, pauses: impl IntoIterator<Item = PauseOf>) -> Self {
        for stored in pauses {
            if matches!(stored, PauseOf::Consumer(_)) {
                self.bury_from_the_start();
            }
            let of = self.present_pause(&stored);
            self.pauses.of.entry(of.clone()).or_default().insert(stored);
            self.hold(&of, true);
        }
        self
    }

    /// The object of a pause under its present name.
    pub(in crate::engine) fn present_pause(&self, of: &PauseOf) -> PauseOf {
        match of {
            PauseOf::Saga(name) => {
                PauseOf::Saga(self.address(name, InstanceName::constant("-")).saga.into_owned())
            }
            PauseOf::Handler(name) => {
                let lane = self.registry.handlers.get(&**name);
                PauseOf::Handler(
                    lane.map_or_else(|| name.clone(), |lane| self.registry.lanes[*lane].name.to_owned()),
                )
            }
            PauseOf::Consumer(_) => of.clone(),
        }
    }

    /// A pause is durable.
    pub(in crate::engine) fn paused(&mut self, of: &PauseOf) {
        self.pauses.of.entry(of.clone()).or_default().insert(of.clone());
        self.hold(of, true);
        if let PauseOf::Consumer(_) = of {
            return self.bury_from_the_start();
        }
        let PauseOf::Saga(saga) = of else { return };
        self.pauses.resumes.forget(saga);
        let queued = self.slots.iter().filter(|(at, slot)| at.saga == *saga && !slot.queue.is_empty());
        let queued: Vec<Address> = queued.map(|(at, _)| at.clone()).collect();
        for address in queued {
            self.schedule(&address);
        }
    }

    fn hold(&mut self, of: &PauseOf, hold: bool) {
        match of {
            PauseOf::Saga(name) if hold => drop(self.pauses.sagas.insert(name.clone())),
            PauseOf::Saga(name) => drop(self.pauses.sagas.remove(name)),
            PauseOf::Consumer(name) if hold => drop(self.pauses.consumers.insert(name.clone())),
            PauseOf::Consumer(name) => drop(self.pauses.consumers.remove(name)),
            PauseOf::Handler(name) => {
                for lane in self.registry.lanes_named(name) {
                    self.lanes.hold(lane, hold);
                }
                if hold {
                    self.put_deliveries_aside(name);
                }
            }
        }
    }

    /// Returns whether a pause keeps attempts of this saga in this lane from starting.
    pub(in crate::engine) fn is_held_back(&self, lane: usize, saga: &str) -> bool {
        self.lanes.is_held(lane) || self.pauses.holds(saga)
    }

    /// Puts a task aside until the end of a pause. The resume finds the task in memory or in the store. A task with
    /// attempts stays in memory, because the store may not know them all.
    pub(in crate::engine) fn put_aside(&mut self, lane: usize, address: Address, task: TaskId) {
        if self.waits_to_be_unknown(&address, task) {
            return self.report_unknown_in_time(&address, task);
        }
        let Some(slot) = self.slots.get_mut(&address) else { return };
        let attempts =
            slot.instance().and_then(|instance| instance.task(task)).map(|task| task.progress.attempts);
        if attempts.is_none_or(|attempts| attempts == 0) {
            slot.runs.remove(task);
            return;
        }
        slot.set_run(task, Run::Waiting);
        let saga = address.saga.clone();
        let job = Job::Task(address, task);
        if self.lanes.is_held(lane) {
            self.lanes.push(lane, job);
        } else {
            self.pauses.jobs.entry(saga.into_owned()).or_default().push((lane, job));
        }
    }

    /// Returns whether an inbox row stays in the inbox, because its saga is paused. Verbs of operators are applied.
    pub(in crate::engine) fn is_held(&self, saga: &str, mail: &Mail) -> bool {
        let of_operator = mail.kind == MailKind::Verb && mail.hops == 0;
        !of_operator && self.pauses.holds(saga)
    }

    /// Returns whether an item of a paused saga goes to the inbox. The abort of a parent must not overtake the start of
    /// its child, so it goes there too.
    pub(in crate::engine) fn waits_for_resume(item: &Item) -> bool {
        item.operator_verb().is_none() && !item.is_internal()
    }
}
