//! [`Parameters`]: the parameters of the query of a list.

use std::collections::BTreeMap;

use crate::api::filters::FilterReader;
use crate::http::reply::ErrorReply;
use crate::http::request::decoded_pairs;

/// A query, each parameter once, except for `state`.
pub(super) struct Parameters {
    pub(super) single: BTreeMap<String, String>,
    pub(super) states: Vec<String>,
}

impl Parameters {
    /// Reads a query; a parameter that is there twice, with different values, is refused.
    pub(super) fn read(query: Option<&str>, reader: &mut FilterReader) -> Result<Self, ErrorReply> {
        let (mut single, mut states) = (BTreeMap::new(), Vec::new());
        for (name, value) in decoded_pairs(query)? {
            if name == "state" {
                states.push(value);
            } else if let Some(earlier) = single.insert(name.clone(), value.clone())
                && earlier != value
            {
                reader.refuse(&name, "it is there twice, with different values; send it once");
            }
        }
        Ok(Self { single, states })
    }

    /// Takes a parameter out.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        self.single.remove(name)
    }

    /// Takes a parameter out that is 1 or left out.
    pub(super) fn flag(&mut self, name: &str, reader: &mut FilterReader) -> bool {
        match self.take(name).as_deref() {
            None | Some("0") => false,
            Some("1") => true,
            Some(_) => {
                reader.refuse(name, "send 1, or leave it out");
                false
            }
        }
    }
}
