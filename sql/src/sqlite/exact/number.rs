//! A number of SQLite as an exact decimal, and exact arithmetic.

use bue_model::Decimal;
use rusqlite::types::ValueRef;

/// Significant digits that every float keeps.
pub(in crate::sqlite) const MAX_DIGITS: u32 = 15;

/// The exponent of a decimal's first digit is at most this, in either direction: floats beyond lose digits.
const MAX_ADJUSTED: i32 = 300;

/// A float represents integers up to 2^53 exactly.
const FLOAT_BITS: u32 = 53;

/// `mantissa * 10^exponent`; the mantissa does not end in a zero, and zero has the exponent 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sqlite) struct Exact {
    pub(super) mantissa: i128,
    pub(super) exponent: i32,
}

/// A value, as arithmetic treats it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Null,
    Int(i64),
    /// A float that is a decimal of at most 15 digits.
    Decimal(Exact),
    /// Any other float: a quotient, a measurement, an infinity.
    Float(f64),
}

/// An arithmetic operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Sub,
    Mul,
    Rem,
}

impl Operator {
    const fn symbol(self) -> char {
        match self {
            Self::Add => '+',
            Self::Sub => '-',
            Self::Mul => '*',
            Self::Rem => '%',
        }
    }
}

impl Exact {
    /// Removes trailing zeros.
    pub(super) const fn new(mut mantissa: i128, mut exponent: i32) -> Self {
        if mantissa == 0 {
            return Self { mantissa: 0, exponent: 0 };
        }
        while mantissa % 10 == 0 {
            mantissa /= 10;
            exponent = exponent.saturating_add(1);
        }
        Self { mantissa, exponent }
    }

    /// `None` if it has more digits than arithmetic can hold.
    pub(in crate::sqlite) fn from_decimal(decimal: &Decimal) -> Option<Self> {
        let zero = decimal.mantissa.bits() == 0;
        let exponent = if zero { 0 } else { i32::try_from(decimal.exponent).ok()? };
        Some(Self::new(i128::try_from(&decimal.mantissa).ok()?, exponent))
    }

    pub(in crate::sqlite) fn to_decimal(self) -> Decimal {
        // 1E+2 is written 100, as SQLite writes it
        match u32::try_from(self.exponent) {
            Ok(zeros) if zeros <= MAX_DIGITS => {
                Decimal { mantissa: (self.mantissa * 10_i128.pow(zeros)).into(), exponent: 0 }
            }
            _ => Decimal { mantissa: self.mantissa.into(), exponent: self.exponent.into() },
        }
    }

    /// The decimal that is the shortest text of a finite float; it has at most 17 digits.
    pub(super) fn shortest(number: f64) -> Option<Self> {
        let text = number.is_finite().then(|| format!("{number:e}"))?;
        let (digits, exponent) = text.split_once('e')?;
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let scale = i32::try_from(fraction.len()).ok()?;
        Some(Self::new(format!("{whole}{fraction}").parse().ok()?, exponent.parse::<i32>().ok()? - scale))
    }

    /// The decimal that a float stands for; `None` if it does not stand for one.
    pub(in crate::sqlite) fn from_float(number: f64) -> Option<Self> {
        Self::shortest(number).filter(|exact| exact.fits())
    }

    /// The float that stands for this decimal, and for no other number; `None` if there is none.
    pub(in crate::sqlite) fn to_float(self) -> Option<f64> {
        self.fits().then(|| self.nearest_float())
    }

    pub(super) fn nearest_float(self) -> f64 {
        // parsing never fails and rounds correctly
        format!("{}e{}", self.mantissa, self.exponent).parse().unwrap_or(f64::NAN)
    }

    pub(in crate::sqlite) const fn digits(self) -> u32 {
        match self.mantissa.unsigned_abs().checked_ilog10() {
            Some(log) => log + 1,
            None => 1,
        }
    }

