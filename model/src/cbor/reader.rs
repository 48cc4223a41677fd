//! A streaming reader, for values that are too large to be worth a tree of [`Value`]s.

use minicbor::data::Type;
use minicbor::decode::Decoder;

use super::decode::read_value;
use super::error::{CborError, MAX_DEPTH};
use super::items::skip;
use super::tags::is_value_tag;
use crate::value::Value;

/// Reads values one after another. Texts and bytes are borrowed from the input. A clone continues from the position at which it
/// was cloned.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    decoder: Decoder<'a>,
    bytes: &'a [u8],
    /// Lists, maps and their tags that were entered and have not ended.
    levels: usize,
}

/// The kind of the value that comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A list, which the reader has entered.
    List(Remaining),
    /// A map, which the reader has entered. Each entry is a key and a value.
    Map(Remaining),
    /// Anything else, which has not been read yet.
    Other,
}

/// The number of elements or entries that remain to be read; of an indefinite-length container, those before its break code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remaining {
    count: Option<u64>,
    /// The levels that end with it: those of its tags and its own.
    levels: usize,
}

impl Remaining {
    /// Exactly `count`.
    #[must_use]
    pub const fn exactly(count: u64) -> Self {
        Self { count: Some(count), levels: 0 }
    }
}

/// A value whose text or bytes are borrowed from the input.
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
    /// Any other value, including texts and bytes of indefinite length.
    Other(Box<Value>),
}

