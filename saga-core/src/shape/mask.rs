//! The masked JSON of a value: redacted places hold `***`.
//!
//! Owns: the walk from place to place, and the redacted places of a type. Does not own: the types (`definition`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::panic::catch_unwind;
use std::sync::{Arc, Mutex, PoisonError};

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::Shape;

/// Redacted places of a type.
pub(crate) type Places = BTreeSet<String>;

/// The JSON of the mask.
pub(crate) const HIDDEN: &str = "\"***\"";

/// A type with the places in its `redact(..)`.
#[derive(Clone, Copy)]
pub(crate) struct Redacting {
    pub(crate) redact: &'static [&'static str],
    pub(crate) shape: fn() -> Shape,
}

impl Redacting {
    /// Returns all redacted places: those of `redact(..)`, and each sensitive place of the shape. The shape of a type is asked
    /// for once in a process.
    pub(crate) fn places(&self) -> Arc<Places> {
        type Known = BTreeMap<(usize, usize), Arc<Places>>;
        static KNOWN: Mutex<Known> = Mutex::new(BTreeMap::new());
        let of = (self.shape as usize, self.redact.as_ptr() as usize);
        // No code panics while it holds the lock.
        let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(places) = known().get(&of) {
            return Arc::clone(places);
        }
        let places = Arc::new(redacted(self.redact, catch_unwind(self.shape).as_ref().ok()));
        known().insert(of, Arc::clone(&places));
        places
    }
}

/// Returns all redacted places of a type. The shape is not known if `Deserialize` of the application has panicked.
pub(crate) fn redacted(redact: &[&str], shape: Option<&Shape>) -> Places {
    let mut places: Places = redact.iter().map(|&place| place.to_owned()).collect();
    match shape {
        Some(shape) => {
            let sensitive = shape.0.iter().filter(|(_, place)| place.sensitive);
            places.extend(sensitive.map(|(place, _)| place.clone()));
        }
        None => drop(places.insert(String::new())),
    }
    places
}

/// Returns the JSON with the mask at each of these places. `None` for a text that is not JSON.
pub(crate) fn mask(places: &Places, json: &str) -> Option<String> {
    let raw = serde_json::from_str::<&RawValue>(json).ok()?;
    let mut out = String::with_capacity(json.len());
    walk(&mut out, raw, places, &[String::new()], &mut |_, _| {});
    Some(out)
}

/// Calls `found` with each of these places in the JSON, and with the value there.
pub(crate) fn each(places: &Places, json: &str, mut found: impl FnMut(&str, &str)) {
    if let Ok(raw) = serde_json::from_str::<&RawValue>(json) {
        walk(&mut String::new(), raw, places, &[String::new()], &mut found);
    }
}

/// Appends the masked value. `at` has the names of its place: an object can be a struct, a map or a variant of an enum.
/// `hides` gets each place and value that is masked.
fn walk(
    out: &mut String,
    json: &RawValue,
    places: &Places,
    at: &[String],
    hides: &mut impl FnMut(&str, &str),
) {
    let text = json.get();
    if let Some(place) = at.iter().find(|place| places.contains(*place)) {
        hides(place, text);
        return out.push_str(HIDDEN);
    }
    let leads = |place: &&String| {
        let begin: &str = place;
        places
            .range::<str, _>((std::ops::Bound::Excluded(begin), std::ops::Bound::Unbounded))
            .next()
            .is_some_and(|next| next.starts_with(begin))
    };
    let at: Vec<&String> = at.iter().filter(leads).collect();
    if at.is_empty() {
        return out.push_str(text);
    }
    match Parts::of(text) {
        // Another writer has put a value where the type has parts. One of the parts is hidden, so the value is as well.
        None if text != "null" && at.iter().any(|place| has_parts(places, place)) => out.push_str(HIDDEN),
        None => out.push_str(text),
        Some(Parts::Object(fields)) => {
            for (nth, (name, value)) in fields.iter().enumerate() {
                out.push(if nth == 0 { '{' } else { ',' });
                // A JSON string can always be written.
                out.push_str(&serde_json::to_string(name).unwrap_or_default());
                out.push(':');
                let below: Vec<String> = at
                    .iter()
                    .flat_map(|place| {
                        let field =
                            if place.is_empty() { name.to_string() } else { format!("{place}.{name}") };
                        [field, format!("{place}{{}}"), format!("{place}<{name}>")]
                    })
                    .collect();
                walk(out, value, places, &below, hides);
            }
            out.push_str(if fields.is_empty() { "{}" } else { "}" });
        }
        Some(Parts::Unreadable) => out.push_str(HIDDEN),
        Some(Parts::List(items)) => {
            for (nth, value) in items.iter().enumerate() {
                out.push(if nth == 0 { '[' } else { ',' });
                let below: Vec<String> =
                    at.iter().flat_map(|place| [format!("{place}[]"), format!("{place}[{nth}]")]).collect();
                walk(out, value, places, &below, hides);
            }
            out.push_str(if items.is_empty() { "[]" } else { "]" });
        }
    }
}

/// Returns whether a place is the place `around`, or a part of its value.
pub(crate) fn is_within(place: &str, around: &str) -> bool {
    place
        .strip_prefix(around)
        .is_some_and(|rest| around.is_empty() || rest.is_empty() || rest.starts_with(['.', '[', '{', '<']))
}

/// Returns whether a redacted place is a part of the value at `place`. The variant of an enum is no part: it can be a text
/// alone.
fn has_parts(places: &Places, place: &str) -> bool {
    let below = places.iter().filter_map(|known| known.strip_prefix(place));
    let mut below = below.filter(|rest| !rest.is_empty());
    below.any(|rest| !rest.starts_with('<') && (place.is_empty() || rest.starts_with(['.', '[', '{'])))
}

/// The parts of an object or a list, with their texts as they are.
pub(crate) enum Parts<'t> {
    Object(Vec<(String, &'t RawValue)>),
    List(Vec<&'t RawValue>),
    /// Such as an object with a name that is no text.
    Unreadable,
}

impl<'t> Parts<'t> {
    pub(crate) fn of(text: &'t str) -> Option<Self> {
        match text.as_bytes().first()? {
            b'{' => {
                let mut json = serde_json::Deserializer::from_str(text);
                Some(json.deserialize_map(Fields).map_or(Self::Unreadable, Self::Object))
            }
            b'[' => Some(serde_json::from_str(text).map_or(Self::Unreadable, Self::List)),
            _ => None,
        }
    }
}

/// Reads the fields of an object in their order. A name may occur twice.
struct Fields;

impl<'t> Visitor<'t> for Fields {
    type Value = Vec<(String, &'t RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, &'t RawValue>()? {
            fields.push((name, value));
        }
        Ok(fields)
    }
}
