//! PostgreSQL's `numeric` in binary form: groups of four decimal digits.

use bue_model::Decimal;

/// Digits before the point at most, and after it.
const MAX_INTEGER_DIGITS: i64 = 131_072;
const MAX_FRACTION_DIGITS: i64 = 16_383;

/// Bits of an integer with [`MAX_INTEGER_DIGITS`] digits. A larger one is not converted to text, which would take long.
pub(super) const MAX_BITS: u64 = 435_411;

/// Returns whether a decimal is in the range of `numeric`.
pub(super) fn fits(decimal: &Decimal) -> bool {
    // a digit takes 3.32 bits, so this admits a few too many: the server decides
    let digits = i64::try_from(decimal.mantissa.bits() / 3 + 1).unwrap_or(i64::MAX);
    decimal.mantissa.bits() <= MAX_BITS
        && decimal.exponent >= -MAX_FRACTION_DIGITS
        && decimal.exponent.saturating_add(digits) <= MAX_INTEGER_DIGITS
}

/// Returns the binary form of a number in plain notation: an optional minus, digits, at most one point. `None` if the text
/// is not a number.
pub(super) fn to_binary(text: &str) -> Option<Vec<u8>> {
    match text {
        "NaN" => return Some(special(0xC000)),
        "inf" => return Some(special(0xD000)),
        "-inf" => return Some(special(0xF000)),
        _ => {}
    }
    let (sign, text) = text.strip_prefix('-').map_or((0_u16, text), |rest| (0x4000, rest));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (groups, weight) = groups(whole, fraction);
    let scale = u16::try_from(fraction.len()).ok()?;
    let mut bytes = Vec::with_capacity(8 + groups.len() * 2);
    for word in [u16::try_from(groups.len()).ok()?, weight.cast_unsigned(), sign, scale] {
        bytes.extend_from_slice(&word.to_be_bytes());
    }
    groups.iter().for_each(|group| bytes.extend_from_slice(&group.to_be_bytes()));
    Some(bytes)
}

fn special(sign: u16) -> Vec<u8> {
    [0, 0, sign, 0].into_iter().flat_map(u16::to_be_bytes).collect()
}

/// Returns the groups without zeros at either end, and the weight of the first: its power of 10,000.
fn groups(whole: &str, fraction: &str) -> (Vec<u16>, i16) {
    let front = "0".repeat((4 - whole.len() % 4) % 4);
    let back = "0".repeat((4 - fraction.len() % 4) % 4);
    let digits = [front.as_str(), whole, fraction, &back].concat();
    let group = |digits: &[u8]| digits.iter().fold(0, |sum: u16, digit| sum * 10 + u16::from(digit - b'0'));
    let all: Vec<u16> = digits.as_bytes().chunks(4).map(group).collect();
    let leading = all.iter().take_while(|group| **group == 0).count();
    let trailing = all.iter().skip(leading).rev().take_while(|group| **group == 0).count();
    let kept = all.get(leading..all.len() - trailing).unwrap_or_default().to_vec();
    let first = i64::try_from((front.len() + whole.len()) / 4).unwrap_or(i64::MAX) - 1;
    let weight = first.saturating_sub(i64::try_from(leading).unwrap_or(i64::MAX));
    (kept, i16::try_from(weight).unwrap_or(i16::MAX))
}

/// Writes a decimal in plain notation, without an exponent.
pub(super) fn to_digits(decimal: &Decimal) -> String {
    let digits = decimal.mantissa.to_string();
    let (minus, digits) = digits.strip_prefix('-').map_or(("", digits.as_str()), |rest| ("-", rest));
    let scale = usize::try_from(decimal.exponent.unsigned_abs()).unwrap_or(usize::MAX);
    if decimal.exponent >= 0 {
        return format!("{minus}{digits}{}", "0".repeat(scale));
    }
    let zeros = "0".repeat((scale + 1).saturating_sub(digits.len()));
    let digits = format!("{zeros}{digits}");
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    format!("{minus}{whole}.{fraction}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_written_out() {
        for (mantissa, exponent, text) in
            [(150, -2, "1.50"), (-5, -3, "-0.005"), (12, 3, "12000"), (0, 0, "0"), (0, -2, "0.00"), (-7, 0, "-7")]
        {
            assert_eq!(to_digits(&Decimal { mantissa: mantissa.into(), exponent }), text);
        }
    }

    #[test]
    fn groups_are_of_four_digits_around_the_point() {
        assert_eq!(groups("12345", "6"), (vec![1, 2345, 6000], 1));
        assert_eq!(groups("0", "00012"), (vec![1, 2000], -1));
        assert_eq!(groups("10000", ""), (vec![1], 1));
        assert_eq!(groups("0", ""), (vec![], -1));
        assert_eq!(to_binary("1e5"), None);
    }

    #[test]
    fn a_number_out_of_range_is_not_a_numeric() {
        for (exponent, fits_in) in [(0, true), (131_000, true), (i64::MAX, false), (-16_383, true), (i64::MIN, false)] {
            assert_eq!(fits(&Decimal { mantissa: 1.into(), exponent }), fits_in, "{exponent}");
        }
    }
}
