//! The end of a pause: everything that waits is taken up, in its order.
//!
//! ```text
//!  resumed ──▶ tasks in memory go to their lanes
//!          ──▶ tasks, compensating instances and timers are read from the beginning
//!          ──▶ inbox rows up to the last taken one are looked through: each instance with a row reads its rows
//! ```
//!
//! Until the inbox is looked through, each further item for an instance of the saga first lets the instance read its rows.
//! So nothing overtakes an older row. An instance never reads while one of its steps is in flight, because such a read
//! could miss a row of that step.
//!
//! Owns: the progress of each resume. Does not own: the read of one instance (`intake/load.rs`).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::Shard;
use crate::engine::io::Out;
use crate::engine::store_verb::CONSUMER;
use crate::message::Timestamp;
use crate::store::{Address, InboxId, Mail, MailKind, PauseOf, Status, TaskKind, TaskStage};

/// The resumes in progress.
#[derive(Debug, Default)]
pub(super) struct Resumes {
    /// Resumed sagas whose inbox rows are being looked for, in order.
    sagas: VecDeque<Resume>,
    /// The number of the resume for which a page of the inbox is being read.
    reading: Option<u64>,
    last: u64,
    /// Instances that have begun to read their rows since the resume of their saga, because of a further item.
    fresh: BTreeSet<Address>,
    /// Instances that read their rows when their step or their present read has ended.
    wanted: BTreeSet<Address>,
    /// Instances with tasks that were put aside. They are enlisted when the step of the instance has its outcome.
    idle: BTreeSet<Address>,
    /// Rows that steps were using up when the read of an instance began. The read may still bring them.
    used: BTreeMap<Address, BTreeSet<InboxId>>,
    /// The time of the last resume of each saga. The wait of an event for its instance begins again then.
    times: BTreeMap<String, Timestamp>,
}

#[derive(Debug)]
struct Resume {
    number: u64,
    saga: String,
    /// The last row that was looked at.
    after: InboxId,
    /// The last row to look at. Later rows come by the scan.
    until: InboxId,
}

impl Resumes {
    /// The saga is paused again.
    pub(super) fn forget(&mut self, saga: &str) {
        self.sagas.retain(|resume| resume.saga != saga);
        self.fresh.retain(|address| address.saga != *saga);
        self.wanted.retain(|address| address.saga != *saga);
    }

    fn is_resuming(&self, saga: &str) -> bool {
        self.sagas.iter().any(|resume| resume.saga == saga)
    }
}

impl Shard {
    /// The end of a pause is durable.
    pub(in crate::engine) fn resumed(&mut self, of: &PauseOf) {
        self.pauses.of.remove(of);
        self.hold(of, false);
        match of {
            PauseOf::Saga(saga) => self.resume_saga(saga),
            PauseOf::Handler(name) => self.resume_handler(name),
            // Its rows are dead letters now, or stay in the store.
            PauseOf::Consumer(_) => return,
        }
        self.read_tasks_again();
    }

    fn resume_handler(&mut self, name: &str) {
        let here: Vec<Address> = self.slots.keys().cloned().collect();
        for address in here {
            self.enlist_idle(&address);
        }
        for lane in self.registry.lanes_named(name) {
            self.run_lane(lane);
        }
        if self.registry.subscribers.contains_key(name) {
            self.read_deliveries_again();
        }
    }

    fn resume_saga(&mut self, saga: &str) {
        self.pauses.resumes.times.insert(saga.to_owned(), self.moment.wall);
        // The wait of each event begins again when its row is read.
        self.awaited.retain(|awaited| awaited.address.saga != *saga);
        for (lane, job) in self.pauses.jobs.remove(saga).unwrap_or_default() {
            self.lanes.push(lane, job);
            self.run_lane(lane);
        }
        self.read_timers_again();
        let until = self.intake.last_taken();
        let resumes = &mut self.pauses.resumes;
        resumes.last += 1;
        let (number, saga) = (resumes.last, saga.to_owned());
        let here = self.slots.keys().filter(|at| at.saga == *saga);
        let here: Vec<Address> = here.cloned().collect();
        resumes.sagas.push_back(Resume { number, saga, after: InboxId::default(), until });
        for address in here {
            self.rearm(&address);
            self.enlist_idle(&address);
            let waits = self.slots.get(&address);
            if waits.is_some_and(|slot| slot.in_flight.is_some() || slot.backlog.has_rows()) {
                self.read_rows_again(&address);
            }
            self.schedule(&address);
        }
        self.look_through_inbox();
    }

