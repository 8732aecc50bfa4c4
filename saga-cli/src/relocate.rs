//! The move of everything into another store.
//!
//! Owns: the question before the move, and its progress. Does not own: the move itself (`saga_core::store::Relocation`).

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use saga_core::store::{Relocated, Relocation};
use serde::Serialize;

use crate::Ended;
use crate::args::Move;
use crate::decide::confirmed;
use crate::output::{Output, plain, tell};
use crate::source::Place;

/// The time between two lines of progress.
const TELL: Duration = Duration::from_millis(500);

pub(crate) async fn relocate(from: &Place, of: &Move, output: &mut Output<'_>) -> Result<Ended> {
    if of.give_up {
        return give_up(from, of).await;
    }
    let to = target(of)?;
    ensure!(!from.is_same(&to), "the target is the store itself");
    let about = format!(
        "everything in {} moves to {}; afterwards no dispatcher starts on the old store",
        plain(&from.to_string()),
        plain(&to.to_string())
    );
    if !of.yes && !confirmed("move it?", &about)? {
        return Ok(Ended::Usage);
    }
    let source = from.writable(false).await.with_context(|| format!("{from} cannot be opened"))?;
    let target = to.writable(true).await.with_context(|| format!("{to} cannot be opened"))?;
    let mut told = Instant::now();
    let progress = |done: &Relocated| {
        // Each portion is told to a program that follows, and not too many lines to a person.
        if of.follow || told.elapsed() >= TELL {
            told = Instant::now();
            tell(&format!("{} instances", done.instances));
        }
    };
    let moved = Relocation::new(&*source, &*target).on_progress(progress).run().await;
    let moved = moved.context("the move has not ended; run it again when the reason is gone")?;
    output.one(&Moved::of(moved), |moved| {
        format!(
            "moved: {} instances with {} lines of history, {} inbox rows, {} deliveries, {} dead letters, {} deduplication records, \
             {} rows of the audit\nThe application uses {} from now on.",
            moved.instances, moved.history, moved.inbox, moved.deliveries, moved.dead_letters, moved.dedup, moved.audit,
            plain(&to.to_string())
        )
    })?;
    Ok(Ended::Well)
}

/// Removes the marks of a move that was interrupted.
async fn give_up(from: &Place, of: &Move) -> Result<Ended> {
    let about =
        format!("the move of {} ends; remove its target, which holds a part", plain(&from.to_string()));
    if !of.yes && !confirmed("give it up?", &about)? {
        return Ok(Ended::Usage);
    }
    let source = from.writable(false).await.with_context(|| format!("{from} cannot be opened"))?;
    Relocation::give_up(&*source).await?;
    tell("saga: the move is given up");
    Ok(Ended::Well)
}

fn target(of: &Move) -> Result<Place> {
    #[cfg(feature = "postgres")]
    match (&of.to, &of.to_postgres) {
        (Some(_), Some(_)) => bail!("name one target: --to is a file, and --to-postgres is a database"),
        (None, Some(config)) => return Ok(Place::Postgres(config.clone(), of.to_schema.clone())),
        (_, None) => {}
    }
    match &of.to {
        Some(path) => Ok(Place::File(path.clone())),
        None => bail!("name the target with --to FILE or --to-postgres CONFIG"),
    }
}

/// What was copied and compared.
#[derive(Serialize)]
struct Moved {
    instances: u64,
    history: u64,
    inbox: u64,
    deliveries: u64,
    dead_letters: u64,
    dedup: u64,
    audit: u64,
}

impl Moved {
    fn of(of: Relocated) -> Self {
        let Relocated { instances, history, inbox, deliveries, dead_letters, dedup, audit, .. } = of;
        Self { instances, history, inbox, deliveries, dead_letters, dedup, audit }
    }
}
