//! One instance as a file, with its tasks, timers, obligations, aliases and history, to look at elsewhere.
//!
//! Owns: the JSON of the file, and the writing into another store. Does not own: the reads (`Inspect`), or the decision
//! what to do with the copy. A dispatcher on the copy would run its commands again.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::json::dense;
use super::replay::Replay;
use super::{
    Address, Batch, HistoryEntry, HistoryKind, HistoryRow, Inspect, InstanceChange, Labels, Lease,
    Obligation, ObligationOf, RowId, Snapshot, Status, StepOutcome, Store, StoreError, Task, TaskId,
    TaskKind, TaskProgress, TaskStage, TimerRow,
};
use crate::definition::StoredDefinition;
use crate::message::{Alias, Id, Incarnation, Key, Message, Name, Payload, Timestamp};

/// The version of the JSON.
const FORMAT: u32 = 1;
/// The most lines of history in a file.
const LINES: usize = 100_000;

/// One instance with its history, and the definitions of its saga.
///
/// `Serialize` and `Deserialize` use the JSON of a file. Read it through [`Redacted`](super::Redacted) to leave out the values
/// that must not be shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "File", try_from = "File")]
#[non_exhaustive]
pub struct InstanceExport {
    /// The instance.
    pub snapshot: Snapshot,
    /// Its history, oldest line first, at most the newest 100,000 lines.
    pub history: Vec<HistoryRow>,
    /// The definitions of its saga, in order of the version.
    pub definitions: Vec<StoredDefinition>,
}

/// Why an instance cannot be written into a store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The store has an instance with this key.
    #[error("{address} exists in the store already; import it into a new file")]
    Exists {
        /// The instance.
        address: Address,
    },
    /// The store has not written a step.
    #[error("the store refused step {seq}: {why}")]
    Refused {
        /// The number of the step.
        seq: u64,
        /// The answer of the store.
        why: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl InstanceExport {
    /// Reads one instance. `None` if there is no such instance.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn read(store: &dyn Inspect, address: &Address) -> Result<Option<Self>, StoreError> {
        let Some(snapshot) = store.instance(address).await? else { return Ok(None) };
        let address = &snapshot.instance.address;
        let mut history = store.history(address, LINES).await?;
        let seq = snapshot.instance.seq;
        // A damaged line may have any step. Another one after the last step was written between the two reads.
        for line in history.iter_mut().filter(|line| line.entry.kind == HistoryKind::Unreadable) {
            line.seq = line.seq.min(seq);
        }
        history.retain(|line| line.seq <= seq);
        let all = store.definitions().await?.into_iter();
        let definitions = all.filter(|definition| *definition.saga == *address.saga).collect();
        Ok(Some(Self { snapshot, history, definitions }))
    }

    /// Writes the instance into a store without a dispatcher. Each step of the instance becomes a commit with its lines of
    /// the history, because a store counts steps. The cost grows with the number of steps.
    ///
    /// An export that was read through [`Redacted`](super::Redacted) has `***` in place of values. A dispatcher would take
    /// `***` for the value, so that such a copy is for reading only.
    ///
    /// # Errors
    /// [`ImportError`]. A part of the steps may be written then, so that the store must not be used.
    pub async fn write(&self, store: &dyn Store) -> Result<(), ImportError> {
        let address = &self.snapshot.instance.address;
        if store.instance(address).await?.is_some() {
            return Err(ImportError::Exists { address: address.clone() });
        }
        let lease = store.lease("an import").await?;
        // The lease comes first: a file with a dispatcher keeps its definitions.
        let written = match store.define(&self.definitions).await {
            Ok(()) => self.commit(store, &lease).await,
            Err(error) => Err(error.into()),
        };
        let released = store.release(&lease).await;
        written.and(released.map_err(Into::into))
    }

    async fn commit(&self, store: &dyn Store, lease: &Lease) -> Result<(), ImportError> {
        let mut row = None;
        let mut replay = Replay::behind(0, self.snapshot.clone(), self.history.clone());
        // A batch changes an instance once.
        for seq in 1..=self.snapshot.instance.seq {
            let steps = vec![replay.step(row)];
            match store.commit(lease, Arc::new(Batch { number: seq, steps })).await?.pop() {
                Some(StepOutcome::Committed(committed)) => row = row.or(committed.row),
                other => return Err(ImportError::Refused { seq, why: format!("{other:?}") }),
            }
        }
        Ok(())
    }
}

