//! Decisions about dead letters, sagas and handlers.
//!
//! Owns: the selection, the question, and the wait for the answers in the audit. Does not own: the decision itself, which
//! the dispatcher applies.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use saga_core::definition::Redaction;
use saga_core::engine::StoreVerb;
use saga_core::message::{MessageId, Payload, Timestamp};
use saga_core::store::{AuditEntry, AuditFilter, DeadId, DeadLetterRow, Mail, PauseOf};
use serde::Serialize;

use crate::Ended;
use crate::args::{Letters, Operate, Pause, Retire};
use crate::body::is_whole;
use crate::decide::{LOOK, confirmed};
use crate::output::{Output, plain, tell};
use crate::source::Source;

/// The number of decisions in one transaction, and of letters in one page.
const PORTION: usize = 200;

/// Hands the verbs to the dispatcher, and waits for their answers.
pub(crate) async fn operate(
    verbs: Vec<StoreVerb>,
    operate: &Operate,
    (question, about): (&str, &str),
    reader: &Source,
    output: &mut Output<'_>,
) -> Result<Ended> {
    if !operate.who.yes && !confirmed(question, about)? {
        return Ok(Ended::Usage);
    }
    let Some(word) = verbs.first().map(StoreVerb::as_str) else { return Ok(Ended::NotFound) };
    let (mut requests, at) = (Vec::with_capacity(verbs.len()), Timestamp::now());
    let mut verbs = verbs.into_iter().peekable();
    while verbs.peek().is_some() {
        let mails = verbs.by_ref().take(PORTION).map(|verb| {
            let request = MessageId::unique();
            requests.push(request.clone());
            Mail::store_verb(verb, operate.who.operator(), request, at)
        });
        reader.deliver(mails.collect()).await?;
    }
    let answer = answers(word, requests, Duration::from_secs(operate.wait), reader).await?;
    let ended = match () {
        () if answer.open > 0 => Ended::NotYet,
        () if !answer.declined.is_empty() => Ended::Declined,
        () => Ended::Well,
    };
    output.one(&answer, |answer| text(answer, operate.wait))?;
    Ok(ended)
}

