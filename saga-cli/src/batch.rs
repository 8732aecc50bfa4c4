//! One decision about many instances.
//!
//! Owns: the selection, the question with its number, and the hand-over in portions. Does not own: the outcome of each
//! decision, which the history of its instance has.

use anyhow::{Result, ensure};
use saga_core::machine::OperatorVerb;
use saga_core::message::Timestamp;
use saga_core::store::{InstanceView, Mail, PageFrom};
use serde::Serialize;

use crate::Ended;
use crate::args::Batch;
use crate::decide::confirmed;
use crate::output::{Output, plain, tell};
use crate::source::Source;

/// The number of decisions in one transaction.
const PORTION: usize = 200;

pub(crate) async fn batch(batch: &Batch, reader: &Source, output: &mut Output<'_>) -> Result<Ended> {
    let verb = OperatorVerb::from(batch.verb);
    let word = verb.as_str();
    let (found, more) = select(batch, &verb, reader).await?;
    let Some(first) = found.first() else {
        tell(&format!("saga: no instance to {word} meets the conditions"));
        return Ok(Ended::NotFound);
    };
    let mut about = format!(
        "{} instances meet the conditions; the first one is {} `{}` in `{}`",
        found.len(),
        plain(&first.address.saga),
        plain(first.address.key.text()),
        plain(&first.state)
    );
    if more {
        about += &format!("; there are more than --limit {}", batch.limit);
    }
    if !batch.who.yes && !confirmed(&format!("{word} all {} of them?", found.len()), &about)? {
        return Ok(Ended::Usage);
    }
    let (mut asked, at) = (0, Timestamp::now());
    for portion in found.chunks(PORTION) {
        let mails = portion.iter().map(|view| {
            let operator = batch.who.at_step(view.seq).created_at(view.created_at);
            Mail::operator(view.address.clone(), verb.clone(), operator, at)
        });
        reader.deliver(mails.collect()).await?;
        asked += portion.len();
        tell(&format!("{asked} of {}", found.len()));
    }
    output.one(&Asked { verb: word, asked, more }, |answer| {
        format!("{}: handed to the dispatcher for {} instances", answer.verb, answer.asked)
    })?;
    Ok(Ended::Well)
}

#[derive(Serialize)]
struct Asked<'a> {
    verb: &'a str,
    asked: usize,
    /// Whether more instances meet the conditions than the limit allows.
    more: bool,
}

/// Returns the instances to which the verb can apply, and whether there are more.
async fn select(batch: &Batch, verb: &OperatorVerb, reader: &Source) -> Result<(Vec<InstanceView>, bool)> {
    let mut filter = batch.conditions.filter();
    if let Some(parked) = verb.wants_parked() {
        let (which, option) =
            if parked { ("parked instances", "--not-parked") } else { ("ended instances", "--parked") };
        ensure!(filter.parked != Some(!parked), "{} is for {which}; leave out {option}", verb.as_str());
        filter.parked = Some(parked);
    }
    filter.limit = PORTION;
    let mut found = Vec::new();
    loop {
        let page = reader.instances(&filter).await?;
        let fits = |view: &InstanceView| verb.fits(view.status, view.parked.is_some());
        found.extend(page.instances.into_iter().filter(fits));
        if found.len() > batch.limit {
            found.truncate(batch.limit);
            return Ok((found, true));
        }
        let Some(more) = page.more else { return Ok((found, false)) };
        filter.from = Some(PageFrom::After(more));
    }
}
