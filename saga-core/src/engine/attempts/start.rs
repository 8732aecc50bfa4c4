//! The start of an attempt. Only this file permits a start. So the engine always knows whether a task has begun.

use super::lanes::{Job, Running};
use super::suspects::Admission;
use crate::engine::Shard;
use crate::engine::advance::Purpose;
use crate::engine::clock::progress_due;
use crate::engine::io::{Attempt, AttemptKey, Out};
use crate::engine::slot::{Item, Late, Run, Slot};
use crate::machine::{Input, ParkReason};
use crate::store::{Address, RowId, Status, Step, Task, TaskChange, TaskId, TaskKind, TaskStage};

/// The error of a task that was found begun.
const MAY_HAVE_RUN: &str = "the command may have been running when the process ended";

impl Shard {
    /// Puts a task that may run into its lane. A task that is not due yet waits first.
    pub(in crate::engine) fn enlist(&mut self, address: &Address, task: TaskId) {
        let now = self.moment.wall;
        let Some(slot) = self.slots.get_mut(address) else {
            return self.broken("a task is enlisted while its instance is in memory", Some(address));
        };
        let Some(found) = slot.instance().and_then(|instance| instance.task(task)) else { return };
        let progress = &found.progress;
        let due = progress_due(progress, now);
        let command = found.command.name.clone();
        let lane = self.registry.handlers.get(&*command).copied();
        let job = Job::Task(address.clone(), task);
        if due > now {
            slot.set_run(task, Run::Delayed);
            self.lanes.delay(now, due, job);
            return;
        }
        slot.set_run(task, Run::Waiting);
        match lane {
            Some(lane) if self.is_held_back(lane, &address.saga) => {
                self.put_aside(lane, address.clone(), task);
            }
            Some(lane) => {
                self.lanes.push(lane, job);
                self.run_lane(lane);
            }
            // The task stays in the store for a build that has the handler.
            None => tracing::error!(%command, instance = %address, "no handler for this command"),
        }
    }

    /// Starts queued jobs while the lane has a free place and its throttle permits.
    pub(in crate::engine) fn run_lane(&mut self, lane: usize) {
        while !self.stopping
            && !self.lapsed
            && !self.closing
            && self.lanes.lanes[lane].in_use < self.lanes.lanes[lane].policy.concurrency
        {
            let found = &mut self.lanes.lanes[lane];
            if found.queue.is_empty() || found.held {
                return;
            }
            let starting = found.in_use - found.running;
            if let Err(until) = found.throttle.pass(&found.policy, found.running, starting, self.moment.mono)
            {
                self.lanes.paused.extend(until.map(|until| (until, lane)));
                return;
            }
            let Some(job) = found.queue.pop_front() else {
                return self.broken("the queue of a lane is not empty after the check", None);
            };
            match job {
                Job::Task(address, task) if self.pauses.holds(&address.saga) => {
                    self.put_aside(lane, address, task);
                }
                Job::Task(address, task) => self.permit(lane, address, task),
                Job::Delivery(delivery) => self.permit_delivery(lane, delivery),
            }
        }
    }

    /// Permits a task to start, unless the task was withdrawn.
    fn permit(&mut self, lane: usize, address: Address, task: TaskId) {
        let (epoch, now) = (self.lease.epoch, self.moment.wall);
        let Some(slot) = self.slots.get_mut(&address) else { return };
        if slot.run(task) != Some(Run::Waiting) {
            return;
        }
        let Some((row, found)) = startable(slot, task) else {
            if self.waits_to_be_unknown(&address, task) {
                return self.report_unknown_in_time(&address, task);
            }
            // If the step that removed the task is not written, the instance is read again. The load then enlists the
            // task again.
            if let Some(slot) = self.slots.get_mut(&address) {
                slot.runs.remove(task);
            }
            return;
        };
        let suspect = self.lease.is_suspect(found.progress.epoch);
        let at_most_once = self.lanes.lanes[lane].at_most_once && found.kind == TaskKind::Command;
        let job = Job::Task(address.clone(), task);
        // An at-most-once command without a start record has never begun, so it is not counted (rules R13, R18).
        if suspect && !at_most_once {
            let quick = self.lanes.lanes[lane].policy.quick;
            let suspects = &mut self.lanes.suspects;
            match suspects.admit(lane, &job, &mut found.progress, quick, &self.limits, self.moment) {
                Admission::Delayed(due) => {
                    slot.set_run(task, Run::Delayed);
                    return self.lanes.delay(now, due, job);
                }
                Admission::Waiting => return,
                Admission::GivenUp(times) => {
                    found.progress.error = Some(MAY_HAVE_RUN.to_owned());
                    let why = format!("the command was found begun after {times} crashes in a row");
                    slot.set_run(task, Run::Reported);
                    slot.queue.push_back(Item::own(Input::Stuck(task, ParkReason::CrashLoop, why), now));
                    self.recovered(&job);
                    return self.schedule(&address);
                }
                Admission::Admitted => found.progress.error = Some(MAY_HAVE_RUN.to_owned()),
            }
        }
        if !suspect && !at_most_once {
            self.take_place(lane);
            if !self.begin(lane, &address, task) {
                self.lanes.lanes[lane].in_use -= 1;
            }
            return;
        }
        if at_most_once {
            found.progress.stage = TaskStage::Started;
        }
        found.progress.epoch = epoch;
        found.progress.armed = now;
        let change = TaskChange::Progress(task, found.progress.clone());
        slot.set_run(task, Run::Starting);
        slot.runs.begin_progress_write();
        self.lanes.lanes[lane].in_use += 1;
        self.queue_step(
            Purpose::TaskStart(address, task, lane),
            Step { row, tasks: vec![change], ..Step::default() },
        );
    }

