//! The check of redacted places before the start, and the warning about places that look secret and are shown.

use std::collections::BTreeMap;

use super::problem::StartProblem;
use crate::definition::{
    CommandType, Definition, EventType, PayloadType, StoredDefinition, StoredType, typed,
};
use crate::shape::{Shape, is_within};

/// Words of names that usually stand for a secret.
const SECRET: [&str; 18] = [
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "authorization",
    "credential",
    "credentials",
    "apikey",
    "cookie",
    "card",
    "pan",
    "cvv",
    "cvc",
    "iban",
    "ssn",
    "pin",
];

/// A type with places in `redact(..)`.
struct Checked {
    of: String,
    redact: &'static [&'static str],
    shape: fn() -> Shape,
}

impl Checked {
    fn event(event: &EventType) -> Self {
        Self { of: format!("event `{}`", event.name), redact: event.redact, shape: event.shape }
    }

    fn command(command: &CommandType) -> Self {
        Self { of: format!("command `{}`", command.name), redact: command.redact, shape: command.shape }
    }

    fn payload(of: String, payload: PayloadType) -> Self {
        Self { of, redact: payload.redact, shape: payload.shape }
    }

    fn all_of(definition: &Definition) -> impl Iterator<Item = Self> {
        let saga = definition.name;
        let data = Self::payload(format!("data of saga `{saga}`"), definition.data);
        let states = definition.states.iter().filter_map(move |state| {
            let of = format!("state `{}` of saga `{saga}`", state.name);
            Some(Self::payload(of, state.payload?))
        });
        let published = definition.publishes();
        let published = published.iter().map(Self::event).collect::<Vec<_>>();
        let messages = definition.events.iter().map(Self::event);
        let messages = messages.chain(definition.commands.iter().map(Self::command));
        std::iter::once(data).chain(states).chain(messages).chain(published)
    }

    /// Returns a problem for each place that the type does not have.
    fn problems(self) -> Vec<StartProblem> {
        if self.redact.is_empty() {
            return Vec::new();
        }
        let shape = typed("", &[], self.shape).shape;
        let known: Vec<&str> = shape.keys().map(|place| &**place).filter(|place| !place.is_empty()).collect();
        let missing = self.redact.iter().filter(|place| !may_exist(&shape, place));
        let problem = |place: &&str| StartProblem::NoSuchPlace {
            of: self.of.clone(),
            place: (*place).to_owned(),
            known: known.join(", "),
        };
        missing.map(problem).collect()
    }
}

/// Returns a problem for each place in `redact(..)` that its type does not have.
pub(super) fn problems<'a>(
    definitions: impl Iterator<Item = &'a Definition>,
    subscribed: impl Iterator<Item = &'a EventType>,
) -> Vec<StartProblem> {
    let all = definitions.flat_map(Checked::all_of).chain(subscribed.map(Checked::event));
    let mut problems: Vec<StartProblem> = all.flat_map(Checked::problems).collect();
    problems.sort_by_key(ToString::to_string);
    problems.dedup();
    problems
}

/// Returns whether a value can stand at the place. Below a place of any kind nothing is known.
fn may_exist(shape: &BTreeMap<String, String>, place: &str) -> bool {
    let open =
        |at: &str| shape.get(at).is_none_or(|kind| matches!(kind.trim_end_matches('?'), "any" | "map"));
    if shape.contains_key(place) || open("") {
        return true;
    }
    let ends = place.char_indices().filter(|(_, c)| matches!(c, '.' | '[' | '{' | '<')).map(|(at, _)| at);
    ends.map(|end| &place[..end]).any(|around| shape.contains_key(around) && open(around))
}

/// Warns about each place that looks secret and is shown.
pub(crate) fn warn(definitions: &[StoredDefinition]) {
    for (of, place) in exposed(definitions) {
        tracing::warn!(
            target: "saga::redaction",
            "`{place}` of {of} looks like a secret, and tools show it; use `saga::Sensitive`, or `redact({place})` in the derive"
        );
    }
}

fn exposed(definitions: &[StoredDefinition]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut look = |of: String, known: &StoredType| {
        let hidden = |place: &str| known.redacted.iter().any(|around| is_within(place, around));
        for (place, kind) in &known.shape {
            // The value of an object or a list is looked at part by part.
            let has_value = !matches!(
                kind.trim_end_matches('?'),
                "object" | "list" | "map" | "enum" | "bool" | "word" | "null"
            );
            if has_value && looks_secret(place) && !hidden(place) {
                found.push((of.clone(), place.clone()));
            }
        }
    };
    for definition in definitions {
        let saga = &definition.saga;
        look(format!("the data of saga `{saga}`"), &definition.data);
        for state in &definition.states {
            if let Some(payload) = &state.payload {
                look(format!("state `{}` of saga `{saga}`", state.name), payload);
            }
        }
        for event in definition.events.iter().chain(&definition.publishes) {
            look(format!("event `{}`", event.name), &event.payload);
        }
        for command in &definition.commands {
            look(format!("command `{}`", command.name), &command.payload);
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Returns whether a word of the last name in the place is one of [`SECRET`].
fn looks_secret(place: &str) -> bool {
    let name = place.trim_end_matches(['[', ']', '{', '}']);
    let name = name.rsplit(['.', '[', ']', '{', '}', '<', '>']).next().unwrap_or_default();
    let mut words = vec![String::new()];
    for c in name.chars() {
        if c.is_uppercase() || !c.is_alphanumeric() {
            words.push(String::new());
        }
        if c.is_alphanumeric() {
            words.last_mut().into_iter().for_each(|word| word.extend(c.to_lowercase()));
        }
    }
    let whole: String = words.concat();
    words.push(whole);
    words.iter().any(|word| SECRET.contains(&&**word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_decide_and_not_parts_of_words() {
        for place in [
            "password",
            "card_number",
            "billing.iban",
            "apiKey",
            "api_key",
            "lines[].token",
            "tokens.token",
            "pins.pin[]",
            "a<Card>.pan",
        ] {
            assert!(looks_secret(place), "{place}");
        }
        for place in ["discard", "cardinal", "spin", "tokens", "opinion", "company", "", "a<Card>", "panel"] {
            assert!(!looks_secret(place), "{place}");
        }
    }

    #[test]
    fn a_place_below_any_may_exist() {
        let shape: BTreeMap<String, String> =
            [("", "object"), ("a", "object"), ("a.b", "string?"), ("raw", "any?"), ("by", "map")]
                .map(|(place, kind)| (place.to_owned(), kind.to_owned()))
                .into();
        for place in ["a", "a.b", "raw.x", "raw[].y", "by{}", "by{}.z"] {
            assert!(may_exist(&shape, place), "{place}");
        }
        for place in ["b", "a.c", "a.b.c", "aa"] {
            assert!(!may_exist(&shape, place), "{place}");
        }
        assert!(may_exist(&BTreeMap::new(), "x"));
    }
}
