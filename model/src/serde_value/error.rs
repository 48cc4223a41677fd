//! Why a value and a Rust type do not fit.

use core::fmt;

/// The error of a conversion between a [`Value`](crate::Value) and a Rust type: the message of serde.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConvertError(pub(super) String);

impl fmt::Display for ConvertError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for ConvertError {}

impl serde::de::Error for ConvertError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

impl serde::ser::Error for ConvertError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}
