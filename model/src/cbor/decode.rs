//! Reads CBOR, whole or in part.

use minicbor::data::Type;
use minicbor::decode::Decoder;
use num_bigint::{BigInt, Sign};
use uuid::Uuid;

use super::error::{CborError, MAX_DEPTH};
use super::items::{has_more, skip};
use super::tags::{
    TAG_DATE, TAG_DATETIME, TAG_DECIMAL, TAG_LOCAL_DATETIME, TAG_NEGATIVE, TAG_POSITIVE, TAG_TIME, TAG_UUID,
};
use crate::value::{Decimal, Value};

/// Decodes bytes that are exactly one value.
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

/// Returns the encoded value of the entry of an encoded map whose key is this text, or `None` if there is no such entry or the
/// value is not a map.
///
/// # Errors
/// Bytes that are not well-formed CBOR.
pub fn map_entry<'a>(bytes: &'a [u8], key: &str) -> Result<Option<&'a [u8]>, CborError> {
    let mut decoder = Decoder::new(bytes);
    if !matches!(decoder.datatype()?, Type::Map | Type::MapIndef) {
        return Ok(None);
    }
    let count = decoder.map()?;
    let mut seen = 0;
    while has_more(&mut decoder, count, seen)? {
        let is_text = matches!(decoder.datatype()?, Type::String | Type::StringIndef);
        let is_match =
            if is_text { read_text(&mut decoder)? == key } else { skip(&mut decoder, MAX_DEPTH).map(|()| false)? };
        let start = decoder.position();
        skip(&mut decoder, MAX_DEPTH)?;
        if is_match {
            return Ok(bytes.get(start..decoder.position()));
        }
        seen += 1;
    }
    Ok(None)
}

pub(super) fn read_value(from: &mut Decoder<'_>, depth: usize) -> Result<Value, CborError> {
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
        // Only Python tells tuples and sets from lists; an unknown tag does not change the kind of its content.
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
    while has_more(from, count, items.len())? {
        items.push(read_value(from, depth)?);
    }
    Ok(items)
}

fn read_map(from: &mut Decoder<'_>, depth: usize) -> Result<Vec<(Value, Value)>, CborError> {
    let mut entries = Vec::new();
    let count = from.map()?;
    while has_more(from, count, entries.len())? {
        entries.push((read_value(from, depth)?, read_value(from, depth)?));
    }
    Ok(entries)
}
