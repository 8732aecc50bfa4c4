//! Attempts: which attempt may start, how its end counts, and when the next attempt is due (rules R13, R17–R19).
//!
//! A lane belongs to one handler or subscriber. A lane limits how many attempts run at a time. Only this module permits
//! an attempt to start. So the engine always knows whether a task has begun.
//!
//! A suspect is a task or delivery that may have been running when an earlier process ended.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use super::clock::progress_due;
use super::gate::Gate;
use super::io::{Attempt, AttemptEnd, Out};
use super::policy::Policy;
use super::registry::Registry;
use super::slot::{Item, Late, Place, Run, Slot, Token};
use super::{Moment, Shard, first_key};
use crate::machine::{Begun, Input, MessageRecord, ParkReason, ReportRecord};
use crate::message::Timestamp;
use crate::store::{
    Address, DeliveryId, Lease, RowId, Status, Step, Task, TaskChange, TaskId, TaskKind, TaskProgress,
    TaskStage,
};

/// A suspect runs alone after it was found begun this many times (rule R19). Before that, another task may have caused
/// the crashes.
const ALONE: u32 = 3;
/// The first wait of such a suspect, counted from the start. The wait doubles with each further time. Repeated kills
/// from outside must not count against a task that happens to run.
const PROOF: Duration = Duration::from_millis(100);

/// The unit of work of a lane.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Job {
    Task(Address, TaskId),
    Delivery(DeliveryId),
}

#[derive(Debug)]
struct Running {
    job: Job,
    lane: usize,
    started: Duration,
    deadline: Duration,
    /// The attempt was dropped at its timeout.
    timed_out: bool,
    /// The failure has been logged already.
    told: bool,
}

#[derive(Debug)]
struct Lane {
    name: &'static str,
    policy: Policy,
    at_most_once: bool,
    /// Attempts that run, and attempts with a start record that is being committed.
    taken: usize,
    running: usize,
    queue: VecDeque<Job>,
    gate: Gate,
}

/// All lanes, with everything that waits for a time.
#[derive(Debug)]
pub(super) struct Lanes {
    lanes: Vec<Lane>,
    attempts: HashMap<u64, Running>,
    last_attempt: u64,
    deadlines: BTreeMap<(Duration, u64), ()>,
    delayed: BTreeMap<(Timestamp, u64), (Timestamp, Job)>,
    delays: u64,
    /// Lanes that wait for their rate or their breaker, by the time of the next check.
    paused: BTreeSet<(Duration, usize)>,
    /// Suspects that run or have a start record that is being committed. `true`: the suspect runs alone, because it was
    /// found begun several times. If the process crashes now, this suspect is the cause.
    recovering: HashMap<Job, bool>,
    /// Suspects that wait until a recovering job ends.
    suspects: VecDeque<(usize, Job)>,
    /// Monotonic time of the start of the engine.
    pub(super) started: Duration,
}

impl Lanes {
    pub(super) fn new(registry: &Registry) -> Self {
        let lane = |spec: &super::registry::LaneSpec| Lane {
            name: spec.name,
            policy: spec.policy.clone(),
            at_most_once: spec.at_most_once,
            taken: 0,
            running: 0,
            queue: VecDeque::new(),
            gate: Gate::default(),
        };
        Self {
            lanes: registry.lanes.iter().map(lane).collect(),
            attempts: HashMap::new(),
            last_attempt: 0,
            deadlines: BTreeMap::new(),
            delayed: BTreeMap::new(),
            delays: 0,
            paused: BTreeSet::new(),
            recovering: HashMap::new(),
            suspects: VecDeque::new(),
            started: Duration::ZERO,
        }
    }

    pub(super) fn policy(&self, lane: usize) -> &Policy {
        &self.lanes[lane].policy
    }

    /// The error text of an attempt that exceeded its timeout.
    fn late(&self, lane: usize) -> String {
        let limit = self.lanes[lane].policy.timeout;
        format!("no answer within {limit:?}")
    }

