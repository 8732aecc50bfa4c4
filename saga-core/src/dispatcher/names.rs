//! Stored names and formats that this build does not know (rule R34).
//!
//! Owns: the comparison, made once after the start and on request. Does not own: the handling of such instances. Each
//! one is parked separately at its next use, and the other instances continue.

use std::collections::BTreeMap;
use std::fmt;

use super::Dispatcher;
use super::error::InstanceError;
use crate::definition::Definition;
use crate::engine::Registry;
use crate::machine::{is_own_timer, turn_targets};
use crate::message::name_matches;
use crate::store::{Address, Loaded, Store, StoreError, Stored, StoredName};

/// The number of instances loaded at a time.
const PAGE: usize = 100;

/// A stored name or format that this build cannot read or does not use. Its `Display` output is a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnknownName {
    /// The kind, the name and the number of occurrences.
    pub stored: StoredName,
    /// The problem.
    pub why: String,
}

impl fmt::Display for UnknownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StoredName { consumer, what, name, count, .. } = &self.stored;
        let one = *count == 1;
        let (thing, verb) = match what {
            Stored::State => ("instance", if one { "is in state" } else { "are in state" }),
            Stored::Target => ("turn", if one { "leads to state" } else { "lead to state" }),
            Stored::Command => ("task", if one { "runs command" } else { "run command" }),
            Stored::Child => ("open child", if one { "is of saga" } else { "are of saga" }),
            Stored::Undo => ("obligation", if one { "owes undo" } else { "owe undo" }),
            Stored::UndoneCommand => ("obligation", if one { "is for command" } else { "are for command" }),
            Stored::UndoneState => ("obligation", if one { "is for state" } else { "are for state" }),
            Stored::Timer => ("timer", if one { "is called" } else { "are called" }),
            Stored::Event => ("waiting event", if one { "is a" } else { "are" }),
            Stored::DeadLetter => ("dead letter", if one { "holds event" } else { "hold event" }),
        };
        let plural = match (one, *what) {
            (true, _) => "",
            (false, Stored::Child) => "ren",
            (false, _) => "s",
        };
        write!(f, "{count} {thing}{plural} of `{consumer}` {verb} `{name}`; {}", self.why)
    }
}

impl Dispatcher {
    /// Compares every name in the store with the names of this build. Each result has its number of occurrences. The
    /// result is empty when this build knows every name and no stored version is newer than this build.
    ///
    /// The comparison covers states, targets of turns, commands, undos, children, timers, waiting events and dead
    /// letters. It does not read payloads. The dispatcher also makes this comparison once after each start and writes
    /// the result to the log.
    ///
    /// # Errors
    /// [`InstanceError::Store`] when the store cannot be read. [`InstanceError::NotDone`] when the store has not
    /// answered within the limit of a call.
    pub async fn unknown_names(&self) -> Result<Vec<UnknownName>, InstanceError> {
        self.within(unknown(&self.registry, &*self.store)).await
    }
}

/// Returns the names in `store` that `registry` does not know.
pub(super) async fn unknown(registry: &Registry, store: &dyn Store) -> Result<Vec<UnknownName>, StoreError> {
    let mut names = store.names().await?;
    names.extend(targets(store).await?);
    let judge = |stored: StoredName| why(registry, &stored).map(|why| UnknownName { stored, why });
    Ok(names.into_iter().filter_map(judge).collect())
}

/// The arrival states of the compensating instances.
async fn targets(store: &dyn Store) -> Result<Vec<StoredName>, StoreError> {
    let mut counts: BTreeMap<(String, String), u64> = BTreeMap::new();
    let mut after = None;
    loop {
        let page = store.compensating(after, PAGE).await?;
        let Some((last, _)) = page.last() else { break };
        after = Some(*last);
        let addresses: Vec<Address> = page.into_iter().map(|(_, address)| address).collect();
        for found in store.load(&addresses).await?.into_iter().flatten() {
            let Loaded::Snapshot(snapshot) = found else { continue };
            for target in turn_targets(&snapshot.instance) {
                let saga = snapshot.instance.address.saga.to_string();
                *counts.entry((saga, target)).or_default() += 1;
            }
        }
    }
    let name =
        |((consumer, name), count)| StoredName { consumer, what: Stored::Target, name, version: 0, count };
    Ok(counts.into_iter().map(name).collect())
}

fn why(registry: &Registry, stored: &StoredName) -> Option<String> {
    if let Some(program) = registry.sagas.get(&*stored.consumer) {
        return of_saga(registry, program.definition(), stored);
    }
    let Some((_, event)) = registry.subscribers.get(&*stored.consumer) else {
        return Some(format!("this build has no consumer `{}`", stored.consumer));
    };
    if !name_matches(&stored.name, event.name, event.was) {
        return Some(format!("the subscriber now takes `{}`", event.name));
    }
    (stored.version > event.version).then(|| newer(stored.version, event.version))
}

fn of_saga(registry: &Registry, definition: &Definition, stored: &StoredName) -> Option<String> {
    let name = &stored.name;
    let saga = format!("`{}` v{}", definition.name, definition.version);
    let gone = |known: bool, text: &str| (!known).then(|| text.replace("{}", &saga));
    let version = |present: u32| (stored.version > present).then(|| newer(stored.version, present));
    match stored.what {
        Stored::State | Stored::UndoneState | Stored::Target => {
            gone(definition.state(name).is_some(), "{} does not have this state")
                .or_else(|| version(definition.version))
        }
        Stored::Command => {
            let Some(command) = definition.command(name) else {
                return gone(false, "{} does not send this command");
            };
            gone(registry.handlers.contains_key(&**name), "this command has no handler")
                .or_else(|| version(definition.commands[command].version))
        }
        Stored::Undo => gone(definition.command(name).is_some(), "{} does not run this undo"),
        Stored::UndoneCommand => match definition.command(name) {
            None => gone(false, "{} does not send this command"),
            Some(command) => version(definition.commands[command].version),
        },
        Stored::Child => gone(definition.child(name).is_some(), "{} does not start this saga"),
        Stored::Timer => gone(
            definition.timers.iter().any(|timer| name_matches(name, timer.name, timer.was))
                || is_own_timer(name),
            "no state of {} has this timer; this timer will not fire",
        ),
        Stored::Event | Stored::DeadLetter => match definition.event(name) {
            None => gone(false, "{} does not take this event"),
            Some(event) => version(definition.events[event].version),
        },
    }
}

fn newer(stored: u32, present: u32) -> String {
    format!("the stored version is {stored}; this build has version {present}")
}
