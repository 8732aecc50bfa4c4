//! What one step has done: the fields of the data and of the payload of the state, before and after, and what went out.
//!
//! Owns: the comparison, and the payload of a history line of the kind `changed`. Does not own: whether a saga keeps such
//! lines (`history(changes)` of the table), or what a viewer may see of them (`definition::Redaction`).

use std::collections::{HashMap, HashSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::message::Payload;
use crate::shape::Parts;
use crate::step::{HistoryEntry, HistoryKind, OutKind};

/// The longest line with values. A longer one has the names of the fields alone.
const LONGEST: usize = 4_096;
/// The deepest level of objects that are compared field by field.
const DEEPEST: usize = 32;

/// The changes of one step, from a history line of the kind [`Changed`](HistoryKind::Changed).
///
/// A saga with `#[saga(history(changes))]` writes such a line in each step that changes its data or the payload of its
/// state, or that sends something. The work of an upcast is no change: the comparison begins with the value in its present version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// The change of the data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Change>,
    /// The change of the payload of the state. If the state has changed, it compares the payloads of both states.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<Change>,
    /// What the step has queued: commands, undos, children, events, obligations and timers. Each name is there once for each
    /// kind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub out: Vec<WentOut>,
}

/// Something that a step has queued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WentOut {
    /// What it is.
    pub kind: OutKind,
    /// The stored name of the command, the event or the timer. For a child, the name of its saga. For an obligation, the name
    /// of its undo.
    pub name: String,
    /// How many of them.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub count: usize,
}

/// Writes one line, such as `command payment.make` or `500 x child parcel`.
impl fmt::Display for WentOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, name, count } = self;
        match count {
            1 => write!(f, "{kind} {name}"),
            count => write!(f, "{count} x {kind} {name}"),
        }
    }
}

/// The change of one value: the parts that differ, before and after.
///
/// A list is one value, and is present as a whole. A list with the same values in another order has not changed, because a set
/// is also a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The parts before the step. `None` if the step has only added parts.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "text")]
    pub was: Option<Payload>,
    /// The parts after the step. `None` if the step has only removed parts.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "text")]
    pub now: Option<Payload>,
    /// The names of the changed fields, if the values of data and state are longer than 4 KiB together. The values are then
    /// not kept. One empty name stands for a value without fields.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// The number of changed fields that are not in `names`, because their names are longer than 4 KiB together.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: usize,
}

/// One changed place with its values, which are JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldChange {
    /// The place, such as `data.customer.name` or `state.receipt`. `data` or `state` for a value without fields.
    pub place: String,
    /// The value before the step. `None` if the place is new, or if the values were not kept.
    pub was: Option<String>,
    /// The value after the step. `None` if the place is gone, or if the values were not kept.
    pub now: Option<String>,
}

/// Writes one line, such as `data.cents: 5 -> 7`.
impl fmt::Display for FieldChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, was, now } = self;
        match (was, now) {
            (Some(was), Some(now)) => write!(f, "{place}: {was} -> {now}"),
            (None, Some(now)) => write!(f, "{place}: new {now}"),
            (Some(was), None) => write!(f, "{place}: removed {was}"),
            (None, None) => write!(f, "{place}: changed, and its values are too long to keep"),
        }
    }
}

impl Changes {
    /// Reads the changes of a history line. `None` for a line of another kind, or one that this build cannot read.
    pub fn of(line: &HistoryEntry) -> Option<Self> {
        let payload = line.payload.as_ref().filter(|_| line.kind == HistoryKind::Changed)?;
        payload.decode().ok()
    }

    /// Returns the changed places: those of the data below `data`, then those of the state below `state`.
    pub fn fields(&self) -> Vec<FieldChange> {
        let of = |root: &str, change: &Option<Change>| {
            change.iter().flat_map(|change| change.fields(root)).collect::<Vec<_>>()
        };
        [of("data", &self.data), of("state", &self.state)].concat()
    }

