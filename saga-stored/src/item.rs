//! The pending items of an instance: tasks, timers, obligations and aliases, each with its name and its JSON.
//!
//! | item | name |
//! |---|---|
//! | task | `task.SEQ.ORD` |
//! | obligation | `obligation.SEQ.ORD` |
//! | timer | `timer.NAME` |
//! | alias | `alias.ALIAS` |
//!
//! A name is stored with the escapes of a JSON string.

use std::fmt::Write;

use saga_core::message::{Alias, InstanceName, Message, Payload, Timestamp, TraceContext};
use saga_core::store::{Obligation, ObligationOf, Task, TaskId, TaskKind, TaskProgress, TaskStage, TimerRow};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::json::{self, Text};

/// The beginning of the names of tasks.
pub const TASK: &str = "task.";
const OBLIGATION: &str = "obligation.";
const TIMER: &str = "timer.";
const ALIAS: &str = "alias.";

/// The text of one item. The three buffers are used again for the next item.
#[derive(Debug, Default)]
pub struct ItemText {
    /// The name of the item, with the escapes of a JSON string.
    pub name: String,
    /// The JSON of the item. The JSON of a task has neither its progress nor the closing bracket.
    pub body: String,
    /// The progress of a task. Empty for other items.
    pub progress: String,
}

impl ItemText {
    /// Writes a task.
    pub fn set_task(&mut self, task: &Task) {
        self.name_task(task.id);
        self.body.push_str("{\"kind\":\"");
        self.body.push_str(task.kind.as_str());
        self.body.push('"');
        message(&mut self.body, &task.command);
        json::number(&mut self.body, "visit", task.visit);
        json::trace(&mut self.body, task.trace);
        write_progress(&mut self.progress, &task.progress);
    }

    /// Writes the name and the progress of a task.
    pub fn set_progress(&mut self, id: TaskId, progress: &TaskProgress) {
        self.name_task(id);
        write_progress(&mut self.progress, progress);
    }

    /// Writes an obligation.
    pub fn set_obligation(&mut self, owed: &Obligation) {
        self.name_obligation(owed.id);
        let out = &mut self.body;
        out.push_str("{\"undo\":");
        json::string(out, &owed.undo);
        match &owed.of {
            ObligationOf::Command { task, command } => {
                json::text(out, "of", "command");
                task_id(out, "task", *task);
                message(out, command);
            }
            ObligationOf::State { state, visit, version, payload } => {
                json::text(out, "of", "state");
                json::text(out, "name", state);
                json::number(out, "version", *version);
                json::number(out, "visit", *visit);
                json::maybe_payload(out, "payload", payload.as_ref());
            }
        }
        json::maybe_payload(out, "report", owed.report.as_ref());
        if let Some(task) = owed.task {
            task_id(out, "undo_task", task);
        }
        out.push('}');
    }

    /// Writes a timer.
    pub fn set_timer(&mut self, timer: &TimerRow) {
        self.name_timer(&timer.name);
        let out = &mut self.body;
        // The due time is first. `due_of` reads it without a parse.
        out.push_str(DUE);
        out.push_str(itoa::Buffer::new().format(timer.due.as_millis()));
        json::number(out, "armed", timer.armed.as_millis());
        json::number(out, "visit", timer.visit);
        json::count(out, "fired", timer.fired);
        out.push('}');
    }

    /// Writes an alias.
    pub fn set_alias(&mut self, alias: &Alias) {
        self.name_alias(alias);
        self.body.push_str("{}");
    }

    /// Writes the name of a task alone.
    pub fn name_task(&mut self, id: TaskId) {
        self.begin(TASK);
        numbers(&mut self.name, id);
    }

    /// Writes the name of an obligation alone.
    pub fn name_obligation(&mut self, id: TaskId) {
        self.begin(OBLIGATION);
        numbers(&mut self.name, id);
    }

    /// Writes the name of a timer alone.
    pub fn name_timer(&mut self, name: &str) {
        self.begin(TIMER);
        json::escaped(&mut self.name, name);
    }

    /// Writes the name of an alias alone.
    pub fn name_alias(&mut self, alias: &Alias) {
        self.begin(ALIAS);
        json::escaped(&mut self.name, InstanceName::from(alias).text());
    }

    /// Returns whether the item is a task.
    pub fn is_task(&self) -> bool {
        self.name.starts_with(TASK)
    }

