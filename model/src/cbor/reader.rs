//! Reading what is large without making a tree of it.

use minicbor::data::Type;
use minicbor::decode::Decoder;

use super::{CborError, MAX_DEPTH, is_value_tag, read_value};
use crate::value::Value;

/// Reads values one after another. Texts and bytes are given as they lie in the input. A reader that is cloned begins again
/// where it was cloned.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    decoder: Decoder<'a>,
    bytes: &'a [u8],
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// A list, which the reader is now inside of.
    List(Left),
    /// A map, which the reader is now inside of. Its entries are a key and a value each.
    Map(Left),
    /// Something else, which has not been read yet.
    Other,
}

/// How much of a list or map is left to read: so many elements or entries, or as many as come before an end mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left(Option<u64>);

impl Left {
    /// So many.
    #[must_use]
    pub const fn exactly(count: u64) -> Self {
        Self(Some(count))
    }
}

/// A value whose text or bytes are borrowed.
#[derive(Clone, Debug, PartialEq)]
pub enum Item<'a> {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A 64 bit integer.
    Int(i64),
    /// A 64 bit float.
    Float(f64),
    /// Text.
    Text(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
    /// Everything else. Text and bytes in pieces are here too.
    Other(Box<Value>),
}

impl<'a> Reader<'a> {
    /// Reads from the beginning.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { decoder: Decoder::new(bytes), bytes }
    }

    /// Goes into what comes next, if it is a list or a map, a tuple or set too.
    ///
    /// # Errors
    /// Bytes that are not well-formed CBOR.
    pub fn enter(&mut self) -> Result<Head, CborError> {
        let begin = self.decoder.position();
        while self.decoder.datatype()? == Type::Tag {
            if is_value_tag(self.decoder.tag()?.as_u64()) {
                self.decoder.set_position(begin);
                return Ok(Head::Other);
            }
        }
        Ok(match self.decoder.datatype()? {
            Type::Array | Type::ArrayIndef => Head::List(Left(self.decoder.array()?)),
            Type::Map | Type::MapIndef => Head::Map(Left(self.decoder.map()?)),
            _ => {
                self.decoder.set_position(begin);
                Head::Other
            }
        })
    }

    /// Whether there is another element or entry, which the caller must read before it asks again.
    ///
    /// # Errors
    /// Bytes that are not well-formed CBOR.
    #[inline]
    pub fn has_more(&mut self, left: &mut Left) -> Result<bool, CborError> {
        match &mut left.0 {
            Some(0) => Ok(false),
            Some(count) => {
                *count -= 1;
                Ok(true)
            }
            None if self.decoder.datatype()? == Type::Break => {
                self.decoder.skip()?;
                Ok(false)
            }
            None => Ok(true),
        }
    }

    /// Passes over these bytes, which must be one encoded value, if they come next. No two encodings begin with each other.
    #[inline]
    pub fn pass_over(&mut self, encoded: &[u8]) -> bool {
        let at = self.decoder.position();
        let next = self.bytes.get(at..).is_some_and(|rest| rest.starts_with(encoded));
        if next {
            self.decoder.set_position(at + encoded.len());
        }
        next
    }

    /// The bytes of the next value.
    ///
    /// # Errors
    /// Bytes that are not well-formed CBOR.
    pub fn raw(&mut self) -> Result<&'a [u8], CborError> {
        let begin = self.decoder.position();
        self.decoder.skip()?;
        self.bytes.get(begin..self.decoder.position()).ok_or(CborError::Unsupported("a value out of bounds"))
    }

    /// The next value.
    ///
    /// # Errors
    /// Bytes that are no value.
    #[inline]
    pub fn item(&mut self) -> Result<Item<'a>, CborError> {
        match self.short_text() {
            Some(text) => Ok(Item::Text(text)),
            None => self.any_item(),
        }
    }

    /// What most cells of a table are, without a look at what else it could be: fewer than 24 bytes of text behind one that
    /// says so. Reads nothing where it is something else.
    #[inline]
    fn short_text(&mut self) -> Option<&'a str> {
        let at = self.decoder.position();
        let (head, rest) = self.bytes.get(at..)?.split_first()?;
        let len = usize::from(head.checked_sub(0x60).filter(|len| *len < 24)?);
        let text = core::str::from_utf8(rest.get(..len)?).ok()?;
        self.decoder.set_position(at + 1 + len);
        Some(text)
    }

    fn any_item(&mut self) -> Result<Item<'a>, CborError> {
        Ok(match self.decoder.datatype()? {
            Type::Null | Type::Undefined => {
                self.decoder.skip()?;
                Item::Null
            }
            Type::Bool => Item::Bool(self.decoder.bool()?),
            Type::U8 | Type::U16 | Type::U32 | Type::I8 | Type::I16 | Type::I32 | Type::I64 => {
                Item::Int(self.decoder.i64()?)
            }
            Type::F64 => Item::Float(self.decoder.f64()?),
            Type::String => Item::Text(self.decoder.str()?),
            Type::Bytes => Item::Bytes(self.decoder.bytes()?),
            _ => Item::from(read_value(&mut self.decoder, MAX_DEPTH)?),
        })
    }

    /// All was read.
    ///
    /// # Errors
    /// Something was not.
    pub fn end(&self) -> Result<(), CborError> {
        match self.decoder.position() == self.bytes.len() {
            true => Ok(()),
            false => Err(CborError::Unsupported("bytes behind the value")),
        }
    }
}