    /// Compares the values before and after a step. `None` if nothing has changed, and nothing went out.
    pub(crate) fn between<'n>(
        was: &Contents,
        now: &Contents,
        out: impl Iterator<Item = (OutKind, &'n str)>,
    ) -> Option<Payload> {
        let data = Change::between(was.data.as_ref(), now.data.as_ref());
        let state = Change::between(was.state.as_ref(), now.state.as_ref());
        let mut changes = Self { data, state, out: gathered(out) };
        if changes == Self::default() {
            return None;
        }
        let bytes = |change: &Option<Change>| change.as_ref().map_or(0, Change::bytes);
        if bytes(&changes.data) + bytes(&changes.state) > LONGEST {
            changes.data.iter_mut().chain(&mut changes.state).for_each(Change::keep_names);
        }
        // Names and JSON can always be written.
        serde_json::to_string(&changes).ok().map(Payload::from)
    }
}

/// Counts equal ones. A step with a thousand children has a short line.
fn gathered<'n>(out: impl Iterator<Item = (OutKind, &'n str)>) -> Vec<WentOut> {
    let (mut all, mut known) = (Vec::<WentOut>::new(), HashMap::new());
    for (kind, name) in out {
        match known.get(&(kind.clone(), name)) {
            Some(&at) => {
                let of: &mut WentOut = &mut all[at];
                of.count += 1;
            }
            None => {
                known.insert((kind.clone(), name), all.len());
                all.push(WentOut { kind, name: name.to_owned(), count: 1 });
            }
        }
    }
    all
}

impl Change {
    /// The changed places in the order of the values.
    fn fields(&self, root: &str) -> Vec<FieldChange> {
        let mut fields = Vec::new();
        let text = |payload: &Option<Payload>| payload.as_ref().map(|payload| payload.as_str().to_owned());
        let (was, now) = (text(&self.was), text(&self.now));
        list(&mut fields, root.to_owned(), was.as_deref(), now.as_deref(), 0);
        let place = |name: &str| if name.is_empty() { root.to_owned() } else { format!("{root}.{name}") };
        let named = |name: &String| FieldChange { place: place(name), was: None, now: None };
        fields.extend(self.names.iter().map(named));
        if self.more > 0 {
            fields.push(FieldChange { place: format!("{root} ({} more)", self.more), was: None, now: None });
        }
        fields
    }

    fn between(was: Option<&Payload>, now: Option<&Payload>) -> Option<Self> {
        let (was, now) = differing(was.map(Payload::as_str), now.map(Payload::as_str), 0)?;
        Some(Self { was: was.map(Payload::from), now: now.map(Payload::from), ..Self::default() })
    }

    /// Hides the names of fields, and keeps the fact of the change.
    pub(crate) fn hide_names(&mut self) {
        if !self.names.is_empty() {
            (self.names, self.more) = (vec![String::new()], 0);
        }
    }

    fn bytes(&self) -> usize {
        [&self.was, &self.now].into_iter().flatten().map(|payload| payload.as_str().len()).sum()
    }

    /// Replaces the values by the names of their fields.
    fn keep_names(&mut self) {
        let (was, now) = (self.was.take(), self.now.take());
        let mut names = Vec::new();
        for payload in [&was, &now].into_iter().flatten() {
            if let Some(Parts::Object(fields)) = Parts::of(payload.as_str()) {
                names.extend(fields.into_iter().map(|(name, _)| name));
            }
        }
        let (mut known, mut bytes) = (HashSet::new(), 0);
        names.retain(|name| known.insert(name.clone()));
        for name in names {
            bytes += name.len();
            if bytes > LONGEST {
                self.more += 1;
            } else {
                self.names.push(name);
            }
        }
        if self.names.is_empty() && self.more == 0 {
            self.names.push(String::new());
        }
    }
}

/// The values of an instance that a step may change.
#[derive(Clone, Debug, Default)]
pub(crate) struct Contents {
    pub(crate) data: Option<Payload>,
    pub(crate) state: Option<Payload>,
}

