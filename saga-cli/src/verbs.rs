//! The verbs: what each reads, and how people see it.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use saga_core::definition::StoredDefinition;
use saga_core::machine::OperatorVerb;
use saga_core::message::{Alias, Key, Timestamp};
use saga_core::store::{
    Address, AuditFilter, AuditFrom, AuditId, AuditRow, Changes, DeadId, DeadLetterFilter, DeadLetterRow,
    HistoryRow, Inspect, InstanceCount, InstanceView, Labels, PageFrom, Pause, Problem, Problems, Redacted,
    Snapshot, TaskStage,
};
use serde::Serialize;

use crate::Ended;
use crate::args::{Audit, Dead, Fire, Graph, GraphFormat, Ls, Of, Postpone, Trace, Verb};
use crate::batch::batch;
use crate::body;
use crate::check::check;
use crate::copy;
use crate::decide::decide;
use crate::open;
use crate::operate;
use crate::output::{Output, field, plain, tell};
use crate::source::Source;
use crate::stats::stats;
use crate::wait::wait;

/// `reveal`: redacted values are shown.
pub(crate) async fn run(verb: &Verb, store: &Source, reveal: bool, output: &mut Output<'_>) -> Result<Ended> {
    let whole: Arc<dyn Inspect> = store.inspect();
    // Everything that prints values of payloads. Damage must not end a check before it begins.
    let shown: Arc<dyn Inspect> = match verb {
        Verb::Check | Verb::Stats | Verb::Backup { .. } => whole,
        _ if reveal => whole,
        _ => Arc::new(Redacted::new(whole).await?),
    };
    match verb {
        Verb::Retry(of) => decide(OperatorVerb::Retry, of, store, output).await,
        Verb::Skip(of) => decide(OperatorVerb::Skip, of, store, output).await,
        Verb::Abort(of) => decide(OperatorVerb::Abort, of, store, output).await,
        Verb::Purge(of) => decide(OperatorVerb::Purge, of, store, output).await,
        Verb::Resolve(resolve) => body::resolve(resolve, store, output).await,
        Verb::Fire(Fire { decide: of, timer }) => {
            decide(OperatorVerb::Fire { timer: timer.clone() }, of, store, output).await
        }
        Verb::Postpone(Postpone { decide: of, timer, until }) => {
            let verb = OperatorVerb::Postpone { timer: timer.clone(), until: *until };
            decide(verb, of, store, output).await
        }
        Verb::Send(send) => body::send(send, store, output).await,
        Verb::Batch(batch) => self::batch(batch, store, output).await,
        Verb::Ls(ls) => list(ls, &*shown, output).await,
        Verb::Show(of) => show(of, &*shown, output).await,
        Verb::Trace(trace) => self::trace(trace, &*shown, output).await,
        Verb::Count { saga } => count(saga.as_deref(), &**store, output).await,
        Verb::Dead(Dead::Ls { conditions, after, limit }) => {
            let mut filter = conditions.filter();
            (filter.after, filter.limit) = (after.map(DeadId), (*limit).into());
            letters(&filter, &*shown, output).await
        }
        Verb::Dead(Dead::Show { id }) => letter(*id, &*shown, output).await,
        Verb::Dead(Dead::Redrive(letters)) => operate::letters(letters, false, store, output).await,
        Verb::Dead(Dead::Discard(letters)) => operate::letters(letters, true, store, output).await,
        Verb::Dead(Dead::Edit { id, body, operate }) => {
            operate::edit(*id, body, operate, store, output).await
        }
        Verb::Pause(pause) => operate::pause(pause, false, store, output).await,
        Verb::Resume(pause) => operate::pause(pause, true, store, output).await,
        Verb::Retire(retire) => operate::retire(retire, store, output).await,
        Verb::Pauses => pauses(&**store, output).await,
        Verb::Audit(audit) => self::audit(audit, &*shown, output).await,
        Verb::Tasks(tasks) => open::tasks(tasks, &*shown, output).await,
        Verb::Timers(timers) => open::timers(timers, &*shown, output).await,
        Verb::Schedules => open::schedules(&*shown, output).await,
        Verb::Deliveries(of) => open::deliveries(&of.filter(), &*shown, output).await,
        Verb::Problems => problems(store, output).await,
        Verb::Nodes => nodes(&**store, output).await,
        Verb::Consumers => consumers(&**store, output).await,
        Verb::Sagas => sagas(&**store, output).await,
        Verb::Graph(graph) => self::graph(graph, &**store, output).await,
        #[cfg(feature = "ui")]
        Verb::Ui(ui) => crate::ui::ui(ui, reveal, store).await,
        Verb::Wait(wait) => self::wait(wait, &*shown, output).await,
        Verb::Stats => stats(store, output).await,
        Verb::Check => check(store, output).await,
        Verb::Backup { to } => backup(to, store, output),
        Verb::Export(of) => copy::export(of, &*shown, output).await,
        // These work without an open store.
        Verb::Completions { .. } | Verb::Import { .. } | Verb::Migrate(_) | Verb::Move(_) => Ok(Ended::Well),
        #[cfg(feature = "demo")]
        Verb::Demo(_) => Ok(Ended::Well),
    }
}

