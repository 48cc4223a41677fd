//! Numbers in sqlite3 steps: exact, or an error. Python's `decimal` checks what the steps return.

use std::io::Write as _;
use std::process::{Command, Stdio};

use bue_model::{Answer, Decimal, FailureKind, Value};
use bue_test_support::process::child_output;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::common::{failure, run, sqlite, value};

/// Columns that are compared with Python's. `BUE_COLUMNS` sets more for a long run by hand.
fn rounds() -> usize {
    option_env!("BUE_COLUMNS").and_then(|text| text.parse().ok()).unwrap_or(200)
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn decimal(mantissa: i64, exponent: i64) -> Value {
    Value::Decimal(Decimal { mantissa: mantissa.into(), exponent })
}

/// A table with the columns `v`, `w` and so on.
fn table(columns: &[&[Value]]) -> Value {
    let row = |index: usize| {
        let cell = |(name, column): (&str, &&[Value])| (text(name), column[index].clone());
        Value::Map(["v", "w", "x"].into_iter().zip(columns).map(cell).collect())
    };
    Value::List((0..columns[0].len()).map(row).collect())
}

/// The cells of a result, row by row, as texts; or what the step failed with.
async fn cells(sql: &str, rows: &Value) -> Result<Vec<String>, String> {
    let finished = run(&sqlite(sql, std::slice::from_ref(rows))).await;
    if let Answer::Failed(failure) = &finished.answer {
        return Err(failure.message.clone());
    }
    let Value::List(rows) = value(&finished) else { panic!("no list") };
    let cells = rows.into_iter().flat_map(|row| match row {
        Value::Map(entries) => entries.into_iter().map(|(_, cell)| cell).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    });
    Ok(cells.map(|cell| shown(&cell)).collect())
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Int(number) => format!("int {number}"),
        Value::Float(number) => format!("float {number:?}"),
        Value::Decimal(number) => format!("decimal {number}"),
        Value::Text(text) => format!("text {text}"),
        other => panic!("{other:?}"),
    }
}

/// The finding that this file exists for.
#[tokio::test]
async fn decimals_compare_sort_and_add_as_numbers() {
    let amounts = [decimal(950, -2), decimal(10_025, -2), Value::Null, decimal(7529, -2), Value::Int(0)];
    let rows = table(&[&amounts]);
    for (sql, expected) in [
        ("SELECT v FROM rows WHERE v > 50 ORDER BY v", vec!["decimal 75.29", "decimal 100.25"]),
        ("SELECT v FROM rows ORDER BY v DESC LIMIT 2", vec!["decimal 100.25", "decimal 75.29"]),
        ("SELECT max(v) a, min(v) b, sum(v) c FROM rows", vec!["float 100.25", "float 0.0", "float 185.04"]),
        ("SELECT v FROM rows WHERE v = '9.5'", vec!["decimal 9.5"]),
        ("SELECT v FROM rows WHERE v IN (9.5, 0)", vec!["decimal 9.5", "decimal 0"]),
        ("SELECT count(*) FROM rows GROUP BY v > 50 HAVING sum(v) > 50", vec!["int 2"]),
        ("SELECT coalesce(v, 0) > 50 FROM rows", vec!["int 0", "int 1", "int 0", "int 1", "int 0"]),
        ("SELECT a.v FROM rows a JOIN rows b ON b.v = a.v WHERE a.v > 80", vec!["decimal 100.25"]),
        ("SELECT v / 2 FROM rows LIMIT 1", vec!["float 4.75"]),
        ("SELECT 0.1 + 0.2 = 0.3", vec!["int 1"]),
        (
            "SELECT CAST('9.50' AS REAL) a, CAST('0.12345678901234567' AS TEXT) b",
            vec!["float 9.5", "text 0.12345678901234567"],
        ),
        ("SELECT sum(v * 3) - 0.12 FROM rows", vec!["float 555.0"]),
        ("SELECT -v FROM rows LIMIT 1", vec!["float -9.5"]),
        ("SELECT v % 2 a, 7 % 4 b, v % 0 c FROM rows LIMIT 1", vec!["float 1.5", "int 3", "null"]),
        ("SELECT round(v - 1.25, 1) FROM rows WHERE v > 80", vec!["float 99.0"]),
        ("SELECT sum(v) OVER (ORDER BY v) FROM rows WHERE v > 0", vec!["float 9.5", "float 84.79", "float 185.04"]),
        ("SELECT lag(v, 1) OVER (ORDER BY v) FROM rows WHERE v > 0", vec!["null", "float 9.5", "float 75.29"]),
        ("SELECT total(v) a, avg(v) b FROM rows WHERE v > 80", vec!["float 100.25", "float 100.25"]),
        ("SELECT sum(v) a, total(v) b FROM rows WHERE 0", vec!["null", "float 0.0"]),
        ("SELECT round(2.675, 2) a, round(v) b FROM rows LIMIT 1", vec!["float 2.68", "float 10.0"]),
        ("CREATE TABLE t AS SELECT v * 2 AS d FROM rows; SELECT sum(d) FROM t", vec!["float 370.08"]),
        ("CREATE VIEW t AS SELECT v + 0.1 AS d FROM rows; SELECT d FROM t LIMIT 1", vec!["float 9.6"]),
        ("SELECT d FROM (SELECT v - 0.1 AS d FROM rows) LIMIT 1", vec!["float 9.4"]),
        ("UPDATE rows SET v = v + 0.1; SELECT v FROM rows LIMIT 1", vec!["decimal 9.6"]),
        ("SELECT v || '' FROM rows WHERE v = 0", vec!["text 0.0"]),
        (
            "SELECT v || '' a, CAST(v AS TEXT) b, CAST(v * 100 AS INTEGER) c FROM rows LIMIT 1",
            vec!["text 9.5", "text 9.5", "int 950"],
        ),
        (
            "SELECT decimal_add(v, 0.1) a, decimal_sub(v, 1) b, decimal_mul(v, v) c FROM rows LIMIT 1",
            vec!["float 9.6", "float 8.5", "float 90.25"],
        ),
    ] {
        assert_eq!(cells(sql, &rows).await, Ok(expected.into_iter().map(str::to_owned).collect()), "{sql}");
    }
}

