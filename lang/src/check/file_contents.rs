//! A file that a step names, as the caller found it.

use std::borrow::Cow;

/// What the caller found at a path.
#[derive(Clone, Debug)]
pub enum FileContents<'a> {
    /// Nothing.
    Missing,
    /// A text file.
    Text(Cow<'a, str>),
    /// A folder, or a file that is not UTF-8. Steps in compiled languages name these; Python and SQL cannot use them.
    Opaque,
    /// Something that cannot be read, for this reason.
    Unreadable(String),
}
