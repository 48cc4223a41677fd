//! Values that a script passes to a call.

use bue_model::{Json, cbor};

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