/// The JSON of a file.
#[derive(Serialize, Deserialize)]
struct File {
    saga_export: u32,
    instance: InstanceFile,
    tasks: Vec<TaskFile>,
    timers: Vec<TimerFile>,
    obligations: Vec<ObligationFile>,
    aliases: Vec<String>,
    history: Vec<LineFile>,
    definitions: Vec<StoredDefinition>,
}

/// A payload as JSON within JSON.
type Raw = Box<RawValue>;

#[derive(Serialize, Deserialize)]
struct InstanceFile {
    saga: String,
    key: String,
    incarnation: uuid::Uuid,
    step: uuid::Uuid,
    seq: u64,
    version: u32,
    status: String,
    state: String,
    visit: u32,
    created_at: i64,
    changed_at: i64,
    data: Raw,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    payload: Option<Raw>,
    labels: Labels,
    trace: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    turn: Option<Raw>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    parked: Option<Raw>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    joined: Option<Raw>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    family: Option<Raw>,
}

#[derive(Serialize, Deserialize)]
struct MessageFile {
    name: String,
    version: u32,
    payload: Raw,
}

#[derive(Serialize, Deserialize)]
struct TaskFile {
    id: (u64, u32),
    kind: String,
    command: MessageFile,
    visit: u32,
    trace: Option<String>,
    stage: String,
    attempts: u32,
    left_out: u32,
    recoveries: u32,
    since: i64,
    spent_ms: u64,
    epoch: u64,
    armed: i64,
    due: i64,
    superseded: bool,
    error: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    saved: Option<Raw>,
}

#[derive(Serialize, Deserialize)]
struct TimerFile {
    name: String,
    visit: u32,
    armed: i64,
    due: i64,
    fired: u32,
}

