//! Encodes values of other formats without a tree of them, in two passes: the heads of lists and maps contain their lengths.

use core::fmt;

use minicbor::data::Tag;
use minicbor::encode::Encoder;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::tags::TAG_POSITIVE;
use crate::key_hashes::KeyHashes;

/// The lengths of the lists and maps of a value, in the order in which they begin: 4 bytes for each.
#[derive(Debug)]
pub struct Lengths(Vec<u32>);

impl Lengths {
    /// The first pass.
    ///
    /// # Errors
    /// Those of the format; an object that has a key twice.
    pub fn of<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut measure = Measure::default();
        (&mut measure).deserialize(from)?;
        Ok(Self(measure.lengths))
    }

    /// The second pass, over the same value: returns its bytes.
    ///
    /// # Errors
    /// Those of the format; a value that differs from that of the first pass.
    pub fn encode<'de, D: Deserializer<'de>>(self, from: D) -> Result<Vec<u8>, D::Error> {
        let mut write = Write { lengths: self.0.into_iter(), to: Encoder::new(Vec::new()) };
        (&mut write).deserialize(from)?;
        Ok(write.to.into_writer())
    }
}

#[derive(Default)]
struct Measure {
    lengths: Vec<u32>,
    keys: KeyHashes,
}

impl Measure {
    /// Begins a list or map. Returns its position.
    fn begin(&mut self) -> usize {
        self.lengths.push(0);
        self.lengths.len() - 1
    }

    fn count<E: Error>(&mut self, position: usize) -> Result<(), E> {
        let length = self.lengths.get_mut(position).and_then(|length| {
            *length = length.checked_add(1)?;
            Some(())
        });
        length.ok_or_else(|| E::custom("a list or map is too long"))
    }
}

struct Write {
    lengths: std::vec::IntoIter<u32>,
    to: Encoder<Vec<u8>>,
}

impl Write {
    fn length<E: Error>(&mut self) -> Result<u64, E> {
        self.lengths.next().map(u64::from).ok_or_else(changed)
    }
}

fn changed<E: Error>() -> E {
    E::custom("the value changed while it was read")
}

/// Writing to a `Vec` cannot fail, but the encoder's type does not say so.
fn written<T, E: Error>(result: Result<T, minicbor::encode::Error<core::convert::Infallible>>) -> Result<(), E> {
    result.map(drop).map_err(E::custom)
}

impl<'de> DeserializeSeed<'de> for &mut Measure {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut Measure {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let position = self.begin();
        while list.next_element_seed(&mut *self)?.is_some() {
            self.count(position)?;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let position = self.begin();
        let begin = self.keys.begin_map();
        while map.next_key_seed(MeasureKey(&mut self.keys))?.is_some() {
            map.next_value_seed(&mut *self)?;
            self.count(position)?;
        }
        match self.keys.end_map(begin) {
            true => Err(A::Error::custom("an object has the same key twice")),
            false => Ok(()),
        }
    }
}

struct MeasureKey<'a>(&'a mut KeyHashes);

impl<'de> DeserializeSeed<'de> for MeasureKey<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_str(self)
    }
}

impl Visitor<'_> for MeasureKey<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<(), E> {
        self.0.add(key);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for &mut Write {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut Write {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        written(self.to.null())
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<(), E> {
        written(self.to.bool(truth))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        written(self.to.i64(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        match i64::try_from(number) {
            Ok(number) => written(self.to.i64(number)),
            Err(_) => written(self.to.tag(Tag::new(TAG_POSITIVE)).and_then(|to| to.bytes(&number.to_be_bytes()))),
        }
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        written(self.to.f64(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        written(self.to.str(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let length = self.length()?;
        written(self.to.array(length))?;
        let mut count = 0;
        while list.next_element_seed(&mut *self)?.is_some() {
            count += 1;
        }
        (count == length).then_some(()).ok_or_else(changed)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let length = self.length()?;
        written(self.to.map(length))?;
        let mut count = 0;
        while map.next_key_seed(&mut *self)?.is_some() {
            map.next_value_seed(&mut *self)?;
            count += 1;
        }
        (count == length).then_some(()).ok_or_else(changed)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Deserializer;

    use super::*;
    use crate::cbor::{decode, encode};
    use crate::json::Json;

    fn transcode(json: &str) -> Result<Vec<u8>, serde_json::Error> {
        Lengths::of(&mut Deserializer::from_str(json))?.encode(&mut Deserializer::from_str(json))
    }

    #[test]
    fn json_is_encoded_as_the_tree_of_it_would_be() {
        let json = r#"[null,true,-1,9223372036854775807,9223372036854775808,18446744073709551615,1.5,"é\n",[],{},[[1],{"a":{"":[2]},"b":0}]]"#;
        let bytes = transcode(json).expect("JSON");
        let value = decode(&bytes).expect("a value");
        assert_eq!(serde_json::to_string(&Json(&value)).expect("JSON"), json);
        assert_eq!(encode(&value), bytes);
    }

    #[test]
    fn a_key_that_is_there_twice_is_an_error() {
        for json in [r#"{"a":1,"a":1}"#, r#"[{"b":{"a":1,"\u0061":2}}]"#] {
            assert!(transcode(json).expect_err(json).to_string().contains("twice"));
        }
        assert!(transcode(r#"{"a":{"a":1},"b":{"a":[{"a":1},{"a":1}]}}"#).is_ok());
    }

    #[test]
    fn another_value_in_the_second_pass_is_an_error() {
        for (first, second) in [("[1]", "[1,2]"), ("[1,2]", "[1]"), ("[]", "[[]]"), (r#"{"a":1}"#, "{}")] {
            let lengths = Lengths::of(&mut Deserializer::from_str(first)).expect("JSON");
            assert!(lengths.encode(&mut Deserializer::from_str(second)).is_err(), "{first} {second}");
        }
    }
}
