//! Log output of the engine: the span of a step, the start, end and parking of an instance, and failures of handlers.
//!
//! Owns: which events are logged, and with which fields. Does not own: the span of an attempt. The `dispatcher` enters
//! that span when it polls a handler. Without a log subscriber, nothing is formatted or allocated.

use std::fmt;

use tracing::Span;

use super::Shard;
use super::attempts::{Job, is_news};
use super::io::AttemptEnd;
use super::tracer::{Traced, TracedKind, Tracer};
use crate::machine::{Input, Instance, Parked, ReportRecord};
use crate::message::{Incarnation, MessageId, TraceContext};
use crate::store::{Address, HistoryEntry, HistoryKind, Step, TaskProgress};

/// The span of a step of `instance`, and the trace context of the step. Log lines of actions carry this span.
pub(super) fn step_span(
    tracer: Option<&dyn Tracer>,
    address: &Address,
    instance: &Instance,
    (input, trace): (&Input, Option<TraceContext>),
) -> (Span, Option<TraceContext>) {
    let record = &instance.record;
    // A report continues the step that sent its command. Timers, undos and verbs continue the last step.
    let of_task = || match input {
        Input::Report(task, _) | Input::Stuck(task, ..) => instance.task(*task)?.trace,
        _ => None,
    };
    let cause = trace.or_else(of_task).or(record.trace);
    let span = span(address, Some(instance), input, cause);
    let kind = TracedKind::Step;
    let of = Traced { kind, of: address, incarnation: Some(record.incarnation), cause };
    let joined = <dyn Tracer>::joined(tracer, &span, &of);
    (span, joined)
}

/// The span of the start of an instance, and the trace context of its first step.
pub(super) fn start_span(
    tracer: Option<&dyn Tracer>,
    address: &Address,
    (incarnation, input, cause): (Incarnation, &Input, Option<TraceContext>),
) -> (Span, Option<TraceContext>) {
    let span = span(address, None, input, cause);
    let kind = TracedKind::Step;
    let of = Traced { kind, of: address, incarnation: Some(incarnation), cause };
    let joined = <dyn Tracer>::joined(tracer, &span, &of);
    (span, joined)
}

fn span(address: &Address, instance: Option<&Instance>, input: &Input, cause: Option<TraceContext>) -> Span {
    tracing::info_span!(
        "step",
        saga = %address.saga,
        key = %address.key,
        seq = instance.map_or(1, |instance| instance.record.seq + 1),
        trigger = %Trigger(input),
        command = command(instance, input),
        message_id = message_id(input),
        trace = cause.map(tracing::field::display),
    )
}

/// The name of the command that `input` reports on.
fn command<'a>(instance: Option<&'a Instance>, input: &Input) -> Option<&'a str> {
    let (Input::Report(task, _) | Input::Stuck(task, ..)) = input else { return None };
    instance?.task(*task).map(|task| &*task.command.name)
}

fn message_id(input: &Input) -> Option<&str> {
    match input {
        Input::Event(event) => event.id.as_ref().map(MessageId::as_str),
        _ => None,
    }
}

/// The trigger of a step, in one word.
struct Trigger<'a>(&'a Input);

impl fmt::Display for Trigger<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Input::Event(event) => &event.message.name,
            Input::Report(_, ReportRecord::Child(_)) => "child",
            Input::Report(_, report) => return write!(f, "{}", report.history_kind()),
            Input::Timer { name, .. } => name.as_str(),
            Input::Stuck(..) => "stuck",
            Input::Continue => "continue",
            Input::Verb(verb) => verb.verb.word(),
        })
    }
}

/// Logs that an instance has started or ended with this step.
pub(super) fn log_life(step: &Step) {
    let listens = tracing::enabled!(tracing::Level::DEBUG);
    let Some(instance) = step.instance.as_ref().filter(|_| listens) else { return };
    let address = &instance.address;
    if instance.seq == 1 {
        tracing::debug!(saga = %address.saga, key = %address.key, "started");
    }
    // A later step of an ended instance changes no state. An abort may end an instance in its present state.
    let leads = |line: &HistoryEntry| line.from != line.to || line.kind == HistoryKind::Compensated;
    if instance.status.is_over() && step.history.iter().any(leads) {
        let status = instance.status.as_str();
        tracing::debug!(saga = %address.saga, key = %address.key, state = %instance.state, status, "ended");
    }
}

/// Logs that this step has parked the instance, and why.
pub(super) fn log_parked(step: &Step) {
    let Some(instance) = &step.instance else { return };
    let Some(record) = &instance.parked else { return };
    let address = &instance.address;
    tracing::warn!(
        saga = %address.saga,
        key = %address.key,
        why = %Parked::from_stored(record, instance.changed_at),
        "the instance is parked and waits for an operator"
    );
}

impl Shard {
    /// Logs the failure of an attempt, as a warning if the error is new, otherwise at debug level. Returns `false` if
    /// the job is not in memory.
    pub(super) fn log_failure(&self, job: &Job, how: &AttemptEnd) -> bool {
        let Some(error) = how.error() else { return true };
        let Some((of, name, progress)) = self.subject(job) else { return false };
        let what = match how {
            AttemptEnd::Refused(_) | AttemptEnd::RefusedForGood(_) => "an attempt was refused",
            AttemptEnd::Unreadable(_) => "this build cannot read the command or event of an attempt",
            AttemptEnd::BadReply(_) => "a reply cannot be stored",
            _ => "an attempt was indeterminate",
        };
        let (key, attempt) = (&of.key, progress.attempts + 1);
        let of_saga = matches!(job, Job::Task(..));
        let (saga, command) = (of_saga.then_some(&*of.saga), of_saga.then_some(name));
        let (subscriber, event) = ((!of_saga).then_some(&*of.saga), (!of_saga).then_some(name));
        if is_news(progress, error, self.lease.epoch) {
            tracing::warn!(saga, subscriber, %key, command, event, attempt, error, "{what}");
        } else {
            tracing::debug!(saga, subscriber, %key, command, event, attempt, error, "{what}");
        }
        true
    }

    /// The owner of a job, the stored name of its command or event, and its progress. `None` while its instance is not
    /// in memory.
    fn subject<'a>(&'a self, job: &'a Job) -> Option<(&'a Address, &'a str, &'a TaskProgress)> {
        match job {
            Job::Task(address, task) => {
                let found = self.slots.get(address)?.instance()?.task(*task)?;
                Some((address, &*found.command.name, &found.progress))
            }
            Job::Delivery(delivery) => {
                let found = self.deliveries.open.get(delivery)?;
                Some((&found.to, &*found.event.name, &found.progress))
            }
        }
    }
}
