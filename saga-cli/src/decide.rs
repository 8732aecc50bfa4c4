//! The decisions of an operator: retry, skip and abort.
//!
//! Owns: the question before a decision, and the wait for its outcome. Does not own: the decision itself. The dispatcher
//! applies it as a step, and the history of the instance keeps it.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use saga_core::machine::OperatorVerb;
use saga_core::message::Timestamp;
use saga_core::store::{Address, HistoryKind, HistoryRow, Mail, Parked, Snapshot};
use serde::Serialize;

use crate::Ended;
use crate::args::Decide;
use crate::output::{Output, plain, tell};
use crate::source::Source;
use crate::verbs::{address, not_found};

/// The interval of the looks for the outcome. A dispatcher in another process looks into the inbox within a second.
pub(crate) const LOOK: Duration = Duration::from_millis(50);
/// The number of history lines in which the outcome is looked for first.
const LINES: usize = 20;
/// The number of inbox rows in which the verb is looked for.
const WAITING: usize = 1_000;

pub(crate) async fn decide(
    verb: OperatorVerb,
    decide: &Decide,
    reader: &Source,
    output: &mut Output<'_>,
) -> Result<Ended> {
    let Some(before) = reader.instance(&address(&decide.of)?).await? else {
        return Ok(not_found(&decide.of));
    };
    let word = verb.as_str();
    let asked = describe(&before);
    if !decide.who.yes && !confirmed(&format!("{word} it?"), &asked)? {
        return Ok(Ended::Usage);
    }
    let to = before.instance.address.clone();
    let operator = decide.who.at_step(decide.step.unwrap_or(before.instance.seq));
    let operator = operator.created_at(before.instance.created_at);
    let sent = Mail::operator(to.clone(), verb, operator, Timestamp::now());
    reader.deliver(vec![sent.clone()]).await?;
    let deadline = Instant::now() + Duration::from_secs(decide.wait);
    let mut answer = Answer::new(word, &to);
    loop {
        // The purge removes its own line with the instance.
        if word == OperatorVerb::Purge.as_str() && reader.instance(&to).await?.is_none() {
            answer.removed = true;
            break;
        }
        if let Some(line) = outcome(reader, &before, word, decide).await? {
            answer.declined = (line.entry.kind == HistoryKind::Declined)
                .then(|| line.entry.note.as_deref().unwrap_or_default().to_owned());
            answer.seq = Some(line.seq);
            break;
        }
        if Instant::now() >= deadline {
            break;
        }
        tokio::time::sleep(LOOK).await;
    }
    let after = reader.instance(&to).await?;
    if let Some(after) = &after {
        (answer.status, answer.state) = (after.instance.status.as_str(), &after.instance.state);
    }
    if answer.seq.is_none() && !answer.removed {
        let waiting = reader.waiting(&to, WAITING).await?;
        answer.taken_up = waiting.len() < WAITING
            && !waiting.iter().any(|(_, mail)| mail.message == sent.message && mail.at == sent.at);
    }
    let ended = match (&answer.seq, &answer.declined) {
        _ if answer.removed => Ended::Well,
        (None, _) => Ended::NotYet,
        (Some(_), Some(_)) => Ended::Declined,
        (Some(_), None) => Ended::Well,
    };
    output.one(&answer, |answer| match ended {
        Ended::Declined => {
            let why = answer.declined.as_deref().unwrap_or_default();
            format!("declined: {}", plain(why))
        }
        Ended::Well if after.is_none() => format!("{word}: done; the instance is removed"),
        Ended::Well => {
            let now = after.as_ref().map(describe).unwrap_or_default();
            format!("{word}: done in step {}; now {now}", answer.seq.unwrap_or_default())
        }
        _ if answer.taken_up => {
            format!("{word}: it was taken up, and the history does not say how; look at `saga dead ls` and `saga trace`")
        }
        _ => format!(
            "{word}: no dispatcher has applied it within {} seconds; it stays in the inbox, and a dispatcher applies it",
            decide.wait
        ),
    })?;
    Ok(ended)
}

/// The outcome of a decision.
#[derive(Serialize)]
struct Answer<'a> {
    verb: &'a str,
    saga: &'a str,
    key: &'a str,
    /// The step that holds the answer. `null` while no dispatcher has applied the verb.
    seq: Option<u64>,
    /// Why the instance has declined the verb.
    declined: Option<String>,
    /// Whether a dispatcher has taken up the verb without an answer in the history, because the instance was removed.
    taken_up: bool,
    /// Whether the instance is gone.
    removed: bool,
    status: &'a str,
    state: &'a str,
}

impl<'a> Answer<'a> {
    fn new(verb: &'a str, to: &'a Address) -> Self {
        Self {
            verb,
            saga: &to.saga,
            key: to.key.text(),
            seq: None,
            declined: None,
            taken_up: false,
            removed: false,
            status: "",
            state: "",
        }
    }
}

/// Describes where an instance is.
fn describe(snapshot: &Snapshot) -> String {
    let record = &snapshot.instance;
    let mut text = format!(
        "{} `{}` is {} in `{}` at step {}",
        record.address.saga,
        record.address.key.text(),
        record.status.as_str(),
        record.state,
        record.seq
    );
    if let Some(parked) = &record.parked {
        text += &format!("; parked: {}", Parked::from_stored(parked, record.changed_at));
    }
    plain(&text).into_owned()
}

/// Asks the person at the terminal. Without a terminal nobody can answer, and the decision needs `--yes`.
pub(crate) fn confirmed(question: &str, about: &str) -> Result<bool> {
    if !std::io::stdin().is_terminal() {
        tell(&format!("saga: {about}\nsaga: nobody can be asked here: \"{question}\"; add --yes"));
        return Ok(false);
    }
    eprint!("{about}\n{question} [y/N] ");
    std::io::stderr().flush()?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).context("the answer cannot be read")?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes"))
}

/// Returns the history line with the answer to the verb.
async fn outcome(
    reader: &Source,
    before: &Snapshot,
    word: &str,
    decide: &Decide,
) -> Result<Option<HistoryRow>> {
    let is_answer = |line: &HistoryRow| {
        let entry = &line.entry;
        let mine = entry.name == word && entry.cause.as_deref() == Some(&*decide.who.by);
        // A declined verb has the reason of the instance as its note, and an applied one that of the operator.
        let applied = entry.kind == HistoryKind::Verb && entry.note.as_deref() == Some(&*decide.who.because);
        line.seq > before.instance.seq && mine && (applied || entry.kind == HistoryKind::Declined)
    };
    let lines = new_lines(reader, before).await?;
    Ok(lines.into_iter().find(is_answer))
}

/// Reads the history lines since the instance was read.
async fn new_lines(reader: &Source, before: &Snapshot) -> Result<Vec<HistoryRow>> {
    let mut limit = LINES;
    loop {
        let lines = reader.history(&before.instance.address, limit).await?;
        if lines.len() < limit || lines.first().is_none_or(|line| line.seq <= before.instance.seq) {
            return Ok(lines);
        }
        limit *= 4;
    }
}
