//! Finds numbers in a script that SQLite would round.

use super::number::{MAX_DIGITS, significant_digits};
use super::rewrite::KEYWORDS;
use super::token::{Kind, Token, tokens};

/// The largest integer of SQLite plus one, which is a number only behind a minus sign.
const MIN_INTEGER_DIGITS: &str = "9223372036854775808";

/// A number that SQLite would round.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::sqlite) struct RoundedLiteral {
    /// Its first byte in the script.
    pub(in crate::sqlite) at: usize,
    pub(in crate::sqlite) reason: String,
}

/// Returns the first number of a script that SQLite would round: an integer of more than 64 bits, and in a step with decimals
/// (`is_exact`) any number of more than 15 significant digits that is not an integer.
pub(in crate::sqlite) fn rounded_literal(text: &str, is_exact: bool) -> Option<RoundedLiteral> {
    let mut at = 0;
    let mut before: [Option<Token<'_>>; 2] = [None, None];
    for token in tokens(text) {
        at += token.before.len();
        if token.kind == Kind::Number
            && let Some(reason) = rounded(token.text, is_exact, is_negated(before))
        {
            return Some(RoundedLiteral { at, reason });
        }
        at += token.text.len();
        before = [before[1], Some(token)];
    }
    None
}

/// Is the token behind these the operand of a sign, and not of a subtraction?
fn is_negated([first, second]: [Option<Token<'_>>; 2]) -> bool {
    let is_operand = |token: Token<'_>| match token.kind {
        Kind::Symbol => token.is(")"),
        Kind::Word => !token.is_one_of(KEYWORDS),
        _ => true,
    };
    second.is_some_and(|sign| sign.is("-")) && !first.is_some_and(is_operand)
}

fn rounded(literal: &str, is_exact: bool, is_negated: bool) -> Option<String> {
    let digits = literal.replace('_', "");
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let fits =
            digits.parse::<i64>().is_ok() || (is_negated && digits.trim_start_matches('0') == MIN_INTEGER_DIGITS);
        return (!fits).then(|| format!("the integer {literal} needs more than 64 bits, and SQLite would round it"));
    }
    // SQLite itself refuses hexadecimal numbers of more than 64 bits
    let is_decimal = digits.parse::<f64>().is_ok();
    (is_exact && is_decimal && significant_digits(&digits) > MAX_DIGITS as usize).then(|| {
        format!("the number {literal} has more than {MAX_DIGITS} significant digits, and SQLite would round it")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_sqlite_would_round_are_found() {
        for (text, is_exact, at) in [
            ("SELECT 9223372036854775808", false, Some(7)),
            ("SELECT 5 - 9223372036854775808", false, Some(11)),
            ("SELECT (a)-9223372036854775808", false, Some(11)),
            ("SELECT -9223372036854775809", false, Some(8)),
            ("SELECT 1, -- 99999999999999999999\n 18_446_744_073_709_551_616", false, Some(35)),
            ("SELECT 0.1234567890123456", true, Some(7)),
            ("SELECT 1234567890123456.0e3", true, Some(7)),
            ("SELECT 0.1234567890123456", false, None),
            ("SELECT -9223372036854775808, (-9223372036854775808), 9223372036854775807", true, None),
            ("SELECT '99999999999999999999', \"99999999999999999999\", x'99999999999999999999'", true, None),
            (
                "SELECT 0.123456789012345, 1e300, 0xffffffffffffffff, 1.500000000000000000, 000000000000000000001",
                true,
                None,
            ),
        ] {
            assert_eq!(rounded_literal(text, is_exact).map(|literal| literal.at), at, "{text}");
        }
    }
}
