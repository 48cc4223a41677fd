//! Every kind of value through a sqlite3 step and a postgres step: it comes back as it was, or as `docs/sql.md` says, or the
//! step fails. The table of the document is read here, so that it is what happens.

use bue_model::{Answer, Decimal, FailureKind, Value};

use crate::common::{failure, python, run, sqlite, value};
use crate::postgres::common::{self, Fixture, column, list, map, text};

const DOCUMENT: &str = include_str!("../../../docs/sql.md");

/// A row of the document: a value, and for each database how it is stored and what comes back.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    value: String,
    sqlite: [String; 2],
    postgres: [String; 2],
}

/// The rows of the table below this heading.
fn documented() -> Vec<Row> {
    let (_, section) = DOCUMENT.split_once("\n## Every kind of value\n").expect("the section");
    let lines = section.lines().skip_while(|line| !line.starts_with("| ---")).skip(1);
    let rows = lines.take_while(|line| line.starts_with('|')).map(|line| {
        let cells: Vec<String> = line.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect();
        let [value, a, b, c, d] = cells.try_into().expect("five cells");
        Row { value, sqlite: [a, b], postgres: [c, d] }
    });
    rows.collect()
}

fn decimal(digits: &str, exponent: i64) -> Value {
    Value::Decimal(Decimal { mantissa: digits.parse().expect("digits"), exponent })
}

/// Examples of each kind.
fn examples() -> Vec<(&'static str, Vec<Value>)> {
    let big = |digits: &str| Value::BigInt(digits.parse().expect("digits"));
    let datetime = |text: &str| Value::DateTime(text.to_owned());
    vec![
        ("null", vec![Value::Null]),
        ("bool", vec![Value::Bool(true), Value::Bool(false)]),
        ("int of at most 64 bits", vec![Value::Int(0), Value::Int(i64::MIN), Value::Int(i64::MAX)]),
        ("int beyond 64 bits", vec![big("9223372036854775808"), big("-170141183460469231731687303715884105729")]),
        ("float", vec![Value::Float(0.1), Value::Float(-1e300), Value::Float(5e-324), Value::Float(3.0)]),
        ("-0.0", vec![Value::Float(-0.0)]),
        ("infinity", vec![Value::Float(f64::INFINITY), Value::Float(f64::NEG_INFINITY)]),
        ("NaN", vec![Value::Float(f64::NAN)]),
        ("decimal of at most 15 digits", vec![decimal("950", -2), decimal("-123456789012345", -10), decimal("1", -20)]),
        ("decimal of more digits", vec![decimal("1234567890123456", -2), decimal(&"9".repeat(100), -50)]),
        ("decimal beyond PostgreSQL's range", vec![decimal("1", -20_000), decimal("1", 200_000)]),
        ("text", vec![text("it's \"\\ é\n日本"), text("123"), text("2026-09-30"), text("NULL")]),
        ("empty text", vec![text("")]),
        ("text with a NUL character", vec![text("a\0b")]),
        ("bytes", vec![Value::Bytes(vec![0, 255, 39]), Value::Bytes(vec![])]),
        ("uuid", vec![Value::Uuid("01234567-89ab-cdef-0123-456789abcdef".parse().expect("a uuid"))]),
        (
            "date",
            vec![Value::Date("2026-09-30".into()), Value::Date("0001-01-01".into()), Value::Date("9999-12-31".into())],
        ),
        ("time", vec![Value::Time("12:30:00".into()), Value::Time("23:59:59.999999".into())]),
        ("time with an offset", vec![Value::Time("12:30:00+02:00".into())]),
        ("datetime", vec![datetime("2026-09-30T12:30:00"), datetime("0001-01-01T00:00:00.000001")]),
        (
            "datetime with an offset",
            vec![datetime("2026-09-30T10:30:00+00:00"), datetime("1969-12-31T23:59:59.5+00:00")],
        ),
        ("datetime more exact than a microsecond", vec![datetime("2026-09-30T12:30:00.1234567+00:00")]),
        (
            "list or map",
            vec![
                list(&[Value::Int(1), text("x"), Value::Null, list(&[]), Value::Float(0.5)]),
                map(&[("k", map(&[("l", list(&[Value::Bool(true), Value::Int(i64::MIN)]))]))]),
            ],
        ),
        (
            "list or map with NaN or infinity",
            vec![list(&[Value::Float(f64::NAN)]), map(&[("k", list(&[Value::Float(f64::INFINITY)]))])],
        ),
        ("list or map with an int beyond 64 bits", vec![list(&[big("18446744073709551616")])]),
        (
            "map with the keys 1 and \"1\"",
            vec![Value::Map(vec![(Value::Int(1), Value::Null), (text("1"), Value::Null)])],
        ),
    ]
}