#[tokio::test]
async fn a_computed_column_is_named_by_its_text() {
    let rows = table(&[&[decimal(5, -1)]]);
    let answer = value(&run(&sqlite("SELECT v+1, -v FROM rows", &[rows])).await);
    let row = Value::Map(vec![(text("v+1"), Value::Float(1.5)), (text("-v"), Value::Float(-0.5))]);
    assert_eq!(answer, Value::List(vec![row]));
}

/// What would be rounded is refused, and the message names the value and the way out.
#[tokio::test]
async fn numbers_that_sqlite_cannot_hold_are_refused() {
    let huge = "18446744073709551616".parse().expect("digits");
    for (number, words) in [
        (decimal(1_234_567_890_123_456, -2), vec!["12345678901234.56 has 16 significant digits", "str()", "postgres"]),
        (decimal(1, 400), vec!["1E+400 is too large or too small"]),
        (decimal(123_456_789_012_345, 3), vec!["too large"]),
        (Value::BigInt(huge), vec!["the integer 18446744073709551616 needs more than 64 bits", "str()"]),
        (Value::Float(f64::NAN), vec!["NaN"]),
        (Value::List(vec![Value::Float(f64::INFINITY)]), vec!["JSON", "inf"]),
    ] {
        let rows = table(&[&[Value::Null, number]]);
        let failure = failure(&run(&sqlite("SELECT * FROM rows", &[rows])).await);
        assert_eq!(failure.kind, FailureKind::BadInput, "{failure:?}");
        let place = "Step input 1 cannot become table `rows`: column `v`, row 2 (the first is row 1): ";
        assert!(failure.message.starts_with(place), "{failure:?}");
        for word in words {
            assert!(failure.message.contains(word), "{word:?} is not in {failure:?}");
        }
    }
    let rows = table(&[&[decimal(5, -1), Value::Int(1 << 53)]]);
    assert!(cells("SELECT v FROM rows", &rows).await.is_err_and(|reason| reason.contains("16 significant digits")));
    let rows = table(&[&[Value::Float(f64::INFINITY), Value::Float(f64::NEG_INFINITY)]]);
    let infinities = vec!["float -inf".to_owned(), "float inf".to_owned()];
    assert_eq!(cells("SELECT v FROM rows ORDER BY v", &rows).await, Ok(infinities));
}

