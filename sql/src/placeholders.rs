//! Placeholders in SQL: names between double braces.

use std::collections::HashMap;

use bue_model::{Failure, FailureKind};
use serde::{Deserialize, Serialize};
use uuid::Builder;

/// Bytes of a placeholder's name at most. Without a limit, each `{{` without `}}` would read the whole text behind it.
const MAX_NAME_BYTES: usize = 250;

/// The values of the placeholders that a SQL step may contain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placeholders {
    /// `{{scope}}`
    pub scope: String,
    /// `{{priority}}`
    pub priority: i64,
    /// `{{timeout}}`, in seconds.
    pub timeout_s: u64,
    /// `{{retries}}`
    pub retries: u32,
}

/// Replaces `{{scope}} {{priority}} {{timeout}} {{retries}}`, and `{{uuid:x}}` or `{{uuid|x}}` with a fresh UUID for each `x`
/// (32 hexadecimal digits, so that it can be part of a name). Unknown placeholders stay.
pub(crate) fn fill_placeholders(text: &str, placeholders: &Placeholders) -> Result<String, Failure> {
    let mut ids = HashMap::new();
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after_braces)) = rest.split_once("{{") {
        filled.push_str(before);
        let replaced =
            split_name(after_braces).map(|(name, after)| Ok((value_of(name, placeholders, &mut ids)?, after)));
        match replaced.transpose()? {
            Some((Some(value), after)) => {
                filled.push_str(&value);
                rest = after;
            }
            _ => {
                filled.push_str("{{");
                rest = after_braces;
            }
        }
    }
    filled.push_str(rest);
    Ok(filled)
}

/// Replaces each placeholder with letters or digits of the same length, so that the text's syntax can be checked.
#[must_use]
pub fn mask_placeholders(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after_braces)) = rest.split_once("{{") {
        masked.push_str(before);
        let replaced = split_name(after_braces).and_then(|(name, after)| Some((mask_char(name)?, name, after)));
        match replaced {
            Some((character, name, after)) => {
                masked.extend(core::iter::repeat_n(character, name.chars().count() + 4));
                rest = after;
            }
            None => {
                masked.push_str("{{");
                rest = after_braces;
            }
        }
    }
    masked.push_str(rest);
    masked
}

/// The name of a placeholder, up to `}}`, and the text behind it.
fn split_name(text: &str) -> Option<(&str, &str)> {
    let window = text.get(..text.floor_char_boundary(MAX_NAME_BYTES + 2))?;
    let end = window.find("}}")?;
    Some((text.get(..end)?, text.get(end + 2..)?))
}

/// Returns a character that the value of a placeholder may consist of; `None` if there is no such placeholder.
fn mask_char(name: &str) -> Option<char> {
    match name.trim() {
        "scope" => Some('x'),
        "priority" | "timeout" | "retries" => Some('1'),
        name => name.strip_prefix("uuid")?.starts_with([':', '|']).then_some('x'),
    }
}

fn value_of<'t>(
    name: &'t str,
    placeholders: &Placeholders,
    ids: &mut HashMap<&'t str, String>,
) -> Result<Option<String>, Failure> {
    let name = name.trim();
    Ok(match name {
        "scope" => Some(placeholders.scope.clone()),
        "priority" => Some(placeholders.priority.to_string()),
        "timeout" => Some(placeholders.timeout_s.to_string()),
        "retries" => Some(placeholders.retries.to_string()),
        _ => match name.strip_prefix("uuid").and_then(|rest| rest.strip_prefix([':', '|'])) {
            None => None,
            Some(key) => Some(match ids.get(key) {
                Some(id) => id.clone(),
                None => ids.entry(key).or_insert(fresh_id()?).clone(),
            }),
        },
    })
}

fn fresh_id() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| Failure::new(FailureKind::Internal, format!("The system gave no random bytes: {error}")))?;
    Ok(Builder::from_random_bytes(bytes).into_uuid().simple().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placeholders() -> Placeholders {
        Placeholders { scope: "eu".to_owned(), priority: -3, timeout_s: 60, retries: 2 }
    }

    fn filled(text: &str) -> String {
        fill_placeholders(text, &placeholders()).expect("random bytes")
    }

    #[test]
    fn placeholders_are_replaced_and_unknown_ones_stay() {
        assert_eq!(filled("{{scope}} {{ priority }} {{timeout}}/{{retries}}"), "eu -3 60/2");
        for unknown in ["{{x}}", "{{", "a {{scope", "}}", "{{}}", "{{{{", "{{uuid}}"] {
            assert_eq!(filled(unknown), unknown);
        }
        assert_eq!(filled("{{x}}{{scope}}{{{scope}}"), "{{x}}eu{{{scope}}");
    }

    /// If each pair of braces read all that follow, this test would take minutes.
    #[test]
    fn braces_without_an_end_are_read_once() {
        let text = "{{".repeat(400_000);
        assert_eq!(filled(&text), text);
        assert_eq!(mask_placeholders(&text), text);
        let closed = format!("{text}}}}}");
        assert_eq!(filled(&closed), closed);
        let (longest, longer) = ("x".repeat(MAX_NAME_BYTES - 5), "x".repeat(MAX_NAME_BYTES - 4));
        assert_eq!(filled(&format!("{{{{uuid:{longest}}}}}")).len(), 32);
        assert_eq!(filled(&format!("{{{{uuid:{longer}}}}}")), format!("{{{{uuid:{longer}}}}}"));
    }

    #[test]
    fn ids_are_the_same_for_the_same_name() {
        let text = filled("{{uuid:a}} {{uuid|a}} {{uuid:b}}");
        let ids: Vec<&str> = text.split(' ').collect();
        assert!(ids[0] == ids[1] && ids[0] != ids[2] && ids[0].len() == 32, "{text}");
        assert_ne!(filled("{{uuid:a}}"), filled("{{uuid:a}}"));
    }
}
