//! Python packages, each as pip writes it: `httpx>=0.27,<1`, `pandas[excel]==2.2 ; python_version > "3.11"`.

use super::error::SettingError;
use super::list::bounded;
use crate::diagnostics::codes;
use crate::text::shortened;

/// Longest requirement, in bytes.
const MAX_LENGTH: usize = 255;

/// Most characters of a requirement that a message repeats.
const MAX_SHOWN: usize = 60;

const HINT: &str = "`!requires httpx>=0.27, pandas==2.2.3`";

pub(super) fn parse(text: &str) -> Result<Vec<String>, SettingError> {
    let error = |message: String| SettingError::new(codes::INVALID_REQUIREMENT, text, message, HINT);
    if text.is_empty() {
        return Err(error("the packages are missing".into()));
    }
    let list = bounded(split(text), "packages").map_err(error)?;
    match list.iter().find(|requirement| !is_requirement(requirement)) {
        Some(wrong) if wrong.is_empty() => Err(error("a package is missing between two commas".into())),
        Some(wrong) => Err(error(format!("`{}` is not a requirement", shortened(wrong, MAX_SHOWN)))),
        None => Ok(list),
    }
}

/// Splits at commas, but not inside brackets and not before another version bound: `a>=1,<2` is one requirement.
fn split(text: &str) -> Vec<String> {
    let mut list: Vec<String> = Vec::new();
    let mut depth = 0_usize;
    for part in text.split(',') {
        let continues = depth > 0 || part.trim_start().starts_with(['<', '>', '=', '~', '!']);
        match list.last_mut() {
            Some(last) if continues => {
                last.push(',');
                last.push_str(part.trim());
            }
            _ => list.push(part.trim().to_owned()),
        }
        let opened = part.matches(['[', '(']).count();
        depth = (depth + opened).saturating_sub(part.matches([']', ')']).count());
    }
    list
}

/// A package name, then nothing, extras, a version, a marker or a URL.
fn is_requirement(text: &str) -> bool {
    let name = |char: char| char.is_ascii_alphanumeric() || "._-".contains(char);
    let (package, rest) = text.split_at(text.find(|char| !name(char)).unwrap_or(text.len()));
    let is_alphanumeric = |end: Option<char>| end.is_some_and(|char| char.is_ascii_alphanumeric());
    text.len() <= MAX_LENGTH
        && is_alphanumeric(package.chars().next())
        && is_alphanumeric(package.chars().next_back())
        && (rest.is_empty() || rest.trim_start().starts_with(['[', '<', '>', '=', '~', '!', ';', '@', '(']))
        && !rest.trim_end().ends_with(['<', '>', '=', '~', '!', ';', '@'])
}
