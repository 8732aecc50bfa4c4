//! Lists of instances: the filter, the order, and one page.
//!
//! Owns: the conditions of a filter, and how they are decided for one instance. Does not own: the walk over the instances,
//! which is the store's.

use std::fmt;
use std::mem::discriminant;
use std::str::FromStr;

use super::{Address, LabelCondition, Labels, RowId, Status, Task, TaskKind};
use crate::message::{InstanceName, Name, Timestamp};
use crate::step::{ParkReason, Parked};

/// The filter and the order of a list of instances. An instance must meet every condition.
///
/// A store examines a limited number of instances for one page. A page with a rare condition may therefore be short or
/// empty, and [`InstancePage::more`] then says where to continue.
///
/// | condition | a store examines |
/// |---|---|
/// | `alias` | the holder of the alias |
/// | `labels` with a value that at most 500 instances have | these instances |
/// | `labels` with another value, in the order [`Created`](InstanceOrder::Created) | instances with this value |
/// | `parked: Some(true)`, `reason` | parked instances |
/// | `status`: running, compensating, failed, aborted | instances with this status |
/// | `key_prefix` in the order [`Key`](InstanceOrder::Key) | instances with this prefix |
/// | any other | the instances of the order |
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct InstanceFilter {
    /// Only instances of this saga, by its stored name.
    pub saga: Option<String>,
    /// Only instances in this state, by its stored name. While compensating: the state that is being left.
    pub state: Option<String>,
    /// Only instances with this status.
    pub status: Option<Status>,
    /// `true`: only parked instances. `false`: only instances that are not parked.
    pub parked: Option<bool>,
    /// Only instances that are parked for this reason.
    pub reason: Option<ParkReason>,
    /// Only instances with a key that begins with this text.
    pub key_prefix: Option<String>,
    /// Only the holder of this alias, in each saga.
    pub alias: Option<String>,
    /// Only instances that meet each of these conditions on their labels.
    pub labels: Vec<LabelCondition>,
    /// Only instances with this text in the detail of the park or in the error of an open task. Upper and lower case of
    /// ASCII letters are the same.
    pub error: Option<String>,
    /// Only instances that wait for this command, undo or child, by its stored name.
    pub waiting_for: Option<String>,
    /// `true`: only instances with an obligation. `false`: only instances without one.
    pub owed: Option<bool>,
    /// Only instances with an undo that was first ready before this time. An undo is overdue after 24 hours.
    pub undo_before: Option<Timestamp>,
    /// Only instances that were created in this range.
    pub created: TimeRange,
    /// Only instances with their last step in this range.
    pub changed: TimeRange,
    /// Only instances with their next timer in this range.
    pub due: TimeRange,
    /// The order of the list.
    pub order: InstanceOrder,
    /// The list begins at its end.
    pub descending: bool,
    /// The side of a position on which the page lies. `None` is the first page.
    pub from: Option<PageFrom>,
    /// The most lines of a page. 0 means the default of 50. The maximum is 200.
    pub limit: usize,
}

impl InstanceFilter {
    /// Returns the number of lines of a page.
    pub fn page(&self) -> usize {
        match self.limit {
            0 => 50,
            limit => limit.min(200),
        }
    }

    /// Returns the position at which a walk begins, and whether the walk goes to higher positions. A walk to the page
    /// before a position meets the lines in reverse order.
    pub fn walk(&self) -> (Option<&Position>, bool) {
        match &self.from {
            None => (None, !self.descending),
            Some(PageFrom::After(position)) => (Some(position), !self.descending),
            Some(PageFrom::Before(position)) => (Some(position), self.descending),
        }
    }

    /// Returns whether the conditions on the address, the status and the park hold. Stores check them before they read
    /// the rest of an instance.
    pub fn may_match(&self, address: &Address, status: Status, parked: bool) -> bool {
        self.saga.as_ref().is_none_or(|saga| address.saga == *saga)
            && self.status.is_none_or(|wanted| wanted == status)
            && self.parked.is_none_or(|wanted| wanted == parked)
            && (self.reason.is_none() || parked)
            && self.key_prefix.as_ref().is_none_or(|prefix| address.key.text().starts_with(&**prefix))
    }

