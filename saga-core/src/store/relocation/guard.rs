//! The marks that keep dispatchers from both stores during a move, and from the source after it.
//!
//! Owns: the identity of a move, and the order of its first and last commits. Does not own: the refusal of a start, which
//! reads the mark (`dispatcher/starting.rs`).
//!
//! A mark is a pause of a saga that no application has. Marks are only added during a move, so that no pause of a person is
//! touched, and no commit removes and adds the same row.

use std::collections::BTreeSet;

use super::RelocationError;
use super::writer::Writer;
use crate::message::Timestamp;
use crate::store::{
    AuditFilter, DeadId, DeliveryId, InboxId, Pause, PauseChange, PauseOf, Step, Store, StoreError,
};

/// The author of the marks.
const WHO: &str = "saga move";
/// The mark of a store with a move under way. The reason has the identity of the move, and the last unclean epoch before it.
const MARK: &str = "saga.move";
/// The mark of a lease of the move, with its epoch behind the dot. Nothing has run under such a lease.
const LEASE: &str = "saga.move.lease.";
/// The mark of a source from which everything was moved.
const MOVED: &str = "saga.move.done";

/// Returns why no dispatcher may run on a store with these pauses.
pub(crate) fn marked(pauses: &[Pause]) -> Option<&'static str> {
    if has(pauses, MOVED) {
        Some("everything in this store was moved to another one; use the other store")
    } else if has(pauses, MARK) {
        Some(
            "a move of this store is under way; run `saga move` again, or give it up with `saga move --give-up`",
        )
    } else {
        None
    }
}

/// The doubt about tasks, as epochs of the target.
#[derive(Clone, Copy)]
pub(super) struct Epochs {
    /// The last unclean epoch of the source under which something may have run.
    unclean: u64,
    pub(super) target: u64,
}

impl Epochs {
    /// Returns whether a task of the source may have been running at the end of a process.
    pub(super) fn is_suspect(self, source: u64) -> bool {
        source <= self.unclean
    }

    /// Returns the epoch of a task in the target. Epoch 0 is before each unclean epoch, so that a doubt stays.
    pub(super) fn of(self, source: u64) -> u64 {
        if self.is_suspect(source) { 0 } else { self.target }
    }
}

/// Marks both stores. Returns the doubt about tasks.
pub(super) async fn begin(
    source: &mut Writer<'_>,
    target: &mut Writer<'_>,
) -> Result<Epochs, RelocationError> {
    let (of_source, of_target) = (source.store.pauses().await?, target.store.pauses().await?);
    let (from, to) = (Mark::of(&of_source), Mark::of(&of_target));
    if is_source(&of_target) {
        return Err(RelocationError::NotEmpty { what: "a source of another move" });
    }
    let mark = match (from, to) {
        (Some(from), Some(to)) if from.id == to.id => from,
        (Some(_), _) if has(&of_source, MOVED) => return Err(RelocationError::AlreadyMoved),
        (Some(_), _) => return Err(RelocationError::OtherTarget),
        // A crash may have come between the two marks.
        (None, to) => {
            if let Some(what) = contents(target.store).await? {
                return Err(RelocationError::NotEmpty { what });
            }
            let id = to.map_or_else(|| uuid::Uuid::new_v4().to_string(), |to| to.id);
            Mark { id, unclean: source.unclean() }
        }
    };
    let unclean = mark.unclean(&of_source, source);
    // The target comes first. A source with a mark therefore has one target, which has the same mark.
    let marks = vec![pause(MARK, &mark.text())];
    target.write("the mark of the target", Step { pauses: marks, ..Step::default() }).await?;
    // The lease is noted before anything is copied, so that its crash is no doubt about a task.
    let lease = format!("{LEASE}{}", source.epoch());
    let marks = [pause(MARK, &mark.text()), pause(&lease, "a lease of the move")];
    source.write("the marks of the source", Step { pauses: marks.into(), ..Step::default() }).await?;
    Ok(Epochs { unclean, target: target.epoch() })
}

