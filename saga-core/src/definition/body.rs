//! The check of a JSON body that a person has written against the stored shape of its type.
//!
//! Owns: the texts for a body that does not fit. Does not own: the decision, which the type itself makes when it reads the
//! body. A shape does not know what a type validates.

use serde_json::Value;

use super::stored::StoredType;

impl StoredType {
    /// Returns why the type could not read `body`, one text for each place. Empty if the body fits, or if the shape is not
    /// known. A field that the type does not have is reported, because it is probably misspelt.
    pub fn misfits(&self, body: &Value) -> Vec<String> {
        let mut misfits = Vec::new();
        self.check("", body, &mut misfits);
        misfits
    }

    fn check(&self, place: &str, value: &Value, misfits: &mut Vec<String>) {
        let Some(kind) = self.shape.get(place) else { return };
        let (kind, optional) = kind.strip_suffix('?').map_or((&**kind, false), |kind| (kind, true));
        if optional && value.is_null() {
            return;
        }
        let fits = match (kind, value) {
            ("object", Value::Object(fields)) => {
                self.check_fields(place, fields, misfits);
                true
            }
            ("enum", Value::String(variant)) => {
                self.check_variant(place, variant, &Value::Null, misfits);
                true
            }
            ("enum", Value::Object(one)) if one.len() == 1 => {
                for (variant, inner) in one {
                    self.check_variant(place, variant, inner, misfits);
                }
                true
            }
            ("list", Value::Array(items)) => {
                let element = format!("{place}[]");
                items.iter().for_each(|item| self.check(&element, item, misfits));
                true
            }
            ("map", Value::Object(entries)) => {
                let element = format!("{place}{{}}");
                entries.values().for_each(|entry| self.check(&element, entry, misfits));
                true
            }
            ("object" | "enum" | "list" | "map", _) => false,
            ("string" | "char", value) => value.is_string(),
            ("bool", value) => value.is_boolean(),
            ("null", value) => value.is_null(),
            ("f32" | "f64", value) => value.is_number(),
            (kind, value) => match limits(kind) {
                Some((least, most)) => {
                    value.is_number()
                        && value.to_string().parse().is_ok_and(|n: i128| (least..=most).contains(&n))
                }
                // Tuples, bytes and what takes anything.
                None => true,
            },
        };
        if !fits {
            misfits.push(format!("{} must be {kind}", named(place)));
        }
    }

    fn check_fields(&self, place: &str, fields: &serde_json::Map<String, Value>, misfits: &mut Vec<String>) {
        let at = |field: &str| if place.is_empty() { field.to_owned() } else { format!("{place}.{field}") };
        let prefix = at("");
        for (known, kind) in &self.shape {
            let field = known.strip_prefix(&*prefix).unwrap_or_default();
            let is_field = !field.is_empty() && !field.contains(['.', '[', '{', '<']);
            if is_field && !kind.ends_with('?') && !fields.contains_key(field) {
                misfits.push(format!("{} is missing", named(known)));
            }
        }
        for (field, value) in fields {
            let known = at(field);
            if self.shape.contains_key(&known) {
                self.check(&known, value, misfits);
            } else {
                misfits.push(format!("{} is not a field of `{}`", named(&known), self.type_name));
            }
        }
    }

    fn check_variant(&self, place: &str, variant: &str, inner: &Value, misfits: &mut Vec<String>) {
        let at = format!("{place}<{variant}>");
        match self.shape.get(&at) {
            None => misfits.push(format!("{} has no variant `{variant}`", named(place))),
            Some(kind) if kind == "word" => {}
            Some(_) => self.check(&at, inner, misfits),
        }
    }
}

fn named(place: &str) -> String {
    if place.is_empty() { "the body".to_owned() } else { format!("`{place}`") }
}

/// Returns the range of an integer kind. The widest kinds have the range of JSON numbers that are compared here.
fn limits(kind: &str) -> Option<(i128, i128)> {
    Some(match kind {
        "u8" => (0, u8::MAX.into()),
        "u16" => (0, u16::MAX.into()),
        "u32" => (0, u32::MAX.into()),
        "u64" => (0, u64::MAX.into()),
        "u128" => (0, i128::MAX),
        "i8" => (i8::MIN.into(), i8::MAX.into()),
        "i16" => (i16::MIN.into(), i16::MAX.into()),
        "i32" => (i32::MIN.into(), i32::MAX.into()),
        "i64" => (i64::MIN.into(), i64::MAX.into()),
        "i128" => (i128::MIN, i128::MAX),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde_json::json;

    use super::*;
    use crate::definition::PayloadType;
    use crate::definition::stored::typed;

    #[derive(Deserialize)]
    #[allow(dead_code)] // Only its shape is asked for.
    struct Order {
        id: String,
        cents: u16,
        note: Option<String>,
        lines: Vec<Line>,
        prices: BTreeMap<String, f64>,
        way: Way,
    }

    #[derive(Deserialize)]
    #[allow(dead_code)] // Only its shape is asked for.
    struct Line {
        sku: String,
        gift: bool,
    }

    #[derive(Deserialize)]
    #[allow(dead_code)] // Only its shape is asked for.
    enum Way {
        Pickup,
        Parcel { weight: i8 },
    }

    fn misfits(body: Value) -> Vec<String> {
        typed("Order", &[], PayloadType::of::<Order>("Order").shape).misfits(&body)
    }

    #[test]
    fn a_body_that_the_type_can_read_fits() {
        for way in [json!("Pickup"), json!({ "Parcel": { "weight": -3 } })] {
            let line = json!({ "sku": "a", "gift": true });
            let mut body =
                json!({ "id": "1", "cents": 65535, "lines": [line], "prices": { "a": 1.5 }, "way": way });
            assert_eq!(misfits(body.clone()), [""; 0]);
            body["note"] = Value::Null;
            assert_eq!(misfits(body.clone()), [""; 0]);
            serde_json::from_value::<Order>(body).unwrap();
        }
    }

    #[test]
    fn each_misfit_is_named_with_its_place() {
        let line = json!({ "sku": 7, "gift": "no" });
        let way = json!({ "Parcel": { "weight": 200 } });
        let body = json!({ "cents": 65536, "nte": "x", "lines": [line], "prices": { "a": "b" }, "way": way });
        let expected = [
            "`id` is missing",
            "`cents` must be u16",
            "`lines[].gift` must be bool",
            "`lines[].sku` must be string",
            "`nte` is not a field of `Order`",
            "`prices{}` must be f64",
            "`way<Parcel>.weight` must be i8",
        ];
        assert_eq!(misfits(body), expected);
        assert_eq!(misfits(json!([])), ["the body must be object"]);
        let body = json!({ "id": "1", "cents": 1.5, "lines": {}, "prices": {}, "way": "Train" });
        assert_eq!(
            misfits(body),
            ["`cents` must be u16", "`lines` must be list", "`way` has no variant `Train`"]
        );
    }

    #[test]
    fn nothing_is_said_about_a_type_without_a_shape() {
        let unknown =
            StoredType { type_name: "Order".to_owned(), shape: BTreeMap::new(), redacted: Vec::new() };
        assert_eq!(unknown.misfits(&json!({ "anything": 1 })), [""; 0]);
    }
}