    /// Has it at most 15 digits, and is it equal to an integer exactly if its float is?
    fn fits(self) -> bool {
        let digits = self.digits();
        let adjusted = self.exponent.saturating_add(digits.cast_signed()) - 1;
        digits <= MAX_DIGITS
            && adjusted.abs() <= MAX_ADJUSTED
            && (adjusted < MAX_DIGITS.cast_signed() || self.is_exact_float())
    }

    /// Is an integer so small, or so often divisible by two, that a float represents it exactly?
    fn is_exact_float(self) -> bool {
        let fives = u32::try_from(self.exponent).ok().and_then(|power| 5_i128.checked_pow(power));
        let odd = fives.and_then(|fives| fives.checked_mul(self.mantissa)).map(i128::unsigned_abs);
        odd.is_some_and(|odd| odd == 0 || odd.ilog2() - odd.trailing_zeros() < FLOAT_BITS)
    }

    fn checked(self, operator: Operator, other: Self) -> Option<Self> {
        match operator {
            Operator::Mul => {
                let mantissa = self.mantissa.checked_mul(other.mantissa)?;
                Some(Self::new(mantissa, self.exponent.checked_add(other.exponent)?))
            }
            Operator::Rem => {
                let exponent = self.exponent.min(other.exponent);
                Some(Self::new(self.scaled(exponent)?.checked_rem(other.scaled(exponent)?)?, exponent))
            }
            Operator::Sub => self.checked(Operator::Add, Self { mantissa: other.mantissa.checked_neg()?, ..other }),
            Operator::Add if self.mantissa == 0 => Some(other),
            Operator::Add if other.mantissa == 0 => Some(self),
            Operator::Add => {
                let exponent = self.exponent.min(other.exponent);
                let sum = self.scaled(exponent)?.checked_add(other.scaled(exponent)?)?;
                Some(Self::new(sum, exponent))
            }
        }
    }

    /// The mantissa for a smaller exponent.
    fn scaled(self, exponent: i32) -> Option<i128> {
        let zeros = u32::try_from(self.exponent.checked_sub(exponent)?).ok()?;
        self.mantissa.checked_mul(10_i128.checked_pow(zeros)?)
    }

    /// Rounds to this many digits after the point, half away from zero.
    pub(super) fn rounded(self, places: u32) -> Self {
        let cut = (-i64::from(self.exponent)) - i64::from(places);
        let Ok(cut) = u32::try_from(cut) else { return self };
        let Some(unit) = 10_i128.checked_pow(cut).filter(|_| cut > 0) else {
            return if cut == 0 { self } else { Self::new(0, 0) };
        };
        let (quotient, rest) = (self.mantissa / unit, self.mantissa % unit);
        let away = i128::from(rest.abs() * 2 >= unit) * self.mantissa.signum();
        Self::new(quotient + away, self.exponent.saturating_add(cut.cast_signed()))
    }
}

impl Number {
    /// # Errors
    /// A text that is a decimal of more than 15 digits.
    pub(super) fn from_value(value: ValueRef<'_>) -> Result<Self, String> {
        match value {
            ValueRef::Null => Ok(Self::Null),
            ValueRef::Integer(number) => Ok(Self::Int(number)),
            ValueRef::Real(number) => Ok(Self::from_float(number)),
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Self::from_text(bytes),
        }
    }

