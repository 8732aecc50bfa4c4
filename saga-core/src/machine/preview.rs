//! What an input would do to an instance, decided on a copy of it. Nothing is written.
//!
//! Owns: the steps that would follow by themselves. Each undo counts as answered at once, and what waits in the inbox
//! follows in order. Does not own: the decisions, which are those of the machine, or the reading of the copy.

use std::collections::VecDeque;
use std::sync::Arc;

use super::input::{AttemptState, Decision, Effect, Input, StepContext, Verb};
use super::instance::Instance;
use super::is_own_timer;
use super::live::Program;
use super::record::ReportRecord;
use crate::definition::{Redaction, hidden};
use crate::message::{Id, Message, Payload, PayloadLimits, Timestamp};
use crate::step::{
    DeadLetterReason, Parked, Snapshot, Status, Task, TaskChange, TaskId, TaskKind, TaskStage,
};

/// The most steps of a preview. A table whose steps follow each other without end is cut off here.
const STEPS: usize = 1_000;

/// What would follow from an input. The names and payloads are those that would be stored.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Preview {
    /// Why the verb would be declined. Nothing else follows then.
    pub declined: Option<String>,
    /// Why the event would have no effect.
    pub ignored: Option<String>,
    /// The stored name of the state afterwards.
    pub state: String,
    /// The status afterwards.
    pub status: Status,
    /// The data afterwards.
    pub data: Payload,
    /// The payload of the state afterwards.
    pub payload: Option<Payload>,
    /// Why the instance would be parked afterwards.
    pub parked: Option<String>,
    /// The commands and children that would be sent, in order.
    pub commands: Vec<Message>,
    /// The stored names of the commands that would run again under their idempotency key.
    pub again: Vec<String>,
    /// The undos that would run, in order, if each of them succeeds.
    pub undos: Vec<Message>,
    /// The events that would be published, in order.
    pub published: Vec<Message>,
    /// The stored names of the undo commands that would be owed afterwards, oldest first.
    pub owed: Vec<String>,
    /// The timers that would be set afterwards.
    pub timers: Vec<(String, Timestamp)>,
    /// The dead letters that would be written, each with its reason and the detail.
    pub dead: Vec<(DeadLetterReason, String)>,
    /// Whether the instance and its history would be removed.
    pub removed: bool,
    /// Whether more steps would follow than a preview shows.
    pub cut_off: bool,
}

impl Preview {
    /// Hides the redacted values of an instance of `saga`.
    pub fn redact(&mut self, saga: &str, by: &Redaction) {
        self.data = by.data(saga, &self.data);
        self.payload = self.payload.as_ref().map(|payload| by.state(saga, &self.state, payload));
        for message in self.commands.iter_mut().chain(&mut self.undos).chain(&mut self.published) {
            // A child has the name of its saga, and a record of the machine.
            let of_child = by.knows_saga(&message.name);
            message.payload = if of_child { hidden() } else { by.payload(&message.name, &message.payload) };
        }
    }
}

/// A copy of an instance, and what has followed so far.
struct Forecast {
    instance: Instance,
    waiting: VecDeque<(Input, Option<u32>)>,
    now: Timestamp,
    limits: PayloadLimits,
    steps: u64,
    seen: Preview,
}

/// Returns what would follow from `input`. `waiting` is the inbox of the instance, in order.
pub(crate) fn preview(
    program: Arc<dyn Program>,
    snapshot: Snapshot,
    waiting: Vec<Input>,
    input: &Input,
    now: Timestamp,
    limits: PayloadLimits,
) -> Preview {
    let seen = Preview {
        declined: None,
        ignored: None,
        state: String::new(),
        status: snapshot.instance.status,
        data: snapshot.instance.data.clone(),
        payload: None,
        parked: None,
        commands: Vec::new(),
        again: Vec::new(),
        undos: Vec::new(),
        published: Vec::new(),
        owed: Vec::new(),
        timers: Vec::new(),
        dead: Vec::new(),
        removed: false,
        cut_off: false,
    };
    let waiting = waiting.into_iter().map(|input| (input, None)).collect();
    let instance = Instance::load(program, snapshot);
    let mut forecast = Forecast { instance, waiting, now, limits, steps: 0, seen };
    let fired = match input {
        Input::Verb(verb) => match &verb.verb {
            Verb::Fire { timer } => Some(timer.clone()),
            _ => None,
        },
        _ => None,
    };
    match forecast.decide(input) {
        Effect::Declined(why) => forecast.seen.declined = Some(why.to_string()),
        Effect::Ignored(why) => forecast.seen.ignored = Some(why.to_string()),
        Effect::Deferred => {
            forecast.seen.ignored = Some("the state defers it until another visit".to_owned());
        }
        _ => {
            forecast.settle();
            if let Some(timer) = fired {
                forecast.fire(&timer);
                forecast.settle();
            }
        }
    }
    forecast.finish()
}

