//! The relatives of an instance: its parent, and the tree of its children.
//!
//! Owns: the reads of the relatives, and how many of them a page shows. Does not own: the keys of the relatives, which the
//! snapshot and the history have.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use maud::{Markup, html};
use saga_core::message::{Key, visible};
use saga_core::store::{Address, HistoryKind, HistoryRow, Inspect, Snapshot, StoreError};

use super::Seen;
use crate::parts::{Look, id, panel, state, status};
use crate::screens::{Numbers, Screen};
use crate::text::{instance_address, number};

/// The most relatives of a page.
const MOST: usize = 60;
/// The generations below the instance.
const DEPTH: usize = 3;

/// The relatives of an instance.
pub(super) struct Family {
    parent: Option<Address>,
    /// The children in the order of a walk through the tree, each with its depth from 0.
    tree: Vec<(usize, Relative)>,
    /// There are more children than the page shows.
    more: bool,
}

struct Relative {
    address: Address,
    /// `None` for a child that waits for its place, or that a purge has removed.
    found: Option<Snapshot>,
    /// The child has reported its end to its parent.
    ended: bool,
}

impl Family {
    /// Reads the relatives. A sibling is read before the children of its elder, so that a page of many children has all
    /// generations only if there is room.
    pub(super) async fn read(store: &dyn Inspect, seen: &Seen) -> Result<Self, StoreError> {
        let mut children = children(&seen.snapshot);
        children.extend(ended(seen));
        let mut known: BTreeSet<Address> = BTreeSet::new();
        let mut read: Vec<(Vec<usize>, Relative)> = Vec::new();
        let mut open: VecDeque<(Vec<usize>, Address, bool)> = VecDeque::new();
        let queue = |open: &mut VecDeque<_>, of: &[usize], children: Vec<(Address, bool)>| {
            for (nth, (address, ended)) in children.into_iter().enumerate() {
                open.push_back(([of, &[nth]].concat(), address, ended));
            }
        };
        queue(&mut open, &[], children);
        let mut more = false;
        while let Some((place, address, ended)) = open.pop_front() {
            if !known.insert(address.clone()) {
                continue;
            }
            if read.len() == MOST {
                more = true;
                break;
            }
            // A damaged child must not hide the others.
            let found = match store.instance(&address).await {
                Err(StoreError::Corrupt { .. }) => None,
                found => found?,
            };
            if let Some(snapshot) = found.as_ref().filter(|_| place.len() < DEPTH) {
                queue(&mut open, &place, self::children(snapshot));
            }
            read.push((place, Relative { address, found, ended }));
        }
        // The places are in the order of the tree.
        read.sort_by(|(one, _), (other, _)| one.cmp(other));
        let tree = read.into_iter().map(|(place, relative)| (place.len() - 1, relative)).collect();
        Ok(Self { parent: seen.snapshot.parent(), tree, more })
    }

    /// The panel, or nothing without relatives.
    pub(super) fn panel(&self, screen: &Screen, numbers: &Numbers) -> Markup {
        let to = |address: &Address| screen.base.to(&instance_address(address, &[]));
        let body = html! {
            @if let Some(parent) = &self.parent {
                p.pad { "Child of " a href=(to(parent)) { (id(parent.key.text())) } " " span.muted { (visible(&parent.saga)) } }
            }
            @if !self.tree.is_empty() {
                ul.tree {
                    @for (depth, relative) in &self.tree {
                        li data-depth=(depth) {
                            a href=(to(&relative.address)) { (id(relative.address.key.text())) }
                            span.muted { (visible(&relative.address.saga)) }
                            (standing(relative, numbers))
                        }
                    }
                }
            }
            @if self.more { p.pad.muted { "These are the first " (number(MOST as u64)) "." } }
        };
        let beside = html! { @if !self.tree.is_empty() { span.small { (number(self.tree.len() as u64)) } } };
        html! {
            div data-live="family" {
                @if self.parent.is_some() || !self.tree.is_empty() { (panel("family-h", "Family", Some(beside), &body)) }
            }
        }
    }
}

fn standing(relative: &Relative, numbers: &Numbers) -> Markup {
    match &relative.found {
        Some(snapshot) => {
            let record = &snapshot.instance;
            let failing = snapshot.tasks.iter().any(|task| task.progress.error.is_some());
            let look = Look::of(record.status, record.parked.is_some(), failing);
            state(look, numbers.variant_of(&record.address.saga, &record.state))
        }
        None if relative.ended => status("ended", "ended, and removed since"),
        None => status("waiting", "not there: it waits for its start, or was removed"),
    }
}

/// The open children of an instance.
fn children(snapshot: &Snapshot) -> Vec<(Address, bool)> {
    // One more than a page shows, because a family may have a hundred thousand children.
    snapshot.children().take(MOST + 1).map(|address| (address, false)).collect()
}

/// The children that have ended, as the shown lines of the history name them. The cause of such a line is the key. Its name is
/// the trigger in the words of the table, or the saga of the child if no row takes the report.
fn ended(seen: &Seen) -> Vec<(Address, bool)> {
    let definition = seen.definition.iter();
    let triggers = definition.flat_map(|definition| &definition.rows).flat_map(|row| &row.triggers);
    let sagas: BTreeMap<&str, &str> = triggers
        .filter(|trigger| matches!(&*trigger.on, "finished" | "all_finished"))
        .map(|trigger| (&*trigger.label, &*trigger.name))
        .collect();
    let address = |row: &HistoryRow| {
        let entry = &row.entry;
        let saga = match entry.kind {
            HistoryKind::ChildEnded => &*entry.name,
            _ => sagas.get(&*entry.name)?,
        };
        Some((Address::new(saga.to_owned(), Key::new(entry.cause.as_deref()?).ok()?), true))
    };
    seen.history.iter().filter_map(address).collect()
}
