//! The schemas of JSON bodies: the named values of the bucket.

use serde_json::{Value, json};

use super::shapes::{count, object, or_null, reference, text, time};

/// The schemas of this module, by name.
pub(super) fn bucket() -> Value {
    json!({
        "KeyPage": object(&json!({
            "keys": { "type": "array", "items": reference("Key") },
            "next": or_null(&text()),
        })),
        "Key": object(&json!({ "key": text(), "bytes": count(), "expires_at": or_null(&time()) })),
    })
}
