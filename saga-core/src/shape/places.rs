//! The shape of a type as serde reads it: a line for each place in its JSON, such as `lines[].sku: string`.
//!
//! Types say nothing about themselves at run time, so they are asked to read a made-up value, and what they ask for is
//! written down; again for each variant of an enum, and again without each field to see whether it may be left out. The
//! technique is that of `serde-reflection`. What validates its input is tried with a few likely values; what refuses
//! them all, or takes anything (`untagged`, `flatten`, `serde_json::Value`), is `any` from there on.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess,
    SeqAccess, VariantAccess, Visitor,
};

use super::sensitive::SENSITIVE;

/// What a type may contain, by place; the place of the value itself is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shape(pub(crate) BTreeMap<String, Place>);

/// One place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// The word for what stands there.
    pub(crate) kind: String,
    /// Whether it may be left out.
    pub(crate) optional: bool,
    /// Whether a [`Sensitive`](super::Sensitive) stands there.
    pub(crate) sensitive: bool,
}

/// Texts that types which validate theirs are likely to take.
const TEXTS: [&str; 8] = [
    "",
    "0",
    "a",
    "1970-01-01T00:00:00Z",
    "1970-01-01",
    "00:00:00",
    "00000000-0000-0000-0000-000000000000",
    "127.0.0.1",
];
/// Each begins a part of a place.
const PARTS: [char; 4] = ['.', '[', '{', '<'];
/// Deeper than that, lists and options are left empty.
const DEPTH: usize = 12;
/// Attempts at one type.
const ATTEMPTS: usize = 2_000;

impl Shape {
    /// The shape of `T`.
    pub(crate) fn of<T: DeserializeOwned>() -> Self {
        let seen = RefCell::new(Seen::default());
        let mut plans = vec![Plan::default()];
        let mut attempts = 0;
        loop {
            while let Some(plan) = plans.pop()
                && attempts < ATTEMPTS
            {
                attempts += 1;
                plans.extend(read_for_variants::<T>(&seen, &plan));
            }
            plans.extend(behind_refusals::<T>(&seen));
            if plans.is_empty() || attempts >= ATTEMPTS {
                break;
            }
        }
        let fields: Vec<(String, Plan)> = seen.borrow().fields.clone().into_iter().collect();
        let mut shape = Self(std::mem::take(&mut seen.borrow_mut().places));
        for place in std::mem::take(&mut seen.borrow_mut().sensitive) {
            // Within a type that stands within itself, the nearest place that was written down is hidden as a whole.
            let ends = place.char_indices().filter(|(_, c)| PARTS.contains(c)).map(|(at, _)| at);
            let mut around: Vec<&str> = ends.map(|end| &place[..end]).collect();
            around.extend([&*place]);
            around.insert(0, "");
            let known =
                around.into_iter().rev().find(|place| shape.0.contains_key(*place)).unwrap_or_default();
            shape.0.entry(known.to_owned()).or_default().sensitive = true;
        }
        for (field, mut plan) in fields {
            // The type of this place is unknown, so its value is hidden.
            let unknown = || Place { kind: "any".to_owned(), optional: false, sensitive: true };
            shape.0.entry(field.clone()).or_insert_with(unknown);
            plan.omit.insert(field.clone());
            if read::<T>(&RefCell::new(Seen::default()), &plan).is_ok()
                && let Some(place) = shape.0.get_mut(&field)
            {
                place.optional = true;
            }
        }
        if !plans.is_empty() {
            shape.0.entry(String::new()).or_default().sensitive = true;
        }
        shape
    }

    /// Why what was written in the shape `old` cannot surely be read in this one; empty when it can.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn misfits(&self, old: &Self) -> Vec<String> {
        let mut misfits = Vec::new();
        // A state that carried nothing is read as `()`.
        let null = Place { kind: "null".to_owned(), ..Place::default() };
        if old.0.is_empty() && self.0.get("") == Some(&null) {
            return misfits;
        }
        for (place, was) in &old.0 {
            match self.0.get(place) {
                None => misfits.push(format!("`{place}` no longer exists")),
                Some(now) if now.kind != was.kind => {
                    misfits.push(format!("`{place}` was {} and is {}", was.kind, now.kind));
                }
                Some(now) if was.optional && !now.optional => {
                    misfits.push(format!("`{place}` is no longer optional"));
                }
                Some(_) => {}
            }
        }
        for (place, now) in self.0.iter().filter(|(place, _)| !old.0.contains_key(*place)) {
            let within_new =
                parents(place).any(|parent| self.0.contains_key(parent) && !old.0.contains_key(parent));
            if !within_new && !now.optional && !place.ends_with('>') {
                misfits.push(format!("`{place}` is new and not optional"));
            }
        }
        misfits
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, Place { kind, optional, .. }) in &self.0 {
            let mark = if *optional { "?" } else { "" };
            let name = if place.is_empty() { "." } else { place };
            writeln!(f, "    {name}{mark}: {kind}")?;
        }
        Ok(())
    }
}

