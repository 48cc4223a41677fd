//! The text of a setting's value to its [`SettingValue`].

use super::error::SettingError;
use super::names::NAMES;
use super::value::SettingValue;
use super::{allow, at_most, files, rate, requires, time};
use crate::diagnostics::codes;
use crate::source::Span;
use crate::text::{is_word_continue, unquoted};

/// Longest scope, in bytes.
const MAX_SCOPE: usize = 200;

/// The value of the setting `name`; `@` is the older spelling of a rate, or a tag.
pub(crate) fn parse(name: &str, text: &str) -> Result<SettingValue, SettingError> {
    parse_value(name, text).map_err(|error| match text.strip_prefix(['=', ':']) {
        Some(value) if name != "requires" && NAMES.contains(&name) => {
            SettingError { hint: Some(format!("`!{name} {}`", value.trim())), ..error }
        }
        _ => error,
    })
}

fn parse_value(name: &str, text: &str) -> Result<SettingValue, SettingError> {
    match name {
        "scope" => scope(text).map(SettingValue::Scope),
        "priority" => priority(text).map(SettingValue::Priority),
        "timeout" => time::timeouts(text).map(|(seconds, soft_ms)| SettingValue::Timeout { seconds, soft_ms }),
        "retries" => retries(text),
        "every" => time::every(text).map(|(first, last)| SettingValue::Every(first, last)),
        "for" => time::positive_duration(text, "!for 6h").map(SettingValue::PendingLimit),
        "expires" => time::positive_duration(text, "!expires 1h").map(SettingValue::Expires),
        "max_handbacks" => max_handbacks(text).map(SettingValue::MaxHandbacks),
        "on_failure" => on_failure(text).map(SettingValue::OnFailure),
        "rate" => rate::parse(text).map(SettingValue::Rate),
        "at_most" => at_most::parse(text).map(SettingValue::AtMost),
        "allow" => allow::parse(text).map(SettingValue::Allow),
        "requires" => requires::parse(text).map(SettingValue::Requires),
        "files" => files::parse(text).map(SettingValue::Files),
        _ => rate::velocity(text),
    }
}

fn scope(text: &str) -> Result<String, SettingError> {
    const HINT: &str = "`!scope production` or `$ production`";
    let scope = unquoted(text).trim();
    let fits = |char: char| char == ' ' || is_word_continue(char) || "./:".contains(char);
    match scope.chars().find(|char| !fits(*char)) {
        _ if scope.is_empty() => Err(SettingError::new(codes::INVALID_SCOPE, text, "the scope is missing", HINT)),
        _ if scope.len() > MAX_SCOPE => Err(SettingError::new(
            codes::INVALID_SCOPE,
            text,
            format!("this scope is longer than {MAX_SCOPE} bytes"),
            HINT,
        )),
        Some(char @ ('!' | '@' | '$')) => Err(SettingError::new(
            codes::INVALID_SCOPE,
            text,
            format!("`{char}` cannot be part of a scope"),
            "put each setting on its own line",
        )),
        Some(char) => {
            Err(SettingError::new(codes::INVALID_SCOPE, text, format!("`{char}` cannot be part of a scope"), HINT))
        }
        None => Ok(scope.split_whitespace().collect::<Vec<_>>().join(" ")),
    }
}

fn priority(text: &str) -> Result<i64, SettingError> {
    text.parse().map_err(|_| whole_number("priority", text, "from -9223372036854775808 to 9223372036854775807"))
}

/// `5`, or `5 after 2s..10m`.
fn retries(text: &str) -> Result<SettingValue, SettingError> {
    const EXAMPLE: &str = "!retries 5 after 2s` or `!retries 5 after 2s..10m";
    let (count, delay) = match text.split_once(" after ") {
        Some((count, delay)) => {
            let moved =
                |error: SettingError| SettingError { span: Span::new(text.len() - delay.len(), text.len()), ..error };
            (count.trim(), Some(time::range(delay.trim(), EXAMPLE).map_err(moved)?))
        }
        None => (text, None),
    };
    let count = count.parse().map_err(|_| whole_number("number of retries", count, "from 0 to 4294967295"))?;
    Ok(SettingValue::Retries { count, delay })
}

fn max_handbacks(text: &str) -> Result<u32, SettingError> {
    text.parse().map_err(|_| whole_number("number of hand-backs", text, "from 0, for no limit, to 4294967295"))
}

fn on_failure(text: &str) -> Result<String, SettingError> {
    const HINT: &str = "`!on_failure notify`, where `notify` is a step";
    let name = unquoted(text).trim();
    let refuse = |message: String| Err(SettingError::new(codes::INVALID_HANDLER, text, message, HINT));
    match name.chars().find(|char| *char != ' ' && !is_word_continue(*char)) {
        _ if name.is_empty() => refuse("the name of a step is missing".into()),
        Some(char) => refuse(format!("`{char}` cannot be part of the name of a step")),
        None => Ok(name.split_whitespace().collect::<Vec<_>>().join(" ")),
    }
}

fn whole_number(what: &str, text: &str, range: &str) -> SettingError {
    let message = match text.is_empty() {
        true => format!("the {what} is missing"),
        false => format!("the {what} must be a whole number"),
    };
    SettingError::new(codes::NOT_AN_INTEGER, text, message, format!("a {what} is a whole number {range}"))
}
