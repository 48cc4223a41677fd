//! Stored values as JSON, as `bue results --json` prints them. The hub does not read the bucket, so a value that is there is given as a
//! reference. Pure.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bue_model::wire::{Gathered, JobInput, NoValue, RoundValue};
use bue_model::{BlobRef, Chunk, EncodedJson, ValueRef, cbor};
use serde_json::json;
use serde_json::value::RawValue;

use crate::error::HubError;
use crate::http::reply::printable_json;

/// Encoded values, as JSON on one line.
pub(super) type JsonText = Box<RawValue>;

/// How values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ValueForm {
    /// As JSON. An object that could be taken for a reference is inside another one: `{"$value":{"$blob":…}}`.
    Json,
    /// As they are stored, so that no type is lost: CBOR in base64, inside an object that names it.
    Cbor,
}

impl ValueForm {
    /// Returns a value.
    pub(super) fn value(self, value: &ValueRef) -> Result<JsonText, HubError> {
        written(|text| self.write_value(value, text))
    }

    /// Returns a value that is not a result.
    pub(super) fn bytes(self, bytes: &[u8]) -> Result<JsonText, HubError> {
        written(|text| self.write_inline(bytes, text))
    }

    /// Returns the value of a call, with `null`, or in CBOR the reason, for what has none.
    pub(super) fn rounds(self, value: &RoundValue) -> Result<JsonText, HubError> {
        written(|text| self.write_rounds(value, text))
    }

    /// Returns an argument, with `null`, or in CBOR the reason, for cancelled rounds of a gathered list.
    pub(super) fn input(self, input: &JobInput) -> Result<JsonText, HubError> {
        written(|text| match input {
            JobInput::Value(value) => self.write_value(value, text),
            JobInput::Element { chunk, index } => self.write_element(chunk, *index, None, text),
            JobInput::Part { chunk, index, part } => self.write_element(chunk, *index, Some(*part), text),
            JobInput::Gathered(values) => self.write_list_of_rounds(values, text, |value, text| match value {
                Gathered::Value(value) => self.write_value(value, text),
                Gathered::Nothing => self.write_nothing(NoValue::Cancelled, text),
            }),
        })
    }

    /// The recursion is as deep as loops are nested, which a plan bounds.
    fn write_rounds(self, value: &RoundValue, text: &mut String) -> Result<(), HubError> {
        match value {
            RoundValue::Nothing(reason) => self.write_nothing(*reason, text),
            RoundValue::Value(value) => self.write_value(value, text),
            RoundValue::Rounds(rounds) => {
                self.write_list_of_rounds(rounds, text, |round, text| self.write_rounds(round, text))
            }
        }
    }

