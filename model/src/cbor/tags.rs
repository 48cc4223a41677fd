//! The CBOR tags of values.

/// RFC 3339 date-time text.
pub const TAG_DATETIME: u64 = 0;
/// Unsigned big integer.
pub const TAG_POSITIVE: u64 = 2;
/// Negative big integer: `-1 - n`.
pub const TAG_NEGATIVE: u64 = 3;
/// Decimal fraction.
pub const TAG_DECIMAL: u64 = 4;
/// UUID, 16 bytes.
pub const TAG_UUID: u64 = 37;
/// A mathematical finite set.
pub const TAG_SET: u64 = 258;
/// Date text, `2026-09-30`.
pub const TAG_DATE: u64 = 1004;
/// A tuple: an array that Python gets back as a tuple. The number is `bue` in ASCII.
pub const TAG_TUPLE: u64 = 0x62_75_65;
/// Date-time text without an offset.
pub const TAG_LOCAL_DATETIME: u64 = 0x62_75_66;
/// Time text.
pub const TAG_TIME: u64 = 0x62_75_67;

/// Returns the tag of an ISO date-time text: RFC 3339 requires an offset.
#[must_use]
pub fn datetime_tag(text: &str) -> u64 {
    let time = text.get(11..).unwrap_or_default();
    match time.ends_with('Z') || time.contains(['+', '-']) {
        true => TAG_DATETIME,
        false => TAG_LOCAL_DATETIME,
    }
}

/// Whether this tag determines the kind of value that follows it. Any other tag leaves the value behind it as it is: a tuple
/// or a set is read as a list.
pub(super) const fn is_value_tag(tag: u64) -> bool {
    matches!(
        tag,
        TAG_POSITIVE | TAG_NEGATIVE | TAG_DECIMAL | TAG_UUID | TAG_DATE | TAG_TIME | TAG_DATETIME | TAG_LOCAL_DATETIME
    )
}