impl Forecast {
    fn decide(&mut self, input: &Input) -> Effect {
        // The store does not know whether a first attempt runs. Its undo is shown, because it may be needed.
        let attempts = |_: &Task| AttemptState::Between;
        self.steps += 1;
        let at = StepContext {
            now: self.now,
            epoch: 0,
            step: Id::from_u128(u128::from(self.steps)),
            limits: self.limits,
            attempts: &attempts,
            trace: None,
        };
        // A verb may use up the input over which the instance is parked.
        let head = self.instance.parked_head().filter(|_| matches!(input, Input::Verb(_)));
        let at_head = head.and_then(|head| self.waiting.iter().position(|(input, _)| head.is(input)));
        self.instance.head = at_head.and_then(|at| self.waiting.remove(at)).map(|(input, _)| input);
        let decision = self.instance.apply(input, at);
        let head = self.instance.head.take().filter(|_| !decision.skipped);
        if let (Some(head), Some(at)) = (head, at_head) {
            self.waiting.insert(at, (head, None));
        }
        self.keep(decision)
    }

    /// Keeps the effects of a decision.
    fn keep(&mut self, decision: Decision) -> Effect {
        if decision.step.instance.is_some() {
            self.instance.reread();
        }
        for change in decision.step.tasks {
            match change {
                TaskChange::Add(task) if task.kind == TaskKind::Undo => self.seen.undos.push(task.command),
                TaskChange::Add(task) => self.seen.commands.push(task.command),
                _ => {}
            }
        }
        let again = decision.after.rerun.iter().filter_map(|id| self.instance.task(*id));
        self.seen.removed |= decision.after.purge;
        self.seen.again.extend(again.map(|task| task.command.name.to_string()));
        self.seen.published.extend(decision.published.into_iter().map(|published| published.message));
        if let Effect::Dead { reason, detail } = &decision.effect {
            self.seen.dead.push((reason.clone(), detail.clone()));
        }
        decision.effect
    }

    /// Applies what follows by itself: undos that are answered, the arrival, and the inbox.
    fn settle(&mut self) {
        for _ in 0..STEPS {
            if self.instance.is_parked() {
                return;
            }
            let compensating = self.instance.status() == Status::Compensating;
            let visit = (!self.instance.status().is_over()).then_some(self.instance.record.visit);
            let next = self.waiting.iter().position(|(input, deferred)| {
                (deferred.is_none() || *deferred != visit)
                    && (!compensating || matches!(input, Input::Report(..) | Input::Verb(_)))
            });
            if let Some(undo) = self.open_undo() {
                self.decide(&Input::Report(undo, ReportRecord::Replied(None)));
            } else if let Some((input, _)) = next.and_then(|at| self.waiting.remove(at)) {
                let at = next.unwrap_or_default();
                match self.decide(&input) {
                    Effect::Kept => self.waiting.insert(at, (input, None)),
                    Effect::Deferred => self.waiting.insert(at, (input, visit)),
                    _ => {}
                }
            } else if !self.fire_at_once() && !self.continue_compensating() {
                return;
            }
        }
        self.seen.cut_off = true;
    }

    fn open_undo(&self) -> Option<TaskId> {
        let undo = |task: &&Task| task.kind == TaskKind::Undo && task.progress.stage != TaskStage::Held;
        self.instance.tasks.iter().find(undo).map(|task| task.id)
    }

    /// The timers of the machine itself fire at once.
    fn fire_at_once(&mut self) -> bool {
        let own = self.instance.timers.iter().find(|timer| is_own_timer(&timer.name));
        let name = own.map(|timer| timer.name.to_string());
        name.is_some_and(|name| self.fire(&name))
    }

    /// Fires a timer. `false` if it cannot fire.
    fn fire(&mut self, name: &str) -> bool {
        if self.instance.is_parked() || self.instance.status() != Status::Running {
            return false;
        }
        let Some(timer) = self.instance.timers.iter().find(|timer| timer.name == name) else { return false };
        let timer = Input::Timer { name: name.to_owned(), visit: timer.visit, due: timer.due };
        !matches!(self.decide(&timer), Effect::Stale)
    }

    /// Ends the commands that ran before the turn, and arrives.
    fn continue_compensating(&mut self) -> bool {
        if self.instance.status() != Status::Compensating {
            return false;
        }
        let running = self.instance.tasks.iter().next().map(|task| task.id);
        match running {
            Some(task) => {
                let reason = "the instance compensates".to_owned();
                self.decide(&Input::Report(task, ReportRecord::Unknown { attempts: 1, reason }));
            }
            None => {
                self.decide(&Input::Continue);
            }
        }
        true
    }

    fn finish(mut self) -> Preview {
        let record = &self.instance.record;
        self.seen.state = record.state.to_string();
        self.seen.status = record.status;
        self.seen.data = record.data.clone();
        self.seen.payload.clone_from(&record.payload);
        let parked = record.parked.as_ref().map(|parked| Parked::from_stored(parked, record.changed_at));
        self.seen.parked = parked.map(|parked| format!("{}: {}", parked.reason, parked.detail));
        self.seen.owed = self.instance.obligations.iter().map(|owed| owed.undo.to_string()).collect();
        let timers = self.instance.timers.iter().filter(|timer| !super::is_own_timer(&timer.name));
        self.seen.timers = timers.map(|timer| (timer.name.to_string(), timer.due)).collect();
        self.seen
    }
}