    /// The job of a running attempt.
    pub(super) fn job(&self, attempt: u64) -> Option<&Job> {
        self.attempts.get(&attempt).map(|running| &running.job)
    }

    /// Restarts the timeout of a running attempt.
    pub(super) fn prolong(&mut self, attempt: u64, now: Duration) {
        let Some(running) = self.attempts.get_mut(&attempt).filter(|running| !running.timed_out) else {
            return;
        };
        self.deadlines.remove(&(running.deadline, attempt));
        running.deadline = now.saturating_add(self.lanes[running.lane].policy.timeout);
        self.deadlines.insert((running.deadline, attempt), ());
    }

    pub(super) fn running(&self) -> usize {
        self.attempts.len()
    }

    /// Admits a suspect with this recovery count, if the limits allow. Returns whether the suspect is admitted.
    pub(super) fn recover(&mut self, job: &Job, recoveries: u32, most: usize) -> bool {
        let alone = recoveries >= ALONE;
        let crowd = self.recovering.len();
        if crowd >= most || alone && crowd > 0 || self.recovering.values().any(|alone| *alone) {
            return false;
        }
        self.recovering.insert(job.clone(), alone);
        true
    }

    /// The earliest start of a suspect with this recovery count. `None` for no wait. By then the process has shown that
    /// it does not crash without this suspect.
    pub(super) fn not_before(&self, recoveries: u32, now: Moment) -> Option<Timestamp> {
        let times = recoveries.checked_sub(ALONE)?;
        let until = self.started.saturating_add(PROOF.saturating_mul(1 << times.min(16)));
        let rest = until.checked_sub(now.mono).filter(|rest| !rest.is_zero())?;
        // Rounded up, so that `until` has passed at the due time.
        Some(now.wall.plus(rest).plus(Duration::from_millis(1)))
    }

    /// Queues a suspect until a recovering job has ended.
    pub(super) fn suspect(&mut self, lane: usize, job: Job) {
        self.suspects.push_back((lane, job));
    }

    /// Number of jobs that wait for a place in a lane.
    pub(super) fn queued(&self) -> usize {
        self.suspects.len() + self.lanes.iter().map(|lane| lane.queue.len()).sum::<usize>()
    }

    pub(super) fn next_due(&self) -> Option<Timestamp> {
        first_key(&self.delayed).map(|(due, _)| due)
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        let deadline = first_key(&self.deadlines).map(|(deadline, _)| deadline);
        [deadline, self.paused.first().map(|(until, _)| *until)].into_iter().flatten().min()
    }

    /// Makes a job wait until `due`. `armed` is the time at which `due` was set.
    pub(super) fn delay(&mut self, armed: Timestamp, due: Timestamp, job: Job) {
        self.delays += 1;
        self.delayed.insert((due, self.delays), (armed, job));
    }

    /// Shifts the due times of waiting jobs after a correction of the wall clock.
    pub(super) fn shift_delays(&mut self, shift: impl Fn(&mut Timestamp, &mut Timestamp) -> bool) {
        for ((mut due, n), (mut armed, job)) in std::mem::take(&mut self.delayed) {
            shift(&mut armed, &mut due);
            self.delayed.insert((due, n), (armed, job));
        }
    }

    pub(super) fn push(&mut self, lane: usize, job: Job) {
        self.lanes[lane].queue.push_back(job);
    }

    /// How far a task with this run has come. The machine asks at a turn.
    pub(super) fn begun(&self, registry: &Registry, lease: &Lease, run: Option<Run>, task: &Task) -> Begun {
        let once = || {
            let lane = registry.handlers.get(&*task.command.name);
            lane.is_some_and(|&lane| self.lanes[lane].at_most_once)
        };
        match (run, task.progress.stage) {
            // The task has ended, and its instance is parked over the outcome.
            (_, TaskStage::Held) => Begun::Between,
            (Some(Run::Running { .. } | Run::Reported), _) | (_, TaskStage::Answered) => Begun::Running,
            // No permit followed the start record, so the task has never begun.
            (Some(Run::Marking), TaskStage::Started) => Begun::No,
            (_, TaskStage::Ready) if once() => Begun::No,
            (_, TaskStage::Ready)
                if task.progress.attempts == 0 && !lease.is_suspect(task.progress.epoch) =>
            {
                Begun::No
            }
            _ => Begun::Between,
        }
    }
}

