//! A strict JSON serializer. A value that JSON cannot represent is an error, not `null`.
//!
//! Owns: the refusal of such values, and the limit during writing.
//! Does not own: the check that the text can be read back (`payload`).

use std::cell::Cell;
use std::io;
use std::sync::Arc;

use serde::ser::{
    self, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

/// A text that grows up to a limit. A longer value is refused before it is completely in memory.
struct Bounded<'a> {
    text: &'a mut Vec<u8>,
    limit: usize,
    over: bool,
}

impl io::Write for Bounded<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    // A JSON text is many short pieces. The default of this method is a loop for each of them.
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() > self.limit - self.text.len() {
            self.over = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.text.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The rest of a text that a value must write. The first other byte is an error, and so is everything after it.
struct Expected<'a> {
    rest: &'a [u8],
    differs: bool,
}

impl io::Write for Expected<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.rest.strip_prefix(bytes) {
            Some(rest) if !self.differs => {
                self.rest = rest;
                Ok(())
            }
            _ => {
                self.differs = true;
                Err(io::ErrorKind::InvalidData.into())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

thread_local! {
    /// The memory for the next text. Its size becomes that of the largest usual text.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A larger buffer is not kept for the next text.
const KEPT: usize = 64 << 10;

/// The reason why a value was not written.
pub(super) enum Refused {
    /// The JSON has more bytes than the limit.
    TooLong,
    /// JSON cannot represent the value. The text holds the reason and the path of the field.
    Because(String),
}

/// Returns the JSON of `value`, with at most `limit` bytes.
pub(super) fn to_json<T: Serialize + ?Sized>(value: &T, limit: usize) -> Result<Arc<str>, Refused> {
    // A `Serialize` of the user may encode another value in between. That value then gets a new buffer.
    let mut text = BUFFER.take();
    text.clear();
    let mut out = Bounded { text: &mut text, limit, over: false };
    let written = value.serialize(Strict(&mut serde_json::Serializer::new(&mut out)));
    // Checked first, because a `Serialize` of the user may swallow the error of the writer.
    let json = if out.over {
        Err(Refused::TooLong)
    } else {
        match (written, std::str::from_utf8(&text)) {
            (Err(error), _) => Err(Refused::Because(located(value, &error))),
            (_, Err(error)) => Err(Refused::Because(error.to_string())),
            (Ok(()), Ok(json)) => Ok(json.into()),
        }
    };
    if text.capacity() <= KEPT {
        BUFFER.set(text);
    }
    json
}

/// Returns whether `value` has exactly this JSON.
pub(super) fn has_json<T: Serialize + ?Sized>(value: &T, json: &str) -> bool {
    let mut expected = Expected { rest: json.as_bytes(), differs: false };
    let written = value.serialize(Strict(&mut serde_json::Serializer::new(&mut expected)));
    // A `Serialize` of the user may swallow the error of the writer.
    written.is_ok() && !expected.differs && expected.rest.is_empty()
}

/// Adds the path of the field to the error. Only a second run finds the path.
fn located<T: Serialize + ?Sized>(value: &T, error: &serde_json::Error) -> String {
    let mut nowhere = serde_json::Serializer::new(io::sink());
    match serde_path_to_error::serialize(value, Strict(&mut nowhere)) {
        Err(found) if found.path().iter().next().is_some() => {
            format!("`{}`: {}", found.path(), found.inner())
        }
        _ => error.to_string(),
    }
}

fn not_a_number<E: ser::Error>(value: f64) -> E {
    E::custom(format_args!("{value} is not a JSON number"))
}

/// Makes [`Strict`] apply to nested values as well.
struct Within<'a, T: ?Sized>(&'a T);

impl<T: Serialize + ?Sized> Serialize for Within<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(Strict(serializer))
    }
}

/// A serializer that forwards all values and refuses infinite numbers and NaN.
struct Strict<S>(S);

/// Forwards methods with one plain argument.
macro_rules! plain {
    ($($method:ident: $type:ty),* $(,)?) => {
        $(fn $method(self, value: $type) -> Result<S::Ok, S::Error> {
            self.0.$method(value)
        })*
    };
}

