//! YAML text to a tree, with the place of each part. `saphyr-parser` parses; the tree is ours, so that its size is bounded, a key
//! that occurs twice is an error, and plain values mean what they mean to PypeLine, which reads YAML 1.1 with `PyYAML`.

mod compose;
mod node;
mod scalar;

pub(super) use compose::compose;
pub(super) use node::{Content, Entry, Node, Scalar};
pub(super) use scalar::{PlainValue, plain_value};

/// Most bytes of a file.
pub(crate) const MAX_YAML: usize = 1024 * 1024;