/// The places around one.
#[cfg(any(test, feature = "testing"))]
fn parents(place: &str) -> impl Iterator<Item = &str> {
    place.char_indices().filter(|(_, c)| PARTS.contains(c)).map(|(at, _)| &place[..at])
}

/// Reads a `T` by `plan`. Returns the plans for the other variants of each enum that was found.
fn read_for_variants<T: DeserializeOwned>(seen: &RefCell<Seen>, plan: &Plan) -> Vec<Plan> {
    let before = seen.borrow().enums.len();
    let _ = read::<T>(seen, plan);
    variants(seen, before, plan)
}

/// Returns the plans for the other variants of each enum behind the first `before` ones.
fn variants(seen: &RefCell<Seen>, before: usize, plan: &Plan) -> Vec<Plan> {
    let enums = seen.borrow().enums.iter().skip(before).cloned().collect::<Vec<_>>();
    let other = |(place, variants): (String, usize)| {
        (1..variants).map(move |variant| {
            let mut plan = plan.clone();
            plan.variants.insert(place.clone(), variant);
            plan
        })
    };
    enums.into_iter().flat_map(other).collect()
}

/// Finds what stands behind a value that refuses everything: the field with that value is left out. A derive asks for all
/// other fields before it misses one. Returns the plans for the other variants of the enums there.
fn behind_refusals<T: DeserializeOwned>(seen: &RefCell<Seen>) -> Vec<Plan> {
    let mut plans = Vec::new();
    let unknown = || {
        let seen = seen.borrow();
        let mut fields = seen.fields.iter().filter(|(field, _)| !seen.places.contains_key(*field));
        fields.next().map(|(field, plan)| (field.clone(), plan.clone()))
    };
    let mut omit = BTreeSet::new();
    for _ in 0..ATTEMPTS {
        let Some((_, mut plan)) = unknown() else { return plans };
        plan.omit.clone_from(&omit);
        let before = seen.borrow().enums.len();
        let read = read::<T>(seen, &plan);
        plans.extend(variants(seen, before, &plan));
        let Err(Some(refused)) = read else { return plans };
        let around = {
            let seen = seen.borrow();
            let holds = |field: &&String| {
                refused.strip_prefix(&***field).is_some_and(|rest| rest.is_empty() || rest.starts_with(PARTS))
            };
            seen.fields
                .keys()
                .filter(|field| !omit.contains(*field))
                .filter(holds)
                .max_by_key(|field| field.len())
                .cloned()
        };
        let Some(around) = around else { return plans };
        omit.insert(around);
    }
    plans
}

/// Reads a `T` by `plan`, with other texts and numbers as long as it refuses them. `Err` has the place that was refused.
fn read<T: DeserializeOwned>(seen: &RefCell<Seen>, plan: &Plan) -> Result<(), Option<String>> {
    let mut plan = plan.clone();
    let mut refused = None;
    for _ in 0..64 {
        let place = String::new();
        let probe = Probe { seen, plan: &plan, place, depth: 0, within: Vec::new(), again: false };
        if T::deserialize(probe).is_ok() {
            return Ok(());
        }
        // Whatever was asked for last is what was refused.
        let Some(last) = seen.borrow_mut().last.take() else { return Err(refused) };
        refused = Some(last.clone());
        let choice = plan.choices.entry(last).or_default();
        *choice += 1;
        if *choice >= TEXTS.len() {
            return Err(refused);
        }
    }
    Err(refused)
}

