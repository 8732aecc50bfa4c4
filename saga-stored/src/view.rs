//! The line of one instance in a list, and the stored names in one instance.
//!
//! Owns: the reading of both from a body and its pending items. Does not own: the columns, or the sum of the names.

use saga_core::machine::Parked;
use saga_core::message::{Payload, Timestamp};
use saga_core::store::{Address, InstanceView, ObligationOf, Position, Status, Stored};

use crate::instance::{self, Outline};
use crate::item::Items;

/// The columns of an instance that need no parse.
#[derive(Clone, Debug)]
pub struct Columns {
    /// The address.
    pub address: Address,
    /// The status.
    pub status: Status,
    /// Whether the instance is parked.
    pub parked: bool,
    /// The number of the last step.
    pub seq: u64,
}

/// Returns the line of an instance in a list. Unreadable parts of the body are empty, and the line stays visible.
pub fn view(columns: Columns, body: &str, items: &Items, position: Position) -> InstanceView {
    let outline = instance::outline(body).unwrap_or_default();
    let changed_at = Timestamp::from_millis(outline.changed_at);
    let record = outline.parked.or_else(|| columns.parked.then(|| Payload::from("")));
    let mut view = InstanceView {
        address: columns.address,
        status: columns.status,
        state: outline.state.into_owned().into(),
        parked: record.map(|record| Parked::from_stored(&record, changed_at)),
        seq: columns.seq,
        created_at: Timestamp::from_millis(outline.created_at),
        changed_at,
        due: items.timers.iter().map(|timer| timer.due).min(),
        labels: outline.labels,
        waiting_for: Vec::new(),
        errors: Vec::new(),
        owed: items.obligations.len(),
        undo_since: None,
        position,
    };
    view.set_tasks(&items.tasks);
    view
}

/// Calls `count` with each stored name in an instance and its version. A name without a version has 0.
pub fn names(status: Status, outline: &Outline<'_>, items: &Items, mut count: impl FnMut(Stored, &str, u32)) {
    if !status.is_over() {
        count(Stored::State, &outline.state, outline.version);
    }
    for task in &items.tasks {
        if let Some(what) = Stored::of_task(task.kind.as_str()) {
            count(what, &task.command.name, task.command.version);
        }
    }
    for owed in &items.obligations {
        count(Stored::Undo, &owed.undo, 0);
        match &owed.of {
            ObligationOf::Command { command, .. } => {
                count(Stored::UndoneCommand, &command.name, command.version);
            }
            ObligationOf::State { state, version, .. } => count(Stored::UndoneState, state, *version),
        }
    }
    for timer in &items.timers {
        count(Stored::Timer, &timer.name, 0);
    }
}
