//! [`summarize`]: a value in short, for people: what Python would print, cut to a limit, and without secrets.

use bue_model::Value;
use bue_model::cbor::{CborError, Item, Kind, Reader, Remaining};
use bue_model::text::{ELLIPSIS, is_printable};

/// What stands for a secret.
const MASK: &str = "***";

/// The number of lists and maps within each other that are shown.
const MAX_DEPTH: usize = 4;

/// The number of bits up to which a big number is printed: the time for that grows with the square.
const MAX_BITS: u64 = 1_024;

/// Returns a value in about `limit` bytes. Reads no more of it than is shown.
pub(crate) fn summarize(value: &[u8], limit: usize, secrets: &Secrets) -> String {
    let mut writer = Writer { out: String::new(), limit, is_full: false, secrets };
    match writer.value(&mut Reader::new(value), 0) {
        Ok(()) => writer.out,
        Err(_) => "<not a value>".to_owned(),
    }
}

/// The secrets of a worker, which no summary contains.
#[derive(Default)]
pub(crate) struct Secrets(Vec<String>);

impl Secrets {
    pub(crate) fn new(values: impl IntoIterator<Item = String>) -> Self {
        let mut secrets: Vec<String> = values.into_iter().filter(|secret| !secret.is_empty()).collect();
        // of two with the same beginning, the longer one is looked for first
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self(secrets)
    }

    /// Returns the length of the secret with which a text begins.
    fn length_at(&self, text: &str) -> Option<usize> {
        self.0.iter().find(|secret| text.starts_with(secret.as_str())).map(String::len)
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} secrets", self.0.len())
    }
}

struct Writer<'a> {
    out: String,
    limit: usize,
    /// Nothing but closing brackets follows.
    is_full: bool,
    secrets: &'a Secrets,
}