    /// Returns whether every condition holds, except the alias. Only the store knows the holder of an alias.
    pub fn matches(&self, view: &InstanceView) -> bool {
        let has_error = |text: &String| {
            let detail = view.parked.as_ref().map(|parked| &parked.detail);
            detail.into_iter().chain(&view.errors).any(|error| contains(error, text))
        };
        self.may_match(&view.address, view.status, view.parked.is_some())
            && self.state.as_ref().is_none_or(|state| view.state == *state)
            && self
                .reason
                .is_none_or(|reason| view.parked.as_ref().is_some_and(|parked| parked.reason == reason))
            && self.error.as_ref().is_none_or(has_error)
            && self.waiting_for.as_ref().is_none_or(|name| view.waiting_for.iter().any(|one| one == name))
            && self.labels.iter().all(|condition| condition.holds(&view.labels))
            && self.owed.is_none_or(|owed| (view.owed > 0) == owed)
            && self.undo_before.is_none_or(|time| view.undo_since.is_some_and(|since| since < time))
            && self.created.contains(view.created_at)
            && self.changed.contains(view.changed_at)
            && (self.due.is_unbounded() || view.due.is_some_and(|due| self.due.contains(due)))
    }
}

/// Returns whether `text` contains `part`, without regard to the case of ASCII letters.
pub(super) fn contains(text: &str, part: &str) -> bool {
    let (text, part) = (text.as_bytes(), part.as_bytes());
    part.is_empty() || text.windows(part.len()).any(|window| window.eq_ignore_ascii_case(part))
}

/// A range of times. An unset end is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeRange {
    /// The first time of the range.
    pub from: Option<Timestamp>,
    /// The first time after the range.
    pub until: Option<Timestamp>,
}

impl TimeRange {
    /// Returns whether the time is in the range.
    pub fn contains(&self, time: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= time) && self.until.is_none_or(|until| time < until)
    }

    /// Returns whether both ends are open.
    pub fn is_unbounded(&self) -> bool {
        self.from.is_none() && self.until.is_none()
    }
}

/// The order of a list of instances, from the lowest to the highest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum InstanceOrder {
    /// By creation.
    #[default]
    Created,
    /// By the newest history line, which is the order of the last steps. Instances without a line are left out.
    Changed,
    /// By the name of the saga, and then by the key.
    Key,
    /// By the next timer. Instances without a timer are left out.
    Due,
}

/// The side of a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PageFrom {
    /// The page behind the position, in the order of the list.
    After(Position),
    /// The page before the position, in the order of the list.
    Before(Position),
}

/// The place of an instance in a list. A position of another order begins the list anew.
///
/// `Display` and `FromStr` convert a position for an address of a web page. The text may change between versions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Position {
    /// In the order [`Created`](InstanceOrder::Created).
    Row(RowId),
    /// In the order [`Changed`](InstanceOrder::Changed): a number of the newest history line, assigned by the store.
    Line(i64),
    /// In the order [`Key`](InstanceOrder::Key).
    Address(Address),
    /// In the order [`Due`](InstanceOrder::Due).
    Due(Timestamp, RowId),
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Row(RowId(row)) => write!(f, "row.{row}"),
            Self::Line(line) => write!(f, "line.{line}"),
            Self::Address(Address { saga, key }) => {
                write!(f, "key.{}.{}", Encoded(saga), Encoded(key.stored()))
            }
            Self::Due(due, RowId(row)) => write!(f, "due.{}.{row}", due.as_millis()),
        }
    }
}

/// A text in which every byte except ASCII letters, digits, `_` and `-` is written as `%` with two digits. A position is
/// therefore safe in an address of a web page and in a shell.
struct Encoded<'a>(&'a str);

impl fmt::Display for Encoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.bytes() {
            match byte {
                b'_' | b'-' => write!(f, "{}", char::from(byte))?,
                byte if byte.is_ascii_alphanumeric() => write!(f, "{}", char::from(byte))?,
                byte => write!(f, "%{byte:02X}")?,
            }
        }
        Ok(())
    }
}

fn decoded(text: &str) -> Option<String> {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text);
    while let Some((before, after)) = rest.split_once('%') {
        bytes.extend_from_slice(before.as_bytes());
        bytes.push(u8::from_str_radix(after.get(..2)?, 16).ok()?);
        rest = &after[2..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).ok()
}

/// The text is not a position of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("the text is not a position of a list; take the position from a page of the list")]
#[non_exhaustive]
pub struct PositionError;

impl FromStr for Position {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, PositionError> {
        let parse = || {
            let (kind, rest) = text.split_once('.')?;
            Some(match kind {
                "row" => Self::Row(RowId(rest.parse().ok()?)),
                "line" => Self::Line(rest.parse().ok()?),
                "key" => {
                    let (saga, key) = rest.split_once('.')?;
                    Self::Address(Address::new(
                        decoded(saga)?,
                        InstanceName::from_stored(&decoded(key)?).ok()?,
                    ))
                }
                "due" => {
                    let (due, row) = rest.split_once('.')?;
                    Self::Due(Timestamp::from_millis(due.parse().ok()?), RowId(row.parse().ok()?))
                }
                _ => return None,
            })
        };
        parse().ok_or(PositionError)
    }
}

