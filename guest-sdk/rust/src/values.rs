//! Values for which Rust has no type, and rows with any columns.

use bue_model::Value;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! text_kinds {
    ($($(#[doc = $doc:literal])* $name:ident),*) => { $(
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub String);

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                Value::$name(self.0.clone()).serialize(to)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                match Value::deserialize(from)? {
                    Value::$name(text) | Value::Text(text) => Ok(Self(text)),
                    other => Err(D::Error::custom(format!("invalid type: {}", other.kind()))),
                }
            }
        }
    )* };
}

text_kinds! {
    /// `2026-09-30`
    Date,
    /// `12:30:00`, with an optional fraction and offset.
    Time,
    /// `2026-09-30T12:30:00`, with an optional fraction and offset.
    DateTime
}

/// Bytes: a `Vec<u8>` alone would be a list of numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Bytes(pub Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match Value::deserialize(from)? {
            Value::Bytes(bytes) => Ok(Self(bytes)),
            other => Err(D::Error::custom(format!("invalid type: {}, expected bytes", other.kind()))),
        }
    }
}

/// A UUID, as its 128 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Uuid(pub u128);

impl Serialize for Uuid {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let bytes = self.0.to_be_bytes();
        // in CBOR a UUID is a tag and 16 bytes
        let tagged = [&[0xd8, 0x25, 0x50], bytes.as_slice()].concat();
        let value = bue_model::cbor::decode(&tagged).map_err(serde::ser::Error::custom)?;
        value.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Uuid {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match Value::deserialize(from)? {
            Value::Uuid(uuid) => Ok(Self(uuid.as_u128())),
            other => Err(D::Error::custom(format!("invalid type: {}, expected a uuid", other.kind()))),
        }
    }
}

/// A row with any columns, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row(Vec<(String, Value)>);

impl Row {
    /// Creates a row without columns.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Returns the value of a column.
    #[must_use]
    pub fn get(&self, column: &str) -> Option<&Value> {
        self.0.iter().find(|(name, _)| name == column).map(|(_, value)| value)
    }

    /// Sets the value of a column. A new column is added at the end.
    pub fn set(&mut self, column: &str, value: Value) {
        match self.0.iter_mut().find(|(name, _)| name == column) {
            Some((_, old)) => *old = value,
            None => self.0.push((column.to_owned(), value)),
        }
    }

    /// Iterates over columns and their values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let Value::Map(entries) = Value::deserialize(from)? else {
            return Err(D::Error::custom("a row must be a map of columns"));
        };
        let named = entries.into_iter().map(|(key, value)| match key {
            Value::Text(name) => Ok((name, value)),
            other => Err(D::Error::custom(format!("a column name must be text, not {}", other.kind()))),
        });
        named.collect::<Result<_, _>>().map(Self)
    }
}
