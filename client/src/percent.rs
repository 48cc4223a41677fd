//! Percent-encoding of paths and queries.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What is encoded in the value of a query: everything except letters, digits, `-`, `_` and `.`.
pub(crate) const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');
/// The same in a path, where `/` separates.
pub(crate) const PATH: &AsciiSet = &QUERY.remove(b'/');

/// Returns a text as a part of a path or a query.
pub(crate) fn percent_encoded(text: &str, set: &'static AsciiSet) -> String {
    utf8_percent_encode(text, set).to_string()
}
