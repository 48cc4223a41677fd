//! The stored form of values: CBOR (RFC 8949) with registered tags where there are any.
//!
//! | value | CBOR |
//! | --- | --- |
//! | big integer | tags 2, 3 |
//! | decimal | tag 4: `[exponent, mantissa]` |
//! | uuid | tag 37 |
//! | datetime with an offset | tag 0 (RFC 3339 text) |
//! | date | tag 1004 (RFC 8943 text) |
//! | set | tag 258, read as a list |
//! | datetime and time without an offset, tuple | tags of our own, below: nothing is registered for them |
//!
//! A reader that knows none of our tags still sees ISO texts and arrays. Decoding takes hostile bytes: depth is bounded,
//! memory is bounded by the input's length, nothing panics.

mod reader;

use minicbor::data::{Tag, Type};
use minicbor::decode::{Decoder, Error as MiniError};
use minicbor::encode::{Encoder, Write};
use num_bigint::{BigInt, Sign};
use uuid::Uuid;

use crate::value::{Decimal, Value};
pub use reader::{Head, Item, Left, Reader};

/// RFC 3339 date-time text.
pub const TAG_DATETIME: u64 = 0;
/// Unsigned big integer.
pub const TAG_POSITIVE: u64 = 2;
/// Negative big integer: `-1 - n`.
pub const TAG_NEGATIVE: u64 = 3;
/// Decimal fraction.
pub const TAG_DECIMAL: u64 = 4;
/// UUID, 16 bytes.
pub const TAG_UUID: u64 = 37;
/// A mathematical finite set.
pub const TAG_SET: u64 = 258;
/// Date text, `2026-09-30`.
pub const TAG_DATE: u64 = 1004;
/// A tuple: an array that Python gets back as a tuple. The number is `bue` in ASCII.
pub const TAG_TUPLE: u64 = 0x62_75_65;
/// Date-time text without an offset.
pub const TAG_LOCAL_DATETIME: u64 = 0x62_75_66;
/// Time text.
pub const TAG_TIME: u64 = 0x62_75_67;

/// Lists, maps and tags inside each other; deeper values are refused by reader and writer alike.
pub const MAX_DEPTH: usize = 128;