#[derive(Serialize, Deserialize)]
struct ObligationFile {
    id: (u64, u32),
    undo: String,
    of: OfFile,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    report: Option<Raw>,
    task: Option<(u64, u32)>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OfFile {
    Command {
        task: (u64, u32),
        command: MessageFile,
    },
    State {
        state: String,
        visit: u32,
        version: u32,
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
        payload: Option<Raw>,
    },
}

#[derive(Serialize, Deserialize)]
struct LineFile {
    seq: u64,
    at: i64,
    kind: String,
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    payload: Option<Raw>,
    from: String,
    to: String,
    cause: Option<String>,
    note: Option<String>,
}

/// A payload that is not JSON, because its row is damaged, becomes a JSON string. Space between tokens is left out, because
/// a program that prints the file may escape it.
fn raw(payload: &Payload) -> Raw {
    let text = || serde_json::to_string(payload.as_str()).unwrap_or_default();
    RawValue::from_string(dense(payload.as_str()).into_owned())
        .or_else(|_| RawValue::from_string(text()))
        .unwrap_or_else(|_| RawValue::NULL.to_owned())
}

fn payload(raw: &RawValue) -> Payload {
    Payload::from(raw.get())
}

/// Reads a payload that is there. `null` is a payload too, and an absent field is none.
fn present<'de, D: Deserializer<'de>>(reader: D) -> Result<Option<Raw>, D::Error> {
    Raw::deserialize(reader).map(Some)
}

fn maybe(payload: Option<&Payload>) -> Option<Raw> {
    payload.map(raw)
}

fn read(raw: Option<Raw>) -> Option<Payload> {
    raw.as_deref().map(payload)
}

const fn id(id: TaskId) -> (u64, u32) {
    (id.seq, id.ord)
}

const fn task_id((seq, ord): (u64, u32)) -> TaskId {
    TaskId { seq, ord }
}

impl From<&Message> for MessageFile {
    fn from(message: &Message) -> Self {
        Self { name: message.name.to_string(), version: message.version, payload: raw(&message.payload) }
    }
}

impl From<MessageFile> for Message {
    fn from(file: MessageFile) -> Self {
        Self { name: file.name.into(), version: file.version, payload: payload(&file.payload) }
    }
}

impl From<InstanceExport> for File {
    fn from(export: InstanceExport) -> Self {
        let InstanceExport { snapshot, history, definitions } = export;
        let record = &snapshot.instance;
        Self {
            saga_export: FORMAT,
            instance: InstanceFile {
                saga: record.address.saga.to_string(),
                key: record.address.key.text().to_owned(),
                incarnation: uuid::Uuid::from_u128(record.incarnation.as_u128()),
                step: uuid::Uuid::from_u128(record.step.as_u128()),
                seq: record.seq,
                version: record.version,
                status: record.status.as_str().to_owned(),
                state: record.state.to_string(),
                visit: record.visit,
                created_at: record.created_at.as_millis(),
                changed_at: record.changed_at.as_millis(),
                data: raw(&record.data),
                payload: maybe(record.payload.as_ref()),
                labels: record.labels.clone(),
                trace: record.trace.map(|trace| trace.to_string()),
                turn: maybe(record.turn.as_ref()),
                parked: maybe(record.parked.as_ref()),
                joined: maybe(record.joined.as_ref()),
                family: maybe(record.family.as_ref()),
            },
            tasks: snapshot.tasks.iter().map(Into::into).collect(),
            timers: snapshot.timers.iter().map(Into::into).collect(),
            obligations: snapshot.obligations.iter().map(Into::into).collect(),
            aliases: snapshot.aliases.iter().map(|alias| alias.as_str().to_owned()).collect(),
            history: history.into_iter().map(Into::into).collect(),
            definitions,
        }
    }
}

impl From<&Task> for TaskFile {
    fn from(task: &Task) -> Self {
        let progress = &task.progress;
        Self {
            id: id(task.id),
            kind: task.kind.as_str().to_owned(),
            command: (&task.command).into(),
            visit: task.visit,
            trace: task.trace.map(|trace| trace.to_string()),
            stage: progress.stage.as_str().to_owned(),
            attempts: progress.attempts,
            left_out: progress.left_out,
            recoveries: progress.recoveries,
            since: progress.since.as_millis(),
            spent_ms: progress.spent_ms,
            epoch: progress.epoch,
            armed: progress.armed.as_millis(),
            due: progress.due.as_millis(),
            superseded: progress.superseded,
            error: progress.error.clone(),
            saved: maybe(progress.saved.as_ref()),
        }
    }
}

impl From<&TimerRow> for TimerFile {
    fn from(timer: &TimerRow) -> Self {
        let TimerRow { name, visit, armed, due, fired } = timer;
        let (armed, due) = (armed.as_millis(), due.as_millis());
        Self { name: name.to_string(), visit: *visit, armed, due, fired: *fired }
    }
}

impl From<&Obligation> for ObligationFile {
    fn from(owed: &Obligation) -> Self {
        let of = match &owed.of {
            ObligationOf::Command { task, command } => {
                OfFile::Command { task: id(*task), command: command.into() }
            }
            ObligationOf::State { state, visit, version, payload } => OfFile::State {
                state: state.to_string(),
                visit: *visit,
                version: *version,
                payload: maybe(payload.as_ref()),
            },
        };
        let (undo, report) = (owed.undo.to_string(), maybe(owed.report.as_ref()));
        Self { id: id(owed.id), undo, of, report, task: owed.task.map(id) }
    }
}

impl From<HistoryRow> for LineFile {
    fn from(row: HistoryRow) -> Self {
        let HistoryRow { seq, entry } = row;
        let owned = |name: Option<Name>| name.map(Name::into_owned);
        Self {
            seq,
            at: entry.at.as_millis(),
            kind: entry.kind.as_str().to_owned(),
            name: entry.name.into_owned(),
            payload: maybe(entry.payload.as_ref()),
            from: entry.from.into_owned(),
            to: entry.to.into_owned(),
            cause: owned(entry.cause),
            note: owned(entry.note),
        }
    }
}

impl TryFrom<File> for InstanceExport {
    type Error = String;