    /// The value as SQLite's own operators treat it: its floats stand for no decimals.
    pub(super) fn plain(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(number) => Self::Int(number),
            ValueRef::Real(number) => Self::Float(number),
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                let text = String::from_utf8_lossy(bytes);
                let digits = leading_number(&text);
                let float = || Self::Float(digits.parse().unwrap_or_default());
                if digits.is_empty() { Self::Int(0) } else { digits.parse().map_or_else(|_| float(), Self::Int) }
            }
        }
    }

    pub(super) fn from_float(number: f64) -> Self {
        Exact::from_float(number).map_or(Self::Float(number), Self::Decimal)
    }

    /// The number that a text begins with, as SQLite reads it; 0 if it begins with none.
    fn from_text(bytes: &[u8]) -> Result<Self, String> {
        let text = String::from_utf8_lossy(bytes);
        let text = leading_number(&text);
        if text.is_empty() {
            return Ok(Self::Int(0));
        }
        if let Ok(number) = text.parse() {
            return Ok(Self::Int(number));
        }
        let number: f64 = text.parse().unwrap_or_default();
        match Self::from_float(number) {
            decimal @ Self::Decimal(_) if significant_digits(text) <= MAX_DIGITS as usize => Ok(decimal),
            _ => Err(format!("the text {text:?} is a number of more than {MAX_DIGITS} significant digits")),
        }
    }

    pub(super) fn as_float(self) -> f64 {
        match self {
            Self::Null => 0.0,
            #[expect(clippy::cast_precision_loss, reason = "SQLite rounds too where a float is involved")]
            Self::Int(number) => number as f64,
            Self::Decimal(exact) => exact.nearest_float(),
            Self::Float(number) => number,
        }
    }

    /// `None` for a float that stands for no decimal.
    pub(super) fn exact(self) -> Option<Exact> {
        match self {
            Self::Null | Self::Float(_) => None,
            Self::Int(number) => Some(Exact::new(number.into(), 0)),
            Self::Decimal(exact) => Some(exact),
        }
    }
}

/// The value of `left operator right`: an integer of integers, the exact decimal of decimals, and a float if one is a float
/// that stands for no decimal.
///
/// # Errors
/// The result cannot be held exactly.
pub(super) fn calculate(left: Number, operator: Operator, right: Number) -> Result<Number, String> {
    match (left, right) {
        (Number::Null, _) | (_, Number::Null) => Ok(Number::Null),
        // as in SQLite
        (_, right) if operator == Operator::Rem && right.as_float() == 0.0 => Ok(Number::Null),
        (Number::Int(left), Number::Int(right)) => {
            let result = match operator {
                Operator::Add => left.checked_add(right),
                Operator::Sub => left.checked_sub(right),
                Operator::Mul => left.checked_mul(right),
                Operator::Rem => Some(left.wrapping_rem(right)),
            };
            let overflow = || format!("integer overflow: {left} {} {right} needs more than 64 bits", operator.symbol());
            result.map(Number::Int).ok_or_else(overflow)
        }
        _ => match (left.exact(), right.exact()) {
            (Some(left), Some(right)) => {
                let result = left.checked(operator, right).filter(|result| result.fits());
                result.map(Number::Decimal).ok_or_else(|| inexact(left, operator, right))
            }
            _ => Ok(Number::Float(float_result(left.as_float(), operator, right.as_float()))),
        },
    }
}

fn float_result(left: f64, operator: Operator, right: f64) -> f64 {
    match operator {
        Operator::Add => left + right,
        Operator::Sub => left - right,
        Operator::Mul => left * right,
        Operator::Rem => left % right,
    }
}

fn inexact(left: Exact, operator: Operator, right: Exact) -> String {
    let (left, right) = (left.to_decimal(), right.to_decimal());
    too_many_digits(&format!("the result of {left} {} {right}", operator.symbol()))
}

/// Explains a result that would be rounded.
pub(super) fn too_many_digits(what: &str) -> String {
    format!(
        "{what} has more than {MAX_DIGITS} significant digits, and SQLite would round it; round the values first, as in \
         round(x, 2), or use a postgres step, whose `numeric` holds it"
    )
}

/// The number at the beginning of a text; empty if there is none.
fn leading_number(text: &str) -> &str {
    let text = text.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    text.get(..number_len(text.as_bytes())).unwrap_or_default()
}

/// The length of the number at the beginning of a text.
fn number_len(text: &[u8]) -> usize {
    let digits = |from: usize| text.iter().skip(from).take_while(|byte| byte.is_ascii_digit()).count();
    let sign = usize::from(matches!(text.first(), Some(b'+' | b'-')));
    let whole = digits(sign);
    let mut end = sign + whole;
    let mut fraction = 0;
    if text.get(end) == Some(&b'.') {
        fraction = digits(end + 1);
        end += 1 + fraction;
    }
    if whole + fraction == 0 {
        return 0;
    }
    if matches!(text.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(text.get(end + 1), Some(b'+' | b'-')));
        let exponent = digits(end + 1 + sign);
        end += if exponent == 0 { 0 } else { 1 + sign + exponent };
    }
    end
}

