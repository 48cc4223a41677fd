//! The sum of a column, exact as long as its values are.

use num_bigint::BigInt;

use super::number::{Exact, Number};

/// A sum to which values are added and from which they are removed, as a window moves.
#[derive(Default)]
pub(super) struct Sum {
    /// The sum of the integers and decimals: `mantissa * 10^exponent`.
    mantissa: BigInt,
    exponent: i32,
    /// The sum of the finite floats that stand for no decimal, and what rounding lost of it (Neumaier's algorithm).
    floats: f64,
    lost: f64,
    /// How many values of each kind are in it.
    integers: u64,
    decimals: u64,
    finite_floats: u64,
    infinities: [u64; 2],
}

/// What a sum is.
#[derive(Debug, PartialEq)]
pub(super) enum Total {
    /// There are no values.
    Empty,
    /// All values are integers.
    Integer(BigInt),
    /// All values are integers and decimals.
    Decimal(BigInt, i32),
    /// Some value is a float that stands for no decimal.
    Float(f64),
}

impl Sum {
    pub(super) fn add(&mut self, number: Number) {
        self.change(number, true);
    }

    pub(super) fn remove(&mut self, number: Number) {
        self.change(number, false);
    }

    fn change(&mut self, number: Number, is_added: bool) {
        let count = match number {
            Number::Null => return,
            Number::Int(_) => &mut self.integers,
            Number::Decimal(_) => &mut self.decimals,
            Number::Float(float) if float.is_finite() => &mut self.finite_floats,
            Number::Float(float) => {
                let [negative, positive] = &mut self.infinities;
                if float > 0.0 { positive } else { negative }
            }
        };
        *count = if is_added { count.saturating_add(1) } else { count.saturating_sub(1) };
        match (number, number.exact()) {
            (_, Some(exact)) => self.change_exact(exact, is_added),
            (Number::Float(float), None) if float.is_finite() => self.add_float(if is_added { float } else { -float }),
            _ => {}
        }
    }

    fn change_exact(&mut self, exact: Exact, is_added: bool) {
        if exact.mantissa == 0 {
            return;
        }
        let exponent = self.exponent.min(exact.exponent);
        self.mantissa *= power_of_ten(self.exponent, exponent);
        self.exponent = exponent;
        let mantissa = BigInt::from(exact.mantissa) * power_of_ten(exact.exponent, exponent);
        if is_added {
            self.mantissa += mantissa;
        } else {
            self.mantissa -= mantissa;
        }
    }

    fn add_float(&mut self, float: f64) {
        let sum = self.floats + float;
        let (large, small) = if self.floats.abs() >= float.abs() { (self.floats, float) } else { (float, self.floats) };
        self.lost += (large - sum) + small;
        self.floats = sum;
    }

    /// The sum, if all values are integers; the exponent may be that of a decimal that was removed.
    fn integer(&self) -> BigInt {
        &self.mantissa / power_of_ten(0, self.exponent)
    }

    /// How many values it has.
    pub(super) const fn count(&self) -> u64 {
        self.integers + self.decimals + self.finite_floats + self.infinities[0] + self.infinities[1]
    }

    pub(super) fn total(&self) -> Total {
        match self.infinities {
            [0, 0] if self.count() == 0 => Total::Empty,
            [0, 0] if self.finite_floats > 0 => {
                Total::Float(nearest(&self.mantissa, self.exponent) + self.floats + self.lost)
            }
            [0, 0] if self.decimals > 0 => Total::Decimal(self.mantissa.clone(), self.exponent),
            [0, 0] => Total::Integer(self.integer()),
            [0, _] => Total::Float(f64::INFINITY),
            [_, 0] => Total::Float(f64::NEG_INFINITY),
            [_, _] => Total::Float(f64::NAN),
        }
    }
}

impl Total {
    /// The float nearest to it.
    pub(super) fn as_float(&self) -> f64 {
        match self {
            Self::Empty => 0.0,
            Self::Integer(number) => nearest(number, 0),
            Self::Decimal(mantissa, exponent) => nearest(mantissa, *exponent),
            Self::Float(number) => *number,
        }
    }

    /// It as a decimal; `None` if it is none of so few digits that arithmetic can hold them.
    pub(super) fn as_exact(&self) -> Option<Exact> {
        let (mantissa, exponent) = match self {
            Self::Empty | Self::Float(_) => return None,
            Self::Integer(number) => (number, 0),
            Self::Decimal(mantissa, exponent) => (mantissa, *exponent),
        };
        Some(Exact::new(i128::try_from(mantissa).ok()?, exponent))
    }
}

fn nearest(mantissa: &BigInt, exponent: i32) -> f64 {
    format!("{mantissa}e{exponent}").parse().unwrap_or(f64::NAN)
}

/// `10^(from - to)`, for the mantissa of a number whose exponent becomes smaller.
fn power_of_ten(from: i32, to: i32) -> BigInt {
    BigInt::from(10).pow(u32::try_from(i64::from(from) - i64::from(to)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(numbers: &[f64]) -> Sum {
        let mut sum = Sum::default();
        numbers.iter().for_each(|number| sum.add(Number::from_float(*number)));
        sum
    }

    #[test]
    fn a_sum_is_exact_whatever_is_added_and_removed() {
        let mut cents = sum(&[0.1; 10]);
        assert_eq!(cents.total().as_exact(), Some(Exact::new(1, 0)));
        cents.add(Number::from_float(1e300));
        cents.add(Number::from_float(f64::INFINITY));
        cents.add(Number::from_float(0.1 + 0.2));
        assert_eq!(cents.total(), Total::Float(f64::INFINITY));
        cents.remove(Number::from_float(f64::INFINITY));
        cents.remove(Number::from_float(1e300));
        assert_eq!(cents.total(), Total::Float(1.3));
        cents.remove(Number::from_float(0.1 + 0.2));
        assert_eq!(cents.total().as_exact(), Some(Exact::new(1, 0)));
        assert_eq!(cents.count(), 10);
    }

    #[test]
    fn integers_stay_integers() {
        let mut sum = Sum::default();
        assert_eq!(sum.total(), Total::Empty);
        sum.add(Number::Int(i64::MAX));
        sum.add(Number::Int(1));
        sum.add(Number::Null);
        assert_eq!(sum.total(), Total::Integer(BigInt::from(1_u64 << 63)));
        sum.add(Number::from_float(0.5));
        assert!(matches!(sum.total(), Total::Decimal(..)));
        sum.remove(Number::from_float(0.5));
        assert_eq!(sum.total(), Total::Integer(BigInt::from(1_u64 << 63)));
    }
}