    fn try_from(file: File) -> Result<Self, String> {
        if file.saga_export != FORMAT {
            return Err(format!(
                "the file has format {}; this version reads format {FORMAT}",
                file.saga_export
            ));
        }
        let of = file.instance;
        if of.seq == 0 {
            return Err("the instance has no step".to_owned());
        }
        if let Some(line) = file.history.iter().find(|line| line.seq > of.seq) {
            return Err(format!("the history has step {} of an instance with {} steps", line.seq, of.seq));
        }
        let unknown = |what: &str, word: &str| format!("`{word}` is no {what} that this version knows");
        let trace = |text: Option<String>| text.and_then(|text| text.parse().ok());
        let key = Key::new(of.key).map_err(|error| format!("the key {error}"))?;
        let alias = |text: String| Alias::new(text).map_err(|error| format!("an alias {error}"));
        let instance = InstanceChange {
            address: Address::new(of.saga, key),
            incarnation: Incarnation::from_u128(of.incarnation.as_u128()),
            created_at: Timestamp::from_millis(of.created_at),
            seq: of.seq,
            step: Id::from_u128(of.step.as_u128()),
            version: of.version,
            status: Status::parse(&of.status).ok_or_else(|| unknown("status", &of.status))?,
            state: of.state.into(),
            payload: read(of.payload),
            data: payload(&of.data),
            labels: of.labels,
            visit: of.visit,
            turn: read(of.turn),
            parked: read(of.parked),
            joined: read(of.joined),
            family: read(of.family),
            trace: trace(of.trace),
            changed_at: Timestamp::from_millis(of.changed_at),
        };
        let task = |file: TaskFile| {
            Ok::<_, String>(Task {
                id: task_id(file.id),
                kind: TaskKind::parse(&file.kind).ok_or_else(|| unknown("kind of task", &file.kind))?,
                command: file.command.into(),
                visit: file.visit,
                trace: trace(file.trace),
                progress: TaskProgress {
                    stage: TaskStage::parse(&file.stage).ok_or_else(|| unknown("stage", &file.stage))?,
                    attempts: file.attempts,
                    left_out: file.left_out,
                    recoveries: file.recoveries,
                    since: Timestamp::from_millis(file.since),
                    spent_ms: file.spent_ms,
                    epoch: file.epoch,
                    armed: Timestamp::from_millis(file.armed),
                    due: Timestamp::from_millis(file.due),
                    superseded: file.superseded,
                    error: file.error,
                    saved: read(file.saved),
                },
            })
        };
        let snapshot = Snapshot {
            row: RowId(0),
            instance,
            tasks: file.tasks.into_iter().map(task).collect::<Result<_, _>>()?,
            timers: file.timers.into_iter().map(Into::into).collect(),
            obligations: file.obligations.into_iter().map(Into::into).collect(),
            aliases: file.aliases.into_iter().map(alias).collect::<Result<_, _>>()?,
        };
        let history = file.history.into_iter().map(Into::into).collect();
        Ok(Self { snapshot, history, definitions: file.definitions })
    }
}

impl From<TimerFile> for TimerRow {
    fn from(file: TimerFile) -> Self {
        Self {
            name: file.name.into(),
            visit: file.visit,
            armed: Timestamp::from_millis(file.armed),
            due: Timestamp::from_millis(file.due),
            fired: file.fired,
        }
    }
}

impl From<ObligationFile> for Obligation {
    fn from(file: ObligationFile) -> Self {
        let of = match file.of {
            OfFile::Command { task, command } => {
                ObligationOf::Command { task: task_id(task), command: command.into() }
            }
            OfFile::State { state, visit, version, payload } => {
                ObligationOf::State { state: state.into(), visit, version, payload: read(payload) }
            }
        };
        let (undo, report) = (file.undo.into(), read(file.report));
        Self { id: task_id(file.id), undo, of, report, task: file.task.map(task_id) }
    }
}

impl From<LineFile> for HistoryRow {
    fn from(file: LineFile) -> Self {
        let entry = HistoryEntry {
            kind: HistoryKind::from_word(file.kind),
            at: Timestamp::from_millis(file.at),
            name: file.name.into(),
            payload: read(file.payload),
            from: file.from.into(),
            to: file.to.into(),
            cause: file.cause.map(Into::into),
            note: file.note.map(Into::into),
        };
        Self { seq: file.seq, entry }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{LabelValue, TraceContext};
    use crate::store::MemoryStore;
    use crate::store::conformance::{
        Driver, address, create, labelled, next, obligation, payload, task, timer,
    };
    use crate::store::{AliasChange, ObligationChange, TaskChange, TimerChange};

    /// A store with one instance that has everything.
    async fn full() -> MemoryStore {
        let store = MemoryStore::new();
        let mut driver = Driver::lease(Arc::new(store.clone())).await;
        let mut first = labelled(create(&address("a")), "customer", Some(LabelValue::text("C-7")));
        first.aliases = vec![AliasChange::Claim(Alias::new("one").unwrap())];
        let change = first.instance.as_mut().unwrap();
        (change.turn, change.parked) = (Some(payload("turn")), Some(payload("why")));
        change.trace = TraceContext::new(7, 8, 1);
        change.data = "{\"cents\":12345678901234567890.10}".into();
        let mut one = task(1, 0);
        // `null` is a payload, and a person may have written space between tokens.
        (one.progress.error, one.progress.saved) = (Some("reset".to_owned()), Some("null".into()));
        first.tasks = vec![TaskChange::Add(one), TaskChange::Add(task(1, 1))];
        first.timers = vec![TimerChange::Set(timer("due", 9))];
        first.obligations =
            vec![ObligationChange::Put(obligation(1, 0)), ObligationChange::Put(obligation(1, 1))];
        let row = driver.created(first.clone()).await;
        let mut before = first.instance.unwrap();
        for lines in [2, 0, 1] {
            let mut step = next(row, &before);
            step.history = vec![step.history[0].clone(); lines];
            before = step.instance.clone().unwrap();
            driver.committed(step).await;
        }
        store
    }

    async fn exported(store: &MemoryStore) -> InstanceExport {
        InstanceExport::read(store, &address("a")).await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn an_instance_is_the_same_in_another_store() {
        let export = exported(&full().await).await;
        let json = serde_json::to_string(&export).unwrap();
        let read: InstanceExport = serde_json::from_str(&json).unwrap();
        let other = MemoryStore::new();
        read.write(&other).await.unwrap();
        let written = exported(&other).await;
        assert_eq!(
            written,
            InstanceExport { snapshot: Snapshot { row: written.snapshot.row, ..export.snapshot }, ..export }
        );
        let again = read.write(&other).await.unwrap_err();
        assert!(again.to_string().contains("exists in the store already"), "{again}");
    }

    #[test]
    fn a_payload_has_no_space_between_its_tokens() {
        let payload = "{\r\n\t\"a\": \"b c\"}".into();
        assert_eq!(raw(&payload).get(), "{\"a\":\"b c\"}");
    }

    #[tokio::test]
    async fn a_line_after_the_last_step_is_refused() {
        let mut export = exported(&full().await).await;
        export.history.last_mut().unwrap().seq = 9;
        let json = serde_json::to_string(&export).unwrap();
        let error = serde_json::from_str::<InstanceExport>(&json).unwrap_err();
        assert!(error.to_string().contains("step 9 of an instance with 4 steps"), "{error}");
    }

    #[tokio::test]
    async fn a_file_of_another_format_is_refused() {
        let json = serde_json::to_string(&exported(&full().await).await).unwrap();
        for (was, now, says) in [
            ("\"saga_export\":1", "\"saga_export\":2", "reads format 1"),
            ("\"status\":\"running\"", "\"status\":\"dancing\"", "no status"),
            ("\"stage\":\"ready\"", "\"stage\":\"dancing\"", "no stage"),
        ] {
            assert!(json.contains(was), "{json}");
            let error = serde_json::from_str::<InstanceExport>(&json.replace(was, now)).unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
        }
    }
}
