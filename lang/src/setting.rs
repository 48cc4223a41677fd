//! Values of settings: the text behind a setting's name to what it means.

mod allow;
mod rate;
mod requires;

use crate::code;
use crate::duration::{self, MAX_MS};
use crate::expr;
use crate::lexer::continues_word;
use crate::source::Span;
use crate::tree::SettingValue;

/// Names behind `!`.
pub(crate) const NAMES: &[&str] =
    &["scope", "priority", "timeout", "retries", "every", "for", "rate", "allow", "requires"];

/// Words for settings elsewhere.
const ELSEWHERE: &[(&[&str], &str)] = &[
    (&["retry", "tries", "attempts", "max_retries"], "retries"),
    (&["timeout_s", "time_limit", "deadline"], "timeout"),
    (&["interval", "poll", "sleep", "delay", "wait", "retry_delay"], "every"),
    (&["limit", "rate_limit", "throttle", "velocity", "concurrency"], "rate"),
    (&["queue", "pool", "tag", "worker"], "scope"),
    (&["weight", "prio", "priority_weight"], "priority"),
    (&["require", "requirements", "packages", "pip", "deps"], "requires"),
    (&["permissions", "permit", "secret", "net"], "allow"),
];

/// The setting that a word of another system stands for.
pub(crate) fn meant(word: &str) -> Option<&'static str> {
    ELSEWHERE.iter().find(|(words, _)| words.contains(&word)).map(|(_, name)| *name)
}

/// Longest scope, in bytes.
const MAX_SCOPE: usize = 200;

