//! Encodes JSON as CBOR without rounding its numbers.

use bue_model::{Decimal, KeyHashes, Value, cbor};
use num_bigint::BigInt;

/// Characters of a number at most. Parsing takes a time that grows with the square of its length: one of 147,000 digits, which
/// PostgreSQL's `numeric` may have, takes as long as two hundred of this length.
pub const MAX_NUMBER_CHARS: usize = 10_000;

/// Encodes JSON whose syntax has been checked.
///
/// The head of a list or map contains its length, so it is inserted once the end is known. Every level thus moves the bytes within it
/// once; the number of levels is limited.
pub(super) struct JsonReader<'t, 'b> {
    rest: &'t str,
    to: &'b mut Vec<u8>,
    keys: KeyHashes,
}

impl<'t, 'b> JsonReader<'t, 'b> {
    pub(super) fn new(text: &'t str, to: &'b mut Vec<u8>) -> Self {
        Self { rest: text, to, keys: KeyHashes::default() }
    }

    /// Appends a value. `None`, after some bytes, if the nesting is deeper than `depth`, a number is too long, or an object has the
    /// same key twice.
    pub(super) fn value(&mut self, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match self.peek()? {
            b'{' => self.map(depth),
            b'[' => self.list(depth),
            b'"' => self.string().map(|text| self.append(&Value::Text(text))),
            b't' => self.take(4).map(|_| self.append(&Value::Bool(true))),
            b'f' => self.take(5).map(|_| self.append(&Value::Bool(false))),
            b'n' => self.take(4).map(|_| self.append(&Value::Null)),
            _ => self.number(),
        }
    }

    fn append(&mut self, value: &Value) {
        self.to.extend_from_slice(&cbor::encode(value));
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

    fn list(&mut self, depth: usize) -> Option<()> {
        let (begin, mut count) = (self.to.len(), 0);
        self.take(1)?;
        while self.peek()? != b']' {
            self.value(depth)?;
            self.comma()?;
            count += 1;
        }
        self.take(1)?;
        self.to.splice(begin..begin, cbor::array_head(count));
        Some(())
    }

    fn map(&mut self, depth: usize) -> Option<()> {
        let (begin, mut count) = (self.to.len(), 0);
        let first_key = self.keys.begin_map();
        self.take(1)?;
        while self.peek()? != b'}' {
            let key = self.string()?;
            self.keys.add(&key);
            self.append(&Value::Text(key));
            self.peek()?;
            self.take(1)?;
            self.value(depth)?;
            self.comma()?;
            count += 1;
        }
        self.take(1)?;
        self.to.splice(begin..begin, cbor::map_head(count));
        (!self.keys.end_map(first_key)).then_some(())
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

    fn number(&mut self) -> Option<()> {
        let is_part = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E');
        let len = self.rest.bytes().take_while(is_part).count();
        let number = number(self.take(len).filter(|text| text.len() <= MAX_NUMBER_CHARS)?)?;
        self.append(&number);
        Some(())
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
        assert!(read(&digits, 1).is_some());
        assert_eq!(read(&format!("[{digits}9]"), 2), None);
    }

    /// What the bytes are decoded to, which are those of the encoded value.
    fn read(text: &str, depth: usize) -> Option<Value> {
        let mut bytes = Vec::new();
        JsonReader::new(text, &mut bytes).value(depth)?;
        let value = cbor::decode(&bytes).expect("CBOR");
        assert_eq!(cbor::encode(&value), bytes);
        Some(value)
    }

    #[test]
    fn everything_else_is_as_in_json() {
        let text = "  {\"a\\\"\\u00e9\" : [ true , false,null, [ ], { } ] ,\"b\":1 , \"\\\\\":\"x,]\" }";
        let key = |key: &str, value| (Value::Text(key.to_owned()), value);
        let list = vec![Value::Bool(true), Value::Bool(false), Value::Null, Value::List(vec![]), Value::Map(vec![])];
        let expected =
            vec![key("a\"é", Value::List(list)), key("b", Value::Int(1)), key("\\", Value::Text("x,]".to_owned()))];
        assert_eq!(read(text, 3), Some(Value::Map(expected)));
        assert_eq!(read(text, 2), None);
        let many = format!("[{}0]", "[1,2],".repeat(70_000));
        assert!(matches!(read(&many, 3), Some(Value::List(items)) if items.len() == 70_001));
    }

    #[test]
    fn the_same_key_twice_is_refused() {
        for text in [r#"{"a":1,"b":2,"a":3}"#, r#"[{"b":{"a":1,"\u0061":2}}]"#] {
            assert_eq!(read(text, 9), None, "{text}");
        }
        assert!(read(r#"{"a":{"a":1},"b":{"a":[{"a":1},{"a":1}]}}"#, 9).is_some());
    }

    /// The memory for one of ten million numbers is that of the result, not of a value for each.
    #[test]
    fn the_text_itself_is_the_largest_part_of_what_is_needed() {
        let text = format!("[{}0]", "0,".repeat(100_000));
        let mut bytes = Vec::new();
        assert!(JsonReader::new(&text, &mut bytes).value(2).is_some());
        assert_eq!(bytes.len(), 5 + 100_001);
        assert!(bytes.capacity() <= 2 * text.len(), "{} bytes", bytes.capacity());
    }
}