#[tokio::test]
async fn arithmetic_that_would_round_is_refused() {
    let rows = table(&[&[decimal(123_456_789_012_345, 0), decimal(1, -5)], &[text("0.12345678901234567"), text("x")]]);
    let refused = |sql: &'static str| {
        let rows = rows.clone();
        async move { cells(sql, &rows).await.expect_err(sql) }
    };
    for (sql, word) in [
        ("SELECT sum(v) FROM rows", "the result of sum has more than 15 significant digits"),
        ("SELECT total(v) FROM rows", "the result of total"),
        ("SELECT v + 0.5 FROM rows", "the result of 123456789012345 + 0.5"),
        ("SELECT v * v FROM rows", "123456789012345 * 123456789012345"),
        ("SELECT w + 1 FROM rows", "the text \"0.12345678901234567\" is a number of more than 15"),
        ("SELECT 9223372036854775807 + 1 FROM rows", "integer overflow"),
        ("SELECT CAST(w AS REAL) FROM rows", "the text \"0.12345678901234567\" is a number of more than 15"),
        ("SELECT CAST('0.12345678901234567' AS NUMERIC) x", "the text \"0.12345678901234567\""),
        ("SELECT CAST(9007199254740993 AS REAL) x", "the integer 9007199254740993 is not exact as a float"),
        ("SELECT CAST(-9223372036854775807 AS DOUBLE PRECISION) x", "-9223372036854775807 is not exact as a float"),
        (
            "SELECT v FROM rows WHERE v > 0.1234567890123456",
            "the number 0.1234567890123456 has more than 15 significant",
        ),
        ("SELECT v, 9223372036854775808 FROM rows", "the integer 9223372036854775808 needs more than 64 bits"),
        ("SELECT format('%.3e', v) FROM rows", "format would round the binary form of 123456789012345"),
        // no call of a function can replace these
        ("SELECT sum(v) OVER (ORDER BY v RANGE BETWEEN 0.1 PRECEDING AND CURRENT ROW) FROM rows", "decimal_add"),
        ("SELECT v FROM rows LIMIT 1 OFFSET offset - 1", "no such column"),
        ("CREATE TABLE t AS SELECT v - 0 FROM rows", "the column `decimal_sub(v , 0)` needs a name"),
    ] {
        let reason = refused(sql).await;
        assert!(reason.contains(word), "{sql}: {reason}");
    }
}

/// SQLite goes on with a float where an integer overflows.
#[tokio::test]
async fn integers_that_overflow_are_refused() {
    let rows = table(&[&[Value::Int(i64::MAX), Value::Int(1)], &[Value::Int(i64::MIN), Value::Int(-3)]]);
    for (sql, reason) in [
        ("SELECT v + 1 FROM rows", "9223372036854775807 + 1 needs more than 64 bits"),
        ("SELECT w - v FROM rows", "-9223372036854775808 - 9223372036854775807"),
        ("SELECT v * 2 AS x FROM rows ORDER BY x", "9223372036854775807 * 2"),
        ("SELECT -w FROM rows", "0 - -9223372036854775808"),
        ("CREATE TABLE t AS SELECT v + '1' AS x FROM rows; SELECT x FROM t", "9223372036854775807 + 1"),
        ("UPDATE rows SET v = v + 1; SELECT v FROM rows", "9223372036854775807 + 1"),
        ("CREATE VIEW t AS SELECT v * v AS x FROM rows; SELECT x FROM t", "9223372036854775807 * 9223372036854775807"),
        ("SELECT sum(v) FROM rows", "integer overflow"),
    ] {
        let refused = cells(sql, &rows).await.expect_err(sql);
        assert!(refused.contains("integer overflow") && refused.contains(reason), "{sql}: {refused}");
    }
    for (sql, expected) in [
        (
            "SELECT v - 1 a, w + 1 b, v + 1.0 c, v+NULL d FROM rows LIMIT 1",
            vec!["int 9223372036854775806", "int -9223372036854775807", "float 9.223372036854776e18", "null"],
        ),
        (
            "SELECT 7 / 2 a, 7 / 2.0 b, 7 % 4 c, '3x' * 2 d, '1.5' + 1 e, x'31' + 1 f, 0.1 * 3 g",
            vec!["int 3", "float 3.5", "int 3", "int 6", "float 2.5", "int 2", "float 0.30000000000000004"],
        ),
        (
            "SELECT sum(w) OVER (ORDER BY v RANGE BETWEEN 1 PRECEDING AND CURRENT ROW) a FROM rows WHERE w > -9",
            vec!["int -3"],
        ),
        ("SELECT v FROM rows LIMIT 2 - 1 OFFSET 0 + 1", vec!["int 1"]),
        ("SELECT 1e308 * 10 a, 1e308 * 10 - 1e308 * 10 b", vec!["float inf", "null"]),
    ] {
        assert_eq!(cells(sql, &rows).await, Ok(expected.into_iter().map(str::to_owned).collect()), "{sql}");
    }
}

