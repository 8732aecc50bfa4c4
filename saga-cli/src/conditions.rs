//! The conditions of lists, as arguments.
//!
//! Owns: the names of the conditions, and their filters. Does not own: the lists themselves, or the verbs (`args`).

use clap::Args;
use saga_core::message::Timestamp;
use saga_core::store::{
    DeadLetterFilter, DeadLetterReason, DeliveryFilter, DeliveryId, InstanceFilter, LabelCondition,
    ParkReason, Status, TimeRange,
};

/// The conditions of a list. An instance must meet every condition.
#[derive(Args, Debug)]
pub(crate) struct Conditions {
    /// Only this saga.
    #[arg(long)]
    saga: Option<String>,
    /// Only this state.
    #[arg(long)]
    state: Option<String>,
    /// Only this status: running, compensating, completed, failed or aborted.
    #[arg(long, value_parser = status)]
    status: Option<Status>,
    /// Only parked instances.
    #[arg(long, conflicts_with = "not_parked")]
    parked: bool,
    /// Only instances that are not parked.
    #[arg(long)]
    not_parked: bool,
    /// Only instances that are parked for this reason, such as `undo-refused`.
    #[arg(long, value_parser = reason)]
    reason: Option<ParkReason>,
    /// Only keys that begin with this text.
    #[arg(long, value_name = "PREFIX")]
    key: Option<String>,
    /// Only the holder of this alias.
    #[arg(long)]
    alias: Option<String>,
    /// Only instances with this label: `customer=C-7`, `customer^=C-`, `total>=100` or `total<=200`. Several must all hold.
    #[arg(long, value_name = "CONDITION")]
    label: Vec<LabelCondition>,
    /// Only instances with this text in an error or in the reason of a park.
    #[arg(long, value_name = "TEXT")]
    error: Option<String>,
    /// Only instances that wait for this command, undo or child.
    #[arg(long, value_name = "COMMAND")]
    waiting_for: Option<String>,
    /// Only instances with an obligation.
    #[arg(long, conflicts_with = "not_owed")]
    owed: bool,
    /// Only instances without an obligation.
    #[arg(long)]
    not_owed: bool,
    /// Only instances with an undo that was ready before this time (RFC 3339).
    #[arg(long, value_name = "TIME", value_parser = time)]
    undo_before: Option<Timestamp>,
    /// Only instances created at this time or later (RFC 3339).
    #[arg(long, value_name = "TIME", value_parser = time)]
    created_from: Option<Timestamp>,
    /// Only instances created before this time (RFC 3339).
    #[arg(long, value_name = "TIME", value_parser = time)]
    created_until: Option<Timestamp>,
    /// Only instances with their last step at this time or later (RFC 3339).
    #[arg(long, value_name = "TIME", value_parser = time)]
    changed_from: Option<Timestamp>,
    /// Only instances with their last step before this time (RFC 3339).
    #[arg(long, value_name = "TIME", value_parser = time)]
    changed_until: Option<Timestamp>,
    /// Only instances with their next timer before this time (RFC 3339).
    #[arg(long, value_name = "TIME", value_parser = time)]
    due_until: Option<Timestamp>,
}

impl Conditions {
    /// Returns the filter of the first page, in the order of creation.
    pub(crate) fn filter(&self) -> InstanceFilter {
        let either = |yes: bool, no: bool| if yes { Some(true) } else { no.then_some(false) };
        let mut filter = InstanceFilter::default();
        filter.saga.clone_from(&self.saga);
        filter.state.clone_from(&self.state);
        filter.status = self.status;
        filter.parked = either(self.parked, self.not_parked);
        filter.reason = self.reason;
        filter.key_prefix.clone_from(&self.key);
        filter.alias.clone_from(&self.alias);
        filter.labels.clone_from(&self.label);
        filter.error.clone_from(&self.error);
        filter.waiting_for.clone_from(&self.waiting_for);
        filter.owed = either(self.owed, self.not_owed);
        filter.undo_before = self.undo_before;
        filter.created = TimeRange { from: self.created_from, until: self.created_until };
        filter.changed = TimeRange { from: self.changed_from, until: self.changed_until };
        filter.due = TimeRange { from: None, until: self.due_until };
        filter
    }
}

/// The conditions of a list of dead letters. A letter must meet every condition.
#[derive(Args, Debug)]
#[group(multiple = true)]
pub(crate) struct LetterConditions {
    /// Letters of this saga or subscriber.
    #[arg(long)]
    consumer: Option<String>,
    /// Letters with this reason, such as `unhandled`.
    #[arg(long)]
    reason: Option<String>,
    /// Letters with this event, command or verb.
    #[arg(long, value_name = "NAME")]
    message: Option<String>,
    /// Letters with a key that begins with this text.
    #[arg(long, value_name = "PREFIX")]
    key: Option<String>,
    /// Letters with this text in their detail.
    #[arg(long, value_name = "TEXT")]
    error: Option<String>,
    /// Letters of this time or later (RFC 3339).
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<Timestamp>,
    /// Letters before this time (RFC 3339).
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Timestamp>,
}

impl LetterConditions {
    /// Returns the filter of the first page.
    pub(crate) fn filter(&self) -> DeadLetterFilter {
        let mut filter = DeadLetterFilter::default();
        filter.consumer.clone_from(&self.consumer);
        filter.reason = self.reason.clone().map(DeadLetterReason::from_word);
        filter.message.clone_from(&self.message);
        filter.key_prefix.clone_from(&self.key);
        filter.detail.clone_from(&self.error);
        filter.at = TimeRange { from: self.from, until: self.until };
        filter
    }
}

/// Open deliveries to subscribers.
#[derive(Args, Debug)]
pub(crate) struct Deliveries {
    /// Only deliveries to this subscriber.
    #[arg(long)]
    consumer: Option<String>,
    /// Only deliveries of this event.
    #[arg(long)]
    event: Option<String>,
    /// Only deliveries with a key that begins with this text.
    #[arg(long, value_name = "PREFIX")]
    key: Option<String>,
    /// Only deliveries with an error of their last attempt.
    #[arg(long)]
    failing: bool,
    /// Only deliveries that were queued before this time (RFC 3339).
    #[arg(long, value_name = "TIME", value_parser = time)]
    before: Option<Timestamp>,
    /// Only deliveries after this number.
    #[arg(long)]
    after: Option<i64>,
    /// The most deliveries.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
}

impl Deliveries {
    /// Returns the filter of the page.
    pub(crate) fn filter(&self) -> DeliveryFilter {
        let mut filter = DeliveryFilter::default();
        filter.consumer.clone_from(&self.consumer);
        filter.event.clone_from(&self.event);
        filter.key_prefix.clone_from(&self.key);
        filter.failing = self.failing.then_some(true);
        filter.before = self.before;
        filter.after = self.after.map(DeliveryId);
        filter.limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        filter
    }
}

fn status(text: &str) -> Result<Status, String> {
    Status::parse(text)
        .ok_or_else(|| "expected running, compensating, completed, failed or aborted".to_owned())
}

fn reason(text: &str) -> Result<ParkReason, String> {
    let json = serde_json::Value::from(text);
    serde_json::from_value(json).map_err(|error| error.to_string())
}

pub(crate) fn time(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| "expected a time in RFC 3339, such as 2026-11-27T08:30:00Z".to_owned())
}
