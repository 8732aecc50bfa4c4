//! What waits for a person, in groups: parked instances and dead letters with the same cause.
//!
//! Owns: which of them belong together. Does not own: the reading of them (`Inspect`).

use std::collections::BTreeMap;

use super::{Address, DeadId, Inspect, InstanceFilter, InstanceView, PageFrom, StoreError};
use crate::message::Timestamp;
use crate::step::{ParkReason, Parked};

/// The most parked instances, and the most dead letters, that are read for the groups.
const MOST: usize = 10_000;
/// The most lines of one read.
const PAGE: usize = 200;

/// Parked instances or dead letters with the same consumer, reason and error.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// Whether these are parked instances or dead letters.
    pub kind: ProblemKind,
    /// The stored name of the saga or subscriber.
    pub consumer: String,
    /// The reason: the word of a [`ParkReason`](crate::machine::ParkReason) for people, or of a
    /// [`DeadLetterReason`](super::DeadLetterReason).
    pub reason: String,
    /// The reason of parked instances, to list them by it. `None` for dead letters.
    pub park_reason: Option<ParkReason>,
    /// The error, with a `#` for each word with a digit. Errors that differ in a number or an id are therefore equal.
    pub error: String,
    /// The number of instances or letters.
    pub count: usize,
    /// The time of the oldest one.
    pub oldest: Timestamp,
    /// The time of the newest one.
    pub newest: Timestamp,
    /// The address of the newest one.
    pub example: Address,
}

impl Problem {
    /// Returns whether a parked instance belongs to this group.
    pub fn holds(&self, view: &InstanceView) -> bool {
        let same =
            |parked: &Parked| self.park_reason == Some(parked.reason) && shape(&parked.detail) == self.error;
        view.address.saga == *self.consumer && view.parked.as_ref().is_some_and(same)
    }
}

/// The kind of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ProblemKind {
    /// Parked instances.
    Parked,
    /// Dead letters.
    DeadLetters,
}

impl ProblemKind {
    /// Returns the word for the kind.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Parked => "parked",
            Self::DeadLetters => "dead-letters",
        }
    }
}

/// All problems of a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problems {
    /// The groups, the largest first.
    pub groups: Vec<Problem>,
    /// Whether all parked instances and all dead letters were read. Above 10,000 of a kind, the oldest 10,000 are.
    pub complete: bool,
}

impl Problems {
    /// Reads what waits for a person, and groups it. The reads are pages, so the groups do not describe one moment.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn read(store: &dyn Inspect) -> Result<Self, StoreError> {
        let mut groups = Groups::default();
        let parked = parked(store, &mut groups).await?;
        let letters = letters(store, &mut groups).await?;
        let mut groups: Vec<Problem> = groups.0.into_values().collect();
        groups.sort_by(|one, other| other.count.cmp(&one.count).then(other.newest.cmp(&one.newest)));
        Ok(Self { groups, complete: parked && letters })
    }
}

#[derive(Default)]
struct Groups(BTreeMap<(ProblemKind, String, String, String), Problem>);

impl Groups {
    fn park(&mut self, address: &Address, parked: &Parked) {
        let reason = parked.reason.to_string();
        let problem = self.add(ProblemKind::Parked, address, reason, &parked.detail, parked.since);
        problem.park_reason = Some(parked.reason);
    }

    fn add(
        &mut self,
        kind: ProblemKind,
        address: &Address,
        reason: String,
        detail: &str,
        at: Timestamp,
    ) -> &mut Problem {
        let (consumer, error) = (address.saga.to_string(), shape(detail));
        let of = (kind, consumer.clone(), reason.clone(), error.clone());
        let found = self.0.entry(of).or_insert_with(|| Problem {
            kind,
            consumer,
            reason,
            park_reason: None,
            error,
            count: 0,
            oldest: at,
            newest: at,
            example: address.clone(),
        });
        found.count += 1;
        found.oldest = found.oldest.min(at);
        if at >= found.newest {
            (found.newest, found.example) = (at, address.clone());
        }
        found
    }
}

async fn parked(store: &dyn Inspect, groups: &mut Groups) -> Result<bool, StoreError> {
    let mut filter = InstanceFilter { parked: Some(true), limit: PAGE, ..InstanceFilter::default() };
    let mut read = 0;
    loop {
        let page = store.instances(&filter).await?;
        read += page.instances.len();
        for view in &page.instances {
            if let Some(parked) = &view.parked {
                groups.park(&view.address, parked);
            }
        }
        match page.more {
            None => return Ok(true),
            Some(_) if read >= MOST => return Ok(false),
            Some(more) => filter.from = Some(PageFrom::After(more)),
        }
    }
}

