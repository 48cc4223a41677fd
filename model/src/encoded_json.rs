//! Encoded values as JSON, without a tree of them.

use core::cell::{Cell, RefCell};
use std::borrow::Cow;

use serde::ser::{Error, Serialize, SerializeMap, SerializeSeq, Serializer};

use crate::cbor::{CborError, Item, Kind, MAX_DEPTH, Reader, Remaining};
use crate::json::{Json, key_text};
use crate::key_hashes::KeyHashes;
use crate::value::Value;

/// Serializes an encoded value as [`Json`] serializes the decoded one. It needs 16 bytes for each key of the maps that are open at
/// a time, where a tree needs more than 32 bytes for each value.
#[derive(Debug)]
pub struct EncodedJson<'a> {
    bytes: &'a [u8],
    /// Which maps have keys with the same text, counted in the order in which they begin.
    ambiguous: Vec<u64>,
}

impl<'a> EncodedJson<'a> {
    /// Checks that the bytes are exactly one value.
    ///
    /// # Errors
    /// They are not.
    pub fn new(bytes: &'a [u8]) -> Result<Self, CborError> {
        let mut reader = Reader::new(bytes);
        let mut scan = Scan::default();
        scan.value(&mut reader, MAX_DEPTH)?;
        reader.end()?;
        scan.ambiguous.sort_unstable();
        Ok(Self { bytes, ambiguous: scan.ambiguous })
    }
}

/// The first pass.
#[derive(Default)]
struct Scan {
    keys: KeyHashes,
    maps: u64,
    ambiguous: Vec<u64>,
}

impl Scan {
    fn value(&mut self, reader: &mut Reader<'_>, depth: usize) -> Result<(), CborError> {
        let depth = depth.checked_sub(1).ok_or(CborError::TooDeep)?;
        match reader.enter()? {
            Kind::Other => reader.item().map(drop),
            Kind::List(mut remaining) => {
                while reader.has_more(&mut remaining)? {
                    self.value(reader, depth)?;
                }
                Ok(())
            }
            Kind::Map(remaining) => self.map(reader, remaining, depth),
        }
    }

    fn map(&mut self, reader: &mut Reader<'_>, mut remaining: Remaining, depth: usize) -> Result<(), CborError> {
        let number = self.maps;
        self.maps += 1;
        let begin = self.keys.begin_map();
        while reader.has_more(&mut remaining)? {
            self.keys.add(&read_key(reader, depth)?);
            self.value(reader, depth)?;
        }
        if self.keys.end_map(begin) {
            self.ambiguous.push(number);
        }
        Ok(())
    }
}

/// Reads a key as a text: the same as [`key_text`] of the decoded key.
fn read_key<'a>(reader: &mut Reader<'a>, depth: usize) -> Result<Cow<'a, str>, CborError> {
    let depth = depth.checked_sub(1).ok_or(CborError::TooDeep)?;
    Ok(match reader.enter()? {
        Kind::List(mut remaining) => {
            let mut text = "(".to_owned();
            let mut comma = "";
            while reader.has_more(&mut remaining)? {
                text.push_str(comma);
                text.push_str(&read_key(reader, depth)?);
                comma = ", ";
            }
            text.push(')');
            text.into()
        }
        Kind::Map(mut remaining) => {
            while reader.has_more(&mut remaining)? {
                check_value(reader, depth)?;
                check_value(reader, depth)?;
            }
            key_text(&Value::Map(Vec::new())).into_owned().into()
        }
        Kind::Other => match reader.item()? {
            Item::Text(text) => Cow::Borrowed(text),
            item => key_text(&to_value(item)).into_owned().into(),
        },
    })
}

/// Skips a value, of which every part is checked.
fn check_value(reader: &mut Reader<'_>, depth: usize) -> Result<(), CborError> {
    let depth = depth.checked_sub(1).ok_or(CborError::TooDeep)?;
    let (mut remaining, parts) = match reader.enter()? {
        Kind::Other => return reader.item().map(drop),
        Kind::List(remaining) => (remaining, 1),
        Kind::Map(remaining) => (remaining, 2),
    };
    while reader.has_more(&mut remaining)? {
        (0..parts).try_for_each(|_| check_value(reader, depth))?;
    }
    Ok(())
}

fn to_value(item: Item<'_>) -> Value {
    match item {
        Item::Null => Value::Null,
        Item::Bool(truth) => Value::Bool(truth),
        Item::Int(number) => Value::Int(number),
        Item::Float(number) => Value::Float(number),
        Item::Text(text) => Value::Text(text.to_owned()),
        Item::Bytes(bytes) => Value::Bytes(bytes.to_vec()),
        Item::Other(value) => *value,
    }
}