/// Copies the pauses of people, seals the source, and then removes the mark of the target. A crash between the last two
/// leaves two marked stores, and the next run ends the move.
pub(super) async fn end(source: &mut Writer<'_>, target: &mut Writer<'_>) -> Result<(), RelocationError> {
    let of_people = source.store.pauses().await?.into_iter().filter(|pause| !is_mark(pause));
    let pauses = of_people.map(PauseChange::Pause).collect();
    target.write("the pauses", Step { pauses, ..Step::default() }).await?;
    let seal = vec![pause(MOVED, "everything was moved to another store")];
    source.write("the seal of the source", Step { pauses: seal, ..Step::default() }).await?;
    let end = vec![PauseChange::Resume(PauseOf::Saga(MARK.to_owned()))];
    target.write("the end of the move", Step { pauses: end, ..Step::default() }).await
}

/// Removes the marks of a source from which nothing was moved for good.
pub(super) async fn give_up(source: &mut Writer<'_>) -> Result<(), RelocationError> {
    let pauses = source.store.pauses().await?;
    if has(&pauses, MOVED) {
        return Err(RelocationError::AlreadyMoved);
    }
    let marks = pauses.into_iter().filter(is_mark).map(|pause| PauseChange::Resume(pause.of)).collect();
    source.write("the end of the marks", Step { pauses: marks, ..Step::default() }).await
}

/// The identity of a move.
struct Mark {
    id: String,
    unclean: u64,
}

impl Mark {
    fn of(pauses: &[Pause]) -> Option<Self> {
        let mark = pauses.iter().find(|pause| is_mark(pause) && pause.of.name() == MARK)?;
        let (id, unclean) = mark.why.strip_prefix("move ")?.split_once(", unclean epoch ")?;
        Some(Self { id: id.to_owned(), unclean: unclean.parse().ok()? })
    }

    fn text(&self) -> String {
        format!("move {}, unclean epoch {}", self.id, self.unclean)
    }

    /// Returns the last unclean epoch under which something may have run. The epochs of the move itself do not count, if no
    /// other lease came between them.
    fn unclean(&self, pauses: &[Pause], source: &Writer<'_>) -> u64 {
        let leases = pauses.iter().filter(|pause| is_mark(pause));
        let own: BTreeSet<u64> =
            leases.filter_map(|pause| pause.of.name().strip_prefix(LEASE)?.parse().ok()).collect();
        let first = own.first().copied().unwrap_or(source.epoch());
        let only_own = (first..source.epoch()).all(|epoch| own.contains(&epoch));
        if only_own { self.unclean } else { source.unclean() }
    }
}

fn pause(name: &str, why: &str) -> PauseChange {
    let (of, who, why) = (PauseOf::Saga(name.to_owned()), WHO.to_owned(), why.to_owned());
    PauseChange::Pause(Pause { of, who, why, at: Timestamp::now() })
}

fn is_mark(pause: &Pause) -> bool {
    pause.who == WHO && matches!(&pause.of, PauseOf::Saga(name) if name.starts_with(MARK))
}

fn has(pauses: &[Pause], name: &str) -> bool {
    pauses.iter().any(|pause| is_mark(pause) && pause.of.name() == name)
}

/// Returns whether a store was the source of a move.
fn is_source(pauses: &[Pause]) -> bool {
    pauses.iter().any(|pause| is_mark(pause) && pause.of.name().starts_with(LEASE))
}

/// Returns what a store holds, if it is not empty.
async fn contents(store: &dyn Store) -> Result<Option<&'static str>, StoreError> {
    Ok(if !store.counts().await?.is_empty() {
        Some("instances")
    } else if !store.inbox(InboxId::default(), 1).await?.is_empty() {
        Some("inbox rows")
    } else if !store.deliveries(DeliveryId::default(), 1).await?.is_empty() {
        Some("deliveries")
    } else if !store.dead_letters(DeadId::default(), 1).await?.is_empty() {
        Some("dead letters")
    } else if !store.dedup_records(None, 1).await?.is_empty() {
        Some("deduplication records")
    } else if !store.audit(&AuditFilter::default()).await?.is_empty() {
        Some("an audit")
    } else if store.pauses().await?.iter().any(|pause| !is_mark(pause)) {
        Some("pauses")
    } else if !store.retired().await?.is_empty() {
        Some("retired names")
    } else {
        None
    })
}