/// Reads pages until the list has enough lines. Standard error says where the list continues.
async fn list(ls: &Ls, store: &dyn Inspect, output: &mut Output<'_>) -> Result<Ended> {
    let (mut filter, limit) = (ls.filter(), usize::try_from(ls.limit)?);
    let mut views: Vec<InstanceView> = Vec::new();
    let more = loop {
        filter.limit = (limit - views.len()).min(200);
        let page = store.instances(&filter).await?;
        views.extend(page.instances);
        match page.more {
            Some(more) if views.len() < limit => filter.from = Some(PageFrom::After(more)),
            more => break more,
        }
    };
    let header =
        ["saga", "key", "status", "state", "waits for", "next timer", "changed", "labels", "problem"];
    output.list(header, &views, |view| {
        [
            view.address.saga.to_string(),
            view.address.key.text().to_owned(),
            status(view),
            view.state.to_string(),
            view.waiting_for.join(", "),
            view.due.map(|due| due.to_string()).unwrap_or_default(),
            view.changed_at.to_string(),
            labels(&view.labels),
            problem(view),
        ]
    })?;
    if views.is_empty() {
        output.note("no instance meets the conditions");
    }
    if let Some(more) = more {
        output.note(format!("more instances: add --after {more}"));
    }
    Ok(Ended::Well)
}

fn status(view: &InstanceView) -> String {
    let status = view.status.as_str();
    if view.parked.is_some() { format!("{status}, parked") } else { status.to_owned() }
}

fn labels(labels: &Labels) -> String {
    let text = |(name, value): (_, _)| format!("{name}={value}");
    labels.iter().map(text).collect::<Vec<_>>().join(" ")
}

fn problem(view: &InstanceView) -> String {
    let parked = view.parked.as_ref().map(|parked| format!("{}: {}", parked.reason, parked.detail));
    parked.or_else(|| view.errors.last().cloned()).unwrap_or_default()
}

pub(crate) fn address(of: &Of) -> Result<Address> {
    let saga = of.saga.clone();
    Ok(match of.alias {
        true => Address::new(saga, Alias::new(&of.key).context("the alias is not valid")?),
        false => Address::new(saga, Key::new(&of.key).context("the key is not valid")?),
    })
}

pub(crate) fn not_found(of: &Of) -> Ended {
    let kind = if of.alias { "alias" } else { "key" };
    tell(&format!("saga: `{}` has no instance with the {kind} `{}`", plain(&of.saga), plain(&of.key)));
    Ended::NotFound
}

async fn show(of: &Of, store: &dyn Inspect, output: &mut Output<'_>) -> Result<Ended> {
    let Some(snapshot) = store.instance(&address(of)?).await? else { return Ok(not_found(of)) };
    output.one(&snapshot, page)?;
    Ok(Ended::Well)
}