/// Why a text is no value.
pub(crate) struct Problem {
    pub(crate) code: &'static str,
    /// Within the text.
    pub(crate) span: Span,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Problem {
    fn new(code: &'static str, text: &str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code, span: Span::new(0, text.len()), message: message.into(), hint: Some(hint.into()) }
    }
}

/// The value of a setting; `@` is the older velocity.
pub(crate) fn read(name: &str, text: &str) -> Result<SettingValue, Problem> {
    read_value(name, text).map_err(|problem| match text.strip_prefix(['=', ':']) {
        Some(value) if name != "requires" && NAMES.contains(&name) => {
            Problem { hint: Some(format!("`!{name} {}`", value.trim())), ..problem }
        }
        _ => problem,
    })
}

fn read_value(name: &str, text: &str) -> Result<SettingValue, Problem> {
    match name {
        "scope" => scope(text).map(SettingValue::Scope),
        "priority" => priority(text).map(SettingValue::Priority),
        "timeout" => timeout(text).map(SettingValue::Timeout),
        "retries" => retries(text).map(SettingValue::Retries),
        "every" => every(text).map(|(first, last)| SettingValue::Every(first, last)),
        "for" => span_of_time(text, "!for 6h").map(SettingValue::PendingLimit),
        "rate" => rate::read(text).map(SettingValue::Rate),
        "allow" => allow::read(text).map(SettingValue::Allow),
        "requires" => requires::read(text).map(SettingValue::Requires),
        _ => velocity(text),
    }
}

/// Text without quotes around it.
fn unquoted(text: &str) -> &str {
    let inner = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    inner('"').or_else(|| inner('\'')).unwrap_or(text).trim()
}

fn scope(text: &str) -> Result<String, Problem> {
    const HINT: &str = "`!scope production` or `$ production`";
    let scope = unquoted(text);
    let fits = |char: char| char == ' ' || continues_word(char) || "./:".contains(char);
    match scope.chars().find(|char| !fits(*char)) {
        _ if scope.is_empty() => Err(Problem::new(code::BAD_SCOPE, text, "the scope is missing", HINT)),
        _ if scope.len() > MAX_SCOPE => {
            Err(Problem::new(code::BAD_SCOPE, text, format!("this scope is longer than {MAX_SCOPE} bytes"), HINT))
        }
        Some(char @ ('!' | '@' | '$')) => Err(Problem::new(
            code::BAD_SCOPE,
            text,
            format!("`{char}` cannot be part of a scope"),
            "each setting stands on a line of its own",
        )),
        Some(char) => Err(Problem::new(code::BAD_SCOPE, text, format!("`{char}` cannot be part of a scope"), HINT)),
        None => Ok(scope.split_whitespace().collect::<Vec<_>>().join(" ")),
    }
}

fn priority(text: &str) -> Result<i64, Problem> {
    text.parse().map_err(|_| whole_number("priority", text, "from -9223372036854775808 to 9223372036854775807"))
}

fn retries(text: &str) -> Result<u32, Problem> {
    text.parse().map_err(|_| whole_number("number of retries", text, "from 0 to 4294967295"))
}

fn whole_number(what: &str, text: &str, range: &str) -> Problem {
    let message = match text.is_empty() {
        true => format!("the {what} is missing"),
        false => format!("the {what} must be a whole number"),
    };
    Problem::new(code::BAD_INTEGER, text, message, format!("a {what} is a whole number {range}"))
}

/// Seconds, from arithmetic or a duration.
fn timeout(text: &str) -> Result<f64, Problem> {
    const HINT: &str = "seconds or a duration: `!timeout 20 * 60`, `!timeout 20m`";
    #[expect(clippy::cast_precision_loss, reason = "durations are shorter than 2^53 ms")]
    if let Some(ms) = duration::milliseconds(text) {
        return Ok(ms as f64 / 1000.0);
    }
    if text.starts_with(|char: char| char.is_ascii_digit()) && text.ends_with(char::is_alphabetic) {
        let spelt = duration::spelt_out(text).map(|short| format!("`!timeout {short}`"));
        return Err(Problem::new(
            code::BAD_DURATION,
            text,
            no_duration(text),
            spelt.unwrap_or_else(|| HINT.to_owned()),
        ));
    }
    let seconds = arithmetic(text, HINT)?;
    positive(seconds, text, HINT)
}

fn arithmetic(text: &str, hint: &str) -> Result<f64, Problem> {
    if text.is_empty() {
        return Err(Problem::new(code::BAD_EXPRESSION, text, "the value is missing", hint));
    }
    expr::evaluate(text).map_err(|problem| {
        let code = if problem.readable { code::BAD_RESULT } else { code::BAD_EXPRESSION };
        Problem { code, span: problem.span, message: problem.message, hint: Some(hint.into()) }
    })
}

fn positive(value: f64, text: &str, hint: &str) -> Result<f64, Problem> {
    #[expect(clippy::cast_precision_loss, reason = "a bound")]
    let most = (MAX_MS / 1000) as f64;
    match value {
        value if value <= 0.0 => {
            Err(Problem::new(code::BAD_RESULT, text, format!("this is {value}, it must be more than 0"), hint))
        }
        value if value > most => Err(Problem::new(code::BAD_RESULT, text, "this is longer than a hundred years", hint)),
        value => Ok(value),
    }
}

fn every(text: &str) -> Result<(u64, u64), Problem> {
    const EXAMPLE: &str = "!every 5s` or `!every 5s..1m";
    let Some((first, last)) = text.split_once("..") else {
        return span_of_time(text, EXAMPLE).map(|ms| (ms, ms));
    };
    let (first, last) = (span_of_time(first, EXAMPLE), span_of_time(last, EXAMPLE));
    match (first, last) {
        (Ok(first), Ok(last)) if first <= last => Ok((first, last)),
        (Ok(_), Ok(_)) => {
            Err(Problem::new(code::BAD_DURATION, text, "the range ends before it begins", format!("`{EXAMPLE}`")))
        }
        _ => Err(Problem::new(code::BAD_DURATION, text, "this is no range of durations", format!("`{EXAMPLE}`"))),
    }
}

fn span_of_time(text: &str, example: &str) -> Result<u64, Problem> {
    duration::milliseconds(text).ok_or_else(|| {
        let hint = match (text.parse::<u32>(), duration::spelt_out(text)) {
            (Ok(number), _) => format!("a duration has a unit: `{number}s`, `{number}m`"),
            (Err(_), Some(short)) => format!("units are short: `{short}`"),
            (Err(_), None) => format!("a number with ms, s, m, min, h, d or w: `{example}`"),
        };
        Problem::new(code::BAD_DURATION, text, no_duration(text), hint)
    })
}

fn no_duration(text: &str) -> &'static str {
    let digits = text.chars().filter(char::is_ascii_digit).collect::<String>();
    match digits.trim_start_matches('0').is_empty() {
        _ if text.is_empty() => "the duration is missing",
        true if !digits.is_empty() => "this is 0, it must be more than 0",
        _ => "this is no duration",
    }
}

/// `@ 5/2`: starts a second; `@ name`: the older tag.
fn velocity(text: &str) -> Result<SettingValue, Problem> {
    const HINT: &str = "`@ 5` is five starts a second, the same as `!rate 5/1s`";
    if crate::lexer::begins_word(unquoted(text).chars().next().unwrap_or('0')) {
        return Ok(SettingValue::Tag);
    }
    let value = positive(arithmetic(text, HINT)?, text, HINT)?;
    rate::from_velocity(value)
        .map(SettingValue::Rate)
        .ok_or_else(|| Problem::new(code::BAD_RATE, text, "this rate is out of range", HINT))
}

#[cfg(test)]
mod tests;