/// What has been found out.
#[derive(Default)]
struct Seen {
    places: BTreeMap<String, Place>,
    /// The enums, in the order they were met, with how many variants each has.
    enums: Vec<(String, usize)>,
    /// The fields of structs, with the plan by which each was reached.
    fields: BTreeMap<String, Plan>,
    /// Where a value must not be shown.
    sensitive: BTreeSet<String>,
    /// Where something was made up that a type may refuse, or where a struct begins.
    last: Option<String>,
}

/// How a value is made up.
#[derive(Clone, Default)]
struct Plan {
    /// The variant of each enum; of others the first.
    variants: BTreeMap<String, usize>,
    /// Which of the likely values stands where.
    choices: BTreeMap<String, usize>,
    /// The fields to leave out.
    omit: BTreeSet<String>,
}

struct Probe<'a> {
    seen: &'a RefCell<Seen>,
    plan: &'a Plan,
    place: String,
    depth: usize,
    /// The types around this place.
    within: Vec<&'static str>,
    /// Below a type that stands within itself nothing is written down again.
    again: bool,
}

#[derive(Debug)]
struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("refused")
    }
}

impl std::error::Error for Refused {}

impl de::Error for Refused {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

impl<'a> Probe<'a> {
    fn note(&self, kind: &str) {
        if self.again {
            return;
        }
        let place = Place { kind: kind.to_owned(), ..Place::default() };
        self.seen.borrow_mut().places.entry(self.place.clone()).or_insert(place);
    }

    /// Writes down what is asked for, and which of the likely values it gets.
    fn choose(&self, kind: &str) -> usize {
        self.note(kind);
        self.seen.borrow_mut().last = Some(self.place.clone());
        self.plan.choices.get(&self.place).copied().unwrap_or(0)
    }

    fn at(&self, place: String) -> Probe<'a> {
        let (within, again) = (self.within.clone(), self.again);
        Probe { seen: self.seen, plan: self.plan, place, depth: self.depth + 1, within, again }
    }

    /// Goes into the type `name`. Within itself it is only mentioned, and made as small as it can be.
    fn enter(mut self, name: &'static str, kind: &str) -> Self {
        if self.within.contains(&name) {
            self.note(&format!("{kind} as around it"));
            (self.depth, self.again) = (DEPTH + 1, true);
        } else {
            self.note(kind);
            // The struct in a variant has no name.
            if !name.is_empty() {
                self.within.push(name);
            }
        }
        self
    }

