//! What the engine writes to the log: the span of a step, that an instance starts, ends or is parked, and each failure
//! of a handler once.
//!
//! Owns: what is worth a line, and which fields it has. Does not own: the span of an attempt; the `dispatcher` enters
//! that wherever it polls a handler. Nothing is formatted or allocated unless somebody listens.

use std::fmt;

use tracing::Span;

use super::Shard;
use super::io::AttemptEnd;
use super::lanes::{Job, is_news};
use crate::machine::{Input, Instance, Parked};
use crate::message::MessageId;
use crate::store::{Address, HistoryEntry, Step, TaskProgress};

/// The span in which `instance` takes `input`, or in which it is started: what actions log carries it.
pub(super) fn step_span(address: &Address, instance: Option<&Instance>, input: &Input) -> Span {
    tracing::info_span!(
        "step",
        saga = %address.saga,
        key = %address.key,
        seq = instance.map_or(1, |instance| instance.record.seq + 1),
        trigger = %Trigger(input),
        command = command(instance, input),
        message_id = message_id(input),
    )
}

/// The command that `input` is about.
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

/// What a step follows from, in a word.
struct Trigger<'a>(&'a Input);

impl fmt::Display for Trigger<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Input::Event(event) => &event.message.name,
            Input::Report(_, report) => report.word(),
            Input::Timer { name, .. } => name.as_str(),
            Input::Stuck(..) => "stuck",
            Input::Continue => "continue",
            Input::Verb(verb) => verb.verb.word(),
        })
    }
}

/// Says that an instance has started or ended with this step.
pub(super) fn tell_life(step: &Step) {
    let listens = tracing::enabled!(tracing::Level::DEBUG);
    let Some(instance) = step.instance.as_ref().filter(|_| listens) else { return };
    let address = &instance.address;
    if instance.seq == 1 {
        tracing::debug!(saga = %address.saga, key = %address.key, "started");
    }
    // Later steps of an instance that has ended lead nowhere. An abort may end it in the state in which it is.
    let leads = |line: &HistoryEntry| line.from != line.to || line.kind == "compensated";
    if instance.status.is_over() && step.history.iter().any(leads) {
        let status = instance.status.as_str();
        tracing::debug!(saga = %address.saga, key = %address.key, state = %instance.state, status, "ended");
    }
}

/// Says that an instance waits for a person from this step on, and why.
pub(super) fn tell_parked(step: &Step) {
    let Some(instance) = &step.instance else { return };
    let Some(record) = &instance.parked else { return };
    let address = &instance.address;
    tracing::warn!(
        saga = %address.saga,
        key = %address.key,
        why = %Parked::from_stored(record, instance.changed_at),
        "parked: it waits for a person"
    );
}

impl Shard {
    /// Says that an attempt has failed: as a warning when nobody knows this error yet, otherwise to those who look
    /// closely. Returns whether it could be said, or there was nothing to say.
    pub(super) fn tell_failure(&self, job: &Job, how: &AttemptEnd) -> bool {
        let Some(error) = how.error() else { return true };
        let Some((of, name, progress)) = self.subject(job) else { return false };
        let what = match how {
            AttemptEnd::Refused(_) | AttemptEnd::RefusedForGood(_) => "an attempt was refused",
            AttemptEnd::Unreadable(_) => "this build cannot read what it is to run",
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

    /// Whose attempt it is, the stored name of what it runs, and how far that is; `None` while its instance is not in
    /// memory.
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
