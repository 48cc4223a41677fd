//! Python packages, each as pip writes it: `httpx>=0.27,<1`, `pandas[excel]==2.2 ; python_version > "3.11"`.

use super::Problem;
use crate::code;

/// Most requirements in one setting, and longest one in bytes. The plan repeats them for every step below.
const MAX_LIST: usize = 64;
const MAX_LENGTH: usize = 255;

const HINT: &str = "`!requires httpx>=0.27, pandas==2.2.3`";

pub(super) fn read(text: &str) -> Result<Vec<String>, Problem> {
    let bad = |message: String| Problem::new(code::BAD_REQUIREMENT, text, message, HINT);
    if text.is_empty() {
        return Err(bad("the packages are missing".into()));
    }
    let list = split(text);
    if list.len() > MAX_LIST {
        return Err(bad(format!("more than {MAX_LIST} packages in one setting")));
    }
    match list.iter().find(|requirement| !is_requirement(requirement)) {
        Some(wrong) if wrong.is_empty() => Err(bad("a package is missing between two commas".into())),
        Some(wrong) => Err(bad(format!("`{}` is no requirement", wrong.chars().take(60).collect::<String>()))),
        None => Ok(list),
    }
}

/// Cuts at commas, but not inside brackets, and not before a further bound of a version: `a>=1,<2` is one requirement.
fn split(text: &str) -> Vec<String> {
    let mut list: Vec<String> = Vec::new();
    let mut depth = 0_usize;
    for part in text.split(',') {
        let goes_on = depth > 0 || part.trim_start().starts_with(['<', '>', '=', '~', '!']);
        match list.last_mut() {
            Some(last) if goes_on => {
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

/// A package name, then nothing, extras, a version, a marker or an address.
fn is_requirement(text: &str) -> bool {
    let name = |char: char| char.is_ascii_alphanumeric() || "._-".contains(char);
    let (package, rest) = text.split_at(text.find(|char| !name(char)).unwrap_or(text.len()));
    let ends_well = |end: Option<char>| end.is_some_and(|char| char.is_ascii_alphanumeric());
    text.len() <= MAX_LENGTH
        && ends_well(package.chars().next())
        && ends_well(package.chars().next_back())
        && (rest.is_empty() || rest.trim_start().starts_with(['[', '<', '>', '=', '~', '!', ';', '@', '(']))
        && !rest.trim_end().ends_with(['<', '>', '=', '~', '!', ';', '@'])
}
