//! Redaction: payloads without the values that tools do not show.
//!
//! Owns: the places to hide, as the stored definitions name them, and the masked JSON. Does not own: the reads that are
//! masked (`store::Redacted`), or the person who may see more (the tools).

use std::collections::BTreeMap;

use super::{StoredDefinition, StoredType};
use crate::message::{Message, Payload};
use crate::shape::{HIDDEN, Places, each, is_within, mask};

/// The places of the payloads of a store that must not be shown: `redact(..)` of the derives, and each
/// [`Sensitive`](crate::message::Sensitive).
///
/// A payload of a type that no stored definition knows is hidden as a whole. The places of all versions apply to each
/// version.
#[derive(Clone, Debug, Default)]
pub struct Redaction {
    sagas: BTreeMap<String, OfSaga>,
    messages: BTreeMap<String, Places>,
}

#[derive(Clone, Debug, Default)]
struct OfSaga {
    data: Places,
    /// The places of the data that are known.
    fields: Places,
    states: BTreeMap<String, Places>,
}

impl Redaction {
    /// Collects the places of these definitions.
    pub fn of(definitions: &[StoredDefinition]) -> Self {
        let mut redaction = Self::default();
        let add = |places: &mut Places, of: &StoredType| places.extend(of.redacted.iter().cloned());
        for definition in definitions {
            for name in definition.was.iter().chain([&definition.saga]) {
                let saga = redaction.sagas.entry(name.clone()).or_default();
                add(&mut saga.data, &definition.data);
                saga.fields.extend(definition.data.shape.keys().cloned());
                // A state without a payload says nothing about the payload that it had in an earlier build.
                for (state, payload) in
                    definition.states.iter().filter_map(|state| Some((state, state.payload.as_ref()?)))
                {
                    for name in state.was.iter().chain([&state.name]) {
                        add(saga.states.entry(name.clone()).or_default(), payload);
                    }
                }
            }
            let events = definition.events.iter().chain(&definition.publishes);
            let events = events.map(|event| (&event.name, &event.was, &event.payload));
            let commands = definition.commands.iter().map(|one| (&one.name, &one.was, &one.payload));
            for (name, was, payload) in events.chain(commands) {
                for name in was.iter().chain([name]) {
                    add(redaction.messages.entry(name.clone()).or_default(), payload);
                }
            }
        }
        redaction
    }

    /// Returns the data of a saga without its redacted values.
    pub fn data(&self, saga: &str, data: &Payload) -> Payload {
        masked(self.sagas.get(saga).map(|of| &of.data), data)
    }

    /// Returns the payload of a state without its redacted values.
    pub fn state(&self, saga: &str, state: &str, payload: &Payload) -> Payload {
        masked(self.sagas.get(saga).and_then(|of| of.states.get(state)), payload)
    }

    /// Returns whether the data of a saga is hidden as a whole.
    pub(crate) fn hides_data(&self, saga: &str) -> bool {
        is_whole(self.sagas.get(saga).map(|of| &of.data))
    }

    /// Returns whether the payload of a state is hidden as a whole.
    pub(crate) fn hides_state(&self, saga: &str, state: &str) -> bool {
        is_whole(self.sagas.get(saga).and_then(|of| of.states.get(state)))
    }

    /// Returns the payload of the event or command `name` without its redacted values.
    pub fn payload(&self, name: &str, payload: &Payload) -> Payload {
        masked(self.messages.get(name), payload)
    }

    /// Returns a message without the redacted values of its payload.
    pub fn message(&self, message: &Message) -> Message {
        Message { payload: self.payload(&message.name, &message.payload), ..message.clone() }
    }

    /// Returns the first redacted place of the event or command `name` at which `body` has the mask instead of a value. A
    /// person who edits a masked payload must write the values again.
    pub fn still_masked(&self, name: &str, body: &Payload) -> Option<String> {
        let Some(places) = self.messages.get(name) else {
            return (body.as_str().trim() == HIDDEN).then(|| ".".to_owned());
        };
        let mut found = None;
        each(places, body.as_str(), |place, value| {
            if value == HIDDEN && found.is_none() {
                found = Some(if place.is_empty() { ".".to_owned() } else { place.to_owned() });
            }
        });
        found
    }

    /// Returns whether a definition has this name.
    pub(crate) fn knows_saga(&self, saga: &str) -> bool {
        self.sagas.contains_key(saga)
    }

    /// Returns whether the label of this field would show a redacted value.
    pub(crate) fn hides_label(&self, saga: &str, label: &str) -> bool {
        self.sagas.get(saga).is_none_or(|of| {
            // The label has the name of a field, and a place has the name in the JSON. A label with another name may be any
            // of the fields.
            if !of.data.is_empty() && !of.fields.is_empty() && !of.fields.contains(label) {
                return true;
            }
            of.data.iter().any(|place| place.is_empty() || is_within(place, label))
        })
    }
}

