//! Writes values as CBOR.

use minicbor::data::Tag;
use minicbor::encode::{Encoder, Write};
use num_bigint::{BigInt, Sign};

use super::tags::{TAG_DATE, TAG_DECIMAL, TAG_NEGATIVE, TAG_POSITIVE, TAG_TIME, TAG_UUID, datetime_tag};
use crate::value::{Decimal, Value};

/// The bytes of null.
pub const NULL: &[u8] = &[0xf6];

/// Returns the bytes of a value.
#[must_use]
pub fn encode(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Writing to a Vec cannot fail: its error type has no values.
    let Ok(()) = write_value(&mut Encoder::new(&mut bytes), value);
    bytes
}

/// Returns the bytes that begin an array of `count` elements.
#[must_use]
pub fn array_head(count: u64) -> Vec<u8> {
    let mut head = Vec::with_capacity(9);
    let written = Encoder::new(&mut head).array(count).is_ok();
    debug_assert!(written, "writing to a Vec cannot fail");
    head
}

/// Returns the bytes that begin a map of `count` entries.
#[must_use]
pub fn map_head(count: u64) -> Vec<u8> {
    let mut head = Vec::with_capacity(9);
    let written = Encoder::new(&mut head).map(count).is_ok();
    debug_assert!(written, "writing to a Vec cannot fail");
    head
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
