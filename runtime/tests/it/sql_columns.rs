//! The columns of a SQL step's input: those that the script declares, and those of an empty input.

use bue_model::{Decimal, Failure, FailureKind, Json, Value};
use bue_runtime::{Code, Query, Task};

use crate::common::{failure, run, sqlite, value};
use crate::postgres::common::{self, Fixture, list, map, query, text};

const TABLE: &str = r#""rows"("id" int, "day" date, "price" decimal)"#;

fn with_table(mut task: Task, declared: &str) -> Task {
    if let Code::Sqlite { table, .. } = &mut task.code {
        declared.clone_into(table);
    }
    task
}

fn declared(sql: &str, input: &Value, table: &str) -> (Task, Query) {
    let inputs = std::slice::from_ref(input);
    (with_table(sqlite(sql, inputs), table), Query { table: table.to_owned(), ..query(sql, inputs) })
}

fn json(value: &Value) -> String {
    serde_json::to_string(&Json(value)).expect("JSON")
}

fn row(id: Value, day: Value, price: Value) -> Value {
    map(&[("id", id), ("day", day), ("price", price)])
}

fn day() -> Value {
    Value::Date("2026-09-30".into())
}

fn price() -> Value {
    Value::Decimal(Decimal { mantissa: 95.into(), exponent: -1 })
}

#[tokio::test]
async fn an_empty_input_has_the_declared_columns() {
    let fixture = Fixture::new().await;
    let (task, query) = declared("SELECT * FROM rows", &list(&[]), TABLE);
    assert_eq!(json(&value(&run(&task).await)), "[]");
    assert_eq!(json(&common::value(&fixture.run(query).await)), "[]");
    let (task, _) = declared("SELECT name, type FROM pragma_table_info('rows')", &list(&[]), TABLE);
    assert_eq!(
        json(&value(&run(&task).await)),
        r#"[{"name":"id","type":""},{"name":"day","type":"DATE BLOB"},{"name":"price","type":"DECIMAL REAL"}]"#
    );
    let types = "SELECT attname::text AS name, format_type(atttypid, atttypmod) AS type FROM pg_attribute \
                 WHERE attrelid = 'rows'::regclass AND attnum > 0 ORDER BY attnum";
    let (_, query) = declared(types, &list(&[]), TABLE);
    assert_eq!(
        json(&common::value(&fixture.run(query).await)),
        r#"[{"name":"id","type":"bigint"},{"name":"day","type":"date"},{"name":"price","type":"numeric"}]"#
    );
    // a column that is not declared is missing, whatever the input was
    let (task, query) = declared("SELECT amount FROM rows", &list(&[]), TABLE);
    assert!(failure(&run(&task).await).message.contains("no such column: amount"));
    assert!(common::failure(&fixture.run(query).await).message.contains("column \"amount\" does not exist"));
}

#[tokio::test]
async fn rows_that_fit_the_declaration_keep_their_values() {
    let fixture = Fixture::new().await;
    let rows = list(&[row(Value::Int(1), day(), price()), row(Value::Null, Value::Null, Value::Int(3))]);
    let (task, query) = declared("SELECT * FROM rows", &rows, TABLE);
    let expected = r#"[{"id":1,"day":"2026-09-30","price":"9.5"},{"id":null,"day":null,"price":"3"}]"#;
    assert_eq!(json(&value(&run(&task).await)), expected);
    assert_eq!(json(&common::value(&fixture.run(query).await)), expected);
}