/// One page of a list of instances.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct InstancePage {
    /// The instances, in the order of the list.
    pub instances: Vec<InstanceView>,
    /// The position at which the next page in the same direction begins. `None` at the end of the list. An empty page
    /// can have a next page, because a store examines a limited number of instances for one page.
    pub more: Option<Position>,
}

impl InstancePage {
    /// Returns a page of a list that is known as a whole. `instances` are all instances of the order, in any order.
    pub fn of_all(filter: &InstanceFilter, mut instances: Vec<InstanceView>) -> Self {
        instances.retain(|view| filter.matches(view));
        instances.sort_by(|one, other| one.position.cmp(&other.position));
        let (from, up) = filter.walk();
        if !up {
            instances.reverse();
        }
        let of_order = |position: &&Position| {
            instances.first().is_some_and(|view| discriminant(&view.position) == discriminant(*position))
        };
        if let Some(from) = from.filter(of_order) {
            instances.retain(|view| if up { view.position > *from } else { view.position < *from });
        }
        let limit = filter.page();
        let more = (instances.len() > limit).then(|| instances[limit - 1].position.clone());
        instances.truncate(limit);
        Self::of_walk(filter, instances, more)
    }

    /// Returns a page. `instances` are in the order of the walk ([`InstanceFilter::walk`]).
    pub fn of_walk(
        filter: &InstanceFilter,
        mut instances: Vec<InstanceView>,
        more: Option<Position>,
    ) -> Self {
        if let Some(PageFrom::Before(_)) = filter.from {
            instances.reverse();
        }
        Self { instances, more }
    }
}

/// One line of a list of instances.
#[derive(Clone, Debug, PartialEq)]
pub struct InstanceView {
    /// Saga and key of the instance.
    pub address: Address,
    /// The status of the instance.
    pub status: Status,
    /// The stored name of the state. Empty for a damaged instance.
    pub state: Name,
    /// The reason of the park, for a parked instance. A store creates the reason with [`Parked::from_stored`]. An
    /// unreadable reason therefore affects only its own line.
    pub parked: Option<Parked>,
    /// The number of the last step.
    pub seq: u64,
    /// The time of the first step.
    pub created_at: Timestamp,
    /// The time of the last step.
    pub changed_at: Timestamp,
    /// The time of the next timer.
    pub due: Option<Timestamp>,
    /// The labels of the data, after the last step.
    pub labels: Labels,
    /// The stored names of the open commands, undos and children, in the order of their steps.
    pub waiting_for: Vec<Name>,
    /// The errors of the open tasks.
    pub errors: Vec<String>,
    /// The number of obligations.
    pub owed: usize,
    /// The time when the oldest undo was first ready.
    pub undo_since: Option<Timestamp>,
    /// The position in the list, for [`PageFrom`].
    pub position: Position,
}

impl InstanceView {
    /// Adds the open tasks, in the order of their steps.
    pub fn set_tasks<'a>(&mut self, tasks: impl IntoIterator<Item = &'a Task>) {
        for task in tasks {
            self.waiting_for.push(task.command.name.clone());
            self.errors.extend(task.progress.error.clone());
            if task.kind == TaskKind::Undo {
                let since = task.progress.since;
                self.undo_since = Some(self.undo_since.map_or(since, |known| known.min(since)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Alias, Key};

    #[test]
    fn a_position_is_read_back_from_its_text() {
        let saga = "a.b".to_owned();
        for position in [
            Position::Row(RowId(-7)),
            Position::Line(i64::MAX),
            Position::Address(Address::new(saga.clone(), Key::new("x.y é'; rm % \u{202e}").unwrap())),
            Position::Address(Address::new(saga, Alias::new("x").unwrap())),
            Position::Due(Timestamp::from_millis(-5), RowId(3)),
        ] {
            let text = position.to_string();
            assert!(text.chars().all(|c| c.is_ascii_alphanumeric() || ".-_%".contains(c)), "{text}");
            assert_eq!(text.parse(), Ok(position));
        }
    }

    #[test]
    fn no_other_text_is_a_position() {
        for text in [
            "",
            "row",
            "row.",
            "row.x",
            "key.ab",
            "key.a.%",
            "key.a.%4",
            "key.a.%zz",
            "key.a.%ff",
            "key.a.",
            "due.1",
            "due.1.x",
            "x.1",
        ] {
            assert_eq!(text.parse::<Position>(), Err(PositionError), "{text}");
        }
    }

    #[test]
    fn text_is_found_without_regard_to_case() {
        assert!(
            contains("Connection RESET by peer", "reset") && contains("é", "") && !contains("re", "reset")
        );
        assert!(!contains("É", "é"), "ASCII only");
    }
}
