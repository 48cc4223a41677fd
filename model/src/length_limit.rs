//! Lists of bounded length, for messages from untrusted senders: an element of two bytes may take fifty in memory.

use core::fmt;
use core::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

/// Reads a list of at most `MAX` elements, for `#[serde(deserialize_with = "...")]`.
pub(crate) fn bounded_list<'de, D, T, const MAX: usize>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_seq(List::<T, MAX>(PhantomData))
}

struct List<T, const MAX: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for List<T, MAX> {
    type Value = Vec<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a list of at most {MAX} elements")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Vec<T>, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = elements.next_element()? {
            if list.len() == MAX {
                return Err(A::Error::invalid_length(MAX + 1, &self));
            }
            list.push(element);
        }
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, serde::Deserialize)]
    struct Few {
        #[serde(deserialize_with = "bounded_list::<_, _, 3>")]
        numbers: Vec<u8>,
    }

    #[test]
    fn a_list_that_is_too_long_is_refused() {
        for len in 0..6 {
            let message = Few { numbers: vec![7; len] };
            let bytes = postcard::to_allocvec(&message).expect("small");
            assert_eq!(postcard::from_bytes::<Few>(&bytes).is_ok(), len <= 3, "{len}");
        }
    }
}