/// Bytes that are not a value.
#[derive(Debug, thiserror::Error)]
pub enum CborError {
    /// Not CBOR.
    #[error("not well-formed CBOR")]
    Malformed(#[source] MiniError),
    /// CBOR, but nothing a step may give.
    #[error("CBOR that is no value of ours: {0}")]
    Unsupported(&'static str),
    /// More than [`MAX_DEPTH`] levels.
    #[error("nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
}

impl From<MiniError> for CborError {
    fn from(error: MiniError) -> Self {
        Self::Malformed(error)
    }
}

/// The bytes of a value.
#[must_use]
pub fn encode(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Writing into a Vec cannot fail: its error type has no values.
    let Ok(()) = write_value(&mut Encoder::new(&mut bytes), value);
    bytes
}

/// The value of some bytes, all of them.
///
/// # Errors
/// Bytes that are not one complete value.
pub fn decode(bytes: &[u8]) -> Result<Value, CborError> {
    let mut decoder = Decoder::new(bytes);
    let value = read_value(&mut decoder, MAX_DEPTH)?;
    match decoder.position() == bytes.len() {
        true => Ok(value),
        false => Err(CborError::Unsupported("bytes behind the value")),
    }
}

type Infallible<W> = minicbor::encode::Error<<W as Write>::Error>;

fn write_value<W>(to: &mut Encoder<W>, value: &Value) -> Result<(), core::convert::Infallible>
where
    W: Write<Error = core::convert::Infallible>,
{
    // minicbor's error wraps the writer's, which has no values
    let done = put_value(to, value);
    debug_assert!(done.is_ok());
    Ok(())
}

fn put_value<W: Write>(to: &mut Encoder<W>, value: &Value) -> Result<(), Infallible<W>> {
    match value {
        Value::Null => to.null()?,
        Value::Bool(truth) => to.bool(*truth)?,
        Value::Int(number) => to.i64(*number)?,
        Value::BigInt(number) => return put_big(to, number),
        Value::Float(number) => to.f64(*number)?,
        Value::Text(text) => to.str(text)?,
        Value::Bytes(bytes) => to.bytes(bytes)?,
        Value::Uuid(uuid) => to.tag(Tag::new(TAG_UUID))?.bytes(uuid.as_bytes())?,
        Value::Decimal(decimal) => return put_decimal(to, decimal),
        Value::Date(text) => to.tag(Tag::new(TAG_DATE))?.str(text)?,
        Value::Time(text) => to.tag(Tag::new(TAG_TIME))?.str(text)?,
        Value::DateTime(text) => to.tag(Tag::new(datetime_tag(text)))?.str(text)?,
        Value::List(items) => {
            to.array(items.len() as u64)?;
            return items.iter().try_for_each(|item| put_value(to, item));
        }
        Value::Map(entries) => {
            to.map(entries.len() as u64)?;
            return entries.iter().try_for_each(|(key, value)| {
                put_value(to, key)?;
                put_value(to, value)
            });
        }
    };
    Ok(())
}

fn put_big<W: Write>(to: &mut Encoder<W>, number: &BigInt) -> Result<(), Infallible<W>> {
    let (tag, magnitude) = match number.sign() {
        Sign::Minus => (TAG_NEGATIVE, (-(number + 1_u32)).to_bytes_be().1),
        _ => (TAG_POSITIVE, number.to_bytes_be().1),
    };
    to.tag(Tag::new(tag))?.bytes(&magnitude)?;
    Ok(())
}

fn put_decimal<W: Write>(to: &mut Encoder<W>, decimal: &Decimal) -> Result<(), Infallible<W>> {
    to.tag(Tag::new(TAG_DECIMAL))?.array(2)?.i64(decimal.exponent)?;
    match i64::try_from(&decimal.mantissa) {
        Ok(mantissa) => to.i64(mantissa).map(drop),
        Err(_) => put_big(to, &decimal.mantissa),
    }
}

/// Which tag an ISO date-time text takes: RFC 3339 demands an offset.
#[must_use]
pub fn datetime_tag(text: &str) -> u64 {
    let time = text.get(11..).unwrap_or_default();
    match time.ends_with('Z') || time.contains(['+', '-']) {
        true => TAG_DATETIME,
        false => TAG_LOCAL_DATETIME,
    }
}

fn read_value(from: &mut Decoder<'_>, depth: usize) -> Result<Value, CborError> {
    let depth = depth.checked_sub(1).ok_or(CborError::TooDeep)?;
    Ok(match from.datatype()? {
        Type::Null | Type::Undefined => {
            from.skip()?;
            Value::Null
        }
        Type::Bool => Value::Bool(from.bool()?),
        Type::U8 | Type::U16 | Type::U32 | Type::I8 | Type::I16 | Type::I32 | Type::I64 => Value::Int(from.i64()?),
        Type::U64 | Type::Int => Value::integer(BigInt::from(i128::from(from.int()?))),
        Type::F16 => Value::Float(from.f16()?.into()),
        Type::F32 => Value::Float(from.f32()?.into()),
        Type::F64 => Value::Float(from.f64()?),
        Type::String | Type::StringIndef => Value::Text(read_text(from)?),
        Type::Bytes | Type::BytesIndef => Value::Bytes(read_bytes(from)?),
        Type::Array | Type::ArrayIndef => Value::List(read_list(from, depth)?),
        Type::Map | Type::MapIndef => Value::Map(read_map(from, depth)?),
        Type::Tag => read_tagged(from, depth)?,
        _ => return Err(CborError::Unsupported("a simple value")),
    })
}

/// Whether what is behind this tag is a value of its own, and not a list like others, say.
const fn is_value_tag(tag: u64) -> bool {
    matches!(
        tag,
        TAG_POSITIVE | TAG_NEGATIVE | TAG_DECIMAL | TAG_UUID | TAG_DATE | TAG_TIME | TAG_DATETIME | TAG_LOCAL_DATETIME
    )
}

fn read_tagged(from: &mut Decoder<'_>, depth: usize) -> Result<Value, CborError> {
    let tag = from.tag()?.as_u64();
    Ok(match tag {
        TAG_POSITIVE => Value::integer(BigInt::from_bytes_be(Sign::Plus, &read_bytes(from)?)),
        TAG_NEGATIVE => Value::integer(-BigInt::from_bytes_be(Sign::Plus, &read_bytes(from)?) - 1_u32),
        TAG_DECIMAL => Value::Decimal(read_decimal(from, depth)?),
        TAG_UUID => {
            let bytes = read_bytes(from)?;
            Value::Uuid(Uuid::from_slice(&bytes).map_err(|_| CborError::Unsupported("a uuid that is not 16 bytes"))?)
        }
        TAG_DATE => Value::Date(read_text(from)?),
        TAG_TIME => Value::Time(read_text(from)?),
        TAG_DATETIME | TAG_LOCAL_DATETIME => Value::DateTime(read_text(from)?),
        // Tuples and sets are lists to everybody but Python; an unknown tag says nothing about its content's type.
        _ => read_value(from, depth)?,
    })
}

fn read_decimal(from: &mut Decoder<'_>, depth: usize) -> Result<Decimal, CborError> {
    const SHAPE: CborError = CborError::Unsupported("a decimal that is not [exponent, mantissa]");
    let Value::List(parts) = read_value(from, depth)? else { return Err(SHAPE) };
    match <[Value; 2]>::try_from(parts) {
        Ok([Value::Int(exponent), Value::Int(mantissa)]) => Ok(Decimal { mantissa: mantissa.into(), exponent }),
        Ok([Value::Int(exponent), Value::BigInt(mantissa)]) => Ok(Decimal { mantissa, exponent }),
        _ => Err(SHAPE),
    }
}

fn read_text(from: &mut Decoder<'_>) -> Result<String, CborError> {
    from.str_iter()?.try_fold(String::new(), |mut text, part| {
        text.push_str(part?);
        Ok(text)
    })
}

fn read_bytes(from: &mut Decoder<'_>) -> Result<Vec<u8>, CborError> {
    from.bytes_iter()?.try_fold(Vec::new(), |mut bytes, part| {
        bytes.extend_from_slice(part?);
        Ok(bytes)
    })
}

fn read_list(from: &mut Decoder<'_>, depth: usize) -> Result<Vec<Value>, CborError> {
    let mut items = Vec::new();
    let count = from.array()?;
    while more(from, count, items.len())? {
        items.push(read_value(from, depth)?);
    }
    Ok(items)
}

fn read_map(from: &mut Decoder<'_>, depth: usize) -> Result<Vec<(Value, Value)>, CborError> {
    let mut entries = Vec::new();
    let count = from.map()?;
    while more(from, count, entries.len())? {
        entries.push((read_value(from, depth)?, read_value(from, depth)?));
    }
    Ok(entries)
}

/// Is there another element? Of an indefinite container the end mark is taken.
fn more(from: &mut Decoder<'_>, count: Option<u64>, seen: usize) -> Result<bool, CborError> {
    let Some(count) = count else {
        let end = from.datatype()? == Type::Break;
        if end {
            from.skip()?;
        }
        return Ok(!end);
    };
    Ok((seen as u64) < count)
}

/// The elements of an encoded array (tuples and sets too), each as its bytes, or `None` if it is no array.
///
/// # Errors
/// Bytes that are not well-formed CBOR.
pub fn array_items(bytes: &[u8]) -> Result<Option<Vec<&[u8]>>, CborError> {
    let mut decoder = Decoder::new(bytes);
    while decoder.datatype()? == Type::Tag {
        let tag = decoder.tag()?.as_u64();
        if !matches!(tag, TAG_TUPLE | TAG_SET) {
            return Ok(None);
        }
    }
    if !matches!(decoder.datatype()?, Type::Array | Type::ArrayIndef) {
        return Ok(None);
    }
    let count = decoder.array()?;
    let mut items = Vec::new();
    while more(&mut decoder, count, items.len())? {
        let start = decoder.position();
        decoder.skip()?;
        items.push(bytes.get(start..decoder.position()).ok_or(CborError::Unsupported("an element out of bounds"))?);
    }
    Ok(Some(items))
}

/// An encoded array of elements that are encoded already.
#[must_use]
pub fn join_items<'a>(items: impl ExactSizeIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut bytes = array_head(items.len() as u64);
    for item in items {
        bytes.extend_from_slice(item);
    }
    bytes
}

/// The bytes of an entry's value in an encoded map, by the text of its key. `None` where it is no map, or has no such entry.
///
/// # Errors
/// Bytes that are not well-formed CBOR.
pub fn map_entry<'a>(bytes: &'a [u8], wanted: &str) -> Result<Option<&'a [u8]>, CborError> {
    let mut decoder = Decoder::new(bytes);
    if !matches!(decoder.datatype()?, Type::Map | Type::MapIndef) {
        return Ok(None);
    }
    let count = decoder.map()?;
    let mut seen = 0;
    while more(&mut decoder, count, seen)? {
        let found = matches!(decoder.datatype()?, Type::String | Type::StringIndef);
        let found = if found { read_text(&mut decoder)? == wanted } else { decoder.skip().map(|()| false)? };
        let start = decoder.position();
        decoder.skip()?;
        if found {
            return Ok(bytes.get(start..decoder.position()));
        }
        seen += 1;
    }
    Ok(None)
}

