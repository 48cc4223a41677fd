//! Functions of a step with decimals.

use num_bigint::BigInt;
use rusqlite::functions::{Aggregate, Context, FunctionFlags, WindowAggregate};
use rusqlite::types::Value as SqlValue;
use rusqlite::{Connection, Error, Result};

use super::format;
use super::number::{Exact, Number, Operator, calculate, too_many_digits};
use super::sum::{Sum, Total};

/// Digits after the point that `round` keeps at most, as in SQLite.
const MAX_PLACES: i64 = 30;

/// The functions that compute what the operators compute, exactly.
pub(super) const OPERATORS: [(&str, Operator); 4] = [
    ("decimal_add", Operator::Add),
    ("decimal_sub", Operator::Sub),
    ("decimal_mul", Operator::Mul),
    ("decimal_mod", Operator::Rem),
];

/// The functions that compute what SQLite's operators compute, and fail where an integer overflows.
const CHECKED: [(&str, Operator); 3] =
    [("checked_add", Operator::Add), ("checked_sub", Operator::Sub), ("checked_mul", Operator::Mul)];

/// Returns its argument, and fails if that is a text that would be rounded as a number.
const CHECKED_NUMBER: &str = "decimal_num";

/// The same for a number that becomes a float (three letters, as `Script::check_names` expects): also fails for an integer that no float represents.
const CHECKED_FLOAT: &str = "decimal_flt";

/// Registers the functions of a step without decimals.
pub(in crate::sqlite) fn register_checked(connection: &Connection) -> Result<()> {
    CHECKED.into_iter().try_for_each(|(name, operator)| {
        connection.create_scalar_function(name, 2, flags(), move |context| {
            let (left, right) = (Number::plain(context.get_raw(0)), Number::plain(context.get_raw(1)));
            Ok(to_sql(calculate(left, operator, right).map_err(user_error)?))
        })
    })
}

const fn flags() -> FunctionFlags {
    FunctionFlags::SQLITE_UTF8.union(FunctionFlags::SQLITE_DETERMINISTIC).union(FunctionFlags::SQLITE_INNOCUOUS)
}

/// Registers the functions of a step with decimals instead of those of other steps. They replace SQLite's `sum`, `total`, `avg`,
/// `round`, `format` and `printf`.
pub(in crate::sqlite) fn register(connection: &Connection) -> Result<()> {
    let flags = flags();
    for (name, _) in CHECKED {
        // a prepared statement may not use it any more, and none does
        connection.remove_function(name, 2)?;
    }
    for (name, operator) in OPERATORS {
        connection.create_scalar_function(name, 2, flags, move |context| {
            let (left, right) = (argument(context, 0)?, argument(context, 1)?);
            Ok(to_sql(calculate(left, operator, right).map_err(user_error)?))
        })?;
    }
    connection.create_scalar_function(CHECKED_NUMBER, 1, flags, |context| {
        argument(context, 0)?;
        context.get::<SqlValue>(0)
    })?;
    connection.create_scalar_function(CHECKED_FLOAT, 1, flags, |context| {
        if let Number::Int(number) = argument(context, 0)?
            && !is_float(number)
        {
            return Err(user_error(format!("the integer {number} is not exact as a float")));
        }
        context.get::<SqlValue>(0)
    })?;
    format::register(connection, flags)?;
    connection.create_scalar_function("round", 1, flags, round)?;
    connection.create_scalar_function("round", 2, flags, round)?;
    for function in [SumFunction::Sum, SumFunction::Total, SumFunction::Avg] {
        connection.create_window_function(function.name(), 1, flags, function)?;
    }
    Ok(())
}

fn user_error(reason: String) -> Error {
    Error::UserFunctionError(reason.into())
}

fn argument(context: &Context<'_>, index: usize) -> Result<Number> {
    Number::from_value(context.get_raw(index)).map_err(user_error)
}

/// Does a float represent this integer exactly?
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "the loss is what is looked for")]
fn is_float(number: i64) -> bool {
    number as f64 as i128 == i128::from(number)
}

fn to_sql(number: Number) -> SqlValue {
    match number {
        Number::Null => SqlValue::Null,
        Number::Int(number) => SqlValue::Integer(number),
        Number::Decimal(exact) => SqlValue::Real(exact.nearest_float()),
        Number::Float(number) => SqlValue::Real(number),
    }
}

/// Rounds half away from zero, by the decimal digits that a number shows, not by those of its binary form.
fn round(context: &Context<'_>) -> Result<SqlValue> {
    let places = if context.len() == 2 { argument(context, 1)? } else { Number::Int(0) };
    let number = argument(context, 0)?;
    let places = match places {
        Number::Null => return Ok(SqlValue::Null),
        Number::Int(places) => places,
        #[expect(clippy::cast_possible_truncation, reason = "SQLite truncates too; the cast saturates")]
        other => other.as_float() as i64,
    };
    let places = u32::try_from(places.clamp(0, MAX_PLACES)).unwrap_or(0);
    Ok(match number {
        Number::Null => SqlValue::Null,
        number => {
            let float = number.as_float();
            SqlValue::Real(Exact::shortest(float).map_or(float, |exact| exact.rounded(places).nearest_float()))
        }
    })
}

/// One of the functions that add up a column.
#[derive(Clone, Copy)]
enum SumFunction {
    Sum,
    Total,
    Avg,
}

impl SumFunction {
    const fn name(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Total => "total",
            Self::Avg => "avg",
        }
    }

    fn result(self, sum: &Sum) -> Result<SqlValue> {
        let total = sum.total();
        match (self, &total) {
            (Self::Total, Total::Empty) => Ok(SqlValue::Real(0.0)),
            (Self::Sum | Self::Avg, Total::Empty) => Ok(SqlValue::Null),
            #[expect(clippy::cast_precision_loss, reason = "a quotient is a float anyway")]
            (Self::Avg, _) => Ok(SqlValue::Real(total.as_float() / sum.count() as f64)),
            (Self::Sum, Total::Integer(number)) => integer(number),
            (_, Total::Float(number)) => Ok(SqlValue::Real(*number)),
            (_, Total::Integer(_) | Total::Decimal(..)) => {
                let float = total.as_exact().and_then(Exact::to_float);
                float
                    .map(SqlValue::Real)
                    .ok_or_else(|| user_error(too_many_digits(&format!("the result of {}", self.name()))))
            }
        }
    }
}

fn integer(number: &BigInt) -> Result<SqlValue> {
    let overflow = || user_error("integer overflow: the result of sum needs more than 64 bits".to_owned());
    i64::try_from(number).map(SqlValue::Integer).map_err(|_| overflow())
}

impl Aggregate<Sum, SqlValue> for SumFunction {
    fn init(&self, _: &mut Context<'_>) -> Result<Sum> {
        Ok(Sum::default())
    }

    fn step(&self, context: &mut Context<'_>, sum: &mut Sum) -> Result<()> {
        sum.add(argument(context, 0)?);
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, sum: Option<Sum>) -> Result<SqlValue> {
        self.result(&sum.unwrap_or_default())
    }
}

impl WindowAggregate<Sum, SqlValue> for SumFunction {
    fn value(&self, sum: Option<&mut Sum>) -> Result<SqlValue> {
        sum.map_or_else(|| self.result(&Sum::default()), |sum| self.result(sum))
    }

    fn inverse(&self, context: &mut Context<'_>, sum: &mut Sum) -> Result<()> {
        sum.remove(argument(context, 0)?);
        Ok(())
    }
}
