//! A script in the standard layout: indentation, blanks and line breaks are normalized; words, comments and code are kept.
//!
//! Only the space between tokens changes, so the meaning cannot. Formatting is idempotent.

mod formatter;
mod lines;
mod spacing;

pub use formatter::format;

#[cfg(test)]
mod tests;
