//! One instance as the engine keeps it: the machine's part, the queue, the runs of its tasks, and the step in flight.
//!
//! Each part owns its invariant: [`Queue`], [`Backlog`], [`Runs`] and [`InFlight`]. This file owns the whole slot: the
//! presence of the instance, and the rule that decides whether the slot may leave memory.

mod backlog;
mod in_flight;
mod item;
mod queue;
mod runs;

use std::sync::Arc;

pub(in crate::engine) use backlog::Backlog;
pub(in crate::engine) use in_flight::{Before, InFlight};
pub(in crate::engine) use item::Item;
pub(in crate::engine) use queue::Queue;
pub(in crate::engine) use runs::{Late, Run, Runs};

use super::intake::Watch;
use super::io::{Ticket, Waiter};
use crate::machine::{Instance, RejectedClaim};
use crate::message::{Key, MessageId};
use crate::store::{Task, TaskId, TaskKind, TaskProgress, TaskStage, TimerRow};

/// The instance of a slot, as far as the engine knows it.
pub(in crate::engine) enum Presence {
    /// The instance has not been read from the store.
    Unknown,
    /// The instance is being read from the store.
    Loading,
    /// The store holds no such instance.
    Missing,
    Present(Box<Instance>),
    /// The address is an alias of the instance with this key.
    Alias(Key),
    /// The instance cannot be read or written. The text is the reason.
    Quarantined(String),
}

/// The input over which an instance is parked, for a verb that skips this input.
pub(in crate::engine) enum ParkedInput {
    /// The inbox has not been searched for the input.
    Unread,
    Found(Box<Item>),
    /// The inbox does not hold the input.
    Missing,
}

/// An instance with its queue, its runs and its callers.
pub(in crate::engine) struct Slot {
    pub(in crate::engine) presence: Presence,
    /// Accepted items and items that wait for acceptance, in order.
    pub(in crate::engine) queue: Queue,
    pub(in crate::engine) backlog: Backlog,
    pub(in crate::engine) runs: Runs,
    /// The step in flight. An instance has at most one.
    pub(in crate::engine) in_flight: Option<InFlight>,
    pub(in crate::engine) parked_input: ParkedInput,
    /// The skipped input has a deduplication record, of another event with its message id. It gets no second one.
    pub(in crate::engine) head_is_known: bool,
    /// The timers of the instance in the timer window, with their due times in the window.
    pub(in crate::engine) armed: Vec<TimerRow>,
    pub(in crate::engine) waiters: Vec<(Waiter, Ticket)>,
    /// While the holder of an alias is loading: the holder that a step committed in the meantime has set.
    pub(in crate::engine) newer_holder: Option<Option<Key>>,
    /// Of an alias in a store with several shards: how many items at the head of the queue were there before the last read.
    pub(in crate::engine) read_for: usize,
    /// The holder must be read again after the present read or step.
    pub(in crate::engine) read_again: bool,
    /// Claimed aliases that another instance holds, as the store reported for the step at the head of the queue.
    pub(in crate::engine) rejected_claims: Vec<RejectedClaim>,
    /// Position of the last access in the order of all accesses.
    pub(in crate::engine) touched: u64,
    pub(in crate::engine) weight: usize,
}

impl Slot {
    /// Frees the buffers of empty lists. Between two steps most lists are empty.
    pub(in crate::engine) fn free_empty(&mut self) {
        if self.armed.is_empty() {
            self.armed = Vec::new();
        }
        if self.waiters.is_empty() {
            self.waiters = Vec::new();
        }
        if self.rejected_claims.is_empty() {
            self.rejected_claims = Vec::new();
        }
        self.runs.free_empty();
    }

    /// Estimates the size of the contents in bytes. A queued item counts only with its place in the queue, because
    /// other limits bound the item.
    pub(in crate::engine) fn weigh(&self) -> usize {
        let Self { queue, runs, armed, waiters, .. } = self;
        queue.bytes()
            + runs.bytes()
            + armed.capacity() * size_of::<TimerRow>()
            + waiters.capacity() * size_of::<(Waiter, Ticket)>()
            + self.instance().map_or(0, Instance::weight)
    }