/// The significant digits of a number's text, without zeros at either end.
pub(super) fn significant_digits(text: &str) -> usize {
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    digits.trim_matches('0').len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        Number::from_float(text.parse().expect("a float"))
    }

    fn exact(text: &str) -> Exact {
        match number(text) {
            Number::Decimal(exact) => exact,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn floats_stand_for_decimals_of_fifteen_digits() {
        for (text, mantissa, exponent) in [
            ("0", 0, 0),
            ("-0.0", 0, 0),
            ("9.50", 95, -1),
            ("100", 1, 2),
            ("-123456789012.345", -123_456_789_012_345, -3),
            ("1e-300", 1, -300),
            ("1e20", 1, 20),
        ] {
            assert_eq!(exact(text), Exact { mantissa, exponent }, "{text}");
            assert_eq!(exact(text).to_float(), text.parse().ok(), "{text}");
        }
        // 17 digits; out of range; an integer that the float of these digits is not equal to
        for text in ["0.30000000000000004", "1e-301", "1e301", "inf", "NaN", "1.23456789012345e17", "1e23"] {
            assert!(matches!(number(text), Number::Float(_)), "{text}");
        }
    }

    #[test]
    fn arithmetic_is_exact_or_fails() {
        use Operator as O;
        for (left, operator, right, result) in [
            ("0.1", O::Add, "0.2", "0.3"),
            ("100.3", O::Sub, "100.1", "0.2"),
            ("1.1", O::Mul, "1.1", "1.21"),
            ("0", O::Add, "1e-200", "1e-200"),
            ("1e20", O::Sub, "1e20", "0"),
            ("9.5", O::Rem, "2", "1.5"),
            ("-9.5", O::Rem, "0.3", "-0.2"),
        ] {
            let got = calculate(number(left), operator, number(right));
            assert_eq!(got, Ok(number(result)), "{left} {operator:?} {right}");
        }
        for (left, operator, right) in
            [("123456789012345", O::Add, "0.1"), ("1e20", O::Add, "1e-20"), ("1.23456789", O::Mul, "1.23456789")]
        {
            let got = calculate(number(left), operator, number(right));
            assert!(got.is_err_and(|reason| reason.contains("15 significant digits")), "{left} {operator:?} {right}");
        }
        assert!(calculate(Number::Int(i64::MAX), O::Add, Number::Int(1)).is_err());
        assert_eq!(calculate(Number::Int(7), O::Rem, Number::Int(0)), Ok(Number::Null));
        assert_eq!(calculate(Number::Int(i64::MIN), O::Rem, Number::Int(-1)), Ok(Number::Int(0)));
        assert_eq!(calculate(Number::Null, O::Mul, Number::Int(1)), Ok(Number::Null));
    }

    #[test]
    fn texts_are_numbers_as_in_sqlite() {
        for (text, expected) in [
            ("12abc", Number::Int(12)),
            ("", Number::Int(0)),
            ("abc", Number::Int(0)),
            (" -7", Number::Int(-7)),
            ("9.5e1x", Number::Decimal(Exact { mantissa: 95, exponent: 0 })),
            (".5", Number::Decimal(Exact { mantissa: 5, exponent: -1 })),
            ("1e", Number::Int(1)),
        ] {
            assert_eq!(Number::from_text(text.as_bytes()), Ok(expected), "{text}");
        }
        assert!(Number::from_text(b"0.1234567890123456").is_err());
        assert!(Number::from_text(b"18446744073709551616").is_err());
    }

    #[test]
    fn halves_are_rounded_away_from_zero() {
        for (text, places, expected) in
            [("2.675", 2, "2.68"), ("-2.5", 0, "-3"), ("0.4", 0, "0"), ("1e-200", 30, "0"), ("12.3", 5, "12.3")]
        {
            assert_eq!(exact(text).rounded(places), exact(expected), "{text}");
        }
    }
}
