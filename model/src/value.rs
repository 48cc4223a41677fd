//! [`Value`]: what steps pass to each other.

use core::fmt;

use num_bigint::{BigInt, Sign};
use uuid::Uuid;

/// An argument or a result of a step, in a form that all languages share. Stored as CBOR ([`crate::cbor`]), shown as JSON
/// ([`crate::Json`]).
///
/// A list of maps is a table.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// The null value.
    Null,
    /// A boolean.
    Bool(bool),
    /// A 64 bit integer.
    Int(i64),
    /// An integer that does not fit 64 bits.
    BigInt(BigInt),
    /// A 64 bit float.
    Float(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A UUID.
    Uuid(Uuid),
    /// A decimal number, exact, with its trailing zeros.
    Decimal(Decimal),
    /// `2026-09-30`
    Date(String),
    /// `12:30:00`, with an optional fraction and offset.
    Time(String),
    /// `2026-09-30T12:30:00`, with an optional fraction and offset; without an offset it is in no particular time zone.
    DateTime(String),
    /// A list. Tuples and sets of a language are lists to the others.
    List(Vec<Value>),
    /// A map, in insertion order. Keys are unique if a guest language made it.
    Map(Vec<(Value, Value)>),
}

impl Value {
    /// Returns the name of its kind, for messages: `an int`, `a list`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a bool",
            Self::Int(_) | Self::BigInt(_) => "an int",
            Self::Float(_) => "a float",
            Self::Text(_) => "a text",
            Self::Bytes(_) => "bytes",
            Self::Uuid(_) => "a uuid",
            Self::Decimal(_) => "a decimal",
            Self::Date(_) => "a date",
            Self::Time(_) => "a time",
            Self::DateTime(_) => "a datetime",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }

    /// Returns an integer as the smallest variant that holds it, so that equal numbers are equal values.
    #[must_use]
    pub fn integer(number: BigInt) -> Self {
        i64::try_from(&number).map_or_else(|_| Self::BigInt(number), Self::Int)
    }
}

/// A decimal number: `mantissa * 10^exponent`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Decimal {
    /// All digits.
    pub mantissa: BigInt,
    /// The power of ten of the last digit.
    pub exponent: i64,
}

impl fmt::Display for Decimal {
    /// The "to-scientific-string" of the General Decimal Arithmetic specification, which Python's `str` follows too.
    /// The text is never longer than the digits and some 25 characters, whatever the exponent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.mantissa.magnitude().to_string();
        if self.mantissa.sign() == Sign::Minus {
            f.write_str("-")?;
        }
        let count = i64::try_from(digits.len()).unwrap_or(i64::MAX);
        let adjusted = self.exponent.saturating_add(count - 1);
        if self.exponent <= 0 && adjusted >= -6 {
            return write_plain(f, &digits, self.exponent.unsigned_abs());
        }
        let (first, rest) = digits.split_at(1);
        f.write_str(first)?;
        if !rest.is_empty() {
            write!(f, ".{rest}")?;
        }
        write!(f, "E{adjusted:+}")
    }
}

/// Writes digits with the decimal point `scale` digits from the right, after leading zeros if necessary.
fn write_plain(f: &mut fmt::Formatter<'_>, digits: &str, scale: u64) -> fmt::Result {
    let scale = usize::try_from(scale).unwrap_or(usize::MAX);
    match digits.len().checked_sub(scale) {
        _ if scale == 0 => f.write_str(digits),
        Some(whole) if whole > 0 => write!(f, "{}.{}", &digits[..whole], &digits[whole..]),
        // `adjusted >= -6` bounds the zeros
        _ => write!(f, "0.{}{digits}", "0".repeat(scale - digits.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(mantissa: i64, exponent: i64) -> String {
        Decimal { mantissa: mantissa.into(), exponent }.to_string()
    }

    #[test]
    fn decimals_print_as_python_prints_them() {
        assert_eq!(decimal(150, -2), "1.50");
        assert_eq!(decimal(-5, -3), "-0.005");
        assert_eq!(decimal(0, 0), "0");
        assert_eq!(decimal(0, -2), "0.00");
        assert_eq!(decimal(12, 3), "1.2E+4");
        assert_eq!(decimal(1, -7), "1E-7");
        assert_eq!(decimal(1, i64::MAX), "1E+9223372036854775807");
    }
}