/// Waits until each request has its row in the audit.
async fn answers(
    word: &'static str,
    mut open: Vec<MessageId>,
    wait: Duration,
    reader: &Source,
) -> Result<Answer> {
    let deadline = Instant::now() + wait;
    let mut answer = Answer { verb: word, done: 0, declined: Vec::new(), open: 0 };
    loop {
        let mut left = Vec::new();
        for request in open {
            match row(&request, reader).await? {
                None => left.push(request),
                Some(AuditEntry { declined: Some(why), object, .. }) => {
                    answer.declined.push(Declined { object, why });
                }
                Some(_) => answer.done += 1,
            }
        }
        open = left;
        answer.open = open.len();
        if open.is_empty() || Instant::now() >= deadline {
            return Ok(answer);
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn row(request: &MessageId, reader: &Source) -> Result<Option<AuditEntry>> {
    let mut filter = AuditFilter::default();
    filter.request = Some(request.clone());
    Ok(reader.audit(&filter).await?.into_iter().next().map(|row| row.entry))
}

#[derive(Serialize)]
struct Answer {
    verb: &'static str,
    /// The number of applied verbs.
    done: usize,
    declined: Vec<Declined>,
    /// The number of verbs that no dispatcher has applied yet.
    open: usize,
}

#[derive(Serialize)]
struct Declined {
    object: String,
    why: String,
}

fn text(answer: &Answer, seconds: u64) -> String {
    let Answer { verb, done, declined, open } = answer;
    let mut lines = Vec::new();
    if *done > 0 {
        lines.push(format!("{verb}: done {done}"));
    }
    for Declined { object, why } in declined {
        lines.push(format!("declined: {}: {}", plain(object), plain(why)));
    }
    if *open > 0 {
        lines.push(format!(
            "{verb}: no dispatcher has applied {open} within {seconds} seconds; they stay in the inbox, and a dispatcher applies them"
        ));
    }
    lines.join("\n")
}

/// Delivers dead letters again, or discards them.
pub(crate) async fn letters(
    letters: &Letters,
    discard: bool,
    reader: &Source,
    output: &mut Output<'_>,
) -> Result<Ended> {
    let found = if letters.ids.is_empty() {
        select(letters, reader).await?
    } else {
        let mut found = Vec::new();
        for id in &letters.ids {
            let Some(row) = DeadLetterRow::read(&**reader, DeadId(*id)).await? else {
                return Ok(missing(*id));
            };
            found.push(row);
        }
        found
    };
    let Some(DeadLetterRow { id, letter }) = found.first() else {
        tell("saga: no dead letter meets the conditions");
        return Ok(Ended::NotFound);
    };
    let about = format!(
        "{} dead letters; the first one is {}: {} for {}, {}",
        found.len(),
        id.0,
        plain(&letter.message.name),
        plain(&letter.to.to_string()),
        letter.reason
    );
    let question = if discard { "discard them?" } else { "deliver them again?" };
    let verb = |row: &DeadLetterRow| match discard {
        true => StoreVerb::Discard { letter: row.id },
        false => StoreVerb::Redrive { letter: row.id, payload: None },
    };
    let verbs = found.iter().map(verb).collect();
    operate(verbs, &letters.operate, (question, &about), reader, output).await
}

/// Returns all letters that meet the conditions, up to the limit.
async fn select(letters: &Letters, reader: &Source) -> Result<Vec<DeadLetterRow>> {
    let (mut found, mut filter) = (Vec::new(), letters.filter());
    filter.limit = PORTION;
    loop {
        let page = filter.page(&**reader).await?;
        for row in page.rows {
            if found.len() == letters.limit {
                tell(&format!("there are more than --limit {}", letters.limit));
                return Ok(found);
            }
            found.push(row);
        }
        if page.more.is_none() {
            return Ok(found);
        }
        filter.after = page.more;
    }
}

pub(crate) fn missing(id: i64) -> Ended {
    tell(&format!("saga: there is no dead letter {id}"));
    Ended::NotFound
}

/// Delivers a dead letter again, with another payload.
pub(crate) async fn edit(
    id: i64,
    body: &str,
    options: &Operate,
    reader: &Source,
    output: &mut Output<'_>,
) -> Result<Ended> {
    serde_json::from_str::<serde::de::IgnoredAny>(body).context("the body is not JSON")?;
    let Some(row) = DeadLetterRow::read(&**reader, DeadId(id)).await? else { return Ok(missing(id)) };
    let letter = &row.letter;
    let places = Redaction::of(&reader.definitions().await?);
    is_whole(&places, &letter.message.name, &Payload::from(body))?;
    let about =
        format!("dead letter {id}: {} for {}", plain(&letter.message.name), plain(&letter.to.to_string()));
    let verb = StoreVerb::Redrive { letter: row.id, payload: Some(Payload::from(body)) };
    operate(vec![verb], options, ("deliver it with the new body?", &about), reader, output).await
}

/// Retires a consumer.
pub(crate) async fn retire(retire: &Retire, reader: &Source, output: &mut Output<'_>) -> Result<Ended> {
    let of = PauseOf::Consumer(retire.consumer.clone());
    let about = plain(&of.to_string()).into_owned();
    operate(vec![StoreVerb::Pause(of)], &retire.operate, ("retire it?", &about), reader, output).await
}

/// Pauses or resumes a saga, a handler or a consumer.
pub(crate) async fn pause(
    pause: &Pause,
    resume: bool,
    reader: &Source,
    output: &mut Output<'_>,
) -> Result<Ended> {
    let of = pause.of();
    let about = plain(&of.to_string()).into_owned();
    let (verb, question) = match resume {
        true => (StoreVerb::Resume(of), "resume it?"),
        false => (StoreVerb::Pause(of), "pause it?"),
    };
    operate(vec![verb], &pause.operate, (question, &about), reader, output).await
}
