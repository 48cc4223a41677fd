//! The rate key of a job under a `!rate … by FIELD`: the hash of that field of its first input. Workers compute it because the hub
//! never reads values.

use bue_model::{RateKey, cbor};

/// Returns the rate key of an input. Inputs that are not maps or lack the field, and jobs without an input, all have the same key.
pub(crate) fn rate_key(input: Option<&[u8]>, field: &str) -> RateKey {
    let value = input.and_then(|input| cbor::map_entry(input, field).ok().flatten());
    let mut hasher = blake3::Hasher::new();
    // no encoded value is empty, so the key of nothing differs from that of any value
    hasher.update(value.unwrap_or_default());
    let mut key = [0; 16];
    hasher.finalize_xof().fill(&mut key);
    RateKey(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bue_model::Value;

    fn input(host: Value, page: i64) -> Vec<u8> {
        let text = |text: &str| Value::Text(text.to_owned());
        cbor::encode(&Value::Map(vec![(text("page"), Value::Int(page)), (text("host"), host)]))
    }

    #[test]
    fn only_the_value_of_the_field_matters() {
        let key = |host: &str, page| rate_key(Some(&input(Value::Text(host.to_owned()), page)), "host");
        assert_eq!(key("a", 1), key("a", 2));
        assert_ne!(key("a", 1), key("b", 1));
    }

    #[test]
    fn inputs_without_the_field_have_the_same_key() {
        let without = rate_key(Some(&input(Value::Null, 1)), "port");
        assert_eq!(without, rate_key(None, "port"));
        assert_eq!(without, rate_key(Some(&cbor::encode(&Value::Int(1))), "port"));
        assert_eq!(without, rate_key(Some(&[0xff]), "port"));
        assert_ne!(without, rate_key(Some(&input(Value::Null, 1)), "host"));
    }
}