/// How the end of an attempt counts over all attempts (rule R17).
enum Verdict {
    Report(ReportRecord),
    Again,
}

impl Shard {
    // Starting.

    /// Puts a task that may run into its lane. A task that is not due yet waits first.
    pub(super) fn enlist(&mut self, address: &Address, task: TaskId) {
        let now = self.moment.wall;
        let Some(slot) = self.slots.get_mut(address) else { return };
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
            Some(lane) => {
                self.lanes.push(lane, job);
                self.run_lane(lane);
            }
            // The task stays in the store for a build that has the handler.
            None => tracing::error!(%command, instance = %address, "no handler for this command"),
        }
    }

    /// Starts queued jobs while the lane has a free place and its gate permits.
    pub(super) fn run_lane(&mut self, lane: usize) {
        while !self.stopping && self.lanes.lanes[lane].taken < self.lanes.lanes[lane].policy.concurrency {
            let found = &mut self.lanes.lanes[lane];
            if found.queue.is_empty() {
                return;
            }
            let marking = found.taken - found.running;
            if let Err(until) = found.gate.pass(&found.policy, found.running, marking, self.moment.mono) {
                self.lanes.paused.extend(until.map(|until| (until, lane)));
                return;
            }
            let Some(job) = found.queue.pop_front() else { return };
            match job {
                Job::Task(address, task) => self.permit(lane, address, task),
                Job::Delivery(delivery) => self.permit_delivery(lane, delivery),
            }
        }
    }

    /// Permits a task to start, unless the task was withdrawn.
    fn permit(&mut self, lane: usize, address: Address, task: TaskId) {
        let (epoch, now) = (self.lease.epoch, self.moment.wall);
        let most = self.limits.recoveries;
        let Some(slot) = self.slots.get_mut(&address) else { return };
        if slot.run(task) != Some(Run::Waiting) {
            return;
        }
        let Some((row, found)) = startable(slot, task) else {
            // If the step that removed the task is not written, the instance is read again. The load then enlists the
            // task again.
            slot.runs.remove(task);
            return;
        };
        let suspect = self.lease.is_suspect(found.progress.epoch);
        let at_most_once = self.lanes.lanes[lane].at_most_once && found.kind == TaskKind::Command;
        let job = Job::Task(address.clone(), task);
        // An at-most-once command without a start record has never begun, so it is not counted (rules R13, R18).
        if suspect && !at_most_once {
            if let Some(due) = self.lanes.not_before(found.progress.recoveries, self.moment) {
                slot.set_run(task, Run::Delayed);
                self.lanes.delay(now, due, job);
                return;
            }
            if !self.lanes.recover(&job, found.progress.recoveries, self.limits.recovering) {
                self.lanes.suspect(lane, job);
                return;
            }
            // The count comes before the run. The attempt that may have been running counts as indeterminate.
            count_lost(&mut found.progress, self.lanes.lanes[lane].policy.quick);
            found.progress.recoveries += 1;
            found.progress.error = Some("it may have been running when the process ended".to_owned());
            if found.progress.recoveries > most {
                let why = format!(
                    "found begun {} times in a row after the process had ended",
                    found.progress.recoveries
                );
                slot.set_run(task, Run::Reported);
                slot.queue.push_back(Item::own(Input::Stuck(task, ParkReason::CrashLoop, why), now));
                self.recovered(&job);
                self.pump(&address);
                return;
            }
        }
        if !suspect && !at_most_once {
            self.take_place(lane);
            if !self.begin(lane, &address, task) {
                self.lanes.lanes[lane].taken -= 1;
            }
            return;
        }
        if at_most_once {
            found.progress.stage = TaskStage::Started;
        }
        found.progress.epoch = epoch;
        found.progress.armed = now;
        let change = TaskChange::Progress(task, found.progress.clone());
        slot.set_run(task, Run::Marking);
        slot.noting += 1;
        self.lanes.lanes[lane].taken += 1;
        self.queue_step(
            Token::Mark(address, task, lane),
            Step { row, tasks: vec![change], ..Step::default() },
        );
    }

    /// The start record of a task is durable, or was not written.
    pub(super) fn marked(&mut self, address: &Address, task: TaskId, lane: usize, durable: bool) {
        if let Some(slot) = self.slots.get_mut(address).filter(|slot| slot.is_loading()) {
            slot.late.push(Late::Marked(task, lane, durable));
            return;
        }
        let wanted = self.slots.get(address).is_some_and(|slot| slot.run(task) == Some(Run::Marking));
        if wanted && durable && !self.stopping && self.begin(lane, address, task) {
            // The start time of this attempt determines when the rate permits the next start. So the lane is checked
            // here.
            return self.run_lane(lane);
        }
        // The attempt does not start. Either the task was withdrawn during the commit, or the engine stops. Or the
        // store refused the record, and without the record the task must not run (rule R18). In the last two cases the
        // next start finds the task again.
        if let Some(slot) = self.slots.get_mut(address)
            && slot.run(task) == Some(Run::Marking)
        {
            slot.runs.remove(task);
        }
        self.recovered(&Job::Task(address.clone(), task));
        self.free_place(lane);
    }

    /// Starts an attempt if the task still exists. The caller has already taken a place in the lane.
    fn begin(&mut self, lane: usize, address: &Address, task: TaskId) -> bool {
        let attempt = self.lanes.last_attempt + 1;
        let Some(slot) = self.slots.get_mut(address) else { return false };
        let Some(instance) = slot.instance() else { return false };
        let Some(found) = instance.task(task) else { return false };
        let command = found.command.clone();
        let key = instance.record.incarnation.derive(task.seq, task.ord, &command.name);
        let (number, saved) = (found.progress.next_attempt(), found.progress.saved.clone());
        slot.set_run(task, Run::Running { attempt });
        let job = Job::Task(address.clone(), task);
        let of = address.clone();
        self.launch(
            job,
            Attempt { id: attempt, lane, message: command, key: key.to_string(), number, of, saved },
        );
        true
    }

    /// Starts an attempt under the next attempt id.
    pub(super) fn launch(&mut self, job: Job, attempt: Attempt) {
        self.lanes.last_attempt += 1;
        let (id, lane) = (self.lanes.last_attempt, attempt.lane);
        let started = self.moment.mono;
        let deadline = started.saturating_add(self.lanes.lanes[lane].policy.timeout);
        self.lanes.deadlines.insert((deadline, id), ());
        let found = &mut self.lanes.lanes[lane];
        found.running += 1;
        found.gate.passed(&found.policy, started);
        let running = Running { job, lane, started, deadline, timed_out: false, told: false };
        self.lanes.attempts.insert(id, running);
        self.tally.attempts += 1;
        self.out.push(Out::Run(Box::new(Attempt { id, ..attempt })));
    }

    pub(super) fn take_place(&mut self, lane: usize) {
        self.lanes.lanes[lane].taken += 1;
    }

    pub(super) fn free_place(&mut self, lane: usize) {
        self.lanes.lanes[lane].taken -= 1;
        self.run_lane(lane);
    }

    /// Asks the handler of a running task to stop, because the instance has turned. The attempt is dropped at its
    /// timeout at the latest.
    pub(super) fn cancel(&mut self, address: &Address, task: TaskId) {
        if let Some(Run::Running { attempt }) = self.slots.get(address).and_then(|slot| slot.run(task)) {
            self.out.push(Out::Cancel(attempt));
        }
    }

    // Ending.

    /// Handles the end of an attempt, including a dropped attempt.
    pub(super) fn ended(&mut self, attempt: u64, how: AttemptEnd) {
        if let Some(Running { job: Job::Task(address, _), .. }) = self.lanes.attempts.get(&attempt) {
            // The instance is loading. The end is handled after the load.
            if let Some(slot) = self.slots.get_mut(address).filter(|slot| slot.is_loading()) {
                slot.late.push(Late::Ended(attempt, how));
                return;
            }
        }
        let Some(running) = self.lanes.attempts.remove(&attempt) else { return };
        self.lanes.lanes[running.lane].running -= 1;
        self.lanes.deadlines.remove(&(running.deadline, attempt));
        let how = match how {
            AttemptEnd::Dropped if running.timed_out => {
                AttemptEnd::Indeterminate(self.lanes.late(running.lane))
            }
            AttemptEnd::Dropped if !self.stopping => AttemptEnd::Indeterminate("it was dropped".to_owned()),
            how => how,
        };
        if !running.told {
            self.tell_failure(&running.job, &how);
        }
        let took = self.moment.mono.saturating_sub(running.started);
        let found = &mut self.lanes.lanes[running.lane];
        let was_open = found.gate.is_open();
        if found.gate.judge(&found.policy, &how, self.moment.mono) && !was_open {
            let error = how.error();
            tracing::warn!(handler = found.name, error, "indeterminate again and again; its breaker is open");
        } else if was_open && !found.gate.is_open() {
            tracing::info!(handler = found.name, "answered again; its breaker is closed");
        }
        match &running.job {
            Job::Task(address, task) => self.task_ended(address, *task, &running, how, took),
            Job::Delivery(delivery) => self.delivery_ended(*delivery, how),
        }
        self.recovered(&running.job);
        self.free_place(running.lane);
    }

    fn task_ended(
        &mut self,
        address: &Address,
        task: TaskId,
        running: &Running,
        how: AttemptEnd,
        took: Duration,
    ) {
        let now = self.moment.wall;
        let jitter = self.jitter();
        let epoch = self.lease.epoch;
        let policy = self.lanes.lanes[running.lane].policy.clone();
        let at_most_once = self.lanes.lanes[running.lane].at_most_once;
        let Some(slot) = self.slots.get_mut(address) else { return };
        // A quarantined instance takes no report, so the store does not learn about this attempt.
        self.forgetful |= matches!(slot.place, Place::Quarantined(_));
        let compensating = slot.instance().is_some_and(|instance| instance.status() == Status::Compensating);
        // An unreadable command waits if its instance has ended or the command is best-effort (rule R34).
        let patient = slot.instance().is_some_and(|instance| {
            instance.status().is_over()
                || instance.task(task).is_some_and(|task| instance.is_best_effort(task))
        });
        let Some(found) = slot.instance_mut().and_then(|instance| instance.task_mut(task)) else { return };
        let undo = found.kind == TaskKind::Undo;
        let at_most_once = at_most_once && !undo;
        // The instance counts as compensating even while the step of the turn is being committed.
        let turned = compensating && !undo;
        if matches!(how, AttemptEnd::NotBegun) {
            return self.not_begun(address, task, running.lane, turned);
        }
        // The end of an attempt resets the count (rule R19).
        found.progress.recoveries = 0;
        if matches!(how, AttemptEnd::Dropped) && !at_most_once {
            // The dispatcher stopped. The attempt counts as indeterminate, and its time is not charged.
            found.progress.attempts += 1;
            found.progress.error = Some("dropped when the dispatcher stopped".to_owned());
            self.delay_task(address, task, now, epoch);
            return;
        }
        let how = match how {
            // The command waits for a build that can read it.
            AttemptEnd::Unreadable(why) if !turned && patient => {
                found.progress.error = Some(why);
                let delay = policy.delay(UNREADABLE, undo, 1.0);
                return self.delay_task(address, task, now.plus(delay), epoch);
            }
            AttemptEnd::Unreadable(why) if !turned => {
                slot.set_run(task, Run::Reported);
                slot.queue.push_back(Item::own(Input::Stuck(task, ParkReason::Unreadable, why), now));
                return self.pump(address);
            }
            // A repeated call would return the same answer. A person can supply an answer that can be stored. The
            // handler was called, so the attempt counts.
            AttemptEnd::BadReply(why) if !turned && !patient => {
                found.progress.attempts += 1;
                found.progress.error = Some(why.clone());
                slot.set_run(task, Run::Reported);
                slot.queue.push_back(Item::own(Input::Stuck(task, ParkReason::Unreadable, why), now));
                return self.pump(address);
            }
            how => how,
        };
        found.progress.attempts += 1;
        found.progress.spent_ms += u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        // An at-most-once command has one attempt (rule R18). A command of a compensating instance gets no further
        // attempt (rule R13).
        let last = at_most_once || turned;
        let news = how.error().is_some_and(|error| is_news(&found.progress, error, epoch));
        match verdict(&mut found.progress, how, undo, last, &policy) {
            Verdict::Report(report) => {
                slot.set_run(task, Run::Reported);
                slot.queue.push_back(Item::own(Input::Report(task, report), now));
                self.pump(address);
            }
            Verdict::Again => {
                let delay = policy.delay(found.progress.attempts, undo, jitter);
                // A task that this process does not try again must be in the store when the process ends.
                if delay.is_zero() && !self.stopping {
                    found.progress.due = Timestamp::EPOCH;
                    slot.set_run(task, Run::Waiting);
                    self.lanes.push(running.lane, Job::Task(address.clone(), task));
                    if news {
                        self.note_failure(address, task, epoch);
                    }
                } else {
                    found.progress.spent_ms += u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
                    self.delay_task(address, task, now.plus(delay), epoch);
                }
            }
        }
    }

    /// Handles an attempt that never reached its handler. The attempt does not count, and the task waits for a place
    /// again.
    fn not_begun(&mut self, address: &Address, task: TaskId, lane: usize, turned: bool) {
        let (now, epoch, stopping) = (self.moment.wall, self.lease.epoch, self.stopping);
        let Some(slot) = self.slots.get_mut(address) else { return };
        let Some(found) = slot.instance_mut().and_then(|instance| instance.task_mut(task)) else { return };
        let marked = std::mem::replace(&mut found.progress.stage, TaskStage::Ready) == TaskStage::Started;
        let attempts = found.progress.attempts;
        if turned {
            let report = match attempts {
                0 => ReportRecord::Withdrawn,
                _ => ReportRecord::Unknown {
                    attempts,
                    reason: "given up, because the instance turned".to_owned(),
                },
            };
            slot.set_run(task, Run::Reported);
            slot.queue.push_back(Item::own(Input::Report(task, report), now));
            return self.pump(address);
        }
        if stopping || marked {
            // At a stop the progress must be in the store. The start record of an at-most-once command must be
            // withdrawn (rule R18).
            return self.delay_task(address, task, now, epoch);
        }
        slot.set_run(task, Run::Waiting);
        self.lanes.push(lane, Job::Task(address.clone(), task));
    }

    /// Writes the failure of a task that is tried again at once. Operators read the store, and the next attempts may
    /// take long or wait for a breaker.
    fn note_failure(&mut self, address: &Address, task: TaskId, epoch: u64) {
        let Some(slot) = self.slots.get_mut(address) else { return };
        let Some(instance) = slot.instance_mut() else { return };
        let row = instance.row;
        let Some(found) = instance.task_mut(task) else { return };
        found.progress.epoch = epoch;
        let change = TaskChange::Progress(task, found.progress.clone());
        slot.noting += 1;
        self.queue_step(
            Token::Progress(address.clone()),
            Step { row, tasks: vec![change], ..Step::default() },
        );
    }

    /// Writes the progress of a task and delays the task until `due`. The next attempt also waits until this progress
    /// is durable.
    fn delay_task(&mut self, address: &Address, task: TaskId, due: Timestamp, epoch: u64) {
        let now = self.moment.wall;
        let Some(slot) = self.slots.get_mut(address) else { return };
        let Some(instance) = slot.instance_mut() else { return };
        let row = instance.row;
        let Some(found) = instance.task_mut(task) else { return };
        found.progress.due = due;
        found.progress.armed = now;
        found.progress.epoch = epoch;
        let change = TaskChange::Progress(task, found.progress.clone());
        slot.set_run(task, Run::Noting);
        slot.noting += 1;
        let step = Step { row, tasks: vec![change], ..Step::default() };
        self.queue_step(Token::Delayed(address.clone(), task), step);
    }

    /// The progress of a delayed task is durable. Without this commit the task waits for the next start. Otherwise one
    /// attempt number could be given twice.
    pub(super) fn delayed(&mut self, address: &Address, task: TaskId) {
        let Some(slot) = self.slots.get_mut(address) else { return };
        if slot.run(task) == Some(Run::Noting) {
            slot.set_run(task, Run::Delayed);
            // If the instance is loading, the load enlists the task.
            self.enlist(address, task);
        }
    }

    /// A suspect has ended, was withdrawn or was given up. The waiting suspects are tried again.
    pub(super) fn recovered(&mut self, job: &Job) {
        if self.lanes.recovering.remove(job).is_none() {
            return;
        }
        let mut waiting = self.lanes.suspects.len();
        while let Some((lane, job)) = self.lanes.suspects.pop_front() {
            self.lanes.lanes[lane].queue.push_front(job);
            self.run_lane(lane);
            if self.lanes.suspects.len() >= waiting {
                return;
            }
            waiting = self.lanes.suspects.len();
        }
    }

    /// Handles everything that is due: timers, delayed jobs, paused lanes and attempts past their timeout.
    pub(super) fn wake(&mut self) {
        self.fire_timers();
        self.give_up_awaiting();
        let Moment { wall, mono } = self.moment;
        while let Some(entry) = self.lanes.delayed.first_entry() {
            if entry.key().0 > wall || self.stopping {
                break;
            }
            match entry.remove().1 {
                Job::Task(address, task) => self.resume(&address, task),
                Job::Delivery(delivery) => self.enlist_delivery(delivery),
            }
        }
        while let Some((until, lane)) = self.lanes.paused.first().copied()
            && until <= mono
        {
            self.lanes.paused.remove(&(until, lane));
            self.run_lane(lane);
        }
        while let Some(entry) = self.lanes.deadlines.first_entry() {
            if entry.key().0 > mono {
                break;
            }
            let (_, attempt) = *entry.key();
            entry.remove();
            let Some(running) = self.lanes.attempts.get_mut(&attempt) else { continue };
            running.timed_out = true;
            let (job, lane) = (running.job.clone(), running.lane);
            // Logged now, because an attempt that blocks its thread may never end.
            let told = self.tell_failure(&job, &AttemptEnd::Indeterminate(self.lanes.late(lane)));
            if let Some(running) = self.lanes.attempts.get_mut(&attempt) {
                running.told = told;
            }
            self.out.push(Out::Drop(attempt));
        }
    }

    /// A delayed task is due. If its instance is no longer in memory, a load finds the task again.
    fn resume(&mut self, address: &Address, task: TaskId) {
        let slot = self.slot(address);
        if slot.instance().is_some() {
            if slot.run(task) == Some(Run::Delayed) {
                if let Some(found) = slot.instance_mut().and_then(|instance| instance.task_mut(task)) {
                    found.progress.due = Timestamp::EPOCH;
                }
                self.enlist(address, task);
            }
        } else if !matches!(slot.place, Place::Quarantined(_)) {
            slot.resumed.push(task);
            self.load(address);
        }
    }

    /// Writes the progress of waiting attempts, so that a clean start continues from there.
    pub(super) fn write_attempts(&mut self) {
        let addresses: Vec<Address> = self.slots.keys().cloned().collect();
        for address in addresses {
            self.write_attempts_of(&address);
        }
    }

    pub(super) fn write_attempts_of(&mut self, address: &Address) {
        let epoch = self.lease.epoch;
        let Some(slot) = self.slots.get_mut(address) else { return };
        let waiting: Vec<TaskId> =
            slot.runs.iter().filter(|(_, run)| *run == Run::Waiting).map(|(task, _)| task).collect();
        let Some(instance) = slot.instance_mut() else { return };
        let row = instance.row;
        let mut tasks = Vec::new();
        for task in waiting {
            // A task that this process did not try has no new progress. A suspect stays a suspect.
            let tried =
                |task: &&mut Task| task.progress.attempts > 0 && !self.lease.is_suspect(task.progress.epoch);
            if let Some(found) = instance.task_mut(task).filter(tried) {
                found.progress.epoch = epoch;
                tasks.push(TaskChange::Progress(task, found.progress.clone()));
            }
        }
        if !tasks.is_empty() {
            slot.noting += 1;
            self.queue_step(Token::Progress(address.clone()), Step { row, tasks, ..Step::default() });
        }
    }
}

