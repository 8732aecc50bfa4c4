//! The pauses that keep dispatchers from both stores during a move, and the seal of the source after it.
//!
//! Owns: the mark of a move, and the order of its two last commits. Does not own: the effect of a pause (rule R37).

use std::collections::BTreeSet;

use super::RelocationError;
use super::writer::Writer;
use crate::message::Timestamp;
use crate::store::{
    AuditFilter, DeadId, DeliveryId, InboxId, Pause, PauseChange, PauseOf, Step, Store, StoreError,
};

/// The author of the pauses of a move.
const WHO: &str = "saga move";
/// The saga of the mark. No application has it, because it stands for all of them.
const MARK: &str = "saga.move";
/// The reason of the pauses until the end.
const UNDER_WAY: &str = "a move to another store is under way; unclean epoch ";
/// The reason of the pauses of the source afterwards.
const MOVED: &str = "everything was moved to another store; unclean epoch ";

/// The pauses of a move.
pub(super) struct Guard {
    /// What the move has paused.
    paused: Vec<PauseOf>,
    /// The pauses of people.
    kept: Vec<Pause>,
    /// The last unclean epoch of the source before the move. Nothing has run there since.
    unclean: u64,
}

/// The epochs of tasks in the target.
#[derive(Clone, Copy)]
pub(super) struct Epochs {
    unclean: u64,
    pub(super) target: u64,
}

impl Epochs {
    /// Returns the epoch of a task in the target. A task that may have been running at the end of a process of the source
    /// stays such a task: epoch 0 is before each unclean epoch.
    pub(super) fn of(self, source: u64) -> u64 {
        if source <= self.unclean { 0 } else { self.target }
    }
}

impl Guard {
    /// Pauses everything in both stores.
    pub(super) async fn begin(
        source: &mut Writer<'_>,
        target: &mut Writer<'_>,
    ) -> Result<Self, RelocationError> {
        let (of_source, of_target) = (source.store.pauses().await?, target.store.pauses().await?);
        let begun = of_target.iter().any(is_mark);
        if of_source.iter().any(|pause| is_mark(pause) && pause.why.starts_with(MOVED)) && !begun {
            return Err(RelocationError::AlreadyMoved);
        }
        if let (false, Some(what)) = (begun, contents(target.store).await?) {
            return Err(RelocationError::NotEmpty { what });
        }
        // A crash of an earlier run has left an unclean epoch in which nothing has run.
        let recorded = of_source.iter().find(|pause| is_mark(pause)).and_then(|pause| {
            let epoch = pause.why.strip_prefix(UNDER_WAY).or_else(|| pause.why.strip_prefix(MOVED));
            epoch.and_then(|epoch| epoch.parse().ok())
        });
        let unclean = recorded.unwrap_or(source.unclean());
        let paused = all(source.store).await?;
        let at = Timestamp::now();
        let pause = |of: &PauseOf| {
            let (of, who, why) = (of.clone(), WHO.to_owned(), format!("{UNDER_WAY}{unclean}"));
            PauseChange::Pause(Pause { of, who, why, at })
        };
        let step = || Step { pauses: paused.iter().map(pause).collect(), ..Step::default() };
        source.write("the pauses of the source", step()).await?;
        target.write("the pauses of the target", step()).await?;
        let kept = of_source.into_iter().filter(|pause| pause.who != WHO).collect();
        Ok(Self { paused, kept, unclean })
    }

    pub(super) fn epochs(&self, target: u64) -> Epochs {
        Epochs { unclean: self.unclean, target }
    }

    /// Seals the source, and then resumes the target. A crash between both leaves a target that the next run resumes.
    pub(super) async fn end(
        self,
        source: &mut Writer<'_>,
        target: &mut Writer<'_>,
    ) -> Result<(), RelocationError> {
        let resume = || self.paused.iter().cloned().map(PauseChange::Resume);
        let at = Timestamp::now();
        let seal = |of: &PauseOf| {
            PauseChange::Pause(Pause {
                of: of.clone(),
                who: WHO.to_owned(),
                why: format!("{MOVED}{}", self.unclean),
                at,
            })
        };
        let sealed = resume().chain(self.paused.iter().map(seal)).collect();
        source.write("the seal of the source", Step { pauses: sealed, ..Step::default() }).await?;
        // A pause of a person replaces that of the move.
        let kept = self.kept.iter().cloned().map(PauseChange::Pause);
        let resumed = resume().chain(kept).collect();
        target.write("the end of the pauses", Step { pauses: resumed, ..Step::default() }).await
    }
}

fn is_mark(pause: &Pause) -> bool {
    pause.who == WHO && pause.of == PauseOf::Saga(MARK.to_owned())
}

/// Returns everything that could advance, with the mark.
async fn all(store: &dyn Store) -> Result<Vec<PauseOf>, StoreError> {
    let mut all = BTreeSet::from([PauseOf::Saga(MARK.to_owned())]);
    for count in store.counts().await? {
        all.insert(PauseOf::Saga(count.saga));
    }
    for definition in store.definitions().await? {
        all.insert(PauseOf::Saga(definition.saga));
    }
    for row in store.consumers().await? {
        all.insert(match row.subscriber {
            true => PauseOf::Handler(row.consumer),
            false => PauseOf::Saga(row.consumer),
        });
    }
    Ok(all.into_iter().collect())
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
    } else if !store.pauses().await?.is_empty() {
        Some("pauses")
    } else {
        None
    })
}
