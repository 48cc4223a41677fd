//! Why bytes are not a value.

use minicbor::decode::Error as MiniError;

/// The depth to which lists, maps and tags may nest. Readers and writers refuse deeper values.
pub const MAX_DEPTH: usize = 128;

/// An error of reading bytes that should be a value.
#[derive(Debug, thiserror::Error)]
pub enum CborError {
    /// Not CBOR.
    #[error("not well-formed CBOR")]
    Malformed(#[source] MiniError),
    /// Well-formed CBOR, but not a value that steps exchange.
    #[error("CBOR that is not a value: {0}")]
    Unsupported(&'static str),
    /// More than [`MAX_DEPTH`] levels.
    #[error("nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
}

impl From<MiniError> for CborError {
    fn from(error: MiniError) -> Self {
        Self::Malformed(error)
    }
}

impl CborError {
    /// Whether the bytes end before the value does.
    #[must_use]
    pub fn is_end_of_input(&self) -> bool {
        matches!(self, Self::Malformed(error) if error.is_end_of_input())
    }
}