/// The page of an instance.
pub(crate) fn page(snapshot: &Snapshot) -> String {
    let record = &snapshot.instance;
    let mut page = String::new();
    let mut field = |name: &str, value: &str| field(&mut page, name, value);
    field("saga", &record.address.saga);
    field("key", record.address.key.text());
    for alias in &snapshot.aliases {
        field("alias", alias.as_str());
    }
    field("status", record.status.as_str());
    field("state", &record.state);
    if let Some(payload) = &record.payload {
        field("with", payload.as_str());
    }
    field("created", &record.created_at.to_string());
    field("changed", &format!("{}, step {}", record.changed_at, record.seq));
    field("now", &snapshot.waiting());
    for (name, value) in record.labels.iter() {
        field("label", &format!("{name}={value}"));
    }
    if let Some(trace) = record.trace {
        field("trace", &trace.to_string());
    }
    field("data", record.data.as_str());
    if let Some(parent) = snapshot.parent() {
        field("child of", &format!("{} {}", parent.saga, parent.key));
    }
    for child in snapshot.children() {
        field("child", &format!("{} {}", child.saga, child.key));
    }
    for task in &snapshot.tasks {
        let progress = &task.progress;
        let mut line =
            format!("{} `{}`, {} attempts", task.kind.as_str(), task.command.name, progress.attempts);
        if progress.stage == TaskStage::Held {
            line += ", held until a person decides";
        } else if progress.due != Timestamp::EPOCH {
            line += &format!(", next at {}", progress.due);
        }
        if let Some(error) = &progress.error {
            line += &format!(", last error: {error}");
        }
        field("waits for", &line);
    }
    for owed in snapshot.obligations.iter().rev() {
        field("owes", &owed.undo);
    }
    for timer in &snapshot.timers {
        field("timer", &format!("{} at {}", timer.name, timer.due));
    }
    page
}

async fn trace(trace: &Trace, store: &dyn Inspect, output: &mut Output<'_>) -> Result<Ended> {
    let address = address(&trace.of)?;
    let Some(snapshot) = store.instance(&address).await? else { return Ok(not_found(&trace.of)) };
    let lines = store.history(&snapshot.instance.address, trace.limit).await?;
    let header = ["step", "at", "kind", "name", "from", "to", "cause", "note"];
    output.list_of_rows(header, &lines, |HistoryRow { seq, entry }| {
        let row = |note: String| {
            [
                seq.to_string(),
                entry.at.to_string(),
                entry.kind.as_str().to_owned(),
                entry.name.to_string(),
                entry.from.to_string(),
                entry.to.to_string(),
                entry.cause.as_deref().unwrap_or_default().to_owned(),
                note,
            ]
        };
        match Changes::of(entry) {
            Some(changes) => {
                let fields = changes.fields().into_iter().map(|field| field.to_string());
                fields.chain(changes.out.iter().map(|out| format!("out: {out}"))).map(row).collect()
            }
            None => vec![row(entry.note.as_deref().unwrap_or_default().to_owned())],
        }
    })?;
    Ok(Ended::Well)
}

async fn count(saga: Option<&str>, store: &dyn Inspect, output: &mut Output<'_>) -> Result<Ended> {
    let mut counts = store.counts().await?;
    counts.retain(|count| saga.is_none_or(|saga| count.saga == saga));
    output.list(["saga", "state", "status", "parked", "instances"], &counts, |count: &InstanceCount| {
        [
            count.saga.clone(),
            count.state.clone(),
            count.status.map_or("unknown", |status| status.as_str()).to_owned(),
            if count.parked { "parked".to_owned() } else { String::new() },
            count.instances.to_string(),
        ]
    })?;
    Ok(Ended::Well)
}

async fn letters(filter: &DeadLetterFilter, store: &dyn Inspect, output: &mut Output<'_>) -> Result<Ended> {
    let page = filter.page(store).await?;
    let header = ["id", "consumer", "key", "message", "reason", "times", "at", "detail"];
    output.list(header, &page.rows, |DeadLetterRow { id, letter }| {
        [
            id.0.to_string(),
            letter.to.saga.to_string(),
            letter.to.key.text().to_owned(),
            letter.message.name.to_string(),
            letter.reason.as_str().to_owned(),
            letter.times.to_string(),
            letter.at.to_string(),
            letter.detail.clone(),
        ]
    })?;
    match page.more {
        Some(DeadId(after)) => output.note(format!("more letters: add --after {after}")),
        None if page.rows.is_empty() => output.note("no dead letter"),
        None => {}
    }
    Ok(Ended::Well)
}