    /// Returns whether a line end is in the item. Such an item cannot be in a text of lines. Only a payload with raw
    /// JSON of the application can contain a line end.
    pub fn has_line_end(&self) -> bool {
        let has = |text: &str| memchr::memchr(b'\n', text.as_bytes()).is_some();
        has(&self.body) || has(&self.progress)
    }

    /// Returns the buffers.
    pub fn buffers(&mut self) -> [&mut String; 3] {
        [&mut self.name, &mut self.body, &mut self.progress]
    }

    fn begin(&mut self, kind: &str) {
        self.name.clear();
        self.body.clear();
        self.progress.clear();
        self.name.push_str(kind);
    }
}

const DUE: &str = "{\"due\":";

/// Returns the due time in the JSON of a timer, without a parse.
pub fn due_of(timer: &str) -> Option<i64> {
    timer.strip_prefix(DUE)?.split([',', '}']).next()?.parse().ok()
}

fn numbers(out: &mut String, id: TaskId) {
    out.push_str(itoa::Buffer::new().format(id.seq));
    out.push('.');
    out.push_str(itoa::Buffer::new().format(id.ord));
}

fn task_id(out: &mut String, name: &str, id: TaskId) {
    json::field(out, name);
    // Writing to a string does not fail.
    let _ = write!(out, "[{},{}]", id.seq, id.ord);
}

fn message(out: &mut String, message: &Message) {
    json::text(out, "name", &message.name);
    json::number(out, "version", message.version);
    json::payload(out, "payload", &message.payload);
}

/// Appends the JSON of the progress of a task or a delivery.
pub fn write_progress(out: &mut String, progress: &TaskProgress) {
    out.push_str("{\"stage\":\"");
    out.push_str(progress.stage.as_str());
    out.push('"');
    json::number(out, "since", progress.since.as_millis());
    json::number(out, "epoch", progress.epoch);
    json::number(out, "armed", progress.armed.as_millis());
    json::count(out, "due", progress.due.as_millis());
    json::count(out, "attempts", progress.attempts);
    json::count(out, "left_out", progress.left_out);
    json::count(out, "recoveries", progress.recoveries);
    json::count(out, "spent_ms", progress.spent_ms);
    json::count(out, "superseded", u8::from(progress.superseded));
    json::maybe_text(out, "error", progress.error.as_deref());
    json::maybe_payload(out, "saved", progress.saved.as_ref());
    out.push('}');
}

/// Reads the JSON of the progress of a task or a delivery.
///
/// # Errors
/// The text is not such a JSON.
pub fn read_progress(text: &str) -> serde_json::Result<TaskProgress> {
    serde_json::from_str::<StoredProgress<'_>>(text).map(StoredProgress::into_progress)
}

/// All pending items of one instance.
#[derive(Default, Debug, PartialEq)]
pub struct Items {
    /// The tasks.
    pub tasks: Vec<Task>,
    /// The timers.
    pub timers: Vec<TimerRow>,
    /// The obligations.
    pub obligations: Vec<Obligation>,
    /// The aliases.
    pub aliases: Vec<Alias>,
}

impl Items {
    /// Reads the value of the item `name` from `json`. The progress of a task is a field of the value, or a text of its
    /// own.
    ///
    /// # Errors
    /// The name or the value is not the one of an item.
    pub fn read<'t, D: Deserializer<'t>>(
        &mut self,
        name: &str,
        json: D,
        progress: Option<&str>,
    ) -> Result<(), D::Error> {
        if let Some(id) = name.strip_prefix(TASK) {
            let id = parse_id(id).ok_or_else(|| unknown(name))?;
            let task = StoredTask::deserialize(json)?;
            let progress = match (task.progress, progress) {
                (Some(progress), None) => progress,
                (None, Some(text)) => serde_json::from_str(text).map_err(D::Error::custom)?,
                _ => return Err(D::Error::missing_field("progress")),
            };
            self.tasks.push(Task {
                id,
                kind: task.kind,
                command: Message {
                    name: task.name.into_name(),
                    version: task.version,
                    payload: task.payload,
                },
                visit: task.visit,
                trace: task.trace,
                progress: progress.into_progress(),
            });
        } else if let Some(id) = name.strip_prefix(OBLIGATION) {
            let id = parse_id(id).ok_or_else(|| unknown(name))?;
            let owed = StoredObligation::deserialize(json)?.into_obligation(id);
            self.obligations.push(owed.ok_or_else(|| D::Error::custom("an obligation has a missing field"))?);
        } else if let Some(timer) = name.strip_prefix(TIMER) {
            let stored = StoredTimer::deserialize(json)?;
            self.timers.push(TimerRow {
                name: timer.to_owned().into(),
                visit: stored.visit,
                armed: Timestamp::from_millis(stored.armed),
                due: Timestamp::from_millis(stored.due),
                fired: stored.fired,
            });
        } else if let Some(alias) = name.strip_prefix(ALIAS) {
            serde::de::IgnoredAny::deserialize(json)?;
            self.aliases.push(Alias::new(alias).map_err(D::Error::custom)?);
        } else {
            return Err(unknown(name));
        }
        Ok(())
    }

