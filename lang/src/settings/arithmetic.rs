//! Arithmetic of `!timeout` and `@`: numbers and `+ - * / // % ** ( )`, with the results that Python gives.
//!
//! Integers stay integers where Python's do. All operations are checked: a result that does not fit, a division by zero or a
//! megabyte of parentheses is an error.

use crate::source::Span;

/// Most levels of parentheses, signs and powers inside each other.
const MAX_DEPTH: u32 = 64;

/// Why a text has no value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ArithmeticError {
    /// Within the text.
    pub(crate) span: Span,
    pub(crate) message: String,
    /// Whether the text is arithmetic, and only computing it failed.
    pub(crate) is_valid: bool,
}

/// The value of an expression.
pub(crate) fn evaluate(text: &str) -> Result<f64, ArithmeticError> {
    let mut reader = Reader { text, at: 0, depth: 0 };
    let value = reader.sum()?;
    reader.skip_blanks();
    match reader.rest().chars().next() {
        None => Ok(value.float()),
        Some(found) => Err(reader.invalid(format!("`{found}` is unexpected here"))),
    }
}

#[derive(Clone, Copy, Debug)]
enum Number {
    Int(i128),
    Float(f64),
}

impl Number {
    #[expect(clippy::cast_precision_loss, reason = "Python's int to float conversion rounds as well")]
    fn float(self) -> f64 {
        match self {
            Self::Int(int) => int as f64,
            Self::Float(float) => float,
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: u32,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip_blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    /// Consumes the first of these operators that is next; longer operators come first in the list.
    fn sign(&mut self, signs: &[&'static str]) -> Option<&'static str> {
        self.skip_blanks();
        let sign = signs.iter().find(|sign| self.rest().starts_with(**sign))?;
        self.at += sign.len();
        Some(sign)
    }

    fn invalid(&self, message: String) -> ArithmeticError {
        let length = self.rest().chars().next().map_or(0, char::len_utf8);
        ArithmeticError { span: Span::new(self.at, self.at + length), message, is_valid: false }
    }

    fn sum(&mut self) -> Result<Number, ArithmeticError> {
        let start = self.at;
        let mut left = self.product()?;
        while let Some(sign) = self.sign(&["+", "-"]) {
            let right = self.product()?;
            left = self.result(start, add(sign, left, right))?;
        }
        Ok(left)
    }

    fn product(&mut self) -> Result<Number, ArithmeticError> {
        let start = self.at;
        let mut left = self.signed()?;
        while !self.power_ahead() {
            let Some(sign) = self.sign(&["//", "*", "/", "%"]) else { break };
            let right = self.signed()?;
            left = self.result(start, multiply(sign, left, right))?;
        }
        Ok(left)
    }

    fn power_ahead(&mut self) -> bool {
        self.skip_blanks();
        self.rest().starts_with("**")
    }

    /// `-2**2` is `-(2**2)`.
    fn signed(&mut self) -> Result<Number, ArithmeticError> {
        match self.sign(&["+", "-"]) {
            Some("-") => {
                let start = self.at;
                let value = self.nested(Self::signed)?;
                self.result(start, multiply("*", Number::Int(-1), value))
            }
            Some(_) => self.nested(Self::signed),
            None => self.power(),
        }
    }

    /// `2**3**2` is `2**(3**2)`.
    fn power(&mut self) -> Result<Number, ArithmeticError> {
        let start = self.at;
        let base = self.atom()?;
        if self.sign(&["**"]).is_none() {
            return Ok(base);
        }
        let exponent = self.nested(Self::signed)?;
        self.result(start, raise(base, exponent))
    }

    fn atom(&mut self) -> Result<Number, ArithmeticError> {
        if self.sign(&["("]).is_some() {
            let opening = self.at - 1;
            let value = self.nested(Self::sum)?;
            return match self.sign(&[")"]) {
                Some(_) => Ok(value),
                None => Err(self.unclosed(opening)),
            };
        }
        self.literal()
    }

    fn unclosed(&self, opening: usize) -> ArithmeticError {
        match self.rest().chars().next() {
            Some(found) => self.invalid(format!("`{found}` is unexpected here")),
            None => ArithmeticError {
                span: Span::new(opening, opening + 1),
                message: "this `(` is never closed".into(),
                is_valid: false,
            },
        }
    }

    fn literal(&mut self) -> Result<Number, ArithmeticError> {
        let start = self.at;
        let rest = self.rest();
        let length = rest.find(|char: char| !char.is_ascii_digit() && char != '.').unwrap_or(rest.len());
        let digits = rest.get(..length).unwrap_or_default();
        let value = match digits.contains('.') {
            true => digits.parse().ok().map(Number::Float),
            false => digits.parse().ok().map(Number::Int),
        };
        if digits.is_empty() {
            return Err(self.invalid(self.missing_number()));
        }
        self.at += length;
        let span = Span::new(start, self.at);
        value.ok_or_else(|| ArithmeticError {
            span,
            message: "this number cannot be represented".into(),
            is_valid: false,
        })
    }

    fn missing_number(&self) -> String {
        match self.rest().chars().next() {
            Some(found) => format!("expected a number, found `{found}`"),
            None => "expected a number at the end".into(),
        }
    }

    fn nested(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<Number, ArithmeticError>,
    ) -> Result<Number, ArithmeticError> {
        if self.depth == MAX_DEPTH {
            return Err(self.invalid(format!("nested deeper than {MAX_DEPTH} levels")));
        }
        self.depth += 1;
        let value = read(self);
        self.depth -= 1;
        value
    }

    fn result(&self, start: usize, value: Result<Number, &'static str>) -> Result<Number, ArithmeticError> {
        let text = self.text.get(start..self.at).unwrap_or_default();
        let start = start + (text.len() - text.trim_start().len());
        let span = Span::new(start, self.at);
        value.and_then(usable).map_err(|message| ArithmeticError { span, message: message.into(), is_valid: true })
    }
}

const TOO_LARGE: &str = "this is too large to compute";
const BY_ZERO: &str = "this divides by zero";

fn usable(value: Number) -> Result<Number, &'static str> {
    match value {
        Number::Float(float) if !float.is_finite() => Err(TOO_LARGE),
        value => Ok(value),
    }
}

fn add(sign: &str, left: Number, right: Number) -> Result<Number, &'static str> {
    let minus = sign == "-";
    match (left, right) {
        (Number::Int(a), Number::Int(b)) => {
            let sum = if minus { a.checked_sub(b) } else { a.checked_add(b) };
            sum.map(Number::Int).ok_or(TOO_LARGE)
        }
        (a, b) => Ok(Number::Float(if minus { a.float() - b.float() } else { a.float() + b.float() })),
    }
}

fn multiply(sign: &str, left: Number, right: Number) -> Result<Number, &'static str> {
    if sign != "*" && right.float() == 0.0 {
        return Err(BY_ZERO);
    }
    match (left, right) {
        (Number::Int(a), Number::Int(b)) if sign != "/" => whole(sign, a, b).map(Number::Int).ok_or(TOO_LARGE),
        (a, b) => Ok(Number::Float(fractional(sign, a.float(), b.float()))),
    }
}

fn whole(sign: &str, a: i128, b: i128) -> Option<i128> {
    match sign {
        "*" => a.checked_mul(b),
        "//" => Some(floor_div(a, b.checked_abs()?, b)?),
        _ => a.checked_sub(floor_div(a, b.checked_abs()?, b)?.checked_mul(b)?),
    }
}

/// Rounds down, as Python does, and not towards zero.
fn floor_div(a: i128, size: i128, b: i128) -> Option<i128> {
    let a = if b < 0 { a.checked_neg()? } else { a };
    a.checked_div_euclid(size)
}

fn fractional(sign: &str, a: f64, b: f64) -> f64 {
    match sign {
        "*" => a * b,
        "/" => a / b,
        "//" => (a / b).floor(),
        _ => a - (a / b).floor() * b,
    }
}

fn raise(base: Number, exponent: Number) -> Result<Number, &'static str> {
    match (base, exponent) {
        (Number::Int(base), Number::Int(exponent)) if exponent >= 0 => {
            let exponent = u32::try_from(exponent).map_err(|_| TOO_LARGE)?;
            base.checked_pow(exponent).map(Number::Int).ok_or(TOO_LARGE)
        }
        (base, exponent) if base.float() == 0.0 && exponent.float() < 0.0 => Err(BY_ZERO),
        (base, exponent) => {
            let value = base.float().powf(exponent.float());
            if value.is_nan() { Err("this is not a real number") } else { Ok(Number::Float(value)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> f64 {
        evaluate(text).expect(text)
    }

    fn message(text: &str) -> String {
        evaluate(text).expect_err("no value").message
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "the same operations on the same numbers")]
    fn arithmetic_is_pythons() {
        for (text, expected) in [
            ("20 * 60", 1200.0),
            ("60**2 * 5 / (1 % 2) // (1 + 1 - 1)", 18000.0),
            ("60 / 7", 60.0 / 7.0),
            ("-2**2", -4.0),
            ("2**3**2", 512.0),
            ("2**-1", 0.5),
            ("-7 // 2", -4.0),
            ("7 // -2", -4.0),
            ("-7 % 3", 2.0),
            ("7 % -3", -2.0),
            ("1.5 + .5", 2.0),
            ("((((1))))", 1.0),
            ("+5", 5.0),
            ("10**20 % 7", 2.0),
            ("8 ** .5 * 8 ** .5 // 1", 8.0),
        ] {
            assert_eq!(value(text), expected, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_computed_is_an_error() {
        assert_eq!(message("9**9**9"), TOO_LARGE);
        assert_eq!(message("1/0"), BY_ZERO);
        assert_eq!(message("1 // (2 - 2)"), BY_ZERO);
        assert_eq!(message("0 ** -1"), BY_ZERO);
        assert_eq!(message("(0-8) ** .5"), "this is not a real number");
    }

    #[test]
    fn invalid_text_is_an_error() {
        for text in ["", "5min", "1 +", "(1", "1)", "1 1", "1..2", "x", "1 ** ", "* 2", "é", "1e5"] {
            assert!(!evaluate(text).expect_err(text).is_valid, "{text}");
        }
    }

    #[test]
    fn depth_is_bounded_whatever_the_length() {
        for sign in ["(", "-", "2**", "+(-"] {
            assert!(message(&sign.repeat(300_000)).starts_with("nested"), "{sign}");
        }
    }
}
