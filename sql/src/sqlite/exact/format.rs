//! `format` and `printf`, which round the decimal digits of a number and not those of its binary form.
//!
//! The number is rounded first, to the digits that the format keeps; SQLite's own function then has nothing left to round.

use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::Value as SqlValue;
use rusqlite::{Connection, Error, Result, params_from_iter};

use super::number::Number;

/// Digits after the point without a precision.
const DEFAULT_PLACES: u32 = 6;

/// Arguments of a function of SQLite at most.
const MAX_ARGUMENTS: usize = 100;

/// Registers both functions.
pub(super) fn register(connection: &Connection, flags: FunctionFlags) -> Result<()> {
    for name in ["format", "printf"] {
        // a connection of its own has SQLite's function
        let original = Connection::open_in_memory()?;
        connection.create_scalar_function(name, -1, flags, move |context| format(&original, context))?;
    }
    Ok(())
}

fn format(original: &Connection, context: &Context<'_>) -> Result<SqlValue> {
    let mut arguments: Vec<SqlValue> =
        (0..context.len().min(MAX_ARGUMENTS)).map(|index| context.get(index)).collect::<Result<_>>()?;
    let Some(SqlValue::Text(template)) = arguments.first().cloned() else { return call(original, &arguments) };
    let mut next = 1;
    for conversion in conversions(&template) {
        next += conversion.stars;
        if let Some(argument) = arguments.get_mut(next)
            && conversion.is_float
        {
            *argument = rounded(argument, &conversion)?;
        }
        next += 1;
    }
    call(original, &arguments)
}

fn call(original: &Connection, arguments: &[SqlValue]) -> Result<SqlValue> {
    let parameters = vec!["?"; arguments.len()].join(", ");
    let mut statement = original.prepare_cached(&format!("SELECT format({parameters})"))?;
    statement.query_row(params_from_iter(arguments), |row| row.get(0))
}

/// A conversion of a format: `%-10.2f`.
#[derive(Debug, PartialEq, Eq)]
struct Conversion {
    /// `f`, `e` or `g`, in either case.
    is_float: bool,
    letter: char,
    places: Option<u32>,
    /// `!` shows the digits of the binary form.
    is_alternate: bool,
    /// Arguments that are a width or a precision.
    stars: usize,
}

/// The conversions that take an argument.
fn conversions(template: &str) -> Vec<Conversion> {
    let mut found = Vec::new();
    let mut chars = template.chars().peekable();
    while let Some(char) = chars.next() {
        if char != '%' {
            continue;
        }
        let mut conversion = Conversion { is_float: false, letter: '%', places: None, is_alternate: false, stars: 0 };
        while let Some(part) = chars.next() {
            match part {
                '-' | '+' | ' ' | '#' | '0'..='9' | ',' | 'l' => {}
                '!' => conversion.is_alternate = true,
                '*' => conversion.stars += 1,
                '.' => {
                    let mut digits = String::new();
                    while let Some(digit) = chars.next_if(char::is_ascii_digit) {
                        digits.push(digit);
                    }
                    conversion.places = Some(digits.parse().unwrap_or(0));
                }
                letter => {
                    conversion.letter = letter;
                    break;
                }
            }
        }
        conversion.is_float = matches!(conversion.letter.to_ascii_lowercase(), 'f' | 'e' | 'g');
        if conversion.letter != '%' {
            found.push(conversion);
        }
    }
    found
}

/// The number with as many digits as the conversion shows.
fn rounded(argument: &SqlValue, conversion: &Conversion) -> Result<SqlValue> {
    let number = match Number::from_value(argument.into()).map_err(user_error)? {
        Number::Decimal(exact) => exact,
        Number::Null | Number::Int(_) | Number::Float(_) => return Ok(argument.clone()),
    };
    let places = conversion.places.unwrap_or(DEFAULT_PLACES);
    let is_fixed = conversion.letter.eq_ignore_ascii_case(&'f');
    if conversion.is_alternate || conversion.stars > 0 {
        return Err(user_error(format!(
            "format cannot show the decimal {} exactly with `!` or `*`; write the width and the precision as digits",
            number.to_decimal()
        )));
    }
    let shown = if is_fixed { number.rounded(places) } else { number };
    if !is_fixed && number.digits() > places.max(1) {
        return Err(user_error(format!(
            "format would round the binary form of {} for `%{}`; round it first, or write `%.2f`",
            number.to_decimal(),
            conversion.letter
        )));
    }
    Ok(SqlValue::Real(shown.nearest_float()))
}

fn user_error(reason: String) -> Error {
    Error::UserFunctionError(reason.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversions_are_those_of_sqlite() {
        let found: Vec<(char, Option<u32>, usize)> = conversions("a %d%% %-10.2f|%,.3e %*.*g %s %!.15f %05d %.f %")
            .into_iter()
            .map(|one| (one.letter, one.places, one.stars))
            .collect();
        let expected = [
            ('d', None, 0),
            ('f', Some(2), 0),
            ('e', Some(3), 0),
            ('g', Some(0), 2),
            ('s', None, 0),
            ('f', Some(15), 0),
            ('d', None, 0),
            ('f', Some(0), 0),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn the_decimal_digits_are_rounded() {
        let connection = Connection::open_in_memory().expect("a database");
        register(&connection, FunctionFlags::SQLITE_UTF8).expect("functions");
        let text =
            |sql: &str| connection.query_row(&format!("SELECT {sql}"), [], |row| row.get::<_, Option<String>>(0));
        for (sql, expected) in [
            ("format('%.2f', 2.675)", Some("2.68")),
            ("printf('%8.1f|%d', 0.25, 7)", Some("     0.3|7")),
            ("format('%.0f', -2.5)", Some("-3")),
            ("format('%s %.2f', 'x', 1.005)", Some("x 1.01")),
            ("format('%.2f', NULL)", Some("0.00")),
            ("format('%,.2f', 1234567.895)", Some("1,234,567.90")),
            ("format('%f', 0.1)", Some("0.100000")),
            ("format('%.3e', 1.5)", Some("1.500e+00")),
            ("format('%d%%', 5)", Some("5%")),
            ("format()", None),
            ("format(NULL, 1.5)", None),
        ] {
            assert_eq!(text(sql).expect(sql).as_deref(), expected, "{sql}");
        }
        for sql in ["format('%.2e', 2.675)", "format('%!.20f', 0.1)", "format('%.*f', 2, 2.675)"] {
            assert!(text(sql).is_err(), "{sql}");
        }
    }
}
