//! What a plain value means in YAML 1.1, as `PyYAML` reads it: `yes` is true, `010` is 8, `1_000` is a thousand.

/// What a plain value means.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::pypeline) enum PlainValue {
    /// Nothing: empty, `~` or `null`.
    Null,
    /// `true`, `yes`, `on` and their opposites.
    Bool(bool),
    /// An integer, in decimal digits.
    Int(i128),
    /// A number that is no integer; infinite ones and `.nan` included.
    Float(f64),
    /// Anything else, dates included: the text as it is.
    Text,
}

/// Returns what a plain value means.
pub(in crate::pypeline) fn plain_value(text: &str) -> PlainValue {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return PlainValue::Null,
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => return PlainValue::Bool(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => return PlainValue::Bool(false),
        _ => {}
    }
    let (sign, digits) = match text.strip_prefix(['-', '+']) {
        Some(digits) => (if text.starts_with('-') { -1 } else { 1 }, digits),
        None => (1, text),
    };
    if let Some(number) = integer(digits) {
        return PlainValue::Int(sign * number);
    }
    match float(digits, digits.len() < text.len()) {
        #[expect(clippy::cast_precision_loss, reason = "the sign is 1 or -1")]
        Some(number) => PlainValue::Float(sign as f64 * number),
        None if text == ".nan" || text == ".NaN" || text == ".NAN" => PlainValue::Float(f64::NAN),
        None => PlainValue::Text,
    }
}

/// Reads an integer without a sign. One that has more than 38 digits is a text.
fn integer(text: &str) -> Option<i128> {
    let of_base = |digits: &str, base: u32| {
        let digits: String = digits.chars().filter(|char| *char != '_').collect();
        let is_valid = !digits.is_empty() && digits.chars().all(|char| char.is_digit(base));
        is_valid.then(|| i128::from_str_radix(&digits, base).ok()).flatten()
    };
    if !text.starts_with(|char: char| char.is_ascii_digit()) {
        return None;
    }
    if let Some(digits) = text.strip_prefix("0b") {
        return of_base(digits, 2);
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return of_base(digits, 16);
    }
    if text.contains(':') {
        return base_60(text);
    }
    match text.strip_prefix('0') {
        Some("") => Some(0),
        Some(digits) => of_base(digits, 8),
        None => of_base(text, 10),
    }
}

/// Reads `1:30`, which is 90.
fn base_60(text: &str) -> Option<i128> {
    let mut parts = text.split(':');
    let first = parts.next().filter(|part| !part.starts_with('0'))?;
    let mut total: i128 = first.replace('_', "").parse().ok()?;
    for part in parts {
        let is_valid = matches!(part.len(), 1 | 2) && part.chars().all(|char| char.is_ascii_digit());
        let part: i128 = if is_valid { part.parse().ok()? } else { return None };
        total = (part < 60).then(|| total.checked_mul(60)?.checked_add(part)).flatten()?;
    }
    Some(total)
}

/// Reads a number with a point, whose sign was removed. The exponent needs a sign, and one with a sign a digit before the point.
fn float(text: &str, has_sign: bool) -> Option<f64> {
    if matches!(text, ".inf" | ".Inf" | ".INF") {
        return Some(f64::INFINITY);
    }
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let (whole, fraction) = mantissa.split_once('.')?;
    let are_digits = |part: &str| part.chars().all(|char| char.is_ascii_digit() || char == '_');
    let has_exponent = exponent.is_none_or(|exponent| {
        exponent.strip_prefix(['-', '+']).is_some_and(|digits| !digits.is_empty() && are_digits(digits))
    });
    let begins_with_digit = whole.starts_with(|char: char| char.is_ascii_digit());
    let is_valid = are_digits(whole)
        && are_digits(fraction)
        && has_exponent
        && (begins_with_digit
            || !has_sign && whole.is_empty() && fraction.starts_with(|char: char| char.is_ascii_digit()));
    is_valid.then(|| text.replace('_', "").parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected values are those of `PyYAML` 6.0: `yaml.safe_load`.
    #[test]
    fn plain_values_mean_what_they_mean_to_pyyaml() {
        for (text, expected) in [
            ("", PlainValue::Null),
            ("~", PlainValue::Null),
            ("yes", PlainValue::Bool(true)),
            ("Off", PlainValue::Bool(false)),
            ("y", PlainValue::Text),
            ("0", PlainValue::Int(0)),
            ("010", PlainValue::Int(8)),
            ("08", PlainValue::Text),
            ("-1_000", PlainValue::Int(-1000)),
            ("0x1F", PlainValue::Int(31)),
            ("0b11", PlainValue::Int(3)),
            ("1:30", PlainValue::Int(90)),
            ("06:30", PlainValue::Text),
            ("1.5", PlainValue::Float(1.5)),
            (".5", PlainValue::Float(0.5)),
            ("-.5", PlainValue::Text),
            ("-1.5", PlainValue::Float(-1.5)),
            ("1.", PlainValue::Float(1.0)),
            ("1e3", PlainValue::Text),
            ("1.0e3", PlainValue::Text),
            ("1.0e+3", PlainValue::Float(1000.0)),
            (".inf", PlainValue::Float(f64::INFINITY)),
            ("2026-11-01", PlainValue::Text),
            ("1.2.3", PlainValue::Text),
            ("*/5", PlainValue::Text),
            ("default-queue", PlainValue::Text),
        ] {
            assert_eq!(plain_value(text), expected, "{text}");
        }
        assert!(matches!(plain_value(".nan"), PlainValue::Float(number) if number.is_nan()));
    }
}
