//! Reads JSON without rounding its numbers.

use std::collections::HashMap;

use bue_model::{Decimal, Value};
use num_bigint::BigInt;

/// Characters of a number at most. Parsing takes a time that grows with the square of its length: one of 147,000 digits, which
/// PostgreSQL's `numeric` may have, takes as long as two hundred of this length.
pub const MAX_NUMBER_CHARS: usize = 10_000;

/// Reads JSON whose syntax has been checked.
pub(super) struct JsonReader<'t> {
    rest: &'t str,
}

impl<'t> JsonReader<'t> {
    pub(super) const fn new(text: &'t str) -> Self {
        Self { rest: text }
    }

    /// `None` if the nesting is deeper than `depth`, or a number too long.
    pub(super) fn value(&mut self, depth: usize) -> Option<Value> {
        let depth = depth.checked_sub(1)?;
        match self.peek()? {
            b'{' => self.map(depth),
            b'[' => self.list(depth),
            b'"' => self.string().map(Value::Text),
            b't' => self.take(4).map(|_| Value::Bool(true)),
            b'f' => self.take(5).map(|_| Value::Bool(false)),
            b'n' => self.take(4).map(|_| Value::Null),
            _ => self.number(),
        }
    }

    /// The first byte behind white space.
    fn peek(&mut self) -> Option<u8> {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
        self.rest.bytes().next()
    }

    fn take(&mut self, len: usize) -> Option<&'t str> {
        let (token, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(token)
    }

    fn list(&mut self, depth: usize) -> Option<Value> {
        let mut items = Vec::new();
        self.take(1)?;
        while self.peek()? != b']' {
            items.push(self.value(depth)?);
            self.comma()?;
        }
        self.take(1)?;
        Some(Value::List(items))
    }

    /// The last one of equal keys counts.
    fn map(&mut self, depth: usize) -> Option<Value> {
        let mut entries: Vec<(Value, Value)> = Vec::new();
        let mut positions = HashMap::new();
        self.take(1)?;
        while self.peek()? != b'}' {
            let key = self.string()?;
            self.peek()?;
            self.take(1)?;
            let value = self.value(depth)?;
            let position = *positions.entry(key.clone()).or_insert(entries.len());
            match entries.get_mut(position) {
                Some(entry) => entry.1 = value,
                None => entries.push((Value::Text(key), value)),
            }
            self.comma()?;
        }
        self.take(1)?;
        Some(Value::Map(entries))
    }

    fn comma(&mut self) -> Option<()> {
        if self.peek()? == b',' {
            self.take(1)?;
        }
        Some(())
    }

    fn string(&mut self) -> Option<String> {
        let mut len = 1;
        loop {
            match self.rest.as_bytes().get(len)? {
                b'"' => break,
                b'\\' => len += 2,
                _ => len += 1,
            }
        }
        serde_json::from_str(self.take(len + 1)?).ok()
    }

    fn number(&mut self) -> Option<Value> {
        let is_part = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E');
        let len = self.rest.bytes().take_while(is_part).count();
        number(self.take(len).filter(|text| text.len() <= MAX_NUMBER_CHARS)?)
    }
}

/// An int of any size, a float whose digits are those of the text, or else a decimal.
fn number(text: &str) -> Option<Value> {
    if !text.contains(['.', 'e', 'E']) && text != "-0" {
        return text.parse::<i64>().map(Value::Int).ok().or_else(|| text.parse().map(Value::integer).ok());
    }
    let exact = Digits::new(text)?;
    let float: f64 = text.parse().ok()?;
    match float.is_finite() && Digits::new(&format!("{float:e}")).as_ref() == Some(&exact) {
        true => Some(Value::Float(float)),
        false => exact.into_decimal().map(Value::Decimal),
    }
}

/// A number's digits without zeros at either end.
#[derive(PartialEq, Eq)]
struct Digits {
    is_negative: bool,
    digits: String,
    exponent: i64,
}

impl Digits {
    fn new(text: &str) -> Option<Self> {
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let is_negative = mantissa.starts_with('-');
        let mantissa = mantissa.trim_start_matches('-');
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        let kept = all.trim_end_matches('0');
        let shift = i64::try_from(all.len() - kept.len()).ok()? - i64::try_from(fraction.len()).ok()?;
        let digits = kept.trim_start_matches('0').to_owned();
        let exponent = if digits.is_empty() { 0 } else { exponent.parse::<i64>().ok()?.checked_add(shift)? };
        Some(Self { is_negative, digits, exponent })
    }

    fn into_decimal(self) -> Option<Decimal> {
        let mantissa: BigInt = if self.digits.is_empty() { 0.into() } else { self.digits.parse().ok()? };
        Some(Decimal { mantissa: if self.is_negative { -mantissa } else { mantissa }, exponent: self.exponent })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(mantissa: &str, exponent: i64) -> Value {
        Value::Decimal(Decimal { mantissa: mantissa.parse().expect("digits"), exponent })
    }

    #[test]
    fn numbers_are_exact() {
        for (text, expected) in [
            ("-7", Value::Int(-7)),
            ("9223372036854775807", Value::Int(i64::MAX)),
            ("18446744073709551615", Value::BigInt(u64::MAX.into())),
            ("-18446744073709551617", Value::BigInt("-18446744073709551617".parse().expect("digits"))),
            ("0.1", Value::Float(0.1)),
            ("1.50", Value::Float(1.5)),
            ("-2E+3", Value::Float(-2000.0)),
            ("5e-324", Value::Float(5e-324)),
            ("0.12345678901234567891", decimal("12345678901234567891", -20)),
            ("-9007199254740993.0", decimal("-9007199254740993", 0)),
            ("1e999", decimal("1", 999)),
            ("1e-999", decimal("1", -999)),
        ] {
            assert_eq!(number(text), Some(expected), "{text}");
        }
        for text in ["-0", "-0.0", "-0e5"] {
            assert!(
                matches!(number(text), Some(Value::Float(zero)) if zero == 0.0 && zero.is_sign_negative()),
                "{text}"
            );
        }
        assert_eq!(number("1e99999999999999999999"), None);
        let digits = "9".repeat(MAX_NUMBER_CHARS);
        assert!(JsonReader::new(&digits).value(1).is_some());
        assert_eq!(JsonReader::new(&format!("[{digits}9]")).value(2), None);
    }

    #[test]
    fn everything_else_is_as_in_json() {
        let text = "  {\"a\\\"\\u00e9\" : [ true , false,null, [ ], { } ] ,\"b\":1 , \"\\\\\":\"x,]\", \"b\":2 }";
        let key = |key: &str, value| (Value::Text(key.to_owned()), value);
        let list = vec![Value::Bool(true), Value::Bool(false), Value::Null, Value::List(vec![]), Value::Map(vec![])];
        let expected =
            vec![key("a\"é", Value::List(list)), key("b", Value::Int(2)), key("\\", Value::Text("x,]".to_owned()))];
        assert_eq!(JsonReader::new(text).value(3), Some(Value::Map(expected)));
        assert_eq!(JsonReader::new(text).value(2), None);
    }
}
