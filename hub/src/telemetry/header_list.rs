//! Lists of keys and values as OpenTelemetry's variables have them: `key=value,key=value`, with percent-encoded values.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;

/// Entries of a list. No service is described by more.
const MAX_ENTRIES: usize = 128;

/// Parses a list. `None` if an entry has no key or no value, if a value is not UTF-8, or if there are too many.
pub(crate) fn key_values(text: &str) -> Option<Vec<(String, String)>> {
    let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    let parsed = entries.map(|entry| {
        let (key, value) = entry.split_once('=')?;
        let decode = |text: &str| percent_decode_str(text.trim()).decode_utf8().ok().map(Cow::into_owned);
        Some((decode(key).filter(|key| !key.is_empty())?, decode(value)?))
    });
    parsed.collect::<Option<Vec<_>>>().filter(|entries| entries.len() <= MAX_ENTRIES)
}

/// Parses headers.
///
/// # Errors
/// What is wrong with the list, without the values, which are secret.
pub(crate) fn header_list(text: &str) -> Result<HeaderMap, String> {
    let entries = key_values(text).ok_or("not a list of headers")?;
    let mut headers = HeaderMap::with_capacity(entries.len());
    for (name, value) in entries {
        let name = HeaderName::try_from(name).map_err(|_| "a list with a name that no header can have")?;
        let value = HeaderValue::try_from(value);
        let mut value = value.map_err(|_| format!("a list in which `{name}` has a value with control characters"))?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}