/// Counts the attempt that may have been running when the process ended. The quick attempts before it were not written.
/// Their numbers are left out, so that no number is given twice (rule R19).
pub(super) fn count_lost(progress: &mut TaskProgress, quick: u32) {
    progress.attempts = progress.attempts.saturating_add(1);
    progress.left_out = progress.left_out.saturating_add(quick.saturating_sub(progress.attempts));
}

/// An attempt count at which the delay has reached its cap. An unreadable command is tried again after that delay.
const UNREADABLE: u32 = 64;

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

/// True for an error that is new: the previous attempt had another error, or ended under an earlier lease.
pub(super) fn is_news(progress: &TaskProgress, error: &str, epoch: u64) -> bool {
    progress.epoch != epoch || progress.error.as_deref() != Some(error)
}

/// Decides how the end of an attempt counts over all attempts. `progress` already counts this attempt. `last` forbids
/// another attempt.
fn verdict(progress: &mut TaskProgress, how: AttemptEnd, undo: bool, last: bool, policy: &Policy) -> Verdict {
    let attempts = progress.attempts;
    let unknown = |reason: String| Verdict::Report(ReportRecord::Unknown { attempts, reason });
    let error = match how {
        AttemptEnd::Replied(reply) => {
            return Verdict::Report(ReportRecord::Replied(reply.as_ref().map(MessageRecord::from)));
        }
        AttemptEnd::RefusedForGood(reason) => {
            return Verdict::Report(ReportRecord::Refused { attempts, reason });
        }
        AttemptEnd::Refused(reason) | AttemptEnd::Unreadable(reason) if attempts == 1 || undo => {
            return Verdict::Report(ReportRecord::Refused { attempts, reason });
        }
        AttemptEnd::Refused(reason) | AttemptEnd::Unreadable(reason) => {
            return unknown(format!("refused, but an earlier attempt was indeterminate: {reason}"));
        }
        AttemptEnd::Indeterminate(reason) | AttemptEnd::BadReply(reason) => reason,
        AttemptEnd::Dropped | AttemptEnd::NotBegun => "dropped when the dispatcher stopped".to_owned(),
    };
    progress.error = Some(error.clone());
    if undo {
        return Verdict::Again;
    }
    if last {
        return unknown(error);
    }
    let spent = Duration::from_millis(progress.spent_ms);
    if attempts >= policy.quick && spent >= policy.total {
        return unknown(format!("{attempts} attempts, the last: {error}"));
    }
    Verdict::Again
}
