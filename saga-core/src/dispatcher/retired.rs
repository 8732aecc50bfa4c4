//! Retired names (rule R34): the names that this build retires, and the names that prevent its start.
//!
//! Owns: comparing a build with the names in the store. Does not own: retiring names, which a store does in one
//! transaction.

use std::collections::BTreeSet;

use crate::definition::Definition;
use crate::engine::{Registry, StartProblem};
use crate::message::name_matches;
use crate::store::{NameOf, RetiredName};

/// An item with a stored name in this build.
pub(super) struct Known {
    what: NameOf,
    definition: &'static Definition,
    name: &'static str,
    was: &'static [&'static str],
}

impl Known {
    /// Whether `name` is or was a name of this item. The store holds `name` for the item of `row`.
    fn is_called(&self, row: &RetiredName, name: &str) -> bool {
        let Definition { name: saga, was, .. } = self.definition;
        let here = row.what == NameOf::Saga || name_matches(&row.saga, saga, was);
        self.what == row.what && here && name_matches(name, self.name, self.was)
    }

    fn problem(&self, row: &RetiredName) -> StartProblem {
        let name = self.name;
        StartProblem::Retired {
            what: self.what.as_str(),
            name: name.to_owned(),
            of: match self.what {
                NameOf::Saga => String::new(),
                NameOf::State | NameOf::Event | NameOf::Command => {
                    format!(" of saga `{}`", self.definition.name)
                }
            },
            earlier: if row.was == name { String::new() } else { format!(" (earlier name `{}`)", row.was) },
            present: row.name.clone(),
        }
    }
}

/// All items with a name that can be retired, sagas first. A timer's name is unique only within its state, so timers
/// are excluded.
pub(super) fn known(registry: &Registry) -> Vec<Known> {
    let mut known = Vec::new();
    for program in registry.sagas.values() {
        let definition = program.definition();
        let of = |what, name, was| Known { what, definition, name, was };
        known.push(of(NameOf::Saga, definition.name, definition.was));
        known.extend(definition.states.iter().map(|state| of(NameOf::State, state.name, state.was)));
        known.extend(definition.events.iter().map(|event| of(NameOf::Event, event.name, event.was)));
        known
            .extend(definition.commands.iter().map(|command| of(NameOf::Command, command.name, command.was)));
    }
    known.sort_by_key(|known| (known.what, known.definition.name, known.name));
    known
}

/// The names that this build retires, sagas first. Each record is found under the present name of its saga.
pub(super) fn names(registry: &Registry) -> Vec<RetiredName> {
    let mut names = BTreeSet::new();
    for Known { what, definition, name, was } in known(registry) {
        let saga = if what == NameOf::Saga { "" } else { definition.name };
        names.extend(was.iter().map(|was| RetiredName {
            what,
            saga: saga.to_owned(),
            was: (*was).to_owned(),
            name: name.to_owned(),
        }));
    }
    names.into_iter().collect()
}

/// Returns the `retired` names that this build uses without the present ones. Such a build is older than the stored
/// data.
pub(super) fn problems(registry: &Registry, retired: &[RetiredName]) -> Vec<StartProblem> {
    problems_of(&known(registry), retired)
}

/// Returns the problems of a build with these names.
pub(super) fn problems_of(known: &[Known], retired: &[RetiredName]) -> Vec<StartProblem> {
    let aware = |row: &RetiredName| {
        known.iter().any(|known| known.is_called(row, &row.was) && known.is_called(row, &row.name))
    };
    let rows: Vec<&RetiredName> = retired.iter().filter(|row| !aware(row)).collect();
    let problem = |known: &Known| {
        let used = rows.iter().filter(|row| known.is_called(row, &row.was));
        used.min_by_key(|row| row.was != known.name).map(|row| known.problem(row))
    };
    known.iter().filter_map(problem).collect()
}