async fn letter(id: i64, store: &dyn Inspect, output: &mut Output<'_>) -> Result<Ended> {
    let Some(row) = DeadLetterRow::read(store, DeadId(id)).await? else { return Ok(operate::missing(id)) };
    output.one(&row, |DeadLetterRow { id, letter }| {
        let mut page = String::new();
        let mut field = |name: &str, value: &str| field(&mut page, name, value);
        field("id", &id.0.to_string());
        field("consumer", &letter.to.saga);
        field(if letter.to.key.is_alias() { "alias" } else { "key" }, letter.to.key.text());
        field(letter.kind.as_str(), &format!("{} version {}", letter.message.name, letter.message.version));
        if let Some(id) = &letter.id {
            field("message id", id.as_str());
        }
        field("reason", &letter.reason.to_string());
        field("detail", &letter.detail);
        field("at", &format!("{}, {} times", letter.at, letter.times));
        field("payload", letter.message.payload.as_str());
        page
    })?;
    Ok(Ended::Well)
}

fn backup(to: &Path, store: &Source, output: &mut Output<'_>) -> Result<Ended> {
    let Some(file) = store.file() else {
        anyhow::bail!(
            "a backup copies a file; use the tools of PostgreSQL, such as pg_dump, with the data of the application"
        );
    };
    file.backup(to)?;
    let bytes = std::fs::metadata(to)?.len();
    let copy = Copied { file: to.display().to_string(), bytes };
    output.one(&copy, |copy| plain(&format!("{}: {} bytes", copy.file, copy.bytes)).into_owned())?;
    Ok(Ended::Well)
}

#[derive(Serialize)]
struct Copied {
    file: String,
    bytes: u64,
}

async fn problems(store: &Source, output: &mut Output<'_>) -> Result<Ended> {
    let Problems { groups, complete, .. } = Problems::read(&**store).await?;
    let header = ["what", "consumer", "reason", "count", "oldest", "newest", "example", "error"];
    output.list(header, &groups, |group: &Problem| {
        [
            group.kind.as_str().to_owned(),
            group.consumer.clone(),
            group.reason.clone(),
            group.count.to_string(),
            group.oldest.to_string(),
            group.newest.to_string(),
            group.example.key.text().to_owned(),
            group.error.clone(),
        ]
    })?;
    if groups.is_empty() {
        output.note("nothing waits for a person");
    }
    if !complete {
        output.note("there is more than could be read; these are the oldest ones");
    }
    Ok(Ended::Well)
}

async fn pauses(store: &dyn Inspect, output: &mut Output<'_>) -> Result<Ended> {
    let pauses = store.pauses().await?;
    output.list(["kind", "name", "who", "why", "since"], &pauses, |pause: &Pause| {
        [
            pause.of.kind().to_owned(),
            pause.of.name().to_owned(),
            pause.who.clone(),
            pause.why.clone(),
            pause.at.to_string(),
        ]
    })?;
    if pauses.is_empty() {
        output.note("nothing is paused");
    }
    Ok(Ended::Well)
}

async fn audit(audit: &Audit, store: &dyn Inspect, output: &mut Output<'_>) -> Result<Ended> {
    let mut filter = AuditFilter::default();
    filter.to = match (&audit.saga, &audit.key) {
        (Some(saga), Some(key)) => {
            Some(Address::new(saga.clone(), Key::new(key).context("the key is not valid")?))
        }
        _ => None,
    };
    filter.who.clone_from(&audit.by);
    filter.from = match audit.after {
        Some(after) => AuditFrom::After(AuditId(after)),
        None => AuditFrom::Before(AuditId(audit.before)),
    };
    filter.limit = usize::try_from(audit.limit)?;
    let rows = store.audit(&filter).await?;
    let header = ["id", "at", "who", "verb", "of", "object", "why", "declined"];
    output.list(header, &rows, |AuditRow { id, entry, .. }| {
        [
            id.0.to_string(),
            entry.at.to_string(),
            entry.who.clone(),
            entry.verb.to_string(),
            entry.to.as_ref().map(ToString::to_string).unwrap_or_default(),
            entry.object.clone(),
            entry.why.clone(),
            entry.declined.clone().unwrap_or_default(),
        ]
    })?;
    match rows.last() {
        None => output.note("no decision of an operator"),
        Some(last) if rows.len() == filter.limit => {
            let word = if audit.after.is_some() { "after" } else { "before" };
            output.note(format!("more rows: add --{word} {}", last.id.0));
        }
        Some(_) => {}
    }
    Ok(Ended::Well)
}

