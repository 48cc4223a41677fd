//! How messages write sizes and times.

use core::time::Duration;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;

/// Returns a size as a person writes it: `256 MiB`, `1.5 KiB`. The fraction is cut, not rounded.
#[must_use]
pub fn bytes_text(bytes: u64) -> String {
    let (unit, name) = match bytes {
        GIB.. => (GIB, "GiB"),
        MIB.. => (MIB, "MiB"),
        KIB.. => (KIB, "KiB"),
        _ => return format!("{bytes} bytes"),
    };
    match bytes % unit {
        0 => format!("{} {name}", bytes / unit),
        fraction => format!("{}.{} {name}", bytes / unit, fraction * 10 / unit),
    }
}

/// Returns a time as a person writes it: `1200 s`, `250 ms`.
#[must_use]
pub fn time_text(time: Duration) -> String {
    match time.subsec_millis() {
        0 => format!("{} s", time.as_secs()),
        _ if time.as_secs() == 0 => format!("{} ms", time.as_millis()),
        millis => format!("{}.{} s", time.as_secs(), format!("{millis:03}").trim_end_matches('0')),
    }
}

/// Returns a part of a sentence with a capital letter at its beginning.
#[must_use]
pub fn sentence(fragment: &str) -> String {
    let mut chars = fragment.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_read_well() {
        assert_eq!(bytes_text(256 * MIB), "256 MiB");
        assert_eq!(bytes_text(1536), "1.5 KiB");
        assert_eq!(bytes_text(17), "17 bytes");
        assert_eq!(time_text(Duration::from_secs(1200)), "1200 s");
        assert_eq!(time_text(Duration::from_millis(250)), "250 ms");
        assert_eq!(time_text(Duration::from_millis(1050)), "1.05 s");
        assert_eq!(sentence("the step"), "The step");
    }
}