impl Writer<'_> {
    fn value(&mut self, reader: &mut Reader<'_>, depth: usize) -> Result<(), CborError> {
        match reader.enter()? {
            Kind::List(_) if depth == MAX_DEPTH => self.skip("[…]"),
            Kind::Map(_) if depth == MAX_DEPTH => self.skip("{…}"),
            Kind::List(remaining) => self.entries(reader, remaining, depth, false)?,
            Kind::Map(remaining) => self.entries(reader, remaining, depth, true)?,
            Kind::Other => self.item(reader.item()?),
        }
        Ok(())
    }

    /// What is inside was not read, so nothing behind it can be.
    fn skip(&mut self, text: &str) {
        self.push(text);
        self.is_full = true;
    }

    fn entries(
        &mut self,
        reader: &mut Reader<'_>,
        mut remaining: Remaining,
        depth: usize,
        is_map: bool,
    ) -> Result<(), CborError> {
        self.push(if is_map { "{" } else { "[" });
        let mut separator = "";
        while !self.is_full && reader.has_more(&mut remaining)? {
            let end = self.out.len();
            self.push(separator);
            if is_map {
                self.value(reader, depth + 1)?;
                self.push(": ");
            }
            if !self.is_full {
                self.value(reader, depth + 1)?;
            }
            // an entry that does not fit is left out, unless it is the only one
            if self.is_full && !separator.is_empty() {
                self.out.truncate(end);
                self.out.push_str(separator);
                self.out.push(ELLIPSIS);
            }
            separator = ", ";
        }
        self.out.push(if is_map { '}' } else { ']' });
        Ok(())
    }

    fn item(&mut self, item: Item<'_>) {
        match item {
            Item::Null => self.push("None"),
            Item::Bool(true) => self.push("True"),
            Item::Bool(false) => self.push("False"),
            Item::Int(number) => self.masked(&number.to_string()),
            Item::Float(number) => self.masked(&format!("{number:?}")),
            Item::Text(text) => self.text(text),
            Item::Bytes(bytes) => self.push(&format!("<{} bytes>", bytes.len())),
            Item::Other(value) => self.other(&value),
        }
    }

    fn other(&mut self, value: &Value) {
        match value {
            Value::Text(text) => self.text(text),
            Value::Bytes(bytes) => self.push(&format!("<{} bytes>", bytes.len())),
            Value::BigInt(number) if number.bits() <= MAX_BITS => self.masked(&number.to_string()),
            Value::Decimal(number) if number.mantissa.bits() <= MAX_BITS => self.masked(&number.to_string()),
            Value::Uuid(uuid) => self.masked(&uuid.to_string()),
            Value::Date(text) | Value::Time(text) | Value::DateTime(text) => self.masked(text),
            value => self.push(&format!("<{}>", value.kind())),
        }
    }

    fn text(&mut self, text: &str) {
        self.push("'");
        self.masked(text);
        self.push("'");
    }

    /// Writes a text with its secrets masked. Those are looked for in the whole text, so that none is cut in two.
    fn masked(&mut self, text: &str) {
        let mut rest = text;
        while let Some(char) = rest.chars().next() {
            if self.is_full {
                return;
            }
            let secret = self.secrets.length_at(rest);
            match (secret, char) {
                (Some(_), _) => self.push(MASK),
                (None, '\n') => self.push("\\n"),
                (None, '\t') => self.push("\\t"),
                (None, '\r') => self.push("\\r"),
                (None, '\'') => self.push("\\'"),
                (None, '\\') => self.push("\\\\"),
                (None, char) if is_printable(char) => self.push(char.encode_utf8(&mut [0; 4])),
                (None, _) => {}
            }
            rest = rest.get(secret.unwrap_or(char.len_utf8())..).unwrap_or_default();
        }
    }

    fn push(&mut self, text: &str) {
        if self.is_full {
            return;
        }
        if self.out.len() + text.len() > self.limit {
            self.is_full = true;
            self.out.push(ELLIPSIS);
        } else {
            self.out.push_str(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use bue_model::{Decimal, cbor};

    use super::*;

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    fn summary(value: &Value, limit: usize) -> String {
        summarize(
            &cbor::encode(value),
            limit,
            &Secrets::new(["hunter2".to_owned(), "hunter".to_owned(), "77".to_owned()]),
        )
    }

    #[test]
    fn values_look_as_python_prints_them() {
        let account = Value::Map(vec![(text("id"), Value::Int(7)), (text("name"), text("O'Hara\n"))]);
        assert_eq!(summary(&account, 100), r"{'id': 7, 'name': 'O\'Hara\n'}");
        assert_eq!(summary(&account, 20), "{'id': 7, …}");
        let list = Value::List(vec![Value::Null, Value::Bool(true), Value::Float(1.5), Value::Bytes(vec![0; 9])]);
        assert_eq!(summary(&list, 100), "[None, True, 1.5, <9 bytes>]");
        assert_eq!(summary(&Value::List((0..1_000).map(Value::Int).collect()), 20), "[0, 1, 2, 3, 4, 5, 6, …]");
        assert_eq!(summary(&text(&"x".repeat(1_000)), 10), "'xxxxxxxxx…");
        let amount = Value::Decimal(Decimal { mantissa: 150.into(), exponent: -2 });
        assert_eq!(summary(&amount, 100), "1.50");
    }

    #[test]
    fn depth_is_bounded() {
        let deep = (0..30).fold(Value::Int(1), |inner, _| Value::List(vec![inner]));
        assert_eq!(summary(&deep, 100), "[[[[[…]]]]]");
    }

    #[test]
    fn secrets_and_invisible_characters_are_left_out() {
        assert_eq!(summary(&text("Bearer hunter2!"), 100), "'Bearer ***!'");
        assert_eq!(summary(&Value::Map(vec![(text("hunter"), Value::Int(1_771))]), 100), "{'***': 1***1}");
        assert_eq!(summary(&text("a\u{202e}\u{1b}[31mb\u{7}"), 100), "'a[31mb'");
        // not even the part of a secret in front of the limit
        for limit in 0..20 {
            let cut = summary(&text("12345 hunter2"), limit);
            assert!(!cut.contains('h'), "{limit}: {cut}");
        }
    }

    #[test]
    fn any_bytes_have_a_summary() {
        for bytes in [&[][..], &[0xff], &[0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], &[0x82, 1]] {
            assert_eq!(summarize(bytes, 100, &Secrets::default()), "<not a value>");
        }
    }
}
