//! The labels of an instance, and their changes by a step.

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::message::{Label, LabelValue, Name};

/// The labels of one instance, in the order of the table. A name occurs once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels(Vec<(Name, LabelValue)>);

impl Labels {
    /// Returns no labels.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Returns whether there is no label.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the value of the label `name`.
    pub fn get(&self, name: &str) -> Option<&LabelValue> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// Iterates over names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, &LabelValue)> {
        self.0.iter().map(|(name, value)| (name, value))
    }

    /// Sets a label, instead of an earlier value.
    pub fn set(&mut self, name: impl Into<Name>, value: LabelValue) {
        let (name, value) = (name.into(), value.cut());
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => self.0.push((name, value)),
        }
    }

    /// Adds the label of a field, for generated code. The names of a table differ.
    #[doc(hidden)]
    pub fn add<T: Label + ?Sized>(&mut self, name: &'static str, field: &T) {
        if let Some(value) = field.label() {
            self.0.push((Name::Borrowed(name), value.cut()));
        }
    }

    /// Returns the bytes of names and values.
    pub(crate) fn bytes(&self) -> usize {
        let bytes = |value: &LabelValue| match value {
            LabelValue::Integer(_) => 0,
            LabelValue::Text(text) => text.len(),
        };
        self.0.iter().map(|(_, value)| size_of::<(Name, LabelValue)>() + bytes(value)).sum()
    }

    /// Returns the changes that lead from the labels `before` to these.
    pub(crate) fn changes(&self, before: &Self) -> Vec<LabelChange> {
        let mut changes = Vec::new();
        for (name, value) in &self.0 {
            let from = before.get(name);
            if from != Some(value) {
                changes.push(LabelChange {
                    name: name.clone(),
                    from: from.cloned(),
                    to: Some(value.clone()),
                });
            }
        }
        let gone = before.0.iter().filter(|(name, _)| self.get(name).is_none());
        changes.extend(gone.map(|(name, value)| LabelChange {
            name: name.clone(),
            from: Some(value.clone()),
            to: None,
        }));
        changes
    }
}

/// A map from name to value.
impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Map;

        impl<'de> Visitor<'de> for Map {
            type Value = Labels;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a map of labels")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Labels, A::Error> {
                let mut labels = Labels::new();
                while let Some((name, value)) = map.next_entry::<String, LabelValue>()? {
                    labels.set(name, value);
                }
                Ok(labels)
            }
        }

        deserializer.deserialize_map(Map)
    }
}

/// A change to the index of labels. The labels themselves are part of
/// [`InstanceChange`](super::InstanceChange::labels).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelChange {
    /// The name of the label.
    pub name: Name,
    /// The value before the step. `None` for a new label.
    pub from: Option<LabelValue>,
    /// The value after the step. `None` for a removed label.
    pub to: Option<LabelValue>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(json: &str) -> Labels {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn only_differences_are_changes() {
        let (before, after) = (labels(r#"{"a":1,"b":"x","c":3}"#), labels(r#"{"d":"new","b":"x","a":2}"#));
        let change = |name: &str, from: Option<i64>, to: Option<LabelValue>| LabelChange {
            name: name.to_owned().into(),
            from: from.map(LabelValue::Integer),
            to,
        };
        let expected = [
            change("d", None, Some(LabelValue::text("new"))),
            change("a", Some(1), Some(LabelValue::Integer(2))),
            change("c", Some(3), None),
        ];
        assert_eq!(after.changes(&before), expected);
        assert_eq!(after.changes(&after), []);
        assert_eq!(Labels::new().changes(&Labels::new()), []);
    }

    #[test]
    fn json_is_a_map_in_order() {
        let text = r#"{"total":42,"customer":"C-7"}"#;
        assert_eq!(serde_json::to_string(&labels(text)).unwrap(), text);
        assert_eq!(labels(r#"{"a":1,"a":2}"#).get("a"), Some(&LabelValue::Integer(2)), "the last one counts");
    }
}