    fn field(&self, name: &str) -> Probe<'a> {
        self.at(if self.place.is_empty() { name.to_owned() } else { format!("{}.{name}", self.place) })
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident $kind:literal $type:ty;)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
            let choice = self.choose($kind);
            visitor.$visit(if choice == 0 { <$type>::default() } else { 1 as $type })
        })*
    };
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Refused;

    numbers! {
        deserialize_u8 visit_u8 "u8" u8;
        deserialize_u16 visit_u16 "u16" u16;
        deserialize_u32 visit_u32 "u32" u32;
        deserialize_u64 visit_u64 "u64" u64;
        deserialize_u128 visit_u128 "u128" u128;
        deserialize_i8 visit_i8 "i8" i8;
        deserialize_i16 visit_i16 "i16" i16;
        deserialize_i32 visit_i32 "i32" i32;
        deserialize_i64 visit_i64 "i64" i64;
        deserialize_i128 visit_i128 "i128" i128;
        deserialize_f32 visit_f32 "f32" f32;
        deserialize_f64 visit_f64 "f64" f64;
    }

    fn is_human_readable(&self) -> bool {
        true
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        match self.choose("any") {
            0 => visitor.visit_unit(),
            1 => visitor.visit_str(""),
            2 => visitor.visit_u64(0),
            3 => visitor.visit_bool(false),
            _ => visitor.visit_map(Nothing),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let choice = self.choose("bool");
        visitor.visit_bool(choice > 0)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.note("char");
        visitor.visit_char('a')
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let choice = self.choose("string");
        visitor.visit_str(TEXTS[choice % TEXTS.len()])
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.note("bytes");
        visitor.visit_bytes(&[])
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        if self.depth > DEPTH { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.note("null");
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        if name == SENSITIVE {
            self.seen.borrow_mut().sensitive.insert(self.place.clone());
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.note("list");
        let element = format!("{}[]", self.place);
        let count = usize::from(self.depth <= DEPTH);
        visitor.visit_seq(Elements { probe: self, next: 0, count, name: &|_| element.clone() })
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, count: usize, visitor: V) -> Result<V::Value, Refused> {
        self.note(&format!("tuple of {count}"));
        let place = self.place.clone();
        visitor.visit_seq(Elements { probe: self, next: 0, count, name: &|nth| format!("{place}[{nth}]") })
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        count: usize,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.deserialize_tuple(count, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.note("map");
        let entries = self.plan.choices.get(&self.place).is_none_or(|choice| *choice == 0);
        self.seen.borrow_mut().last = Some(self.place.clone());
        let given = !entries || self.depth > DEPTH;
        visitor.visit_map(Entries { probe: self, given })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let probe = self.enter(name, "object");
        for field in fields.iter().filter(|_| !probe.again) {
            let place = probe.field(field).place;
            probe.seen.borrow_mut().fields.entry(place).or_insert_with(|| probe.plan.clone());
        }
        probe.seen.borrow_mut().last = Some(probe.place.clone());
        visitor.visit_map(Fields { probe, rest: fields, now: "" })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let outer = self.enter(name, "enum");
        let known = outer.seen.borrow().enums.iter().any(|(place, _)| *place == outer.place);
        if !known && !outer.again {
            outer.seen.borrow_mut().enums.push((outer.place.clone(), variants.len()));
        }
        let chosen = outer.plan.variants.get(&outer.place).copied().unwrap_or(0);
        let name = variants.get(chosen).copied().ok_or(Refused)?;
        let probe = outer.at(format!("{}<{name}>", outer.place));
        visitor.visit_enum(Variant { probe, name })
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_unit()
    }
}

/// A map without entries.
struct Nothing;

impl<'de> MapAccess<'de> for Nothing {
    type Error = Refused;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, _: K) -> Result<Option<K::Value>, Refused> {
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, _: V) -> Result<V::Value, Refused> {
        Err(Refused)
    }
}

/// The elements of a list or a tuple.
struct Elements<'a, 'n> {
    probe: Probe<'a>,
    next: usize,
    count: usize,
    name: &'n dyn Fn(usize) -> String,
}

impl<'de> SeqAccess<'de> for Elements<'_, '_> {
    type Error = Refused;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Refused> {
        if self.next == self.count {
            return Ok(None);
        }
        self.next += 1;
        seed.deserialize(self.probe.at((self.name)(self.next - 1))).map(Some)
    }
}

/// One entry of a map.
struct Entries<'a> {
    probe: Probe<'a>,
    given: bool,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Refused;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Refused> {
        if std::mem::replace(&mut self.given, true) {
            return Ok(None);
        }
        let seen = RefCell::new(Seen::default());
        let plan = self.probe.plan;
        let place = format!("{}{{key}}", self.probe.place);
        let within = self.probe.within.clone();
        let depth = self.probe.depth + 1;
        let key = seed.deserialize(Probe { seen: &seen, plan, place, depth, within, again: true });
        // A key that is refused is tried with other texts like any value.
        if key.is_err() {
            self.probe.seen.borrow_mut().last = seen.into_inner().last;
        }
        key.map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Refused> {
        seed.deserialize(self.probe.at(format!("{}{{}}", self.probe.place)))
    }
}

/// The fields of a struct, without the one to leave out.
struct Fields<'a> {
    probe: Probe<'a>,
    rest: &'static [&'static str],
    now: &'static str,
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Refused;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Refused> {
        while let Some((first, rest)) = self.rest.split_first() {
            (self.now, self.rest) = (first, rest);
            if !self.probe.plan.omit.contains(&self.probe.field(first).place) {
                let name: StrDeserializer<'_, Refused> = self.now.into_deserializer();
                return seed.deserialize(name).map(Some);
            }
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Refused> {
        seed.deserialize(self.probe.field(self.now))
    }
}

/// A variant of an enum.
struct Variant<'a> {
    probe: Probe<'a>,
    name: &'static str,
}

impl<'a, 'de> EnumAccess<'de> for Variant<'a> {
    type Error = Refused;
    type Variant = Content<'a>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Content<'a>), Refused> {
        let name: StrDeserializer<'_, Refused> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, Content(self.probe)))
    }
}

/// What a variant carries.
struct Content<'a>(Probe<'a>);

