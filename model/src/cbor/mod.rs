//! The stored form of values: CBOR (RFC 8949) with registered tags where there are any.
//!
//! | value | CBOR |
//! | --- | --- |
//! | big integer | tags 2, 3 |
//! | decimal | tag 4: `[exponent, mantissa]` |
//! | uuid | tag 37 |
//! | datetime with an offset | tag 0 (RFC 3339 text) |
//! | date | tag 1004 (RFC 8943 text) |
//! | set | tag 258, read as a list |
//! | datetime and time without an offset, tuple | private tags, since none are registered: see `tags.rs` |
//!
//! A reader that knows none of our tags still gets ISO texts and arrays. Decoding is safe on hostile input: depth is bounded, memory
//! is bounded by the input's length, and nothing panics.

mod decode;
mod encode;
mod error;
mod items;
mod reader;
mod tags;
mod transcode;

pub use decode::{decode, map_entry};
pub use encode::{NULL, array_head, encode, map_head};
pub use error::{CborError, MAX_DEPTH};
pub use items::{ArrayItems, array_items, check};
pub use reader::{Item, Kind, Reader, Remaining};
pub use tags::{
    TAG_DATE, TAG_DATETIME, TAG_DECIMAL, TAG_LOCAL_DATETIME, TAG_NEGATIVE, TAG_POSITIVE, TAG_SET, TAG_TIME, TAG_TUPLE,
    TAG_UUID, datetime_tag,
};
pub use transcode::Lengths;

#[cfg(test)]
mod tests {
    use num_bigint::BigInt;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::value::{Decimal, Value};

    fn round(value: &Value) -> Value {
        decode(&encode(value)).expect("what we wrote")
    }

    #[test]
    fn every_kind_survives_a_round_trip() {
        let big = BigInt::parse_bytes(b"-123456789012345678901234567890", 10).expect("digits");
        let value = Value::List(vec![
            Value::Null,
            Value::Bool(true),
            Value::Int(i64::MIN),
            Value::BigInt(big.clone()),
            Value::Float(1.5),
            Value::Text("é\n".into()),
            Value::Bytes(vec![0, 255]),
            Value::Uuid(Uuid::from_u128(7)),
            Value::Decimal(Decimal { mantissa: 150.into(), exponent: -2 }),
            Value::Decimal(Decimal { mantissa: big, exponent: 4 }),
            Value::Date("2026-09-30".into()),
            Value::Time("12:00:00".into()),
            Value::DateTime("2026-09-30T12:00:00+02:00".into()),
            Value::DateTime("2026-09-30T12:00:00".into()),
            Value::Map(vec![(Value::Int(1), Value::Text("a".into()))]),
        ]);
        assert_eq!(round(&value), value);
    }

    #[test]
    fn depth_is_bounded() {
        let mut bytes = vec![0x81; 100_000];
        bytes.push(0);
        assert!(matches!(decode(&bytes), Err(CborError::TooDeep)));
    }

    #[test]
    fn a_huge_length_allocates_nothing() {
        assert!(decode(&[0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).is_err());
        assert!(decode(&[0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).is_err());
    }

    #[test]
    fn arrays_can_be_split() {
        let list = encode(&Value::List(vec![Value::Int(1), Value::Text("x".into())]));
        let items = array_items(&list).expect("well-formed").expect("an array");
        let items: Vec<&[u8]> = items.collect::<Result<_, _>>().expect("elements");
        assert_eq!(items.len(), 2);
        assert_eq!([&array_head(2), items[0], items[1]].concat(), list);
        assert!(array_items(&encode(&Value::Int(3))).expect("well-formed").is_none());
    }

    #[test]
    fn a_map_entry_is_found_by_its_key() {
        let entry = |key: Value, value: &str| (key, Value::Text(value.into()));
        let (number, host) = (entry(Value::Int(1), "one"), entry(Value::Text("host".into()), "a"));
        let map = encode(&Value::Map(vec![number, host]));
        assert_eq!(map_entry(&map, "host").expect("well-formed"), Some(&encode(&Value::Text("a".into()))[..]));
        assert_eq!(map_entry(&map, "port").expect("well-formed"), None);
        assert_eq!(map_entry(&encode(&Value::Int(3)), "host").expect("well-formed"), None);
        assert!(map_entry(&[0xbb, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], "host").is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_end_in_a_value_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            if let Ok(value) = decode(&bytes) {
                let again = encode(&value);
                prop_assert_eq!(encode(&decode(&again).expect("what we wrote")), again);
            }
            let _ = array_items(&bytes).map(|items| items.map(Iterator::count));
            prop_assert!(check(&bytes).is_ok() || decode(&bytes).is_err());
            let _ = map_entry(&bytes, "");
        }
    }
}