/// What SQLite's documentation says of conversions, and `docs/sql.md` too: nothing else changes a number.
#[tokio::test]
async fn conversions_are_those_of_sqlite() {
    let big = (1 << 53) + 1;
    let plain = table(&[&[Value::Int(big)], &[Value::Int(i64::MIN)], &[Value::Float(9_007_199_254_740_992.0)]]);
    let exact = table(&[&[decimal(5, -1)], &[Value::Int(big)], &[text("0.50000000000000000001")]]);
    for (sql, rows, expected) in [
        // integers and floats compare exactly, also beyond 2^53
        ("SELECT v = x a, v > x b, max(v, x) c FROM rows", &plain, vec!["int 0", "int 1", "int 9007199254740993"]),
        ("SELECT v IN (SELECT x FROM rows) a, v = CAST(v AS REAL) b FROM rows", &plain, vec!["int 0", "int 0"]),
        // a cast that is written down rounds
        ("SELECT CAST(v AS REAL) FROM rows", &plain, vec!["float 9007199254740992.0"]),
        // 2^63, exactly
        ("SELECT w / -1 FROM rows", &plain, vec!["float 9.223372036854776e18"]),
        ("SELECT w / 1 a, v / 2.0 b FROM rows", &plain, vec!["int -9223372036854775808", "float 4503599627370496.0"]),
        // a text that is compared with a column of numbers becomes a number, and may be rounded
        (
            "SELECT v = x a, v = '0.50000000000000000001' b, v = '0.51' c FROM rows",
            &exact,
            vec!["int 1", "int 1", "int 0"],
        ),
        ("SELECT CAST(w AS NUMERIC) a, CAST(4 AS REAL) b FROM rows", &exact, vec!["int 9007199254740993", "float 4.0"]),
        (
            "SELECT CAST(9007199254740992 AS REAL) a, CAST(NULL AS REAL) b",
            &exact,
            vec!["float 9007199254740992.0", "null"],
        ),
    ] {
        assert_eq!(cells(sql, rows).await, Ok(expected.into_iter().map(str::to_owned).collect()), "{sql}");
    }
}

/// A step without decimals is SQLite as everyone knows it, but for integers that overflow.
#[tokio::test]
async fn floats_are_floats() {
    let rows = table(&[&[Value::Float(0.1), Value::Float(0.2), Value::Int(1)]]);
    for (sql, expected) in [
        ("SELECT 0.1 + 0.2 a, v FROM rows LIMIT 1", vec!["float 0.30000000000000004", "float 0.1"]),
        ("SELECT v FROM rows WHERE v = 1", vec!["int 1"]),
        ("SELECT 0.1234567890123456789 a, format('%.2f', 2.675) b", vec!["float 0.12345678901234568", "text 2.67"]),
    ] {
        assert_eq!(cells(sql, &rows).await, Ok(expected.into_iter().map(str::to_owned).collect()), "{sql}");
    }
    // an integer would become a float
    let refused = cells("SELECT 1, 18446744073709551616", &rows).await;
    assert!(refused.is_err_and(|reason| reason.contains("the integer 18446744073709551616 needs more than 64 bits")));
    let refused = run(&sqlite("SELECT decimal_add(1, 2)", &[])).await;
    assert!(failure(&refused).message.contains("no such function"), "{refused:?}");
    // with a decimal in another column, quotients and measurements stay floats
    let rows = table(&[&[decimal(1, 0)], &[Value::Float(0.123_456_789_012_345_67)]]);
    let expected = vec!["float 0.12345678901234566".to_owned(), "float 0.24691357802469133".to_owned()];
    assert_eq!(cells("SELECT w a, w * 2 b FROM rows", &rows).await, Ok(expected));
}