impl From<Value> for Item<'_> {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Item::Null,
            Value::Bool(truth) => Item::Bool(truth),
            Value::Int(number) => Item::Int(number),
            Value::Float(number) => Item::Float(number),
            other => Item::Other(Box::new(other)),
        }
    }
}

impl Item<'_> {
    /// The kind's name in messages: `an int`, `a list`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => Value::Null.kind(),
            Self::Bool(truth) => Value::Bool(*truth).kind(),
            Self::Int(number) => Value::Int(*number).kind(),
            Self::Float(number) => Value::Float(*number).kind(),
            Self::Text(_) => Value::Text(String::new()).kind(),
            Self::Bytes(_) => Value::Bytes(Vec::new()).kind(),
            Self::Other(value) => value.kind(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{decode, encode};
    use super::*;

    /// The value a reader finds, made into a tree again.
    fn read(reader: &mut Reader<'_>, depth: usize) -> Result<Value, CborError> {
        let depth = depth.checked_sub(1).ok_or(CborError::TooDeep)?;
        match reader.enter()? {
            Head::List(mut left) => {
                let mut items = Vec::new();
                while reader.has_more(&mut left)? {
                    items.push(read(reader, depth)?);
                }
                Ok(Value::List(items))
            }
            Head::Map(mut left) => {
                let mut entries = Vec::new();
                while reader.has_more(&mut left)? {
                    entries.push((read(reader, depth)?, read(reader, depth)?));
                }
                Ok(Value::Map(entries))
            }
            Head::Other => Ok(match reader.item()? {
                Item::Null => Value::Null,
                Item::Bool(truth) => Value::Bool(truth),
                Item::Int(number) => Value::Int(number),
                Item::Float(number) => Value::Float(number),
                Item::Text(text) => Value::Text(text.to_owned()),
                Item::Bytes(bytes) => Value::Bytes(bytes.to_owned()),
                Item::Other(value) => *value,
            }),
        }
    }

    #[test]
    fn bytes_that_come_next_are_passed_over() {
        let bytes = encode(&Value::List(vec![Value::Text("day".into()), Value::Int(7)]));
        let mut reader = Reader::new(&bytes);
        let Ok(Head::List(mut left)) = reader.enter() else { panic!("a list") };
        assert!(reader.has_more(&mut left).expect("one"));
        assert!(!reader.pass_over(&encode(&Value::Text("days".into()))));
        assert!(reader.pass_over(&encode(&Value::Text("day".into()))));
        assert!(reader.end().is_err());
        assert_eq!(reader.raw().expect("a value"), encode(&Value::Int(7)));
        reader.end().expect("the end");
    }

    #[test]
    fn what_stands_behind_a_tag_that_says_nothing_is_itself() {
        for (content, expected) in [(0xf6, Item::Null), (0xf5, Item::Bool(true)), (0x07, Item::Int(7))] {
            assert_eq!(Reader::new(&[0xd9, 0xd9, 0xf7, content]).item().expect("a value"), expected);
        }
    }

    proptest! {
        #[test]
        fn what_it_finds_is_what_decode_finds(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            let mut reader = Reader::new(&bytes);
            let found = read(&mut reader, MAX_DEPTH).and_then(|value| reader.end().map(|()| value));
            match (found, decode(&bytes)) {
                // texts, because a float may be no number and unlike itself
                (Ok(found), Ok(value)) => prop_assert_eq!(format!("{found:?}"), format!("{value:?}")),
                (found, value) => prop_assert!(found.is_err() && value.is_err(), "{:?} {:?}", found, value),
            }
        }
    }
}