/// Returns the differing parts of two values. `None` if they are equal.
fn differing(was: Option<&str>, now: Option<&str>, depth: usize) -> Option<(Option<String>, Option<String>)> {
    if was == now {
        return None;
    }
    let (Some(was), Some(now)) = (was, now) else {
        return Some((was.map(str::to_owned), now.map(str::to_owned)));
    };
    let (Some((before, after)), true) = (objects(was, now), depth < DEEPEST) else {
        let changed = !is_reordered(was, now);
        return changed.then(|| (Some(was.to_owned()), Some(now.to_owned())));
    };
    let (mut left, mut right) = (String::new(), String::new());
    let (known, mut added) = (by_name(&after), by_name(&after));
    for (name, old) in &before {
        added.remove(&**name);
        if let Some((was, now)) = differing(Some(old.get()), known.get(&**name).copied(), depth + 1) {
            add(&mut left, name, was);
            add(&mut right, name, now);
        }
    }
    for (name, new) in after.iter().filter(|(name, _)| added.contains_key(&**name)) {
        add(&mut right, name, Some(new.get().to_owned()));
    }
    let closed = |mut parts: String| {
        (!parts.is_empty()).then(|| {
            parts.push('}');
            parts
        })
    };
    match (closed(left), closed(right)) {
        // The same fields in another order.
        (None, None) => None,
        parts => Some(parts),
    }
}

/// Returns whether two lists have the same values in another order, also within their values. A set is a list in JSON, and
/// has another order each time it is read.
fn is_reordered(was: &str, now: &str) -> bool {
    was.len() == now.len() && was.starts_with('[') && now.starts_with('[') && sorted(was, 0) == sorted(now, 0)
}

/// The value with its lists and objects in one order.
fn sorted(text: &str, depth: usize) -> String {
    let (mut parts, ends) = match Parts::of(text) {
        Some(Parts::List(items)) if depth < DEEPEST => {
            (items.iter().map(|item| sorted(item.get(), depth + 1)).collect::<Vec<_>>(), ('[', ']'))
        }
        Some(Parts::Object(fields)) if depth < DEEPEST => {
            let field =
                |(name, value): &(String, &RawValue)| format!("{name:?}:{}", sorted(value.get(), depth + 1));
            (fields.iter().map(field).collect(), ('{', '}'))
        }
        _ => return text.to_owned(),
    };
    parts.sort_unstable();
    format!("{}{}{}", ends.0, parts.join(","), ends.1)
}

type Fields<'t> = Vec<(String, &'t RawValue)>;

/// Returns the fields of both values, if both are objects.
fn objects<'t>(was: &'t str, now: &'t str) -> Option<(Fields<'t>, Fields<'t>)> {
    match (Parts::of(was), Parts::of(now)) {
        (Some(Parts::Object(before)), Some(Parts::Object(after))) => Some((before, after)),
        _ => None,
    }
}

fn by_name<'f>(fields: &'f Fields<'_>) -> HashMap<&'f str, &'f str> {
    fields.iter().map(|(name, value)| (&**name, value.get())).collect()
}

/// Appends a field to an object.
fn add(object: &mut String, name: &str, value: Option<String>) {
    let Some(value) = value else { return };
    object.push(if object.is_empty() { '{' } else { ',' });
    // A JSON string can always be written.
    object.push_str(&serde_json::to_string(name).unwrap_or_default());
    object.push(':');
    object.push_str(&value);
}