impl<S: Serializer> Serializer for Strict<S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Strict<S::SerializeSeq>;
    type SerializeTuple = Strict<S::SerializeTuple>;
    type SerializeTupleStruct = Strict<S::SerializeTupleStruct>;
    type SerializeTupleVariant = Strict<S::SerializeTupleVariant>;
    type SerializeMap = Strict<S::SerializeMap>;
    type SerializeStruct = Strict<S::SerializeStruct>;
    type SerializeStructVariant = Strict<S::SerializeStructVariant>;

    plain! {
        serialize_bool: bool,
        serialize_i8: i8,
        serialize_i16: i16,
        serialize_i32: i32,
        serialize_i64: i64,
        serialize_i128: i128,
        serialize_u8: u8,
        serialize_u16: u16,
        serialize_u32: u32,
        serialize_u64: u64,
        serialize_u128: u128,
        serialize_char: char,
        serialize_str: &str,
        serialize_bytes: &[u8],
        serialize_unit_struct: &'static str,
    }

    fn serialize_f32(self, value: f32) -> Result<S::Ok, S::Error> {
        if value.is_finite() { self.0.serialize_f32(value) } else { Err(not_a_number(value.into())) }
    }

    fn serialize_f64(self, value: f64) -> Result<S::Ok, S::Error> {
        if value.is_finite() { self.0.serialize_f64(value) } else { Err(not_a_number(value)) }
    }

    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.0.serialize_none()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.0.serialize_some(&Within(value))
    }

    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.0.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<S::Ok, S::Error> {
        self.0.serialize_unit_variant(name, index, variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.0.serialize_newtype_struct(name, &Within(value))
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.0.serialize_newtype_variant(name, index, variant, &Within(value))
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        self.0.serialize_seq(len).map(Strict)
    }

    fn serialize_tuple(self, len: usize) -> Result<Self::SerializeTuple, S::Error> {
        self.0.serialize_tuple(len).map(Strict)
    }

    fn serialize_tuple_struct(
        self,
        name: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleStruct, S::Error> {
        self.0.serialize_tuple_struct(name, len).map(Strict)
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        self.0.serialize_tuple_variant(name, index, variant, len).map(Strict)
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        self.0.serialize_map(len).map(Strict)
    }

    fn serialize_struct(self, name: &'static str, len: usize) -> Result<Self::SerializeStruct, S::Error> {
        self.0.serialize_struct(name, len).map(Strict)
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        self.0.serialize_struct_variant(name, index, variant, len).map(Strict)
    }

    fn collect_str<T: std::fmt::Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.0.collect_str(value)
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }
}

/// Forwards the elements of sequences and tuples.
macro_rules! parts {
    ($($part:ident::$method:ident),* $(,)?) => {
        $(impl<S: $part> $part for Strict<S> {
            type Ok = S::Ok;
            type Error = S::Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
                self.0.$method(&Within(value))
            }

            fn end(self) -> Result<S::Ok, S::Error> {
                self.0.end()
            }
        })*
    };
}

parts! {
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field,
}

/// Forwards the fields of structs.
macro_rules! fields {
    ($($part:ident),* $(,)?) => {
        $(impl<S: $part> $part for Strict<S> {
            type Ok = S::Ok;
            type Error = S::Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), S::Error> {
                self.0.serialize_field(name, &Within(value))
            }

            fn skip_field(&mut self, name: &'static str) -> Result<(), S::Error> {
                self.0.skip_field(name)
            }

            fn end(self) -> Result<S::Ok, S::Error> {
                self.0.end()
            }
        })*
    };
}

fields!(SerializeStruct, SerializeStructVariant);

impl<S: SerializeMap> SerializeMap for Strict<S> {
    type Ok = S::Ok;
    type Error = S::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), S::Error> {
        self.0.serialize_key(&Within(key))
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
        self.0.serialize_value(&Within(value))
    }

    fn serialize_entry<K: Serialize + ?Sized, V: Serialize + ?Sized>(
        &mut self,
        key: &K,
        value: &V,
    ) -> Result<(), S::Error> {
        self.0.serialize_entry(&Within(key), &Within(value))
    }

    fn end(self) -> Result<S::Ok, S::Error> {
        self.0.end()
    }
}
