//! What must hold for any bytes that should be a value. The tests beside this file check it on mutated values,
//! `fuzz/fuzz_targets/cbor.rs` on what a fuzzer finds.

use bue_model::cbor::{self, Kind, Reader};
use bue_model::{EncodedJson, Json, Value};
use serde::de::IgnoredAny;

/// Bytes are a value, which survives being written and read again and can be printed as JSON, or an error. All ways to read them
/// agree. Returns whether they are a value.
pub(crate) fn check_cbor(bytes: &[u8]) -> bool {
    let decoded = cbor::decode(bytes);
    let _ = cbor::map_entry(bytes, "key");
    check_items(bytes, decoded.as_ref().ok());
    let is_read = read_all(&mut Reader::new(bytes), cbor::MAX_DEPTH).is_some();
    let encoded_json = EncodedJson::new(bytes);
    assert_eq!(encoded_json.is_ok(), decoded.is_ok(), "what can be decoded can be printed");
    let Ok(value) = decoded else { return false };
    assert!(cbor::check(bytes).is_ok(), "what can be decoded is well-formed");
    assert!(is_read, "what can be decoded can be read piece by piece");
    let encoded = cbor::encode(&value);
    let again = cbor::decode(&encoded).expect("what was encoded");
    // not the values: NaN differs from itself
    assert_eq!(cbor::encode(&again), encoded);
    let json = serde_json::to_string(&Json(&value)).expect("every value is JSON");
    assert!(serde_json::from_str::<IgnoredAny>(&json).is_ok(), "{json}");
    assert_eq!(serde_json::to_string(&encoded_json.expect("checked")).expect("JSON"), json);
    true
}

/// The elements of an array are those of the decoded list.
fn check_items(bytes: &[u8], value: Option<&Value>) {
    let Ok(Some(items)) = cbor::array_items(bytes) else { return };
    let items: Result<Vec<&[u8]>, _> = items.collect();
    if let Some(Value::List(values)) = value {
        let items = items.expect("what can be decoded can be split");
        assert_eq!(items.len(), values.len());
        for (item, value) in items.into_iter().zip(values) {
            assert_eq!(cbor::encode(&cbor::decode(item).expect("an element")), cbor::encode(value));
        }
    }
}

/// Reads a value as the tables of SQL steps do: enters lists and maps to a depth, and reads everything else. `None` if that fails.
fn read_all(reader: &mut Reader<'_>, depth: usize) -> Option<()> {
    let depth = depth.checked_sub(1)?;
    let (mut remaining, per_entry) = match reader.enter().ok()? {
        Kind::Other => return reader.item().ok().map(drop),
        Kind::List(remaining) => (remaining, 1),
        Kind::Map(remaining) => (remaining, 2),
    };
    while reader.has_more(&mut remaining).ok()? {
        for _ in 0..per_entry {
            read_all(reader, depth)?;
        }
    }
    Some(())
}