    /// Puts the tasks of an instance into their lanes that were put aside. The tasks of a step in flight may not exist yet,
    /// so its outcome comes first.
    fn enlist_idle(&mut self, address: &Address) {
        let Some(slot) = self.slots.get(address) else { return };
        let Some(instance) = slot.instance() else { return };
        if slot.in_flight.is_some() {
            self.pauses.resumes.idle.insert(address.clone());
            return;
        }
        let compensating = instance.status() == Status::Compensating;
        let idle = instance.tasks.iter().filter(|task| {
            task.kind != TaskKind::Child
                && task.progress.stage == TaskStage::Ready
                && !(compensating && task.kind == TaskKind::Command)
                && slot.run(task.id).is_none()
        });
        let idle: Vec<_> = idle.map(|task| task.id).collect();
        for task in idle {
            self.enlist(address, task);
        }
    }

    /// Reads the next page for the first resumed saga, when there is room.
    pub(in crate::engine) fn look_through_inbox(&mut self) {
        if self.pauses.resumes.reading.is_some() || self.stopping || self.crowded() {
            return;
        }
        let Some(first) = self.pauses.resumes.sagas.front() else { return };
        let after = first.after;
        self.pauses.resumes.reading = Some(first.number);
        self.out.push(Out::LookThroughInbox(after));
    }

    /// The answer to [`Out::LookThroughInbox`].
    pub(in crate::engine) fn looked_through_inbox(&mut self, rows: Vec<(InboxId, Mail)>, more: bool) {
        let number = self.pauses.resumes.reading.take();
        // The saga may have been paused again, and another one may be the first now.
        if let Some(first) = self.pauses.resumes.sagas.front_mut()
            && Some(first.number) == number
        {
            let (saga, until) = (first.saga.clone(), first.until);
            first.after = rows.last().map_or(until, |(id, _)| *id);
            let over = !more || first.after >= until;
            let rows = rows.into_iter().take_while(|(id, _)| *id <= until).map(|(_, mail)| mail);
            let rows = rows.filter(|mail| mail.kind != MailKind::Delivery && mail.to.saga != CONSUMER);
            let mine: BTreeSet<Address> = rows.map(|mail| self.address(&mail.to.saga, mail.to.key)).collect();
            for address in mine.into_iter().filter(|to| to.saga == *saga) {
                self.slot(&address);
                self.read_rows_again(&address);
            }
            if over {
                self.pauses.resumes.sagas.pop_front();
                self.pauses.resumes.fresh.retain(|address| address.saga != *saga);
            }
        }
        self.look_through_inbox();
    }

    /// Lets an instance of a saga that is being resumed read its older inbox rows first.
    pub(in crate::engine) fn older_rows_first(&mut self, address: &Address) {
        let resumes = &mut self.pauses.resumes;
        if !resumes.sagas.is_empty()
            && resumes.is_resuming(&address.saga)
            && resumes.fresh.insert(address.clone())
        {
            self.read_rows_again(address);
        }
    }

    /// Lets an instance read its inbox rows, at once or after its step or its present read.
    fn read_rows_again(&mut self, address: &Address) {
        let Some(slot) = self.slots.get(address) else { return };
        if slot.in_flight.is_some() || slot.backlog.is_reading() {
            self.pauses.resumes.wanted.insert(address.clone());
            return;
        }
        // Rows without an effect are used up by steps of their own.
        let waiting = self.ready.iter().map(|queued| &*queued.step);
        let steps = waiting.chain(self.under_way.iter().flat_map(|(_, batch)| &batch.steps));
        let used: BTreeSet<InboxId> = steps.flat_map(|step| step.consumed.iter().copied()).collect();
        if !used.is_empty() {
            self.pauses.resumes.used.insert(address.clone(), used);
        }
        self.fetch_waiting(address);
    }

    /// The step of an instance has its outcome. What the resume wanted of the instance is done now.
    pub(in crate::engine) fn resume_after_step(&mut self, address: &Address) {
        if !self.pauses.resumes.idle.is_empty() && self.pauses.resumes.idle.remove(address) {
            self.enlist_idle(address);
        }
        if !self.pauses.resumes.wanted.is_empty() && self.pauses.resumes.wanted.remove(address) {
            self.read_rows_again(address);
        }
    }

    /// Returns whether a read of an instance began too early. Another read follows then.
    pub(in crate::engine) fn reads_too_early(&mut self, address: &Address) -> bool {
        if self.pauses.resumes.wanted.is_empty() || !self.pauses.resumes.wanted.remove(address) {
            return false;
        }
        if let Some(slot) = self.slots.get_mut(address) {
            slot.backlog.end_read();
        }
        self.read_rows_again(address);
        true
    }

    /// The rows that steps were using up when the read of an instance began.
    pub(in crate::engine) fn take_used_rows(&mut self, address: &Address) -> BTreeSet<InboxId> {
        self.pauses.resumes.used.remove(address).unwrap_or_default()
    }

    /// The time from which an event waits for its instance.
    pub(in crate::engine) fn waits_since(&self, saga: &str, accepted: Timestamp) -> Timestamp {
        self.pauses.resumes.times.get(saga).map_or(accepted, |resumed| accepted.max(*resumed))
    }
}