    pub(in crate::engine) fn new() -> Self {
        Self {
            presence: Presence::Unknown,
            queue: Queue::default(),
            backlog: Backlog::default(),
            runs: Runs::default(),
            in_flight: None,
            parked_input: ParkedInput::Unread,
            head_is_known: false,
            armed: Vec::new(),
            waiters: Vec::new(),
            newer_holder: None,
            read_for: 0,
            read_again: false,
            rejected_claims: Vec::new(),
            touched: 0,
            weight: 0,
        }
    }

    pub(in crate::engine) fn instance(&self) -> Option<&Instance> {
        match &self.presence {
            Presence::Present(instance) => Some(instance),
            _ => None,
        }
    }

    pub(in crate::engine) fn instance_mut(&mut self) -> Option<&mut Instance> {
        match &mut self.presence {
            Presence::Present(instance) => Some(instance),
            _ => None,
        }
    }

    /// Attaches the watch to every item with this message id.
    pub(in crate::engine) fn watch(&mut self, id: &MessageId, watch: &Arc<Watch>) {
        let in_flight = self.in_flight.iter_mut().flat_map(InFlight::items_mut);
        for item in in_flight.chain(self.queue.iter_mut()).filter(|item| item.is_named(id)) {
            item.watches.push(Arc::clone(watch));
        }
    }

    /// Takes the input over which the instance is parked, if the inbox holds it.
    pub(in crate::engine) fn take_parked_input(&mut self) -> Option<Box<Item>> {
        match std::mem::replace(&mut self.parked_input, ParkedInput::Unread) {
            ParkedInput::Found(item) => Some(item),
            ParkedInput::Unread | ParkedInput::Missing => None,
        }
    }

    pub(in crate::engine) fn is_loading(&self) -> bool {
        matches!(self.presence, Presence::Loading)
    }

    pub(in crate::engine) fn run(&self, task: TaskId) -> Option<Run> {
        self.runs.get(task)
    }

    /// Progress of the tasks that have begun. The store may not know this progress.
    pub(in crate::engine) fn progress_of_begun(&self) -> Vec<(TaskId, TaskProgress)> {
        let tasks = self.instance().into_iter().flat_map(|instance| instance.tasks.iter());
        progress_of_begun(tasks)
    }

    pub(in crate::engine) fn set_run(&mut self, task: TaskId, run: Run) {
        self.runs.set(task, run);
    }

    /// Number of waiting events that count towards the limit (rule R29). Deferred events do not count, because an event
    /// that ends their wait must be accepted.
    pub(in crate::engine) fn waiting(&self) -> usize {
        let deferring =
            self.backlog.deferred_at().is_some() && !self.instance().is_some_and(Instance::holds_events_back);
        let stored = if deferring { 0 } else { self.backlog.events() };
        stored + self.in_flight.as_ref().map_or(0, InFlight::spilled_events) + self.queue.events()
    }

    /// True if the instance may be dropped from memory. Then the store holds everything about the instance, and no
    /// caller waits.
    pub(in crate::engine) fn is_idle(&self) -> bool {
        self.in_flight.is_none()
            && self.queue.is_empty()
            && self.waiters.is_empty()
            && self.runs.are_settled()
            && !self.backlog.is_reading()
            && self.backlog.deferred_at().is_none()
            && !self.is_loading()
            && !(self.backlog.has_rows() && matches!(self.presence, Presence::Quarantined(_)))
    }
}

/// Progress of the commands and undos that have begun.
pub(in crate::engine) fn progress_of_begun<'a>(
    tasks: impl IntoIterator<Item = &'a Task>,
) -> Vec<(TaskId, TaskProgress)> {
    let began = |task: &&Task| {
        let TaskProgress { attempts, stage, .. } = task.progress;
        task.kind != TaskKind::Child && (attempts > 0 || stage == TaskStage::Started)
    };
    tasks.into_iter().filter(began).map(|task| (task.id, task.progress.clone())).collect()
}