impl<'a> Reader<'a> {
    /// Creates a reader at the beginning of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { decoder: Decoder::new(bytes), bytes, levels: 0 }
    }

    /// Enters the next value if it is a list (or tuple, or set) or a map.
    ///
    /// # Errors
    /// Bytes that are not well-formed CBOR, or are nested too deep.
    pub fn enter(&mut self) -> Result<Kind, CborError> {
        let begin = self.decoder.position();
        let mut levels = 1;
        while self.decoder.datatype()? == Type::Tag {
            if is_value_tag(self.decoder.tag()?.as_u64()) {
                self.decoder.set_position(begin);
                return Ok(Kind::Other);
            }
            levels += 1;
        }
        let kind = match self.decoder.datatype()? {
            Type::Array | Type::ArrayIndef => Kind::List(Remaining { count: self.decoder.array()?, levels }),
            Type::Map | Type::MapIndef => Kind::Map(Remaining { count: self.decoder.map()?, levels }),
            _ => {
                self.decoder.set_position(begin);
                return Ok(Kind::Other);
            }
        };
        self.levels += levels;
        if self.levels > MAX_DEPTH { Err(CborError::TooDeep) } else { Ok(kind) }
    }

    /// Whether another element or entry follows. The caller must read it before it calls this again.
    ///
    /// # Errors
    /// Bytes that are not well-formed CBOR.
    #[inline]
    pub fn has_more(&mut self, remaining: &mut Remaining) -> Result<bool, CborError> {
        let has_more = match &mut remaining.count {
            Some(0) => false,
            Some(count) => {
                *count -= 1;
                true
            }
            None if self.decoder.datatype()? == Type::Break => {
                self.decoder.skip()?;
                false
            }
            None => true,
        };
        if !has_more {
            self.levels = self.levels.saturating_sub(core::mem::take(&mut remaining.levels));
        }
        Ok(has_more)
    }

    /// Skips `encoded`, which must be one encoded value, if it comes next. No encoded value is a prefix of another.
    #[inline]
    pub fn skip_if_next(&mut self, encoded: &[u8]) -> bool {
        let at = self.decoder.position();
        let next = self.bytes.get(at..).is_some_and(|rest| rest.starts_with(encoded));
        if next {
            self.decoder.set_position(at + encoded.len());
        }
        next
    }

    /// The number of bytes read so far.
    #[must_use]
    pub fn position(&self) -> usize {
        self.decoder.position()
    }

    /// Reads the bytes of the next value.
    ///
    /// # Errors
    /// Bytes that are not well-formed CBOR.
    pub fn raw(&mut self) -> Result<&'a [u8], CborError> {
        let (begin, depth) = (self.decoder.position(), self.depth());
        skip(&mut self.decoder, depth)?;
        self.bytes.get(begin..self.decoder.position()).ok_or(CborError::Unsupported("a value out of bounds"))
    }

    /// The levels that the next value may have.
    const fn depth(&self) -> usize {
        MAX_DEPTH.saturating_sub(self.levels)
    }

    /// Reads the next value.
    ///
    /// # Errors
    /// Bytes that are not a value, or are nested too deep.
    #[inline]
    pub fn item(&mut self) -> Result<Item<'a>, CborError> {
        if self.depth() == 0 {
            return Err(CborError::TooDeep);
        }
        match self.short_text() {
            Some(text) => Ok(Item::Text(text)),
            None => self.any_item(),
        }
    }

    /// Reads a text of fewer than 24 bytes, whose length is in its first byte: a fast path, since most cells of a table are such
    /// texts. Reads nothing if the next value is anything else.
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
            _ => {
                let depth = self.depth();
                Item::from(read_value(&mut self.decoder, depth)?)
            }
        })
    }

    /// Checks that everything has been read.
    ///
    /// # Errors
    /// Bytes remain.
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

    use super::*;
    use crate::cbor::decode::decode;
    use crate::cbor::encode::encode;

    /// Reads a value as a tree.
    fn read(reader: &mut Reader<'_>, depth: usize) -> Result<Value, CborError> {
        let depth = depth.checked_sub(1).ok_or(CborError::TooDeep)?;
        match reader.enter()? {
            Kind::List(mut remaining) => {
                let mut items = Vec::new();
                while reader.has_more(&mut remaining)? {
                    items.push(read(reader, depth)?);
                }
                Ok(Value::List(items))
            }
            Kind::Map(mut remaining) => {
                let mut entries = Vec::new();
                while reader.has_more(&mut remaining)? {
                    entries.push((read(reader, depth)?, read(reader, depth)?));
                }
                Ok(Value::Map(entries))
            }
            Kind::Other => Ok(match reader.item()? {
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
    fn a_value_that_comes_next_can_be_skipped() {
        let bytes = encode(&Value::List(vec![Value::Text("day".into()), Value::Int(7)]));
        let mut reader = Reader::new(&bytes);
        let Ok(Kind::List(mut remaining)) = reader.enter() else { panic!("a list") };
        assert!(reader.has_more(&mut remaining).expect("one"));
        assert!(!reader.skip_if_next(&encode(&Value::Text("days".into()))));
        assert!(reader.skip_if_next(&encode(&Value::Text("day".into()))));
        assert!(reader.end().is_err());
        assert_eq!(reader.raw().expect("a value"), encode(&Value::Int(7)));
        reader.end().expect("the end");
    }

    #[test]
    fn an_unknown_tag_does_not_change_its_content() {
        for (content, expected) in [(0xf6, Item::Null), (0xf5, Item::Bool(true)), (0x07, Item::Int(7))] {
            assert_eq!(Reader::new(&[0xd9, 0xd9, 0xf7, content]).item().expect("a value"), expected);
        }
    }

    /// Found by the fuzzer: tags count as levels wherever they are, and a decimal is a list of two.
    #[test]
    fn values_at_the_limit_of_depth_are_read_as_they_are_decoded() {
        let tag = [0xd4_u8];
        let decimal = [0xc4_u8, 0x82, 0x20, 0x01];
        for content in [&[0x01_u8][..], &[0x61, b'a'], &decimal, &[0x80], &[0xa0]] {
            for (tags, lists, inner) in
                [(0, 1, 0), (1, 1, 1), (3, 10, 7), (0, 120, 0), (1, 60, 3), (0, 1, 124), (5, 100, 20)]
            {
                for spare in 0..8 {
                    let outer = [tag.repeat(tags), vec![0x81]].concat().repeat(lists);
                    let bytes = [outer, tag.repeat(inner + spare), content.to_vec()].concat();
                    let mut reader = Reader::new(&bytes);
                    let streamed = read(&mut reader, usize::MAX);
                    assert_eq!(streamed.is_ok(), decode(&bytes).is_ok(), "{tags} {lists} {inner} {spare} {content:?}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn the_reader_and_decode_agree(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            let mut reader = Reader::new(&bytes);
            let streamed = read(&mut reader, MAX_DEPTH).and_then(|value| reader.end().map(|()| value));
            match (streamed, decode(&bytes)) {
                // compared as texts, because NaN is not equal to itself
                (Ok(streamed), Ok(value)) => prop_assert_eq!(format!("{streamed:?}"), format!("{value:?}")),
                (streamed, value) => prop_assert!(streamed.is_err() && value.is_err(), "{:?} {:?}", streamed, value),
            }
        }
    }
}
