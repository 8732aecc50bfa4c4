//! Fixtures of the laws: plausible rows, and a lease holder that numbers its batches.

use crate::store::HistoryKind;
use std::fmt::Debug;
use std::sync::Arc;

use super::Subject;
use crate::message::{Id, Incarnation, Key, LabelValue, Message, MessageId, Payload, Timestamp};
use crate::store::{
    Address, Batch, Committed, DedupRecord, Delivery, HistoryEntry, InstanceChange, LabelChange, Labels,
    Lease, Loaded, Mail, MailKind, Obligation, ObligationOf, RowId, Snapshot, Status, Step, StepOutcome,
    Store, StoreError, Task, TaskId, TaskKind, TaskProgress, TimerRow,
};

/// A lease holder for tests.
pub struct Driver {
    /// The store under test.
    pub store: Arc<dyn Store>,
    /// The lease of this driver.
    pub lease: Lease,
    number: u64,
}

impl Debug for Driver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver")
            .field("lease", &self.lease)
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

impl Driver {
    /// Opens the subject and takes the lease.
    pub async fn start(subject: &impl Subject) -> Self {
        Self::lease(subject.open()).await
    }

    /// Takes the lease of an open store.
    pub async fn lease(store: Arc<dyn Store>) -> Self {
        let lease = ok(store.lease("the conformance suite").await);
        Self { store, lease, number: 0 }
    }

    /// Commits the steps as the next batch.
    pub async fn try_commit(&mut self, steps: Vec<Step>) -> Result<Vec<StepOutcome>, StoreError> {
        self.number += 1;
        self.again(steps).await
    }

    /// Commits the steps under the number of the last batch.
    pub async fn again(&self, steps: Vec<Step>) -> Result<Vec<StepOutcome>, StoreError> {
        self.numbered(self.number, steps).await
    }

    /// Commits the steps under any number.
    pub async fn numbered(&self, number: u64, steps: Vec<Step>) -> Result<Vec<StepOutcome>, StoreError> {
        self.store.commit(&self.lease, Arc::new(Batch { number, steps })).await
    }

    /// Commits the steps as the next batch. Panics if the store does not answer.
    pub async fn commit(&mut self, steps: Vec<Step>) -> Vec<StepOutcome> {
        let n = steps.len();
        let outcomes = ok(self.try_commit(steps).await);
        assert_eq!(outcomes.len(), n, "one outcome per step");
        outcomes
    }

    /// Commits one step as a batch and returns its outcome.
    pub async fn one(&mut self, step: Step) -> StepOutcome {
        self.commit(vec![step]).await.remove(0)
    }

    /// Commits one step. Panics on any outcome except committed.
    pub async fn committed(&mut self, step: Step) -> Committed {
        match self.one(step).await {
            StepOutcome::Committed(committed) => committed,
            other => panic!("the step was not committed: {other:?}"),
        }
    }

    /// Creates an instance and returns its row.
    pub async fn created(&mut self, step: Step) -> RowId {
        self.committed(step).await.row.expect("a step that creates an instance returns the row")
    }

    /// Loads one instance. Panics if the instance is missing or unreadable.
    pub async fn snapshot(&self, address: &Address) -> Snapshot {
        match ok(self.store.load(std::slice::from_ref(address)).await).remove(0) {
            Some(Loaded::Snapshot(snapshot)) => *snapshot,
            other => panic!("the instance was not loaded: {other:?}"),
        }
    }
}

/// Returns the value of a call that must succeed.
#[track_caller]
pub(super) fn ok<T>(result: Result<T, StoreError>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("the store returned an error: {error}"),
    }
}

/// Returns the address of the instance `key` of the saga `order`.
pub fn address(key: &str) -> Address {
    Address::new("order", Key::new(key).expect("laws use good keys"))
}

