//! Attempts: which attempt may start, how its end counts, and when the next attempt is due (rules R13, R17–R19).
//!
//! A lane belongs to one handler or subscriber. A lane limits how many attempts run at a time. Only this module permits
//! an attempt to start. So the engine always knows whether a task has begun.
//!
//! A suspect is a task or delivery that may have been running when an earlier process ended.

use crate::message::Map;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::stats::{HandlerStatus, Stats};
use super::suspects::Suspects;
use super::throttle::Throttle;
use crate::engine::registry::Registry;
use crate::engine::slot::Run;
use crate::engine::{Policy, first_key};
use crate::machine::AttemptState;
use crate::message::Timestamp;
use crate::store::{Address, DeliveryId, Lease, ShardId, Task, TaskId, TaskStage};

/// The unit of work of a lane.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::engine) enum Job {
    Task(Address, TaskId),
    Delivery(DeliveryId),
}

#[derive(Debug)]
pub(super) struct Running {
    pub(super) job: Job,
    pub(super) lane: usize,
    pub(super) started: Duration,
    pub(super) deadline: Duration,
    /// The attempt was dropped at its timeout.
    pub(super) timed_out: bool,
    /// The failure has been logged already.
    pub(super) logged: bool,
}

#[derive(Debug)]
pub(super) struct Lane {
    pub(super) name: &'static str,
    pub(super) policy: Policy,
    pub(super) at_most_once: bool,
    /// Attempts that run, and attempts with a start record that is being committed.
    pub(super) in_use: usize,
    pub(super) running: usize,
    pub(super) queue: VecDeque<Job>,
    pub(super) throttle: Throttle,
    /// An operator has paused the handler. Its queue waits.
    pub(super) held: bool,
    pub(super) subscriber: bool,
    pub(super) stats: Stats,
}

/// All lanes, with everything that waits for a time.
#[derive(Debug)]
pub(in crate::engine) struct Lanes {
    pub(super) lanes: Vec<Lane>,
    pub(super) attempts: Map<u64, Running>,
    pub(super) last_attempt: u64,
    pub(super) deadlines: BTreeMap<(Duration, u64), ()>,
    pub(super) delayed: BTreeMap<(Timestamp, u64), (Timestamp, Job)>,
    pub(super) delays: u64,
    /// Lanes that wait for their rate or their breaker, by the time of the next check.
    pub(super) paused: BTreeSet<(Duration, usize)>,
    pub(in crate::engine) suspects: Suspects,
}

impl Lanes {
    pub(in crate::engine) fn new(registry: &Registry, shard: ShardId) -> Self {
        let lane = |spec: &crate::engine::registry::LaneSpec| Lane {
            name: spec.name,
            policy: spec.policy.share(shard.of()),
            at_most_once: spec.at_most_once,
            in_use: 0,
            running: 0,
            queue: VecDeque::new(),
            throttle: Throttle::default(),
            held: false,
            subscriber: spec.subscriber,
            stats: Stats::default(),
        };
        Self {
            lanes: registry.lanes.iter().map(lane).collect(),
            attempts: Map::default(),
            last_attempt: 0,
            deadlines: BTreeMap::new(),
            delayed: BTreeMap::new(),
            delays: 0,
            paused: BTreeSet::new(),
            suspects: Suspects::default(),
        }
    }

    pub(in crate::engine) fn policy(&self, lane: usize) -> &Policy {
        &self.lanes[lane].policy
    }

    /// The error text of an attempt that exceeded its timeout.
    pub(super) fn late(&self, lane: usize) -> String {
        let limit = self.lanes[lane].policy.timeout;
        format!("no answer within {limit:?}")
    }

    /// The job of a running attempt.
    pub(in crate::engine) fn job(&self, attempt: u64) -> Option<&Job> {
        self.attempts.get(&attempt).map(|running| &running.job)
    }

