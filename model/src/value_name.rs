//! The names of values in the bucket, and [`NamePattern`], the rule of `!allow bucket reports/*`.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

/// The length of the longest name in bytes.
pub const MAX_VALUE_NAME: usize = 1024;

/// The longest time until a value expires, in seconds: a hundred years.
pub const MAX_LIFETIME_S: u64 = 100 * 366 * 24 * 60 * 60;

/// The length of the longest pattern that is suggested, in bytes. A script may write 255.
const MAX_SUGGESTED: usize = 200;

/// Checks a name: parts separated by `/`, none of them empty, `.` or `..`, without control characters and backslashes.
///
/// # Errors
/// What is wrong with it, as a sentence without a period.
pub fn check_value_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() || name.len() > MAX_VALUE_NAME {
        return Err("it is empty or longer than 1024 bytes");
    }
    check_characters(name)?;
    if name.split('/').any(is_no_part) { Err("a part of it is empty, `.` or `..`") } else { Ok(()) }
}

fn check_characters(text: &str) -> Result<(), &'static str> {
    match text.chars().any(|char| char.is_control() || char == '\\') {
        true => Err("it has a control character or a backslash"),
        false => Ok(()),
    }
}

fn is_no_part(part: &str) -> bool {
    matches!(part, "" | "." | "..")
}

/// The names of values that a script lets a step use: one name, or all that begin in the same way.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum NamePattern {
    /// `reports/today`: this name.
    Name(String),
    /// `reports/*`: every name that begins with `reports/`. Alone, `*` is every name.
    Prefix(String),
}

/// Why a text is not a pattern, as a fragment of a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseNamePatternError(String);

impl fmt::Display for ParseNamePatternError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl core::error::Error for ParseNamePatternError {}

impl FromStr for NamePattern {
    type Err = ParseNamePatternError;

    fn from_str(text: &str) -> Result<Self, ParseNamePatternError> {
        let shown: String = text.chars().take(40).collect();
        let refuse = |reason| ParseNamePatternError(format!("`{shown}` is not a name of the bucket: {reason}"));
        let (name, is_prefix) = text.strip_suffix('*').map_or((text, false), |prefix| (prefix, true));
        if name.contains('*') {
            return Err(refuse("`*` may only be its last character"));
        }
        if !is_prefix {
            return check_value_name(name).map(|()| Self::Name(name.to_owned())).map_err(refuse);
        }
        check_prefix(name).map(|()| Self::Prefix(name.to_owned())).map_err(refuse)
    }
}

/// The last part of a prefix is the beginning of a part.
fn check_prefix(prefix: &str) -> Result<(), &'static str> {
    if prefix.len() > MAX_VALUE_NAME {
        return Err("it is longer than 1024 bytes");
    }
    check_characters(prefix)?;
    match prefix.rsplit('/').skip(1).any(is_no_part) {
        true => Err("a part of it is empty, `.` or `..`"),
        false => Ok(()),
    }
}

impl NamePattern {
    /// Returns whether the pattern allows a name. One that [`check_value_name`] refuses is never allowed.
    #[must_use]
    pub fn allows(&self, name: &str) -> bool {
        let fits = match self {
            Self::Name(allowed) => allowed == name,
            Self::Prefix(prefix) => name.starts_with(prefix.as_str()),
        };
        fits && check_value_name(name).is_ok()
    }

    /// Returns a pattern that allows a name, and that a script can contain as it is: if the name has characters that mean something in
    /// a script, what precedes them.
    #[must_use]
    pub fn that_allows(name: &str) -> Self {
        let is_plain = |char: &char| char.is_alphanumeric() || "._-/".contains(*char);
        let mut prefix: String = name.chars().take_while(is_plain).collect();
        if prefix.len() == name.len() && prefix.len() <= MAX_SUGGESTED {
            return Self::Name(prefix);
        }
        while prefix.len() > MAX_SUGGESTED {
            prefix.pop();
        }
        Self::Prefix(prefix)
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => formatter.write_str(name),
            Self::Prefix(prefix) => write!(formatter, "{prefix}*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> NamePattern {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn a_name_that_could_be_a_path_to_elsewhere_is_refused() {
        for name in ["", "..", "a/../b", "/etc/passwd", "a//b", "a/", ".", "a\\b", "a\0b", "a\nb", "a\u{85}b"] {
            assert!(check_value_name(name).is_err(), "{name:?}");
        }
        assert!(check_value_name(&"a".repeat(1025)).is_err());
        for name in ["a", "reports/2026/käse.csv", "...", "a b", "%2e%2e", "‥/a", "．．/a", "a*"] {
            assert!(check_value_name(name).is_ok(), "{name:?}");
        }
    }

    #[test]
    fn a_pattern_survives_a_round_trip() {
        for text in ["reports/today", "reports/*", "*", "reports/2026-*", "a.*", ".*", "käse/*"] {
            assert_eq!(pattern(text).to_string(), text);
        }
        for text in ["", "/a", "a//b", "../*", "a/../*", "/*", "a//*", "a*b", "**", "a\\*", "a\n*", "a/.."] {
            assert!(text.parse::<NamePattern>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_pattern_allows_its_names_and_no_others() {
        for (text, name) in [
            ("reports/today", "reports/today"),
            ("reports/*", "reports/today"),
            ("reports/*", "reports/2026/11"),
            ("reports/2026*", "reports/2026"),
            ("*", "a/b"),
            ("a*", "a*b"),
            ("a%2e%2e/*", "a%2e%2e/b"),
        ] {
            assert!(pattern(text).allows(name), "{text} {name}");
        }
        for (text, name) in [
            ("reports/today", "reports/today2"),
            ("reports/today", "reports/Today"),
            ("reports/*", "reports"),
            ("reports/*", "reports/"),
            ("reports/*", "reports/../secret"),
            ("reports/*", "reports/./x"),
            ("reports/*", "reports%2fx"),
            ("reports/*", "/reports/x"),
            ("*", "a/../b"),
            ("*", ""),
            ("*", "a\0"),
        ] {
            assert!(!pattern(text).allows(name), "{text} {name}");
        }
        assert!(!pattern("*").allows(&"a".repeat(1025)));
    }

    #[test]
    fn what_is_suggested_allows_the_name_and_can_be_parsed() {
        let long = "x".repeat(1000);
        for (name, expected) in [
            ("reports/today.csv", "reports/today.csv"),
            ("reports/käse", "reports/käse"),
            ("a b", "a*"),
            ("a,b", "a*"),
            ("#", "*"),
            ("a*", "a*"),
            ("a/\"b", "a/*"),
            (long.as_str(), &format!("{}*", "x".repeat(200))),
        ] {
            let suggested = NamePattern::that_allows(name);
            assert_eq!(suggested.to_string(), expected);
            assert!(pattern(expected).allows(name), "{name}");
        }
    }
}
