//! The plain data of one commit. Stores keep this data. Stores never read payloads and never see user types.
//!
//! Owns: the shape of all written data. Does not own: the layout in tables, or the reasons for a write.

mod audit;
mod changes;
mod check;
mod dedup;
mod delivery;
mod ids;
mod instance;
mod label;
mod mail;
mod obligation;
mod outcome;
mod parked;
mod pause;
mod relatives;
mod shard_id;
mod task;
mod timer;
mod words;

pub use audit::{AuditEntry, AuditId, AuditLink};
pub(crate) use changes::Contents;
pub use changes::{Change, Changes, FieldChange, WentOut};
pub use dedup::DedupRecord;
pub use delivery::{Delivery, DeliveryChange};
pub use ids::{Address, DeadId, DeliveryId, InboxId, RowId};
pub use instance::{AliasChange, HistoryEntry, InstanceChange, Snapshot, Status};
pub use label::{LabelChange, Labels};
pub use mail::{DeadLetter, Mail, MailKind};
pub use obligation::{Obligation, ObligationChange, ObligationOf};
pub use outcome::{Committed, StepOutcome};
pub use parked::{ParkReason, Parked, ParkedOver};
pub use pause::{Pause, PauseChange, PauseOf};
pub use shard_id::ShardId;
pub(crate) use task::OVERDUE;
pub use task::{Task, TaskChange, TaskId, TaskKind, TaskProgress, TaskStage};
pub use timer::{TimerChange, TimerRow};
pub use words::{DeadLetterReason, HistoryKind, IgnoredReason, OutKind};

/// Everything that one decision writes. All parts become visible together, or none of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Step {
    /// The row of the changed instance. `None` if the step creates the instance (with `instance`) or changes none.
    pub row: Option<RowId>,
    /// The new instance row. `None` leaves the instance unchanged.
    pub instance: Option<InstanceChange>,
    /// New history lines, in order. Only allowed together with `instance`.
    pub history: Vec<HistoryEntry>,
    /// Changes to the tasks of the instance.
    pub tasks: Vec<TaskChange>,
    /// Changes to the timers of the instance.
    pub timers: Vec<TimerChange>,
    /// Changes to the obligations of the instance.
    pub obligations: Vec<ObligationChange>,
    /// Aliases to claim or release, in order (rule [R35](crate::rules#r35)). An alias held by another instance of the
    /// saga fails the whole step with [`StepOutcome::AliasTaken`].
    pub aliases: Vec<AliasChange>,
    /// Changes to the index of labels, in any order. The store finds instances by a label through this index.
    pub labels: Vec<LabelChange>,
    /// Inbox rows used by this step. A missing row fails the whole step with [`StepOutcome::Duplicate`]. Only one step
    /// can use an inbox row.
    pub consumed: Vec<InboxId>,
    /// New inbox rows, for this instance or other instances.
    pub mail: Vec<Mail>,
    /// Changes to deliveries.
    pub deliveries: Vec<DeliveryChange>,
    /// New deduplication records. An existing record fails the whole step with [`StepOutcome::Duplicate`] or
    /// [`StepOutcome::IdConflict`].
    pub dedup: Vec<DedupRecord>,
    /// New dead letters.
    ///
    /// A conflict ([`DeadLetter::is_conflict`]) is counted on an existing conflict with the same message id, consumer
    /// and key. The existing letter then adds the `times` and takes over the `at` of the new letter. The other fields
    /// stay unchanged. Repetitions of one message therefore need only one letter. The content of a letter stays the
    /// same until its removal.
    pub dead: Vec<DeadLetter>,
    /// Dead letters to remove, because they are redriven or discarded. A missing letter makes the store refuse the whole
    /// step.
    pub redriven: Vec<DeadId>,
    /// Sagas and handlers to pause or to resume (rule [R37](crate::rules#r37)).
    pub pauses: Vec<PauseChange>,
    /// Decisions of operators, for the audit (rule [R38](crate::rules#r38)). The store chains the rows.
    pub audit: Vec<AuditEntry>,
}