/// A process that shares the store, or the owner of a shard.
#[derive(Serialize)]
struct NodeLine {
    node: String,
    /// The number of its release. `null` for an owner that does not share the store, such as a dispatcher that was started alone.
    build: Option<u64>,
    shards: Vec<u16>,
}

async fn nodes(store: &dyn Inspect, output: &mut Output<'_>) -> Result<Ended> {
    let Some(meeting) = store.meeting().await? else {
        anyhow::bail!(
            "a file has one owner, and processes do not share it; this verb is for a store in PostgreSQL"
        );
    };
    let owned = |name: &str| {
        let of = (0..).zip(&meeting.owners);
        let of = of.filter(|(_, owner)| owner.as_ref().is_some_and(|owner| owner.what == name));
        of.map(|(number, _)| number).collect::<Vec<u16>>()
    };
    let mut lines: Vec<NodeLine> = Vec::new();
    for node in &meeting.nodes {
        let (name, build) = (node.what.name.clone(), Some(node.what.build));
        lines.push(NodeLine { shards: owned(&name), node: name, build });
    }
    for owner in meeting.owners.iter().flatten() {
        if !lines.iter().any(|line| line.node == owner.what) {
            lines.push(NodeLine { node: owner.what.clone(), build: None, shards: owned(&owner.what) });
        }
    }
    output.list(["node", "build", "shards"], &lines, |line| {
        let shards: Vec<String> = line.shards.iter().map(ToString::to_string).collect();
        [line.node.clone(), line.build.map(|build| build.to_string()).unwrap_or_default(), shards.join(" ")]
    })?;
    let free = meeting.owners.iter().filter(|owner| owner.is_none()).count();
    output.note(format!("{} of {} shards have no owner", free, meeting.owners.len()));
    Ok(Ended::Well)
}

async fn consumers(store: &dyn Inspect, output: &mut Output<'_>) -> Result<Ended> {
    let consumers = store.consumers().await?;
    output.list(["event", "consumer", "kind"], &consumers, |row| {
        let kind = if row.subscriber { "subscriber" } else { "saga" };
        [row.event.clone(), row.consumer.clone(), kind.to_owned()]
    })?;
    Ok(Ended::Well)
}

async fn sagas(store: &dyn Inspect, output: &mut Output<'_>) -> Result<Ended> {
    let definitions = store.definitions().await?;
    output.list(
        ["saga", "version", "states", "data", "about"],
        &definitions,
        |definition: &StoredDefinition| {
            [
                definition.saga.clone(),
                definition.version.to_string(),
                definition.states.len().to_string(),
                definition.data.type_name.clone(),
                definition.doc.lines().next().unwrap_or_default().trim().to_owned(),
            ]
        },
    )?;
    if definitions.is_empty() {
        output.note("no dispatcher has written a definition to this store");
    }
    Ok(Ended::Well)
}

async fn graph(graph: &Graph, store: &dyn Inspect, output: &mut Output<'_>) -> Result<Ended> {
    let wanted = |found: &StoredDefinition| {
        found.saga == graph.saga && graph.version.is_none_or(|version| version == found.version)
    };
    // The last one has the highest version.
    let Some(definition) = store.definitions().await?.into_iter().rfind(wanted) else {
        let version = graph.version.map(|version| format!(" version {version}")).unwrap_or_default();
        tell(&format!("saga: the store has no definition of `{}`{version}", plain(&graph.saga)));
        return Ok(Ended::NotFound);
    };
    match graph.format {
        GraphFormat::Mermaid => output.text(&definition.mermaid()),
        GraphFormat::Dot => output.text(&definition.dot()),
        #[cfg(feature = "ui")]
        GraphFormat::Svg => output.text(&saga_dashboard::svg(&definition)),
        GraphFormat::Json => output.text(&serde_json::to_string_pretty(&definition)?),
    }
    Ok(Ended::Well)
}
