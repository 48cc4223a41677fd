//! Values that a script passes to a call.

use bue_model::{Json, cbor};
use serde_json::Value;

use crate::text::shortened;

/// Most characters of a value in a line of text.
const MAX_CHARS: usize = 60;

/// A value as JSON. An integer of more than 64 bits, which `serde_json` cannot hold, makes it the text of its JSON.
pub(super) fn literal(bytes: &[u8]) -> Value {
    let value = cbor::decode(bytes).ok().and_then(|value| serde_json::to_value(Json(&value)).ok());
    value.unwrap_or_else(|| json_text(bytes).into())
}

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
