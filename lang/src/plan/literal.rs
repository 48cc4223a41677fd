//! Values that a script passes to a call or a function.

use bue_model::{Json, Value, cbor};

use crate::text::shortened;

/// Most characters of a value in a line of text.
const MAX_CHARS: usize = 60;

fn json_text(bytes: &[u8]) -> String {
    let text = cbor::decode(bytes).ok().and_then(|value| serde_json::to_string(&Json(&value)).ok());
    text.unwrap_or_else(|| "?".into())
}

/// A value as the text of its JSON, shortened.
pub(super) fn literal_text(bytes: &[u8]) -> String {
    let text = json_text(bytes);
    let short = shortened(&text, MAX_CHARS);
    if short.len() < text.len() { short + "…" } else { short }
}

/// Keyword arguments as the script has them, each value shortened.
pub(super) fn keywords_text(bytes: &[u8]) -> String {
    let Ok(Value::Map(entries)) = cbor::decode(bytes) else { return "?".into() };
    let keyword = |(name, value): &(Value, Value)| match name {
        Value::Text(name) => format!("{name}={}", literal_text(&cbor::encode(value))),
        _ => "?".into(),
    };
    entries.iter().map(keyword).collect::<Vec<_>>().join(", ")
}