/// A decimal of at most 15 digits, often equal to others.
fn number() -> impl Strategy<Value = Value> {
    let any =
        (0..1_000_000_000_000_000_i64, 1..=15_u32, 0..=15_i64, any::<bool>()).prop_map(|(all, digits, shift, sign)| {
            let mantissa = all % 10_i64.pow(digits);
            let room = i64::from(15 - digits);
            let exponent = if shift > room { -shift } else { shift };
            decimal(if sign { -mantissa } else { mantissa }, exponent)
        });
    let money = (-100_000..100_000_i64).prop_map(|cents| decimal(cents, -2));
    let tenths = (-20..20_i64).prop_map(|tenths| decimal(tenths, -1));
    prop_oneof![any, money, tenths, Just(Value::Null), (-50..50_i64).prop_map(Value::Int)]
}

const QUERIES: [(&str, &str); 14] = [
    ("all", "SELECT v, w FROM rows"),
    ("order", "SELECT v FROM rows ORDER BY v"),
    ("ends", "SELECT min(v) a, max(v) b FROM rows"),
    ("sum", "SELECT sum(v) FROM rows"),
    ("group", "SELECT v, count(*) FROM rows GROUP BY v ORDER BY v"),
    ("compare", "SELECT v > w a, v = w b, v BETWEEN w AND -w c FROM rows"),
    ("add", "SELECT v + w FROM rows WHERE v > -1000 AND v < 1000"),
    ("subtract", "SELECT v - w FROM rows WHERE v > -1000 AND v < 1000"),
    ("multiply", "SELECT v * w * 2 FROM rows WHERE v > -1000 AND v < 1000"),
    ("format", "SELECT format('%.2f', v) a, printf('%.0f', w) b FROM rows WHERE v > -100000 AND v < 100000"),
    ("remainder", "SELECT v % w FROM rows WHERE v > -1000 AND v < 1000 AND abs(w) > 0.001"),
    ("literals", "LITERALS"),
    ("round", "SELECT round(v, 1) FROM rows WHERE v > -100000 AND v < 100000"),
    ("window", "SELECT sum(v) OVER (ORDER BY rowid ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) FROM rows"),
];

#[tokio::test]
async fn random_columns_are_what_python_says() {
    let mut runner = TestRunner::deterministic();
    let mut lines = String::new();
    let (mut answers, mut refusals) = (0, 0);
    for round in 0..rounds() {
        let strategy = proptest::collection::vec((number(), number()), 1..12);
        let pairs = strategy.new_tree(&mut runner).expect("numbers").current();
        // the first one makes both columns columns of decimals
        let first = (decimal(15, -1), decimal(0, -2));
        let (mut v, mut w): (Vec<Value>, Vec<Value>) = [first].into_iter().chain(pairs).unzip();
        if round % 2 == 0 {
            // money, whose sums have few digits
            let is_money =
                |value: &Value| !matches!(value, Value::Decimal(d) if d.exponent < -2 || d.mantissa.bits() > 20);
            (v, w) = v.into_iter().zip(w).filter(|(v, w)| is_money(v) && is_money(w)).unzip();
        }
        let rows = table(&[&v, &w]);
        let given: Vec<String> = v.iter().zip(&w).flat_map(|(v, w)| [shown(v), shown(w)]).collect();
        for (name, sql) in QUERIES {
            // the values of the first column, as numbers in the SQL
            let literals = v.iter().map(|value| shown(value).rsplit(' ').next().unwrap_or_default().to_owned());
            let literals = format!("VALUES ({})", literals.collect::<Vec<_>>().join("), ("));
            let sql = if sql == "LITERALS" { literals.as_str() } else { sql };
            let answer = match cells(sql, &rows).await {
                Ok(cells) => cells,
                Err(reason) if reason.contains("15 significant digits") => vec!["refused".to_owned()],
                Err(reason) => panic!("{sql}: {reason}"),
            };
            if answer == ["refused"] {
                refusals += 1;
            } else {
                answers += 1;
            }
            lines.push_str(&format!("{name}|{}|{}\n", given.join(","), answer.join(",")));
        }
    }
    let expected = format!("{} lines\n", rounds() * QUERIES.len());
    assert_eq!(python(include_str!("decimals.py"), lines), expected);
    assert!(answers > refusals * 2 && refusals > 0, "{answers} answers, {refusals} refusals");
}

/// Runs a program with Python and returns what it prints.
fn python(program: &str, input: String) -> String {
    let python = Command::new("python3").args(["-c", program]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut python = python.expect("python3");
    let mut stdin = python.stdin.take().expect("its input");
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child_output("python3", python);
    writer.join().expect("a thread").expect("it reads all");
    String::from_utf8(output.stdout).expect("UTF-8")
}
