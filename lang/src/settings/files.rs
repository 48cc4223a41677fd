//! Files that are packed with a step: paths below the script's folder, in which `*` and `?` stand for characters of a name.

use super::error::SettingError;
use super::list::bounded;
use crate::diagnostics::codes;
use crate::text::{backquoted, shortened, unquoted};

/// Longest pattern, in bytes.
const MAX_LENGTH: usize = 255;

/// Most characters of a pattern that a message repeats.
const MAX_SHOWN: usize = 60;

const HINT: &str = "`!files rows.csv, data/*.json`";

pub(super) fn parse(text: &str) -> Result<Vec<String>, SettingError> {
    let error = |message: String| SettingError::new(codes::INVALID_FILES, text, message, HINT);
    if text.is_empty() {
        return Err(error("the files are missing".into()));
    }
    let patterns = text.split(',').map(|pattern| {
        let pattern = unquoted(pattern.trim());
        match problem(pattern) {
            Some(problem) if pattern.is_empty() => Err(error(problem.to_owned())),
            Some(problem) => Err(error(format!("{} {problem}", backquoted(&shortened(pattern, MAX_SHOWN))))),
            None => Ok(pattern.strip_prefix("./").unwrap_or(pattern).to_owned()),
        }
    });
    bounded(patterns.collect::<Result<_, _>>()?, "files").map_err(error)
}

fn problem(pattern: &str) -> Option<&'static str> {
    let mut names = pattern.split('/');
    if pattern.is_empty() {
        Some("a file is missing between two commas")
    } else if pattern.len() > MAX_LENGTH {
        Some("is longer than 255 bytes")
    } else if pattern.starts_with('/') || pattern.contains('\\') || pattern.contains(':') {
        Some("is not a path below the script's folder; write it with `/`, without a drive")
    } else if names.clone().any(|name| name == "..") {
        Some("leads out of the script's folder")
    } else if names.any(|name| name.contains("**")) {
        Some("has `**`; name each folder, as in `data/*/*.csv`")
    } else if pattern.ends_with('/') {
        Some("is a folder; write `/*` for its files")
    } else if pattern.contains(['[', ']', '{', '}']) {
        Some("has a bracket; only `*` and `?` stand for other characters")
    } else {
        None
    }
}