impl<'de> VariantAccess<'de> for Content<'_> {
    type Error = Refused;

    fn unit_variant(self) -> Result<(), Refused> {
        self.0.note("word");
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Refused> {
        seed.deserialize(self.0)
    }

    fn tuple_variant<V: Visitor<'de>>(self, count: usize, visitor: V) -> Result<V::Value, Refused> {
        self.0.deserialize_tuple(count, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.0.deserialize_struct("", fields, visitor)
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::shape::Sensitive;

    /// Takes no invented value.
    #[derive(Debug)]
    struct Picky;

    impl<'de> Deserialize<'de> for Picky {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            match &*String::deserialize(deserializer)? {
                "xyzzy" => Ok(Self),
                _ => Err(de::Error::custom("no")),
            }
        }
    }

    fn sensitive<T: DeserializeOwned>() -> Vec<String> {
        let places = Shape::of::<T>().0.into_iter();
        places.filter(|(_, place)| place.sensitive).map(|(place, _)| place).collect()
    }

    #[test]
    fn a_sensitive_place_is_found_wherever_it_stands() {
        #[derive(Deserialize, Serialize)]
        #[allow(dead_code)] // Only its shape counts.
        enum Way {
            Cash,
            Card { no: Sensitive<String>, year: u16 },
            Account(Sensitive<String>),
        }
        #[derive(Deserialize)]
        #[allow(dead_code)] // Only its shape counts.
        struct Payment {
            way: Way,
            more: Vec<Option<Sensitive<u8>>>,
            by: BTreeMap<String, Sensitive<String>>,
            pair: (u8, Sensitive<u8>),
            all: Sensitive<Way>,
            none: u8,
        }
        assert_eq!(
            sensitive::<Payment>(),
            [
                "all",
                "all<Account>",
                "all<Card>.no",
                "by{}",
                "more[]",
                "pair[1]",
                "way<Account>",
                "way<Card>.no"
            ]
        );
        assert_eq!(sensitive::<Sensitive<u8>>(), [""]);
    }

    #[test]
    fn what_stands_behind_a_refusal_is_found() {
        #[derive(Deserialize)]
        #[allow(dead_code)] // Only its shape counts.
        struct Inner {
            first: Picky,
            card: Sensitive<String>,
        }
        #[derive(Deserialize)]
        #[allow(dead_code)] // Only its shape counts.
        struct Outer {
            first: Picky,
            inner: Inner,
            second: Picky,
            secret: Sensitive<u8>,
            last: String,
        }
        assert_eq!(sensitive::<Outer>(), ["inner.card", "secret"]);
        let shape = Shape::of::<Outer>();
        assert_eq!(shape.0["last"].kind, "string");
    }

    #[test]
    fn every_variant_behind_a_refusal_is_found() {
        #[derive(Deserialize)]
        #[allow(dead_code)] // Only its shape counts.
        enum Way {
            Cash,
            Card { no: Option<Sensitive<String>> },
        }
        #[derive(Deserialize)]
        #[allow(dead_code)] // Only its shape counts.
        enum Outcome {
            Open,
            Paid { way: Way },
        }
        #[derive(Deserialize)]
        #[allow(dead_code)] // Only its shape counts.
        struct Payment {
            first: Picky,
            way: Way,
            outcome: Outcome,
        }
        assert_eq!(sensitive::<Payment>(), ["outcome<Paid>.way<Card>.no", "way<Card>.no"]);
        let shape = Shape::of::<Payment>();
        assert!(shape.0.contains_key("way<Cash>") && shape.0.contains_key("outcome<Open>"), "{shape}");
    }

    #[test]
    fn a_type_within_itself_is_hidden_as_a_whole_there() {
        #[derive(Deserialize)]
        #[allow(dead_code)] // Only its shape counts.
        struct Node {
            secret: Sensitive<String>,
            below: Vec<Node>,
        }
        assert_eq!(sensitive::<Node>(), ["below[]", "secret"]);
    }

    #[test]
    fn what_nobody_can_ask_for_is_hidden() {
        /// Refuses before it looks at its fields.
        #[derive(Debug)]
        struct Early;
        impl<'de> Deserialize<'de> for Early {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct First;
                impl<'de> Visitor<'de> for First {
                    type Value = Early;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("an early one")
                    }
                    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Early, A::Error> {
                        Err(de::Error::custom("no"))
                    }
                }
                deserializer.deserialize_struct("Early", &["first", "card"], First)
            }
        }
        assert_eq!(sensitive::<Early>(), ["card", "first"]);
    }
}
