//! Values in, rows out.

use bue_model::{Answer, Decimal, Failure, FailureKind, Value, cbor};
use bue_runtime::{Event, Limits};

use super::common::{Fixture, column, failure, json, list, map, numbers, query, text};

#[tokio::test]
async fn the_result_is_the_rows_of_the_last_statement() {
    let fixture = Fixture::new().await;
    for (sql, inputs, expected) in [
        ("SELECT 1 AS x", vec![], r#"[{"x":1}]"#),
        ("SELECT * FROM rows", vec![numbers()], r#"[{"a":1,"b":"x","c":null},{"a":2,"b":null,"c":null}]"#),
        ("SELECT 1; SELECT 2 AS two", vec![], r#"[{"two":2}]"#),
        ("CREATE TABLE t(x int); INSERT INTO t VALUES (7); SELECT x FROM t; DROP TABLE t", vec![], "[]"),
        ("INSERT INTO rows(a) VALUES (3) RETURNING a, b", vec![numbers()], r#"[{"a":3,"b":null}]"#),
        (
            "WITH new AS (INSERT INTO rows(a) VALUES (4) RETURNING a) SELECT a + 1 AS n FROM new",
            vec![numbers()],
            r#"[{"n":5}]"#,
        ),
        ("SHOW server_encoding", vec![], r#"[{"server_encoding":"UTF8"}]"#),
        ("", vec![], "[]"),
        (" ; -- nothing\n", vec![numbers()], "[]"),
        (
            "SELECT rows.a, pipe1.z FROM rows JOIN pipe1 ON pipe1.a = rows.a",
            vec![numbers(), list(&[map(&[("a", Value::Int(2)), ("z", text("joined"))])])],
            r#"[{"a":2,"z":"joined"}]"#,
        ),
        ("SELECT count(*) n FROM pipe2", vec![numbers(), numbers(), numbers()], r#"[{"n":2}]"#),
        ("SELECT a FROM rows", vec![map(&[("a", Value::Int(5))])], r#"[{"a":5}]"#),
        ("SELECT count(*) n FROM rows", vec![list(&[])], r#"[{"n":0}]"#),
        ("SELECT * FROM rows", vec![list(&[])], "[]"),
        ("SELECT count(*) n FROM rows", vec![list(&[map(&[]), map(&[])])], r#"[{"n":2}]"#),
        ("SELECT 1 AS x, 2 AS x", vec![], r#"[{"x":1,"x:1":2}]"#),
        (
            "SELECT '{{scope}}' s, {{priority}} p, {{timeout}} t, {{retries}} r",
            vec![],
            r#"[{"s":"eu","p":5,"t":60,"r":2}]"#,
        ),
        ("CREATE TEMP TABLE t_{{uuid:a}} AS SELECT 1 AS x; SELECT x FROM t_{{uuid:a}}", vec![], r#"[{"x":1}]"#),
        (
            "SAVEPOINT a; INSERT INTO rows(a) VALUES (9); ROLLBACK TO a; SELECT max(a) m FROM rows",
            vec![numbers()],
            r#"[{"m":2}]"#,
        ),
    ] {
        assert_eq!(fixture.json(sql, &inputs).await, expected, "{sql}");
    }
}

#[tokio::test]
async fn columns_get_the_smallest_type_and_keep_their_values() {
    let fixture = Fixture::new().await;
    let big = || cbor::decode(&[0xc2, 0x49, 1, 0, 0, 0, 0, 0, 0, 0, 0]).expect("2^64");
    let decimal = |mantissa: i64, exponent| Value::Decimal(Decimal { mantissa: mantissa.into(), exponent });
    let date = || Value::Date("2026-09-30".into());
    let zoned = |text: &str| Value::DateTime(text.into());
    for (values, sql_type, expected) in [
        (vec![Value::Null], "boolean", "[null]"),
        (vec![Value::Bool(true), Value::Null, Value::Bool(false)], "boolean", "[true,null,false]"),
        (
            vec![Value::Int(i64::MIN), Value::Int(i64::MAX), Value::Null],
            "bigint",
            "[-9223372036854775808,9223372036854775807,null]",
        ),
        (vec![Value::Int(7), Value::Bool(true)], "bigint", "[7,1]"),
        (vec![Value::Int(1), big()], "numeric", r#"["1","18446744073709551616"]"#),
        (
            vec![decimal(150, -2), decimal(-5, -3), decimal(12, 5), Value::Int(0)],
            "numeric",
            r#"["1.50","-0.005","1200000","0"]"#,
        ),
        (
            vec![Value::Float(0.1), Value::Int(3), Value::Float(-1e300), Value::Float(5e-324)],
            "double precision",
            "[0.1,3.0,-1e+300,5e-324]",
        ),
        (vec![date(), Value::Null], "date", r#"["2026-09-30",null]"#),
        (vec![Value::Time("12:30:00.5".into())], "time without time zone", r#"["12:30:00.5"]"#),
        (
            vec![Value::DateTime("2026-09-30T12:00:00.000001".into()), date()],
            "timestamp without time zone",
            r#"["2026-09-30T12:00:00.000001","2026-09-30T00:00:00"]"#,
        ),
        (
            vec![zoned("2026-09-30T12:00:00+02:00"), zoned("1969-12-31T23:59:59Z")],
            "timestamp with time zone",
            r#"["2026-09-30T10:00:00+00:00","1969-12-31T23:59:59+00:00"]"#,
        ),
        (
            vec![Value::Uuid("67e55044-10b1-426f-9247-bb680e5fe0c8".parse().expect("a uuid"))],
            "uuid",
            r#"["67e55044-10b1-426f-9247-bb680e5fe0c8"]"#,
        ),
        (vec![Value::Bytes(vec![0, 255]), Value::Bytes(vec![])], "bytea", r#"["AP8=",""]"#),
        (
            vec![map(&[("k", list(&[Value::Int(1), Value::Null]))]), text("x"), Value::Int(1)],
            "jsonb",
            r#"[{"k":[1,null]},"x",1]"#,
        ),
        (vec![text("it's \"\\ é\n"), text(""), text("NULL")], "text", r#"["it's \"\\ é\n","","NULL"]"#),
    ] {
        let input = [column(&values)];
        let found = fixture.json("SELECT DISTINCT pg_typeof(x)::text AS t FROM rows", &input).await;
        assert_eq!(found, format!(r#"[{{"t":"{sql_type}"}}]"#), "{values:?}");
        let back = fixture.value("SET LOCAL timezone = 'UTC'; SELECT x FROM rows", &input).await;
        let Value::List(rows) = back else { panic!("{back:?}") };
        let cells: Vec<Value> = rows
            .into_iter()
            .map(|row| match row {
                Value::Map(mut entries) => entries.remove(0).1,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(json(&list(&cells)), expected, "{values:?}");
    }
}

/// Such a column was text before, silently.
#[tokio::test]
async fn values_that_no_type_holds_together_are_refused() {
    let fixture = Fixture::new().await;
    for (values, word) in [
        (vec![text("a"), Value::Null, Value::Int(1)], "row 3 (the first is row 1): the value is an int"),
        (vec![Value::Float(0.5), Value::Bytes(vec![1, 2])], "row 2 (the first is row 1): the value is bytes"),
    ] {
        let failure = fixture.failure("SELECT x FROM rows", &[column(&values)]).await;
        assert_eq!(failure.kind, FailureKind::BadInput, "{failure:?}");
        for word in ["table `rows`", "column `x`", word, "declare the columns"] {
            assert!(failure.message.contains(word), "{word:?} is not in {failure:?}");
        }
    }
}

#[tokio::test]
async fn every_type_comes_out() {
    let fixture = Fixture::new().await;
    for (sql, expected) in [
        ("true", Value::Bool(true)),
        ("1::int2", Value::Int(1)),
        ("4294967295::oid", Value::Int(4_294_967_295)),
        ("0.1::float4", Value::Float(0.1)),
        ("'NaN'::float8", Value::Float(f64::NAN)),
        ("'-Infinity'::float8", Value::Float(f64::NEG_INFINITY)),
        ("1.50::numeric", Value::Decimal(Decimal { mantissa: 150.into(), exponent: -2 })),
        ("'NaN'::numeric", Value::Float(f64::NAN)),
        ("'x'::varchar(3)", text("x")),
        ("'x'::char(3)", text("x  ")),
        ("'\\x00ff'::bytea", Value::Bytes(vec![0, 255])),
        ("'2026-09-30'::date", Value::Date("2026-09-30".into())),
        ("'infinity'::date", text("infinity")),
        ("'12:30'::time", Value::Time("12:30:00".into())),
        ("'12:30+02'::timetz", Value::Time("12:30:00+02:00".into())),
        ("'2026-09-30 12:30'::timestamp", Value::DateTime("2026-09-30T12:30:00".into())),
        ("'2026-09-30 12:30+05:30'::timestamptz AT TIME ZONE 'UTC'", Value::DateTime("2026-09-30T07:00:00".into())),
        (
            r#"'{"b":[1,2.5,null,"x"],"a":18446744073709551615}'::json"#,
            map(&[
                ("b", list(&[Value::Int(1), Value::Float(2.5), Value::Null, text("x")])),
                ("a", Value::BigInt(u64::MAX.into())),
            ]),
        ),
        (
            "'[18446744073709551616, -9223372036854775809, 0.12345678901234567891, 0.1]'::jsonb",
            list(&[
                Value::BigInt("18446744073709551616".parse().expect("digits")),
                Value::BigInt("-9223372036854775809".parse().expect("digits")),
                Value::Decimal(Decimal { mantissa: 12_345_678_901_234_567_891_u64.into(), exponent: -20 }),
                Value::Float(0.1),
            ]),
        ),
        ("'[]'::jsonb", list(&[])),
        ("ARRAY[1,NULL,3]", list(&[Value::Int(1), Value::Null, Value::Int(3)])),
        ("ARRAY[['a','b,'],['\"','NULL']]", list(&[list(&[text("a"), text("b,")]), list(&[text("\""), text("NULL")])])),
        ("ARRAY['{\"a\":1}'::jsonb]", list(&[map(&[("a", Value::Int(1))])])),
        ("'{}'::int[]", list(&[])),
        ("'1 2'::int2vector", text("1 2")),
        ("'192.168.0.1/24'::inet", text("192.168.0.1/24")),
        ("'1 day 02:00'::interval", text("1 day 02:00:00")),
        ("int4range(1,5)", text("[1,5)")),
        ("ROW(1,'x')", text("(1,x)")),
        ("B'101'", text("101")),
        ("NULL::int", Value::Null),
        ("pg_typeof(1)", text("integer")),
        ("'sad'::mood", text("sad")),
        ("ARRAY['sad']::mood[]", list(&[text("sad")])),
        ("7::small", Value::Int(7)),
    ] {
        let sql = format!(
            "CREATE TYPE mood AS ENUM ('sad'); CREATE DOMAIN small AS int; SET LOCAL datestyle = 'German, DMY'; \
             SET LOCAL bytea_output = 'escape'; SET LOCAL extra_float_digits = -3; SELECT {sql} AS x"
        );
        let got = fixture.value(&sql, &[]).await;
        assert_eq!(format!("{got:?}"), format!("{:?}", column(&[expected])), "{sql}");
        fixture.client.batch_execute("DROP DOMAIN small; DROP TYPE mood").await.expect("types that are gone");
    }
}

#[tokio::test]
async fn inputs_that_are_not_rows_are_refused_with_the_reason() {
    let fixture = Fixture::new().await;
    for (input, expected) in [
        (Value::Int(1), "needs rows (a list of maps) for table `rows`, but step input 1 is an int"),
        (list(&[map(&[]), Value::Int(1)]), "a list whose element 1 is an int"),
        (column(&[text("a\0b")]), "column `x`, row 1 (the first is row 1): the text contains a NUL character"),
    ] {
        let failure = fixture.failure("SELECT 1", &[input]).await;
        assert_eq!(failure.kind, FailureKind::BadInput);
        assert!(failure.message.contains(expected), "{failure}");
    }
    let failure = fixture.failure("SELECT a FROM rows", &[map(&[("b", Value::Int(1))])]).await;
    assert!(failure.message.contains("a map with the keys b"), "{failure}");
}

/// Only rows in transit are held: the batches are small, and the whole result is never buffered.
#[tokio::test]
async fn many_rows_are_passed_in_small_batches() {
    let fixture = Fixture::new().await;
    const ROWS: i64 = 200_000;
    let rows: Vec<Value> =
        (0..ROWS).map(|id| map(&[("id", Value::Int(id)), ("name", text("a name of some length"))])).collect();
    let limits = Limits { result_bytes: 100 * 1024, ..Limits::default() };
    let query =
        bue_runtime::Query { streamed: true, limits, ..query("SELECT * FROM rows ORDER BY id DESC", &[list(&rows)]) };
    let mut running = fixture.databases.run(query);
    let mut expected = ROWS;
    loop {
        match running.next().await.expect("an event") {
            Event::Items { count, items, .. } => {
                assert!(items.len() < 100 * 1024, "{}", items.len());
                let Value::List(rows) = cbor::decode(&items).expect("CBOR") else { panic!("no list") };
                assert_eq!(rows.len(), count as usize);
                for row in rows {
                    expected -= 1;
                    assert_eq!(row, map(&[("id", Value::Int(expected)), ("name", text("a name of some length"))]));
                }
            }
            Event::Finished(finished) => {
                assert!(matches!(finished.answer, Answer::Completed { streamed: true, .. }), "{finished:?}");
                break;
            }
            Event::Lines { .. } => panic!("lines that were not requested"),
        }
    }
    assert_eq!(expected, 0);
}

#[tokio::test]
async fn rows_beyond_the_result_limit_fail_the_step() {
    let fixture = Fixture::new().await;
    let limits = Limits { result_bytes: 1000, ..Limits::default() };
    let query = bue_runtime::Query { limits, ..query("SELECT generate_series(1, 1000000) AS x", &[]) };
    let Failure { kind, message, .. } = failure(&fixture.run(query).await);
    assert_eq!(kind, FailureKind::Limit);
    assert!(message.contains("result limit of 1000 bytes"), "{message}");
    fixture.until_active("active", 0).await;
}