    /// Restarts the timeout of a running attempt.
    pub(in crate::engine) fn prolong(&mut self, attempt: u64, now: Duration) {
        let Some(running) = self.attempts.get_mut(&attempt).filter(|running| !running.timed_out) else {
            return;
        };
        self.deadlines.remove(&(running.deadline, attempt));
        running.deadline = now.saturating_add(self.lanes[running.lane].policy.timeout);
        self.deadlines.insert((running.deadline, attempt), ());
    }

    pub(in crate::engine) fn running(&self) -> usize {
        self.attempts.len()
    }

    /// Number of jobs that wait for a place in a lane. Paused lanes do not count.
    pub(in crate::engine) fn queued(&self) -> usize {
        let lanes = self.lanes.iter().filter(|lane| !lane.held);
        self.suspects.waiting() + lanes.map(|lane| lane.queue.len()).sum::<usize>()
    }

    pub(in crate::engine) fn next_due(&self) -> Option<Timestamp> {
        first_key(&self.delayed).map(|(due, _)| due)
    }

    pub(in crate::engine) fn next_deadline(&self) -> Option<Duration> {
        let deadline = first_key(&self.deadlines).map(|(deadline, _)| deadline);
        [deadline, self.paused.first().map(|(until, _)| *until)].into_iter().flatten().min()
    }

    /// Makes a job wait until `due`. `armed` is the time at which `due` was set.
    pub(in crate::engine) fn delay(&mut self, armed: Timestamp, due: Timestamp, job: Job) {
        self.delays += 1;
        self.delayed.insert((due, self.delays), (armed, job));
    }

    /// Shifts the due times of waiting jobs after a correction of the wall clock.
    pub(in crate::engine) fn shift_delays(&mut self, shift: impl Fn(&mut Timestamp, &mut Timestamp) -> bool) {
        for ((mut due, n), (mut armed, job)) in std::mem::take(&mut self.delayed) {
            shift(&mut armed, &mut due);
            self.delayed.insert((due, n), (armed, job));
        }
    }

    /// Returns the condition of each handler and subscriber, in the order of their registration.
    pub(in crate::engine) fn statuses(&self) -> Vec<HandlerStatus> {
        self.lanes.iter().map(Lane::status).collect()
    }

    /// Removes the jobs from the queue of a lane that meet the condition, and returns them.
    pub(in crate::engine) fn leave(&mut self, lane: usize, mut leaves: impl FnMut(&Job) -> bool) -> Vec<Job> {
        let queue = std::mem::take(&mut self.lanes[lane].queue);
        let (left, stay): (Vec<Job>, Vec<Job>) = queue.into_iter().partition(|job| leaves(job));
        self.lanes[lane].queue = stay.into();
        left
    }

    /// Pauses or resumes a lane.
    pub(in crate::engine) fn hold(&mut self, lane: usize, hold: bool) {
        self.lanes[lane].held = hold;
    }

    pub(in crate::engine) fn is_held(&self, lane: usize) -> bool {
        self.lanes[lane].held
    }

    pub(in crate::engine) fn push(&mut self, lane: usize, job: Job) {
        self.lanes[lane].queue.push_back(job);
    }

    /// How far a task with this run has come. The machine asks at a turn.
    pub(in crate::engine) fn attempt_state(
        &self,
        registry: &Registry,
        lease: &Lease,
        run: Option<Run>,
        task: &Task,
    ) -> AttemptState {
        let once = || {
            let lane = registry.handlers.get(&*task.command.name);
            lane.is_some_and(|&lane| self.lanes[lane].at_most_once)
        };
        match (run, task.progress.stage) {
            // The task has ended, and its instance is parked over the outcome.
            (_, TaskStage::Held) => AttemptState::Between,
            (Some(Run::Running { .. } | Run::Reported), _) | (_, TaskStage::Answered) => {
                AttemptState::Running
            }
            // No permit followed the start record, so the task has never begun.
            (Some(Run::Starting), TaskStage::Started) => AttemptState::NotBegun,
            (_, TaskStage::Ready) if once() => AttemptState::NotBegun,
            (_, TaskStage::Ready)
                if task.progress.attempts == 0 && !lease.is_suspect(task.progress.epoch) =>
            {
                AttemptState::NotBegun
            }
            _ => AttemptState::Between,
        }
    }
}
