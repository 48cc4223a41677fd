//! [`ParamView`]: a parameter as JSON.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::declaration::{Allowed, Param, ParamDefault};
use super::exact_json::write_json;
use crate::cbor;
use crate::json::Json;

/// A parameter, for people and programs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ParamView {
    /// Its name.
    pub name: String,
    /// The name of its [`ParamKind`](super::ParamKind).
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether the caller has to give a value.
    pub required: bool,
    /// Its value if the caller gives none; `today`, `yesterday` or `scheduled_at` if `default_is_time`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// Whether the default is the name of a time of the run.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub default_is_time: bool,
    /// The smallest value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<Value>,
    /// The largest value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Value>,
    /// The values that it takes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub one_of: Vec<Value>,
}

impl From<&Param> for ParamView {
    fn from(param: &Param) -> Self {
        let mut view = Self {
            name: param.name.clone(),
            kind: param.kind.name().to_owned(),
            required: param.default.is_none(),
            ..Self::default()
        };
        match &param.default {
            Some(ParamDefault::Value(bytes)) => view.default = Some(cbor_to_json(bytes)),
            Some(ParamDefault::Time(time)) => {
                view.default = Some(time.name().into());
                view.default_is_time = true;
            }
            None => {}
        }
        match &param.allowed {
            Allowed::All => {}
            Allowed::Range(first, last) => {
                view.min = first.as_ref().map(|bytes| cbor_to_json(bytes));
                view.max = last.as_ref().map(|bytes| cbor_to_json(bytes));
            }
            Allowed::OneOf(choices) => view.one_of = choices.iter().map(|bytes| cbor_to_json(bytes)).collect(),
        }
        view
    }
}

/// Returns an encoded value as JSON. An integer of more than 64 bits, which `serde_json` cannot hold, makes it the text of its
/// JSON. Bytes that are no CBOR are null.
#[must_use]
pub fn cbor_to_json(bytes: &[u8]) -> Value {
    let Ok(value) = cbor::decode(bytes) else { return Value::Null };
    serde_json::to_value(Json(&value)).unwrap_or_else(|_| write_json(&value).into())
}