/// Returns the time `millis` milliseconds after 1970-01-01 UTC.
pub fn time(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// Returns a payload with `text` as a JSON string.
pub fn payload(text: &str) -> Payload {
    Payload::encode(text).expect("text can be written as JSON")
}

fn message(name: &str) -> Message {
    Message { name: name.to_owned().into(), version: 2, payload: payload(name) }
}

/// Returns a step that creates an instance in the state `started`, with one history line.
pub fn create(address: &Address) -> Step {
    Step {
        instance: Some(InstanceChange {
            address: address.clone(),
            incarnation: Incarnation::from_u128(u128::MAX - u128::from(address.key.stored().len() as u64)),
            created_at: time(1_000),
            seq: 1,
            step: Id::from_u128(1 << 100),
            version: 3,
            status: Status::Running,
            state: "started".into(),
            payload: Some(payload("of the state")),
            data: payload("data"),
            labels: Labels::new(),
            visit: 1,
            turn: None,
            parked: None,
            joined: Some(payload("joined")),
            family: Some(payload("family")),
            trace: None,
            changed_at: time(1_000),
        }),
        history: vec![line("started", time(1_000))],
        ..Step::default()
    }
}

/// Returns the next step of an instance after `before`, with one history line.
pub fn next(row: RowId, before: &InstanceChange) -> Step {
    let mut change = before.clone();
    change.seq += 1;
    change.step = Id::from_u128(before.step.as_u128() + 1);
    change.changed_at = time(before.changed_at.as_millis() + 10);
    change.data = payload(&format!("data of step {}", change.seq));
    let history = vec![line("applied", change.changed_at)];
    Step { row: Some(row), instance: Some(change), history, ..Step::default() }
}

/// Returns the step with a change of the label `name`. `None` removes the label.
pub fn labelled(mut step: Step, name: &'static str, value: Option<LabelValue>) -> Step {
    let change = step.instance.as_mut().expect("this step changes its instance");
    let from = change.labels.get(name).cloned();
    let mut labels = Labels::new();
    for (known, value) in change.labels.iter().filter(|(known, _)| *known != name) {
        labels.set(known.clone(), value.clone());
    }
    if let Some(value) = &value {
        labels.set(name, value.clone());
    }
    change.labels = labels;
    step.labels.push(LabelChange { name: name.into(), from, to: value });
    step
}

/// Returns the instance change of a step.
pub(super) fn change(step: &Step) -> InstanceChange {
    step.instance.clone().expect("this step changes its instance")
}

fn line(kind: &str, at: Timestamp) -> HistoryEntry {
    HistoryEntry {
        kind: HistoryKind::from_word(kind.to_owned()),
        at,
        name: "order.placed".into(),
        payload: Some(payload("event")),
        from: "".into(),
        to: "started".into(),
        cause: Some("m-1".into()),
        note: None,
    }
}

/// Returns a queued command for an even `ord`, and a queued undo for an odd `ord`.
pub fn task(seq: u64, ord: u32) -> Task {
    Task {
        id: TaskId { seq, ord },
        kind: if ord.is_multiple_of(2) { TaskKind::Command } else { TaskKind::Undo },
        command: message("payment.make"),
        visit: 1,
        trace: None,
        progress: TaskProgress::queued(time(1_000), 1),
    }
}

/// Returns a timer due at `due` milliseconds.
pub fn timer(name: &str, due: i64) -> TimerRow {
    TimerRow { name: name.to_owned().into(), visit: 1, armed: time(5), due: time(due), fired: 2 }
}

/// Returns an obligation: of a command for an even `ord`, of a state for an odd `ord`.
pub fn obligation(seq: u64, ord: u32) -> Obligation {
    let of = if ord.is_multiple_of(2) {
        ObligationOf::Command { task: TaskId { seq, ord: 0 }, command: message("payment.make") }
    } else {
        ObligationOf::State { state: "paid".into(), visit: 2, version: 4, payload: None }
    };
    Obligation { id: TaskId { seq, ord }, undo: "payment.void".into(), of, report: None, task: None }
}

/// Returns an inbox row with an event for an instance.
pub fn mail(to: &Address, name: &str) -> Mail {
    Mail {
        to: to.clone(),
        kind: MailKind::Event,
        message: message(name),
        id: Some(MessageId::new(format!("id of {name}")).expect("laws use good ids")),
        deduplicated: false,
        task: None,
        hops: 1,
        cause: None,
        trace: None,
        at: time(7),
        epoch: 0,
    }
}

/// Returns a delivery of an event to a subscriber.
pub fn delivery(key: &str) -> Delivery {
    Delivery {
        to: Address::new("mailer", Key::new(key).expect("laws use good keys")),
        event: message("order.completed"),
        id: MessageId::new(format!("id for {key}")).expect("laws use good ids"),
        named: true,
        hops: 0,
        trace: None,
        progress: TaskProgress::queued(time(1), 1),
    }
}

/// Returns a deduplication record with the time `at`.
pub fn dedup_record(to: &Address, id: &str, content: u64, at: i64) -> DedupRecord {
    DedupRecord { to: to.clone(), id: MessageId::new(id).expect("laws use good ids"), content, at: time(at) }
}