async fn letters(store: &dyn Inspect, groups: &mut Groups) -> Result<bool, StoreError> {
    let (mut after, mut read) = (DeadId(0), 0);
    loop {
        let page = store.dead_letters(after, PAGE).await?;
        read += page.len();
        for row in &page {
            let letter = &row.letter;
            let reason = letter.reason.as_str().to_owned();
            groups.add(ProblemKind::DeadLetters, &letter.to, reason, &letter.detail, letter.at);
        }
        match page.last() {
            Some(last) if page.len() == PAGE && read < MOST => after = last.id,
            Some(_) if page.len() == PAGE => return Ok(false),
            _ => return Ok(true),
        }
    }
}

/// Returns the text with a `#` for each word with a digit. A word has letters, digits, `_` and `-`.
fn shape(text: &str) -> String {
    let mut shape = String::with_capacity(text.len());
    let mut rest = text;
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    while let Some(c) = rest.chars().next() {
        let word = is_word(c);
        let (part, after) = rest.split_at(rest.find(|c| is_word(c) != word).unwrap_or(rest.len()));
        let has_digit = word && part.contains(|c: char| c.is_ascii_digit());
        shape.push_str(if has_digit { "#" } else { part });
        rest = after;
    }
    shape
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance::{Driver, address, create, payload, task, time};
    use crate::store::{DeadLetter, DeadLetterReason, MailKind, MemoryStore, Step};
    use std::sync::Arc;

    #[test]
    fn numbers_and_ids_do_not_tell_errors_apart() {
        for (text, expected) in [
            ("", ""),
            ("connection reset", "connection reset"),
            ("order-17 not found", "# not found"),
            ("timeout after 30s, at 10:05", "timeout after #, at #:#"),
            ("no row 0190b8d2-7c1e-7a11-9d0e-1f2e3a4b5c6d", "no row #"),
            ("é 5 ü", "é # ü"),
        ] {
            assert_eq!(shape(text), expected);
        }
    }

    fn parked(key: &str, detail: &str, at: i64) -> Step {
        let mut step = create(&address(key));
        let record =
            format!(r#"{{"reason":"undo-refused","detail":"{detail}","at":{at},"subject":"nothing"}}"#);
        step.instance.as_mut().unwrap().parked = Some(record.as_str().into());
        step
    }

    #[tokio::test]
    async fn the_same_cause_is_one_group_and_the_largest_group_is_first() {
        let store = MemoryStore::new();
        let mut driver = Driver::lease(Arc::new(store.clone())).await;
        let letter = DeadLetter {
            detail: "no row takes it".to_owned(),
            ..DeadLetter::new(
                address("z"),
                MailKind::Event,
                task(1, 0).command,
                DeadLetterReason::Unhandled,
                time(7),
            )
        };
        driver.commit(vec![parked("a", "payment 17 is gone", 5), parked("b", "no account", 6)]).await;
        let mut last = parked("c", "payment 18 is gone", 9);
        last.dead = vec![letter];
        driver.created(last).await;
        let mut unreadable = create(&address("d"));
        unreadable.instance.as_mut().unwrap().parked = Some(payload("damaged"));
        driver.created(unreadable).await;
        let Problems { groups, complete } = Problems::read(&store).await.unwrap();
        assert!(complete);
        let all: Vec<_> =
            groups.iter().map(|group| (group.kind.as_str(), &*group.error, group.count)).collect();
        assert_eq!(all[0], ("parked", "payment # is gone", 2));
        assert_eq!(groups[0].example, address("c"));
        assert_eq!((groups[0].oldest, groups[0].newest), (time(5), time(9)));
        let page = store.instances(&InstanceFilter::default()).await.unwrap().instances;
        let held = |group: &Problem| page.iter().filter(|view| group.holds(view)).count();
        for group in &groups {
            let parked = group.kind == ProblemKind::Parked;
            assert_eq!(held(group), if parked { group.count } else { 0 }, "{group:?}");
            assert_eq!(
                group.park_reason.map(|reason| reason.to_string()),
                parked.then(|| group.reason.clone())
            );
        }
        assert!(all.contains(&("dead-letters", "no row takes it", 1)));
        assert!(all.contains(&("parked", "no account", 1)));
        assert_eq!(all.len(), 4, "{all:?}");
    }

    #[tokio::test]
    async fn a_flood_is_read_in_part_and_said_so() {
        let store = MemoryStore::new();
        let mut driver = Driver::lease(Arc::new(store.clone())).await;
        let steps = (0..MOST + 300).map(|n| parked(&format!("k{n}"), "no account", 5)).collect();
        driver.commit(steps).await;
        let problems = Problems::read(&store).await.unwrap();
        assert!(!problems.complete);
        assert_eq!((problems.groups.len(), problems.groups[0].count), (1, MOST));
    }
}
