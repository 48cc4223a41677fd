//! What a job's start counts as under a `!rate … by FIELD`: the value of that field of its first input, hashed, since the hub
//! opens no values.

use bue_model::{RateKey, cbor};

/// The key of an input. Inputs that have no such field, jobs without an input, and what is no map count together.
pub(crate) fn rate_key(input: Option<&[u8]>, field: &str) -> RateKey {
    let value = input.and_then(|input| cbor::map_entry(input, field).ok().flatten());
    let mut hasher = blake3::Hasher::new();
    // no value's bytes are empty, so having none is like no value
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
    fn the_fields_value_alone_decides() {
        let key = |host: &str, page| rate_key(Some(&input(Value::Text(host.to_owned()), page)), "host");
        assert_eq!(key("a", 1), key("a", 2));
        assert_ne!(key("a", 1), key("b", 1));
    }

    #[test]
    fn what_has_no_such_field_counts_together() {
        let without = rate_key(Some(&input(Value::Null, 1)), "port");
        assert_eq!(without, rate_key(None, "port"));
        assert_eq!(without, rate_key(Some(&cbor::encode(&Value::Int(1))), "port"));
        assert_eq!(without, rate_key(Some(&[0xff]), "port"));
        assert_ne!(without, rate_key(Some(&input(Value::Null, 1)), "host"));
    }
}