/// Equal in kind and value; a decimal may lose trailing zeros, and an instant may be written in another way.
fn is_same(given: &Value, got: &Value) -> bool {
    match (given, got) {
        (Value::Float(given), Value::Float(got)) => given.to_bits() == got.to_bits() || given.is_nan() && got.is_nan(),
        (Value::Decimal(given), Value::Decimal(got)) => {
            let common = given.exponent.min(got.exponent);
            let zeros = |number: &Decimal| "0".repeat(usize::try_from(number.exponent - common).unwrap_or_default());
            let scaled = |number: &Decimal| format!("{}{}", number.mantissa, zeros(number));
            scaled(given) == scaled(got)
        }
        (Value::DateTime(given), Value::DateTime(got)) => {
            let plain = |text: &str| {
                let (at, offset) = text.split_at(text.rfind('+').unwrap_or(text.len()));
                let at = if at.contains('.') { at.trim_end_matches('0').trim_end_matches('.') } else { at };
                format!("{at}{offset}")
            };
            plain(given) == plain(got)
        }
        (given, got) => given == got,
    }
}

/// The kind of a value, as the document writes it.
fn kind(value: &Value) -> String {
    value.kind().trim_start_matches("a ").trim_start_matches("an ").to_owned()
}

/// How a database stores a value, and what comes back.
fn outcome(given: &Value, answer: &Answer, result: impl FnOnce() -> Value) -> [String; 2] {
    if let Answer::Failed(failure) = answer {
        assert_eq!(failure.kind, FailureKind::BadInput, "{given:?}: {failure}");
        assert!(failure.message.contains("column `x`, row 1 (the first is row 1): "), "{given:?}: {failure}");
        return ["error".to_owned(), "error".to_owned()];
    }
    let Value::List(rows) = result() else { panic!("no rows") };
    let [Value::Map(row)] = rows.as_slice() else { panic!("{rows:?}") };
    let [(_, stored), (_, got)] = row.as_slice() else { panic!("{row:?}") };
    let Value::Text(stored) = stored else { panic!("{stored:?}") };
    let returned = if is_same(given, got) { "the same".to_owned() } else { kind(got) };
    [stored.clone(), returned]
}

/// No value that passes between steps is a time span: the step that returns one fails, and no database gets it.
async fn a_timedelta() -> Row {
    let code = "import datetime\ndef rows():\n    return [{'x': datetime.timedelta(days=1)}]\n";
    let failure = failure(&run(&python(code, "rows", &[])).await);
    assert_eq!(failure.kind, FailureKind::BadResult, "{failure}");
    assert!(failure.message.contains("return its total_seconds()"), "{failure}");
    let error = || ["error".to_owned(), "error".to_owned()];
    Row { value: "timedelta".to_owned(), sqlite: error(), postgres: error() }
}

#[tokio::test]
async fn every_kind_of_value_comes_back_as_documented() {
    let fixture = Fixture::new().await;
    let (documented, examples) = (documented(), examples());
    let mut found = Vec::new();
    for (name, values) in &examples {
        let mut of_kind: Option<Row> = None;
        for given in values {
            let input = [column(core::slice::from_ref(given))];
            let lite = run(&sqlite("SELECT typeof(x) AS t, x FROM rows", &input)).await;
            let sql = "SET LOCAL timezone = 'UTC'; SELECT pg_typeof(x)::text AS t, x FROM rows";
            let server = fixture.run(common::query(sql, &input)).await;
            let row = Row {
                value: (*name).to_owned(),
                sqlite: outcome(given, &lite.answer, || value(&lite)),
                postgres: outcome(given, &server.answer, || common::value(&server)),
            };
            assert_eq!(of_kind.get_or_insert(row.clone()), &row, "{name}: {given:?}");
        }
        found.extend(of_kind);
    }
    found.push(a_timedelta().await);
    assert_eq!(documented, found, "docs/sql.md, section \"Every kind of value\"");
}