/// Returns a payload without any of its values.
pub(crate) fn hidden() -> Payload {
    Payload::from(HIDDEN)
}

fn is_whole(places: Option<&Places>) -> bool {
    places.is_none_or(|places| places.contains(""))
}

/// Hides these places. Without places the payload is unknown, and hidden as a whole.
fn masked(places: Option<&Places>, payload: &Payload) -> Payload {
    let Some(places) = places else { return hidden() };
    if places.is_empty() {
        return payload.clone();
    }
    mask(places, payload.as_str()).map_or_else(hidden, Payload::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(places: &[&str], json: &str) -> String {
        let places: Places = places.iter().map(|&place| place.to_owned()).collect();
        masked(Some(&places), &Payload::from(json)).as_str().to_owned()
    }

    #[test]
    fn each_kind_of_place_is_masked_and_the_rest_keeps_its_text() {
        for (places, json, expected) in [
            (
                &["card"][..],
                r#"{"card":"4111","cents":12345678901234567890.10}"#,
                r#"{"card":"***","cents":12345678901234567890.10}"#,
            ),
            (&["card"], r#"{"card":{"no":1},"cards":[1]}"#, r#"{"card":"***","cards":[1]}"#),
            (&["a.b"], r#"{"a":{"b":1,"c":2},"b":3}"#, r#"{"a":{"b":"***","c":2},"b":3}"#),
            (
                &["lines[].sku"],
                r#"{"lines":[{"sku":1,"n":2},{"sku":3}]}"#,
                r#"{"lines":[{"sku":"***","n":2},{"sku":"***"}]}"#,
            ),
            (&["pair[1]"], r#"{"pair":[1,2]}"#, r#"{"pair":[1,"***"]}"#),
            (&["by{}"], r#"{"by":{"ann":1,"bob":2}}"#, r#"{"by":{"ann":"***","bob":"***"}}"#),
            (&["pay<Card>.no"], r#"{"pay":{"Card":{"no":1}}}"#, r#"{"pay":{"Card":{"no":"***"}}}"#),
            (&["pay<Card>"], r#"{"pay":{"Card":7}}"#, r#"{"pay":{"Card":"***"}}"#),
            (&["pay<Card>"], r#"{"pay":"Cash"}"#, r#"{"pay":"Cash"}"#),
            (&[""], r#"[1,2]"#, r#""***""#),
            (&["[]"], "[ 1, 2 ]", r#"["***","***"]"#),
            (&["a"], "null", "null"),
            (&["a"], "{}", "{}"),
            (&["a.b"], r#"{"a":[],"é\"":{ "x" : 1 }}"#, r#"{"a":[],"é\"":{ "x" : 1 }}"#),
            (&["none"], r#"{"a":1}"#, r#"{"a":1}"#),
            // Another writer has put something else there.
            (&["card.no"], r#"{"card":"4111","a":1}"#, r#"{"card":"***","a":1}"#),
            (&["card.no"], r#"{"card":null}"#, r#"{"card":null}"#),
            (&["card"], "\"4111\"", HIDDEN),
            (&["lines[].sku"], r#"{"lines":7}"#, r#"{"lines":"***"}"#),
            (&["card.no"], r#"{"card":{"\ud800":1},"a":1}"#, r#"{"card":"***","a":1}"#),
        ] {
            assert_eq!(shown(places, json), expected, "{places:?} of {json}");
        }
        assert_eq!(shown(&["a"], "no JSON"), HIDDEN);
        assert_eq!(shown(&[], "no JSON"), "no JSON");
    }

    #[test]
    fn a_mask_is_found_at_its_place_only() {
        let mut redaction = Redaction::default();
        redaction.messages.insert("paid".to_owned(), ["a.card".to_owned()].into());
        let found = |json: &str| redaction.still_masked("paid", &Payload::from(json));
        assert_eq!(found(r#"{"a":{"card":"***"}}"#), Some("a.card".to_owned()));
        assert_eq!(found(r#"{"a":{"card":"4111"},"b":"***"}"#), None);
        assert_eq!(redaction.still_masked("other", &Payload::from(r#"{"a":{"card":"***"}}"#)), None);
        assert_eq!(redaction.still_masked("other", &hidden()), Some(".".to_owned()));
    }

    #[test]
    fn what_no_definition_knows_is_hidden() {
        let redaction = Redaction::default();
        let payload = Payload::from("7");
        assert_eq!(redaction.data("order", &payload), hidden());
        assert_eq!(redaction.state("order", "paying", &payload), hidden());
        assert_eq!(redaction.payload("paid", &payload), hidden());
        assert!(redaction.hides_label("order", "customer"));
    }
}