#[tokio::test]
async fn every_declared_type_holds_its_values_and_no_others() {
    let fixture = Fixture::new().await;
    let big = Value::BigInt(bue_model::cbor::decode(&[0xc2, 0x49, 1, 0, 0, 0, 0, 0, 0, 0, 0]).map_or_else(
        |error| panic!("{error}"),
        |value| match value {
            Value::BigInt(number) => number,
            other => panic!("{other:?}"),
        },
    ));
    let values = [
        ("bool", Value::Bool(true)),
        ("int", Value::Int(i64::MAX)),
        ("float", Value::Float(0.5)),
        ("decimal", price()),
        ("text", text("x")),
        ("bytes", Value::Bytes(vec![0, 255])),
        ("date", day()),
        ("time", Value::Time("12:30:00".into())),
        ("timestamp", Value::DateTime("2026-09-30T12:30:00".into())),
        ("timestamptz", Value::DateTime("2026-09-30T10:30:00+00:00".into())),
        ("uuid", Value::Uuid("01234567-89ab-cdef-0123-456789abcdef".parse().expect("a uuid"))),
        ("json", list(&[Value::Int(1), map(&[("k", Value::Null)])])),
    ];
    let also = |name: &str, kind: &str| {
        matches!((name, kind), ("json", "bool" | "int" | "float" | "text") | ("decimal", "int" | "big int"))
    };
    for (name, _) in &values {
        for (kind, given) in values.iter().chain([&("big int", big.clone())]) {
            let table = format!("\"rows\"(\"x\" {name})");
            let (task, query) = declared(
                "SET LOCAL timezone = 'UTC'; SELECT x FROM rows",
                &common::column(std::slice::from_ref(given)),
                &table,
            );
            let task = with_table(
                sqlite("SELECT x FROM rows", &[common::column(std::slice::from_ref(given))]),
                match &task.code {
                    Code::Sqlite { table, .. } => table,
                    other => panic!("{other:?}"),
                },
            );
            let (lite, pg) = (run(&task).await, fixture.run(query).await);
            if name == kind {
                let expected = common::column(std::slice::from_ref(given));
                assert_eq!(value(&lite), expected, "{kind} in {name}");
                assert_eq!(common::value(&pg), expected, "{kind} in {name}");
            } else if !also(name, kind) {
                for Failure { kind: failed, message, .. } in [failure(&lite), common::failure(&pg)] {
                    assert_eq!(failed, FailureKind::BadInput, "{kind} in {name}: {message}");
                    assert!(message.contains("column `x`, row 1 (the first is row 1)"), "{kind} in {name}: {message}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_row_that_does_not_fit_is_named_with_its_column() {
    let fixture = Fixture::new().await;
    let good = || row(Value::Int(1), day(), price());
    for (bad, expected) in [
        (
            map(&[("id", Value::Int(2)), ("day", day())]),
            "column `price`, row 2 (the first is row 1): the script declares this column",
        ),
        (
            map(&[("id", Value::Int(2)), ("day", day()), ("price", price()), ("note", text("x"))]),
            "column `note`, row 2 (the first is row 1): the script does not declare",
        ),
        (
            row(Value::Int(2), text("2026-09-30"), price()),
            "column `day`, row 2 (the first is row 1): it is a text, but the script declares the column as date; convert it",
        ),
        (row(Value::Float(2.0), day(), price()), "column `id`, row 2 (the first is row 1): it is a float"),
        (row(Value::Int(2), day(), Value::Float(0.5)), "column `price`, row 2 (the first is row 1): it is a float"),
    ] {
        let (task, query) = declared("SELECT * FROM rows", &list(&[good(), bad]), TABLE);
        for failure in [failure(&run(&task).await), common::failure(&fixture.run(query).await)] {
            assert_eq!(failure.kind, FailureKind::BadInput, "{failure}");
            assert!(failure.message.contains(expected), "{expected:?} is not in {failure}");
        }
    }
}

/// One of two values of the same column would be lost.
#[tokio::test]
async fn two_keys_of_one_column_are_refused() {
    let both = |one, other| list(&[Value::Map(vec![(one, Value::Int(1)), (other, Value::Int(2))])]);
    let failure = failure(&run(&sqlite("SELECT * FROM rows", &[both(text("a"), text("A"))])).await);
    assert!(failure.message.contains("column `a`, row 1 (the first is row 1): the row has several keys"), "{failure}");
    let fixture = Fixture::new().await;
    let failure = fixture.failure("SELECT * FROM rows", &[both(text("7"), Value::Int(7))]).await;
    assert!(failure.message.contains("column `7`, row 1 (the first is row 1): the row has several keys"), "{failure}");
    // in PostgreSQL these are two columns
    assert_eq!(fixture.json("SELECT * FROM rows", &[both(text("a"), text("A"))]).await, r#"[{"a":1,"A":2}]"#);
}

/// The day without sales, in a postgres step.
#[tokio::test]
async fn an_empty_table_in_postgres_has_the_columns_that_are_used() {
    let fixture = Fixture::new().await;
    let schema = "CREATE TYPE mood AS ENUM ('sad'); CREATE TABLE sales(id int PRIMARY KEY, name varchar(20), amount numeric(10,2), \
                  at timestamptz, day date, ok boolean, data jsonb, key uuid, raw bytea)";
    fixture.client.batch_execute(schema).await.expect("a table");
    let empty = || list(&[]);
    for (sql, inputs, expected) in [
        ("SELECT a FROM rows", vec![empty()], "[]"),
        (
            "SELECT r.a, \"b c\", count(*) n FROM rows r WHERE r.d > 5 GROUP BY r.a, 2 HAVING sum(e) > 1 ORDER BY 1",
            vec![empty()],
            "[]",
        ),
        ("SELECT sum(a) s, count(*) n FROM rows", vec![empty()], r#"[{"s":null,"n":0}]"#),
        ("SELECT coalesce(sum(price * quantity), 0)::int AS s FROM rows", vec![empty()], r#"[{"s":0}]"#),
        (
            "SELECT lower(name), price * quantity AS x FROM rows WHERE day >= date '2026-01-01' AND ok AND data->>'k' = 'x'",
            vec![empty()],
            "[]",
        ),
        (
            "SELECT extract(year from day), day - interval '1 day', now() - at FROM rows WHERE name LIKE 'x%'",
            vec![empty()],
            "[]",
        ),
        ("SELECT id & 1, make_date(y, 1, 1), unnest(tags) FROM rows", vec![empty()], "[]"),
        (
            "INSERT INTO sales SELECT id, name, amount, at, day, ok, data, key, raw FROM rows ON CONFLICT (id) DO UPDATE \
             SET name = excluded.name; SELECT count(*) n FROM sales",
            vec![empty()],
            r#"[{"n":0}]"#,
        ),
        ("INSERT INTO rows(a, b) VALUES (1, 'x'); SELECT * FROM rows", vec![empty()], r#"[{"a":"1","b":"x"}]"#),
        ("UPDATE rows SET a = b; SELECT * FROM rows", vec![empty()], "[]"),
        ("CREATE TEMP TABLE t ON COMMIT DROP AS SELECT a FROM rows; SELECT a FROM t", vec![empty()], "[]"),
        (
            "SELECT r.a, p.z, p.y FROM rows r LEFT JOIN pipe1 p ON p.a = r.a ORDER BY r.a",
            vec![common::numbers(), empty()],
            r#"[{"a":1,"z":null,"y":null},{"a":2,"z":null,"y":null}]"#,
        ),
        ("SELECT rows.x, pipe1.y FROM rows, pipe1 WHERE rows.z = pipe1.z", vec![empty(), empty()], "[]"),
        ("SELECT * FROM rows", vec![empty()], "[]"),
    ] {
        assert_eq!(fixture.json(sql, &inputs).await, expected, "{sql}");
    }
    let failure = fixture.failure("SELECT rows.nonsense FROM rows, pipe1", &[common::numbers(), empty()]).await;
    assert!(failure.message.contains("column rows.nonsense does not exist"), "{failure}");
    let failure = fixture.failure("SELECT nofunction(a) FROM rows", &[empty()]).await;
    assert!(failure.message.contains("nofunction"), "{failure}");
}