impl Serialize for EncodedJson<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let reader = RefCell::new(Reader::new(self.bytes));
        NextValue(&Cursor { reader, maps: Cell::new(0), ambiguous: &self.ambiguous }).serialize(to)
    }
}

/// The position of the second pass.
struct Cursor<'a> {
    reader: RefCell<Reader<'a>>,
    maps: Cell<u64>,
    ambiguous: &'a [u64],
}

impl<'a> Cursor<'a> {
    /// Reads something. The first pass has read it too, so that it cannot fail.
    fn read<T, E: Error>(&self, read: impl FnOnce(&mut Reader<'a>) -> Result<T, CborError>) -> Result<T, E> {
        read(&mut self.reader.borrow_mut()).map_err(E::custom)
    }

    fn has_more<E: Error>(&self, remaining: &mut Remaining) -> Result<bool, E> {
        self.read(|reader| reader.has_more(remaining))
    }

    /// Whether the map that begins here has keys with the same text.
    fn begin_map(&self) -> bool {
        let number = self.maps.replace(self.maps.get() + 1);
        self.ambiguous.binary_search(&number).is_ok()
    }
}

/// The value at the cursor.
struct NextValue<'r, 'a>(&'r Cursor<'a>);

/// The entry at the cursor, as `[key, value]`.
struct NextPair<'r, 'a>(&'r Cursor<'a>);

impl Serialize for NextValue<'_, '_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let cursor = self.0;
        match cursor.read(Reader::enter)? {
            Kind::List(mut remaining) => {
                let mut list = to.serialize_seq(None)?;
                while cursor.has_more(&mut remaining)? {
                    list.serialize_element(&NextValue(cursor))?;
                }
                list.end()
            }
            Kind::Map(remaining) => serialize_map(cursor, remaining, to),
            Kind::Other => match cursor.read(Reader::item)? {
                Item::Text(text) => to.serialize_str(text),
                item => Json(&to_value(item)).serialize(to),
            },
        }
    }
}

impl Serialize for NextPair<'_, '_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let key = self.0.read(Reader::raw)?;
        let mut pair = to.serialize_seq(Some(2))?;
        pair.serialize_element(&EncodedJson::new(key).map_err(Error::custom)?)?;
        pair.serialize_element(&NextValue(self.0))?;
        pair.end()
    }
}

fn serialize_map<S: Serializer>(cursor: &Cursor<'_>, mut remaining: Remaining, to: S) -> Result<S::Ok, S::Error> {
    if cursor.begin_map() {
        let mut pairs = to.serialize_seq(None)?;
        while cursor.has_more(&mut remaining)? {
            pairs.serialize_element(&NextPair(cursor))?;
        }
        return pairs.end();
    }
    let mut map = to.serialize_map(None)?;
    while cursor.has_more(&mut remaining)? {
        let key = cursor.read(|reader| read_key(reader, MAX_DEPTH))?;
        map.serialize_entry(&*key, &NextValue(cursor))?;
    }
    map.end()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cbor::encode;

    #[test]
    fn maps_are_told_apart_by_the_order_in_which_they_begin() {
        let text = |text: &str| Value::Text(text.to_owned());
        let plain = Value::Map(vec![(text("a"), Value::Null)]);
        let ambiguous = Value::Map(vec![(Value::Int(1), plain.clone()), (text("1"), Value::Map(Vec::new()))]);
        let key = Value::List(vec![ambiguous.clone(), Value::Int(2)]);
        let value = Value::List(vec![
            Value::Map(vec![(key.clone(), ambiguous.clone()), (plain.clone(), Value::Int(3))]),
            ambiguous.clone(),
            Value::Map(vec![(key.clone(), plain.clone()), (key, ambiguous)]),
            plain,
        ]);
        let bytes = encode(&value);
        let json = serde_json::to_string(&EncodedJson::new(&bytes).expect("a value")).expect("JSON");
        assert_eq!(json, serde_json::to_string(&Json(&value)).expect("JSON"));
    }

    #[test]
    fn what_is_not_one_value_is_an_error() {
        for bytes in [&[][..], &[0x82, 1], &[1, 2], &[0xa1, 0xa1, 1, 0x1c, 1], &[0xff]] {
            assert!(EncodedJson::new(bytes).is_err(), "{bytes:x?}");
        }
        assert!(matches!(EncodedJson::new(&[0x81; 1000]), Err(CborError::TooDeep)));
        let keys = [0xa1, 0x81].repeat(1000);
        assert!(matches!(EncodedJson::new(&keys), Err(CborError::TooDeep)));
    }
}