    fn write_list_of_rounds<T>(
        self,
        rounds: &[T],
        text: &mut String,
        write: impl Fn(&T, &mut String) -> Result<(), HubError>,
    ) -> Result<(), HubError> {
        match self {
            Self::Json => write_list(text, rounds, write),
            Self::Cbor => {
                text.push_str(r#"{"rounds":"#);
                write_list(text, rounds, write)?;
                text.push('}');
                Ok(())
            }
        }
    }

    fn write_nothing(self, reason: NoValue, text: &mut String) -> Result<(), HubError> {
        match self {
            Self::Json => text.push_str("null"),
            Self::Cbor => text.push_str(&json!({ "none": reason.name() }).to_string()),
        }
        Ok(())
    }

    fn write_value(self, value: &ValueRef, text: &mut String) -> Result<(), HubError> {
        match value {
            ValueRef::Inline(bytes) => self.write_inline(bytes, text),
            ValueRef::Blob(blob) => {
                text.push_str(&self.reference("blob", blob_json(blob)));
                Ok(())
            }
            ValueRef::List(chunks) => self.write_chunks(chunks, text),
        }
    }

    /// Writes a list that is stored in pieces: in JSON as a list, if none of them is in the bucket.
    fn write_chunks(self, chunks: &[Chunk], text: &mut String) -> Result<(), HubError> {
        let is_inline = |chunk: &Chunk| matches!(*chunk.value, ValueRef::Inline(_));
        if self == Self::Json && chunks.iter().all(is_inline) {
            return write_joined(chunks, text);
        }
        text.push_str(if self == Self::Json { r#"{"$pieces":"# } else { r#"{"pieces":"# });
        write_list(text, chunks, |chunk, text| {
            text.push_str(&format!(r#"{{"count":{},"value":"#, chunk.count));
            self.write_value(&chunk.value, text)?;
            text.push('}');
            Ok(())
        })?;
        text.push('}');
        Ok(())
    }

    /// Writes an element of a list, or a part of it, if it is a list itself.
    fn write_element(self, chunk: &Chunk, index: u32, part: Option<u32>, text: &mut String) -> Result<(), HubError> {
        match &*chunk.value {
            ValueRef::Inline(bytes) => {
                let element = element_of(bytes, index)?;
                self.write_inline(part.map_or(Ok(element), |part| element_of(element, part))?, text)
            }
            ValueRef::Blob(BlobRef { hash, len }) => {
                let mut element = json!({ "hash": hash.to_string(), "bytes": len, "index": index });
                if let (Some(part), Some(element)) = (part, element.as_object_mut()) {
                    element.insert("part".to_owned(), part.into());
                }
                text.push_str(&self.reference("element", element));
                Ok(())
            }
            ValueRef::List(_) => Err(HubError::damaged("a piece of a list is itself a list")),
        }
    }

    /// Writes encoded bytes as a whole value.
    fn write_inline(self, bytes: &[u8], text: &mut String) -> Result<(), HubError> {
        if self == Self::Cbor {
            text.push_str(&json!({ "cbor": STANDARD.encode(bytes) }).to_string());
            return Ok(());
        }
        let begin = text.len();
        write_plain(bytes, text)?;
        if text.get(begin..).is_some_and(|value| value.starts_with(r#"{"$"#)) {
            text.insert_str(begin, r#"{"$value":"#);
            text.push('}');
        }
        Ok(())
    }

    /// Returns what stands for something that is not in the answer.
    fn reference(self, name: &str, to: serde_json::Value) -> String {
        let name = if self == Self::Json { format!("${name}") } else { name.to_owned() };
        serde_json::Value::Object([(name, to)].into_iter().collect()).to_string()
    }
}

/// Returns an element of an encoded list.
fn element_of(list: &[u8], index: u32) -> Result<&[u8], HubError> {
    let mut items = cbor::array_items(list).map_err(|error| damaged(&error))?.into_iter().flatten();
    let item = items.nth(index as usize).ok_or_else(|| HubError::damaged("a list lacks an element"))?;
    item.map_err(|error| damaged(&error))
}

/// Returns where a blob is.
pub(super) fn blob_json(blob: &BlobRef) -> serde_json::Value {
    json!({ "hash": blob.hash.to_string(), "bytes": blob.len })
}

fn written(write: impl FnOnce(&mut String) -> Result<(), HubError>) -> Result<JsonText, HubError> {
    let mut text = String::new();
    write(&mut text)?;
    RawValue::from_string(text).map_err(|error| HubError::damaged(error.to_string()))
}

/// Writes pieces that are all in the answer as one list.
fn write_joined(chunks: &[Chunk], text: &mut String) -> Result<(), HubError> {
    let mut items = Vec::new();
    for chunk in chunks {
        if let ValueRef::Inline(bytes) = &*chunk.value {
            for item in cbor::array_items(bytes).map_err(|error| damaged(&error))?.into_iter().flatten() {
                items.push(item.map_err(|error| damaged(&error))?);
            }
        }
    }
    write_list(text, &items, |item, text| write_plain(item, text))
}

fn write_list<T>(
    text: &mut String,
    items: &[T],
    write: impl Fn(&T, &mut String) -> Result<(), HubError>,
) -> Result<(), HubError> {
    text.push('[');
    for (position, item) in items.iter().enumerate() {
        if position > 0 {
            text.push(',');
        }
        write(item, text)?;
    }
    text.push(']');
    Ok(())
}

fn write_plain(bytes: &[u8], text: &mut String) -> Result<(), HubError> {
    let value = EncodedJson::new(bytes).map_err(|error| damaged(&error))?;
    text.push_str(&printable_json(&value).map_err(|error| HubError::damaged(error.to_string()))?);
    Ok(())
}

fn damaged(error: &cbor::CborError) -> HubError {
    HubError::damaged(format!("a stored value cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use bue_model::{BlobHash, Value};

    use super::ValueForm::{Cbor, Json};
    use super::*;

    fn inline(value: &Value) -> ValueRef {
        ValueRef::Inline(cbor::encode(value).into())
    }

    fn blob() -> ValueRef {
        ValueRef::Blob(BlobRef { hash: BlobHash([0xab; 32]), len: 7 })
    }

    fn numbers(numbers: &[i64]) -> Value {
        Value::List(numbers.iter().copied().map(Value::Int).collect())
    }

    fn chunk(count: u32, value: ValueRef) -> Chunk {
        Chunk { count, value: Box::new(value) }
    }

    fn reference() -> String {
        format!(r#"{{"hash":"{}","bytes":7}}"#, "ab".repeat(32))
    }

    #[test]
    fn a_value_in_the_bucket_is_a_reference_and_nothing_else_is_one() {
        let map = |key: &str| Value::Map(vec![(Value::Text(key.into()), Value::Int(1))]);
        for (value, expected) in [
            (inline(&map("blob")), r#"{"blob":1}"#.to_owned()),
            (inline(&map("$blob")), r#"{"$value":{"$blob":1}}"#.to_owned()),
            (inline(&map("$value")), r#"{"$value":{"$value":1}}"#.to_owned()),
            (inline(&Value::List(vec![map("$blob")])), r#"[{"$blob":1}]"#.to_owned()),
            (inline(&Value::Text("\u{1b}[31m".into())), "\"\\u001b[31m\"".to_owned()),
            (blob(), format!(r#"{{"$blob":{}}}"#, reference())),
        ] {
            assert_eq!(Json.value(&value).expect("JSON").get(), expected);
        }
        assert!(Json.value(&ValueRef::Inline(vec![0x82, 1].into())).is_err());
    }

    #[test]
    fn a_list_in_pieces_is_a_list_unless_a_piece_is_in_the_bucket() {
        let first = chunk(2, inline(&numbers(&[1, 2])));
        let list = ValueRef::List(vec![first.clone(), chunk(1, inline(&numbers(&[3])))]);
        assert_eq!(Json.value(&list).expect("JSON").get(), "[1,2,3]");
        let list = ValueRef::List(vec![first, chunk(5, blob())]);
        let expected =
            format!(r#"{{"$pieces":[{{"count":2,"value":[1,2]}},{{"count":5,"value":{{"$blob":{}}}}}]}}"#, reference());
        assert_eq!(Json.value(&list).expect("JSON").get(), expected);
    }

    #[test]
    fn an_argument_is_a_value_an_element_or_a_gathered_list() {
        let element = |value, index| Json.input(&JobInput::Element { chunk: chunk(2, value), index });
        assert_eq!(element(inline(&numbers(&[4, 5])), 1).expect("JSON").get(), "5");
        assert!(element(inline(&numbers(&[4, 5])), 2).is_err());
        let expected = format!(r#"{{"$element":{{"hash":"{}","bytes":7,"index":1}}}}"#, "ab".repeat(32));
        assert_eq!(element(blob(), 1).expect("JSON").get(), expected);
        let gathered = JobInput::Gathered(vec![Gathered::Value(inline(&Value::Int(1))), Gathered::Nothing]);
        assert_eq!(Json.input(&gathered).expect("JSON").get(), "[1,null]");
    }

    #[test]
    fn values_as_they_are_stored_lose_no_type() {
        let one = inline(&Value::Int(1));
        let rounds = RoundValue::Rounds(vec![
            RoundValue::Value(one.clone()),
            RoundValue::Nothing(NoValue::Failed),
            RoundValue::Rounds(vec![RoundValue::Value(blob())]),
        ]);
        let expected = format!(
            r#"{{"rounds":[{{"cbor":"AQ=="}},{{"none":"failed"}},{{"rounds":[{{"blob":{}}}]}}]}}"#,
            reference()
        );
        assert_eq!(Cbor.rounds(&rounds).expect("JSON").get(), expected);
        let list = ValueRef::List(vec![chunk(1, inline(&numbers(&[1])))]);
        let expected = r#"{"pieces":[{"count":1,"value":{"cbor":"gQE="}}]}"#;
        assert_eq!(Cbor.value(&list).expect("JSON").get(), expected);
        let gathered = JobInput::Gathered(vec![Gathered::Value(one), Gathered::Nothing]);
        let expected = r#"{"rounds":[{"cbor":"AQ=="},{"none":"cancelled"}]}"#;
        assert_eq!(Cbor.input(&gathered).expect("JSON").get(), expected);
    }
}