    /// Orders the items as a snapshot promises.
    pub fn sort(&mut self) {
        self.tasks.sort_by_key(|task| task.id);
        self.obligations.sort_by_key(|owed| owed.id);
        self.timers.sort_by(|one, other| one.name.cmp(&other.name));
        self.aliases.sort();
    }
}

fn unknown<E: serde::de::Error>(name: &str) -> E {
    E::custom(format!("this version does not know the pending item `{name}`"))
}

fn parse_id(text: &str) -> Option<TaskId> {
    let (seq, ord) = text.split_once('.')?;
    Some(TaskId { seq: seq.parse().ok()?, ord: ord.parse().ok()? })
}

#[derive(Deserialize)]
struct StoredTask<'t> {
    #[serde(deserialize_with = "kind")]
    kind: TaskKind,
    #[serde(borrow)]
    name: Text<'t>,
    version: u32,
    #[serde(deserialize_with = "json::raw")]
    payload: Payload,
    visit: u32,
    #[serde(default, deserialize_with = "json::read_trace")]
    trace: Option<TraceContext>,
    #[serde(borrow, default)]
    progress: Option<StoredProgress<'t>>,
}

#[derive(Deserialize)]
struct StoredProgress<'t> {
    #[serde(deserialize_with = "stage")]
    stage: TaskStage,
    since: i64,
    epoch: u64,
    armed: i64,
    #[serde(default)]
    due: i64,
    #[serde(default)]
    attempts: u32,
    #[serde(default)]
    left_out: u32,
    #[serde(default)]
    recoveries: u32,
    #[serde(default)]
    spent_ms: u64,
    #[serde(default)]
    superseded: u8,
    #[serde(borrow, default)]
    error: Option<Text<'t>>,
    #[serde(default, deserialize_with = "json::present")]
    saved: Option<Payload>,
}

impl StoredProgress<'_> {
    fn into_progress(self) -> TaskProgress {
        TaskProgress {
            stage: self.stage,
            attempts: self.attempts,
            left_out: self.left_out,
            recoveries: self.recoveries,
            since: Timestamp::from_millis(self.since),
            spent_ms: self.spent_ms,
            epoch: self.epoch,
            armed: Timestamp::from_millis(self.armed),
            due: Timestamp::from_millis(self.due),
            superseded: self.superseded != 0,
            error: self.error.map(Text::into_string),
            saved: self.saved,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Of {
    Command,
    State,
}

#[derive(Deserialize)]
struct StoredObligation<'t> {
    #[serde(borrow)]
    undo: Text<'t>,
    of: Of,
    task: Option<(u64, u32)>,
    #[serde(borrow)]
    name: Text<'t>,
    version: u32,
    visit: Option<u32>,
    #[serde(default, deserialize_with = "json::present")]
    payload: Option<Payload>,
    #[serde(default, deserialize_with = "json::present")]
    report: Option<Payload>,
    undo_task: Option<(u64, u32)>,
}

impl StoredObligation<'_> {
    fn into_obligation(self, id: TaskId) -> Option<Obligation> {
        let task = |(seq, ord)| TaskId { seq, ord };
        let (name, version) = (self.name.into_name(), self.version);
        let of = match self.of {
            Of::Command => ObligationOf::Command {
                task: self.task.map(task)?,
                command: Message { name, version, payload: self.payload? },
            },
            Of::State => {
                ObligationOf::State { state: name, visit: self.visit?, version, payload: self.payload }
            }
        };
        let undo = self.undo.into_name();
        Some(Obligation { id, undo, of, report: self.report, task: self.undo_task.map(task) })
    }
}

#[derive(Deserialize)]
struct StoredTimer {
    due: i64,
    armed: i64,
    visit: u32,
    #[serde(default)]
    fired: u32,
}

fn kind<'t, D: Deserializer<'t>>(json: D) -> Result<TaskKind, D::Error> {
    json::word(json, TaskKind::parse)
}

fn stage<'t, D: Deserializer<'t>>(json: D) -> Result<TaskStage, D::Error> {
    json::word(json, TaskStage::parse)
}
