//! The plain data of one commit. Stores keep it; they never look inside payloads and never see user types.
//!
//! Owns: the shape of everything that is written. Does not own: how it is laid out in tables, or why it is written.

mod check;
mod dedup;
mod delivery;
mod ids;
mod instance;
mod mail;
mod obligation;
mod outcome;
mod parked;
mod task;
mod timer;

pub use dedup::DedupRecord;
pub use delivery::{Delivery, DeliveryChange};
pub use ids::{Address, DeadId, DeliveryId, InboxId, RowId};
pub use instance::{AliasChange, HistoryEntry, InstanceChange, Snapshot, Status};
pub use mail::{DeadLetter, Mail, MailKind};
pub use obligation::{Obligation, ObligationChange, ObligationOf};
pub use outcome::{Committed, Outcome};
pub use parked::{ParkReason, Parked, ParkedOver};
pub use task::{Task, TaskChange, TaskId, TaskKind, TaskProgress, TaskStage};
pub use timer::{TimerChange, TimerRow};

/// Everything one decision writes. All of it becomes visible together or not at all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Step {
    /// The instance whose tasks, timers, obligations and history are touched: its row, or `None` when this step
    /// creates it (then `instance` is set) or touches none.
    pub row: Option<RowId>,
    /// The instance as it is from now on; `None` leaves it as it is.
    pub instance: Option<InstanceChange>,
    /// Lines for the history of the instance, in order. Only with `instance`.
    pub history: Vec<HistoryEntry>,
    /// Changes to the tasks of the instance.
    pub tasks: Vec<TaskChange>,
    /// Changes to the timers of the instance.
    pub timers: Vec<TimerChange>,
    /// Changes to the obligations of the instance.
    pub obligations: Vec<ObligationChange>,
    /// Aliases that the instance claims or gives up (rule R35), in order. A claim of one that another instance of the saga
    /// holds fails the whole step with [`Outcome::AliasTaken`].
    pub aliases: Vec<AliasChange>,
    /// Inbox rows that are used up. One that has gone fails the whole step with [`Outcome::Duplicate`]: each is used up
    /// by one step only.
    pub consumed: Vec<InboxId>,
    /// Inbox rows to add, for this or other instances.
    pub mail: Vec<Mail>,
    /// Changes to deliveries.
    pub deliveries: Vec<DeliveryChange>,
    /// Deduplication records to set. A dedup_record that is there already fails the whole step with
    /// [`Outcome::Duplicate`] or [`Outcome::IdConflict`].
    pub dedup: Vec<DedupRecord>,
    /// Dead letters to add. A conflict ([`DeadLetter::is_conflict`]) with a message id, consumer and key of which there is one
    /// already is not added but counted on that one: its `times` grow by the new one's, its `at` becomes the new one's, and
    /// everything else stays as it was. So repeats of one message take the room of one letter, and a letter that a person
    /// has looked at keeps its content until it is redriven.
    pub dead: Vec<DeadLetter>,
    /// Dead letters that are redriven or dropped, and so removed. One that has gone has the whole step refused.
    pub undead: Vec<DeadId>,
}