/// The bytes that begin an array of `count` elements.
#[must_use]
pub fn array_head(count: u64) -> Vec<u8> {
    let mut head = Vec::with_capacity(9);
    let written = Encoder::new(&mut head).array(count).is_ok();
    debug_assert!(written, "a Vec takes everything");
    head
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round(value: &Value) -> Value {
        decode(&encode(value)).expect("what we wrote")
    }

    #[test]
    fn every_kind_survives() {
        let big = BigInt::parse_bytes(b"-123456789012345678901234567890", 10).expect("digits");
        let value = Value::List(vec![
            Value::Null,
            Value::Bool(true),
            Value::Int(i64::MIN),
            Value::BigInt(big.clone()),
            Value::Float(1.5),
            Value::Text("é\n".into()),
            Value::Bytes(vec![0, 255]),
            Value::Uuid(Uuid::from_u128(7)),
            Value::Decimal(Decimal { mantissa: 150.into(), exponent: -2 }),
            Value::Decimal(Decimal { mantissa: big, exponent: 4 }),
            Value::Date("2026-09-30".into()),
            Value::Time("12:00:00".into()),
            Value::DateTime("2026-09-30T12:00:00+02:00".into()),
            Value::DateTime("2026-09-30T12:00:00".into()),
            Value::Map(vec![(Value::Int(1), Value::Text("a".into()))]),
        ]);
        assert_eq!(round(&value), value);
    }

    #[test]
    fn depth_is_bounded() {
        let mut bytes = vec![0x81; 100_000];
        bytes.push(0);
        assert!(matches!(decode(&bytes), Err(CborError::TooDeep)));
    }

    #[test]
    fn a_huge_length_allocates_nothing() {
        assert!(decode(&[0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).is_err());
        assert!(decode(&[0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).is_err());
    }

    #[test]
    fn arrays_come_apart_and_together() {
        let list = encode(&Value::List(vec![Value::Int(1), Value::Text("x".into())]));
        let items = array_items(&list).expect("well-formed").expect("an array");
        assert_eq!(items.len(), 2);
        assert_eq!(join_items(items.into_iter()), list);
        assert!(array_items(&encode(&Value::Int(3))).expect("well-formed").is_none());
    }

    #[test]
    fn an_entry_of_a_map_is_found_by_its_text() {
        let entry = |key: Value, value: &str| (key, Value::Text(value.into()));
        let (number, host) = (entry(Value::Int(1), "one"), entry(Value::Text("host".into()), "a"));
        let map = encode(&Value::Map(vec![number, host]));
        assert_eq!(map_entry(&map, "host").expect("well-formed"), Some(&encode(&Value::Text("a".into()))[..]));
        assert_eq!(map_entry(&map, "port").expect("well-formed"), None);
        assert_eq!(map_entry(&encode(&Value::Int(3)), "host").expect("well-formed"), None);
        assert!(map_entry(&[0xbb, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], "host").is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_end_in_a_value_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            if let Ok(value) = decode(&bytes) {
                let again = encode(&value);
                prop_assert_eq!(encode(&decode(&again).expect("what we wrote")), again);
            }
            let _ = array_items(&bytes);
            let _ = map_entry(&bytes, "");
        }
    }
}