    /// The start record of a task is durable, or was not written.
    pub(in crate::engine) fn start_recorded(
        &mut self,
        address: &Address,
        task: TaskId,
        lane: usize,
        durable: bool,
    ) {
        if let Some(slot) = self.slots.get_mut(address).filter(|slot| slot.is_loading()) {
            slot.runs.keep_late(Late::StartRecorded(task, lane, durable));
            return;
        }
        let wanted = self.slots.get(address).is_some_and(|slot| slot.run(task) == Some(Run::Starting));
        if wanted && durable && self.is_held_back(lane, &address.saga) {
            return self.hold_started(lane, address, task);
        }
        if wanted && durable && !self.stopping && self.begin(lane, address, task) {
            // The start time of this attempt determines when the rate permits the next start. So the lane is checked
            // here.
            return self.run_lane(lane);
        }
        // The attempt does not start. Either the task was withdrawn during the commit, or the engine stops. Or the
        // store refused the record, and without the record the task must not run (rule R18). In the last two cases the
        // next start finds the task again.
        if let Some(slot) = self.slots.get_mut(address)
            && slot.run(task) == Some(Run::Starting)
        {
            slot.runs.remove(task);
        }
        self.recovered(&Job::Task(address.clone(), task));
        self.free_place(lane);
    }

    /// Puts a task back that was paused while its start record was written. The task has not begun, and the record is
    /// withdrawn (rule R18).
    fn hold_started(&mut self, lane: usize, address: &Address, task: TaskId) {
        let Some(slot) = self.slots.get_mut(address) else {
            return self.broken("a start record belongs to an instance in memory", Some(address));
        };
        if let Some(found) = slot.instance_mut().and_then(|instance| instance.task_mut(task)) {
            found.progress.stage = TaskStage::Ready;
        }
        self.delay_task(address, task, self.moment.wall, self.lease.epoch);
        self.recovered(&Job::Task(address.clone(), task));
        self.free_place(lane);
    }

    /// Starts an attempt if the task still exists. The caller has already taken a place in the lane.
    fn begin(&mut self, lane: usize, address: &Address, task: TaskId) -> bool {
        let attempt = self.lanes.last_attempt + 1;
        let Some(slot) = self.slots.get_mut(address) else {
            self.broken("a start record belongs to an instance in memory", Some(address));
            return false;
        };
        let Some(instance) = slot.instance() else { return false };
        let Some(found) = instance.task(task) else { return false };
        let (command, trace) = (found.command.clone(), found.trace);
        let key = AttemptKey::Task(instance.record.incarnation, task, command.name.clone());
        let (number, saved) = (found.progress.next_attempt(), found.progress.saved.clone());
        slot.set_run(task, Run::Running { attempt });
        let job = Job::Task(address.clone(), task);
        let of = address.clone();
        self.launch(job, Attempt { id: attempt, lane, message: command, key, number, of, saved, trace });
        true
    }

    /// Starts an attempt under the next attempt id.
    pub(in crate::engine) fn launch(&mut self, job: Job, attempt: Attempt) {
        self.lanes.last_attempt += 1;
        let (id, lane) = (self.lanes.last_attempt, attempt.lane);
        let started = self.moment.mono;
        let deadline = started.saturating_add(self.lanes.lanes[lane].policy.timeout);
        self.lanes.deadlines.insert((deadline, id), ());
        let found = &mut self.lanes.lanes[lane];
        found.running += 1;
        found.stats.retries += u64::from(attempt.number > 1);
        found.throttle.passed(&found.policy, started);
        let running = Running { job, lane, started, deadline, timed_out: false, logged: false };
        self.lanes.attempts.insert(id, running);
        self.tally.attempts += 1;
        self.out.push(Out::Run(Box::new(Attempt { id, ..attempt })));
    }

    pub(in crate::engine) fn take_place(&mut self, lane: usize) {
        self.lanes.lanes[lane].in_use += 1;
    }

    pub(in crate::engine) fn free_place(&mut self, lane: usize) {
        self.lanes.lanes[lane].in_use -= 1;
        self.run_lane(lane);
    }

    /// Asks the handler of a running task to stop, because the instance has turned. The attempt is dropped at its
    /// timeout at the latest.
    pub(in crate::engine) fn cancel(&mut self, address: &Address, task: TaskId) {
        if let Some(Run::Running { attempt }) = self.slots.get(address).and_then(|slot| slot.run(task)) {
            self.out.push(Out::Cancel(attempt));
        }
    }
}

/// Returns the task if it may start: it exists, is ready, and its kind runs in the present status of the instance.
fn startable(slot: &mut Slot, task: TaskId) -> Option<(Option<RowId>, &mut Task)> {
    let instance = slot.instance_mut()?;
    let row = instance.row;
    // While an instance is compensating, forward commands do not run (rule R13).
    let compensating = instance.status() == Status::Compensating;
    let found = instance.task_mut(task)?;
    let fits = found.progress.stage == TaskStage::Ready && !(compensating && found.kind == TaskKind::Command);
    fits.then_some((row, found))
}