/// Lists the places of two values with differing parts.
fn list(fields: &mut Vec<FieldChange>, place: String, was: Option<&str>, now: Option<&str>, depth: usize) {
    let parts = |text: Option<&str>| match text.and_then(Parts::of) {
        Some(Parts::Object(fields)) if depth < DEEPEST && !fields.is_empty() => {
            Some(fields.into_iter().map(|(name, value)| (name, value.get().to_owned())).collect::<Vec<_>>())
        }
        _ => None,
    };
    let (before, after) = match (parts(was), parts(now), was, now) {
        (Some(before), Some(after), ..) => (before, after),
        (Some(before), None, _, None) => (before, Vec::new()),
        (None, Some(after), None, _) => (Vec::new(), after),
        (_, _, None, None) => return,
        _ => {
            let text = |text: Option<&str>| text.map(str::to_owned);
            return fields.push(FieldChange { place, was: text(was), now: text(now) });
        }
    };
    let of = |fields: &[(String, String)], name: &str| {
        fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    };
    let added = after.iter().filter(|(name, _)| of(&before, name).is_none());
    for (name, _) in before.iter().chain(added) {
        let below = format!("{place}.{name}");
        list(fields, below, of(&before, name).as_deref(), of(&after, name).as_deref(), depth + 1);
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // Serde asks for a reference.
fn is_zero(number: &usize) -> bool {
    *number == 0
}

const fn one() -> usize {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref)] // Serde asks for a reference.
fn is_one(number: &usize) -> bool {
    *number == 1
}

/// A payload as JSON within JSON.
mod text {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use serde_json::value::RawValue;

    use crate::message::Payload;

    pub(super) fn serialize<S: Serializer>(payload: &Option<Payload>, json: S) -> Result<S::Ok, S::Error> {
        let raw =
            payload.as_ref().and_then(|payload| serde_json::from_str::<&RawValue>(payload.as_str()).ok());
        raw.serialize(json)
    }

    pub(super) fn deserialize<'t, D: Deserializer<'t>>(json: D) -> Result<Option<Payload>, D::Error> {
        // A null is also a value.
        Box::<RawValue>::deserialize(json).map(|raw| Some(Payload::from(String::from(Box::<str>::from(raw)))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(data: Option<&str>, state: Option<&str>) -> Contents {
        Contents { data: data.map(Payload::from), state: state.map(Payload::from) }
    }

    fn data(was: Option<&str>, now: Option<&str>) -> Option<String> {
        let changes = Changes::between(&contents(was, None), &contents(now, None), std::iter::empty());
        changes.map(|payload| payload.as_str().to_owned())
    }

    #[track_caller]
    fn check(was: &str, now: &str, line: &str, fields: &[(&str, Option<&str>, Option<&str>)]) {
        let written = data(Some(was), Some(now)).unwrap();
        assert_eq!(written, format!("{{\"data\":{line}}}"));
        let read: Changes = serde_json::from_str(&written).unwrap();
        let read = read.fields();
        let text = |text: Option<&str>| text.map(str::to_owned);
        let expected = fields.iter().map(|&(place, was, now)| FieldChange {
            place: format!("data{place}"),
            was: text(was),
            now: text(now),
        });
        assert_eq!(read, expected.collect::<Vec<_>>());
    }

    #[test]
    fn only_the_differing_fields_are_kept() {
        check(
            r#"{"id":"A","cents":5,"to":{"city":"Bonn","zip":"1"},"old":1}"#,
            r#"{"id":"A","cents":7,"to":{"city":"Ulm","zip":"1"},"new":null}"#,
            r#"{"was":{"cents":5,"to":{"city":"Bonn"},"old":1},"now":{"cents":7,"to":{"city":"Ulm"},"new":null}}"#,
            &[
                (".cents", Some("5"), Some("7")),
                (".to.city", Some("\"Bonn\""), Some("\"Ulm\"")),
                (".old", Some("1"), None),
                (".new", None, Some("null")),
            ],
        );
    }

    #[test]
    fn a_list_and_a_value_without_fields_are_kept_as_a_whole() {
        check(
            r#"{"lines":[1,2]}"#,
            r#"{"lines":[1,2,3]}"#,
            r#"{"was":{"lines":[1,2]},"now":{"lines":[1,2,3]}}"#,
            &[(".lines", Some("[1,2]"), Some("[1,2,3]"))],
        );
        check("7", "null", r#"{"was":7,"now":null}"#, &[("", Some("7"), Some("null"))]);
        check(
            r#"{"to":{}}"#,
            r#"{"to":{"a":1}}"#,
            r#"{"now":{"to":{"a":1}}}"#,
            &[(".to.a", None, Some("1"))],
        );
        check(
            r#"{"to":null}"#,
            r#"{"to":{"a":1}}"#,
            r#"{"was":{"to":null},"now":{"to":{"a":1}}}"#,
            &[(".to", Some("null"), Some("{\"a\":1}"))],
        );
        check(
            r#"{"n":1}"#,
            r#"{"n":1.0}"#,
            r#"{"was":{"n":1},"now":{"n":1.0}}"#,
            &[(".n", Some("1"), Some("1.0"))],
        );
    }

    #[test]
    fn an_equal_value_has_no_line() {
        assert_eq!(data(Some("null"), Some("null")), None);
        assert_eq!(data(Some(r#"{"a":{"x":1,"y":2}}"#), Some(r#"{"a":{"y":2,"x":1}}"#)), None);
        assert_eq!(data(None, None), None);
        let sets = (r#"{"a":[{"x":1,"y":[1,2]},3]}"#, r#"{"a":[3,{"y":[2,1],"x":1}]}"#);
        assert_eq!(data(Some(sets.0), Some(sets.1)), None, "a set has no order");
    }

    #[test]
    fn the_first_step_adds_everything() {
        let state = Some(r#"{"payment":"p-1"}"#);
        let now = contents(Some(r#"{"id":"A"}"#), state);
        let line = Changes::between(&Contents::default(), &now, std::iter::empty()).unwrap();
        assert_eq!(line.as_str(), r#"{"data":{"now":{"id":"A"}},"state":{"now":{"payment":"p-1"}}}"#);
        let lines: Vec<String> =
            line.decode::<Changes>().unwrap().fields().iter().map(ToString::to_string).collect();
        assert_eq!(lines, [r#"data.id: new "A""#, r#"state.payment: new "p-1""#]);
    }

    #[test]
    fn what_went_out_is_counted_by_kind_and_name() {
        let out = [
            (OutKind::Command, "pay"),
            (OutKind::Child, "parcel"),
            (OutKind::Owed, "pay"),
            (OutKind::Child, "parcel"),
        ];
        let line = Changes::between(&Contents::default(), &Contents::default(), out.into_iter()).unwrap();
        assert_eq!(
            line.as_str(),
            r#"{"out":[{"kind":"command","name":"pay"},{"kind":"child","name":"parcel","count":2},{"kind":"owed","name":"pay"}]}"#
        );
        let read: Changes = line.decode().unwrap();
        let lines: Vec<String> = read.out.iter().map(ToString::to_string).collect();
        assert_eq!(lines, ["command pay", "2 x child parcel", "owed pay"]);
    }

    #[test]
    fn a_long_line_has_the_names_alone() {
        let long = format!(r#"{{"id":"A","text":"{}"}}"#, "x".repeat(LONGEST));
        check(
            &long,
            r#"{"id":"B","text":""}"#,
            r#"{"names":["id","text"]}"#,
            &[(".id", None, None), (".text", None, None)],
        );
        let names = |letter: &str| format!(r#"{{"{}":1,"b":1}}"#, letter.repeat(LONGEST));
        check(
            &names("x"),
            &names("y"),
            &format!(r#"{{"names":["{}"],"more":1}}"#, "x".repeat(LONGEST)),
            &[(&format!(".{}", "x".repeat(LONGEST)), None, None), (" (1 more)", None, None)],
        );
        let list = format!("[{}1]", "1,".repeat(LONGEST));
        check("[]", &list, r#"{"names":[""]}"#, &[("", None, None)]);
    }

    #[test]
    fn deep_objects_are_compared_to_a_depth() {
        let deep = |leaf: &str| format!("{}{leaf}{}", "{\"a\":".repeat(100), "}".repeat(100));
        let written = data(Some(&deep("1")), Some(&deep("2"))).unwrap();
        let read: Changes = serde_json::from_str(&written).unwrap();
        let [field] = &read.fields()[..] else { panic!("one place") };
        assert_eq!(field.place.split('.').count(), 1 + DEEPEST);
    }
}
