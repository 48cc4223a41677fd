//! [`ListOperation`]: what a step of the language [`Builtin`](crate::Language::Builtin) does with its inputs, which are lists.

use core::fmt;
use core::str::FromStr;

/// The most elements of a list that [`ListOperation::Chunk`] makes.
pub const MAX_BATCH: u32 = 1_000_000;

/// An operation on lists whose result is a list, over which a loop runs.
///
/// It is written as a text into the [`function`](crate::Step::function) of a step: `merge`, `zip`, `zip longest`, `flatten`, or
/// `chunk` and a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ListOperation {
    /// `a + b`: all elements of the first list, then those of the next one.
    Merge,
    /// `zip(a, b)`: lists of the elements at the same position. The lists have the same length.
    Zip,
    /// `zip longest(a, b)`: the same for lists of different lengths, with null for what is missing.
    ZipLongest,
    /// `flatten(a)`: the elements of the elements, which are lists.
    Flatten,
    /// `a !chunk 64`: lists of so many elements, the last one of fewer. From 1 to [`MAX_BATCH`].
    Chunk(u32),
}

/// The text of no [`ListOperation`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseListOperationError(String);

impl fmt::Display for ParseListOperationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not an operation on lists", self.0)
    }
}

impl core::error::Error for ParseListOperationError {}

impl fmt::Display for ListOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Merge => f.write_str("merge"),
            Self::Zip => f.write_str("zip"),
            Self::ZipLongest => f.write_str("zip longest"),
            Self::Flatten => f.write_str("flatten"),
            Self::Chunk(size) => write!(f, "chunk {size}"),
        }
    }
}

impl FromStr for ListOperation {
    type Err = ParseListOperationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let size = || text.strip_prefix("chunk ")?.parse().ok().filter(|size| (1..=MAX_BATCH).contains(size));
        match text {
            "merge" => Ok(Self::Merge),
            "zip" => Ok(Self::Zip),
            "zip longest" => Ok(Self::ZipLongest),
            "flatten" => Ok(Self::Flatten),
            _ => size().map(Self::Chunk).ok_or_else(|| ParseListOperationError(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_read_as_it_is_written() {
        use ListOperation::{Chunk, Flatten, Merge, Zip, ZipLongest};
        for operation in [Merge, Zip, ZipLongest, Flatten, Chunk(1), Chunk(MAX_BATCH)] {
            assert_eq!(operation.to_string().parse(), Ok(operation));
        }
        for text in ["", "chunk", "chunk 0", "chunk 1000001", "chunk -1", "zip shortest"] {
            assert!(text.parse::<ListOperation>().is_err(), "{text}");
        }
    }
}
