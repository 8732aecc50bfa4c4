//! The parent and the open children of an instance, for people.
//!
//! Owns: the places of their keys in the records of the machine. Does not own: the records themselves (`machine/family.rs`),
//! or children that have ended, which the history names.

use serde::{Deserialize, Serialize};

use super::{Address, InstanceChange, Snapshot, Task, TaskKind};
use crate::message::{Key, Payload};

/// The part of a family record that names the parent.
#[derive(Deserialize, Serialize)]
struct Family {
    #[serde(default)]
    parent: Option<Parent>,
}

#[derive(Deserialize, Serialize)]
struct Parent {
    saga: String,
    key: String,
}

/// The part of the record of a child that names it.
#[derive(Deserialize, Serialize)]
struct Child {
    key: String,
}

impl Snapshot {
    /// Returns the parent of a child that has not ended. A child that has ended has reported to its parent, and no longer
    /// names it.
    pub fn parent(&self) -> Option<Address> {
        let family: Family = self.instance.family.as_ref()?.decode().ok()?;
        let Parent { saga, key } = family.parent?;
        Some(Address::new(saga, Key::new(key).ok()?))
    }

    /// Returns the children that have not ended, in the order of their starts. A child that waits for its place does not
    /// exist yet.
    pub fn children(&self) -> impl Iterator<Item = Address> {
        self.tasks.iter().filter_map(|task| {
            let child: Child =
                (task.kind == TaskKind::Child).then(|| task.command.payload.decode().ok())??;
            Some(Address::new(task.command.name.clone(), Key::new(child.key).ok()?))
        })
    }
}

impl InstanceChange {
    /// Leaves only the address of the parent in the family record.
    pub(crate) fn keep_parent(&mut self) {
        self.family = self.family.take().and_then(|family| only::<Family>(&family));
    }
}

impl Task {
    /// Leaves only the key in the record of a child. `None` if the record cannot be read.
    pub(crate) fn only_key(&self) -> Option<Payload> {
        only::<Child>(&self.command.payload)
    }
}

/// Returns the record without the fields that `T` does not have.
fn only<T: Serialize + for<'a> Deserialize<'a>>(record: &Payload) -> Option<Payload> {
    let part: T = record.decode().ok()?;
    serde_json::to_string(&part).ok().map(Payload::from)
}
