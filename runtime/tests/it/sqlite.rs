//! SQL steps: what comes out of what goes in, and what hostile statements get.

use std::time::Duration;

use crate::common::{failure, run, sandbox, sqlite, stream, value};
use bue_model::{Answer, Decimal, FailureKind, Json, Value, cbor};
use bue_runtime::{Items, Limits};
use bue_test_support::wait::within_deadline;
use tokio::sync::mpsc;

/// Values as a test writes them.
fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn map(entries: &[(&str, Value)]) -> Value {
    Value::Map(entries.iter().map(|(key, value)| (text(key), value.clone())).collect())
}

fn list(items: &[Value]) -> Value {
    Value::List(items.to_vec())
}

fn numbers() -> Value {
    list(&[map(&[("a", Value::Int(1)), ("b", text("x"))]), map(&[("a", Value::Int(2)), ("c", Value::Null)])])
}

async fn json(sql: &str, inputs: &[Value]) -> String {
    serde_json::to_string(&Json(&value(&run(&sqlite(sql, inputs)).await))).expect("JSON")
}

#[tokio::test]
async fn the_result_is_the_rows_of_the_last_statement() {
    for (sql, inputs, expected) in [
        ("SELECT 1 AS x", vec![], r#"[{"x":1}]"#),
        ("SELECT * FROM rows", vec![numbers()], r#"[{"a":1,"b":"x","c":null},{"a":2,"b":null,"c":null}]"#),
        ("SELECT a FROM rows WHERE a > 1;", vec![numbers()], r#"[{"a":2}]"#),
        ("SELECT sum(a) s FROM rows -- all\n;\n/* the end */", vec![numbers()], r#"[{"s":3}]"#),
        // the last statement's rows are the result
        ("SELECT 1; SELECT 2 AS two", vec![], r#"[{"two":2}]"#),
        ("CREATE TABLE t(x); INSERT INTO t VALUES (7); SELECT x FROM t", vec![], r#"[{"x":7}]"#),
        ("SELECT 1; CREATE TABLE t(x)", vec![], "[]"),
        ("", vec![], "[]"),
        (" ; -- nothing\n", vec![numbers()], "[]"),
        ("INSERT INTO rows(a) VALUES (3) RETURNING a", vec![numbers()], r#"[{"a":3}]"#),
        // further inputs
        (
            "SELECT rows.a, pipe1.z FROM rows JOIN pipe1 ON pipe1.a = rows.a",
            vec![numbers(), list(&[map(&[("a", Value::Int(2)), ("z", text("joined"))])])],
            r#"[{"a":2,"z":"joined"}]"#,
        ),
        ("SELECT count(*) n FROM pipe2", vec![numbers(), numbers(), numbers()], r#"[{"n":2}]"#),
        // one map is one row; no rows are an empty table
        ("SELECT a FROM rows", vec![map(&[("a", Value::Int(5))])], r#"[{"a":5}]"#),
        ("SELECT count(*) n FROM rows", vec![list(&[])], r#"[{"n":0}]"#),
        ("SELECT * FROM rows", vec![list(&[])], "[]"),
        ("SELECT count(*) n FROM rows", vec![list(&[map(&[]), map(&[])])], r#"[{"n":2}]"#),
        // names are names, whatever they hold
        ("SELECT \"extra col\" FROM rows", vec![list(&[map(&[("extra col", Value::Int(1))])])], r#"[{"extra col":1}]"#),
        (
            "SELECT count(*) n FROM rows",
            vec![list(&[map(&[
                ("a\"); DROP TABLE rows; --", Value::Int(1)),
                ("", Value::Int(2)),
                ("select", Value::Int(3)),
            ])])],
            r#"[{"n":1}]"#,
        ),
        (
            "SELECT A, rowid r FROM rows",
            vec![list(&[map(&[("a", Value::Int(1))]), map(&[("A", Value::Int(2))])])],
            r#"[{"a":1,"r":1},{"a":2,"r":2}]"#,
        ),
        // a name that comes twice
        ("SELECT 1 AS a, 2 AS a, 3 AS a", vec![], r#"[{"a":1,"a:1":2,"a:2":3}]"#),
        // placeholders
        (
            "SELECT '{{scope}}' s, {{priority}} p, {{timeout}} t, {{retries}} r, '{{other}}' o",
            vec![],
            r#"[{"s":"eu","p":5,"t":60,"r":2,"o":"{{other}}"}]"#,
        ),
        (
            "CREATE TABLE t{{uuid:t}}(x); INSERT INTO t{{uuid|t}} VALUES (1); SELECT x FROM t{{uuid:t}}",
            vec![],
            r#"[{"x":1}]"#,
        ),
        // statements that hold semicolons
        (
            "CREATE TABLE t(x); CREATE TRIGGER g AFTER INSERT ON t BEGIN UPDATE t SET x = x + 1; END; INSERT INTO t VALUES (1); SELECT x, ';' AS y FROM t",
            vec![],
            r#"[{"x":2,"y":";"}]"#,
        ),
    ] {
        assert_eq!(json(sql, &inputs).await, expected, "{sql}");
    }
}

#[tokio::test]
async fn types_are_kept_going_in() {
    let decimal = Value::Decimal(Decimal { mantissa: 150.into(), exponent: -2 });
    for (given, kind, seen) in [
        (Value::Int(i64::MIN), "integer", Value::Int(i64::MIN)),
        (Value::Float(1.5), "real", Value::Float(1.5)),
        (text("1"), "text", text("1")),
        (Value::Bytes(vec![0, 255]), "blob", Value::Bytes(vec![0, 255])),
        (Value::Null, "null", Value::Null),
        (Value::Bool(true), "integer", Value::Bool(true)),
        (decimal, "real", Value::Decimal(Decimal { mantissa: 15.into(), exponent: -1 })),
        (
            Value::Uuid("01234567-89ab-cdef-0123-456789abcdef".parse().expect("a uuid")),
            "text",
            Value::Uuid("01234567-89ab-cdef-0123-456789abcdef".parse().expect("a uuid")),
        ),
        (
            Value::DateTime("2026-09-30T12:00:00+02:00".into()),
            "text",
            Value::DateTime("2026-09-30T10:00:00+00:00".into()),
        ),
        (Value::DateTime("2026-09-30T12:00:00".into()), "text", Value::DateTime("2026-09-30T12:00:00".into())),
        (Value::Time("12:00:00".into()), "text", Value::Time("12:00:00".into())),
        (Value::Date("2026-09-30".into()), "text", Value::Date("2026-09-30".into())),
        (list(&[Value::Int(1), text("x")]), "text", list(&[Value::Int(1), text("x")])),
        (map(&[("k", Value::Null)]), "text", map(&[("k", Value::Null)])),
    ] {
        let rows = list(&[map(&[("v", given.clone())])]);
        let answer = value(&run(&sqlite("SELECT typeof(v) t, v FROM rows", &[rows])).await);
        assert_eq!(answer, list(&[map(&[("t", text(kind)), ("v", seen)])]), "{given:?}");
    }
}

/// SQLite names one column of a union only, so the values of the others must not be taken for its kind.
#[tokio::test]
async fn a_union_has_the_types_of_sqlite() {
    let flags = list(&[map(&[("f", Value::Bool(true))])]);
    let counts = list(&[map(&[("n", Value::Int(0))])]);
    let sql = "SELECT f FROM rows UNION ALL SELECT n FROM pipe1";
    assert_eq!(json(sql, &[flags.clone(), counts.clone()]).await, r#"[{"f":1},{"f":0}]"#);
    let view = "CREATE VIEW v AS SELECT f FROM rows UNION SELECT n FROM pipe1; SELECT f FROM v ORDER BY f";
    assert_eq!(json(view, &[flags.clone(), counts]).await, r#"[{"f":0},{"f":1}]"#);
    // a computed value has no kind of its own, a value that a statement wrote may have another one
    assert_eq!(
        json("SELECT max(f) m, f, 'union' u FROM rows", std::slice::from_ref(&flags)).await,
        r#"[{"m":1,"f":true,"u":"union"}]"#
    );
    assert_eq!(json("UPDATE rows SET f = 2; SELECT f FROM rows", &[flags]).await, r#"[{"f":2}]"#);
}

/// Datetimes with an offset are instants, so they compare and sort as such.
#[tokio::test]
async fn instants_compare_as_instants() {
    let at = |text: &str| map(&[("t", Value::DateTime(text.to_owned()))]);
    // 10:00, 11:00 and a microsecond past 10:00 in UTC
    let rows = [at("2026-09-30T12:00:00+02:00"), at("2026-09-30T11:00:00Z"), at("2026-09-30T05:00:00.000001-05:00")];
    for (sql, expected) in [
        ("SELECT max(t) t FROM rows", r#"[{"t":"2026-09-30T11:00:00+00:00"}]"#),
        (
            "SELECT t FROM rows ORDER BY t LIMIT 2",
            r#"[{"t":"2026-09-30T10:00:00+00:00"},{"t":"2026-09-30T10:00:00.000001+00:00"}]"#,
        ),
        ("SELECT count(DISTINCT datetime(t)) n FROM rows", r#"[{"n":2}]"#),
    ] {
        assert_eq!(json(sql, &[list(&rows)]).await, expected, "{sql}");
    }
}

#[tokio::test]
async fn times_that_cannot_be_compared_are_refused() {
    let at = |text: &str| Value::DateTime(text.to_owned());
    for (values, words) in [
        (vec![at("2026-09-30T12:00:00"), at("2026-09-30T12:00:00Z")], ["row 2", "has an offset, but others"]),
        (
            vec![at("2026-09-30T12:00:00Z"), Value::Null, at("2026-09-30T12:00:00")],
            ["row 3", "has no offset, but others"],
        ),
        (vec![Value::Time("12:00:00+02:00".into())], ["row 1", "the time 12:00:00+02:00 has an offset"]),
        (vec![at("0001-01-01T00:00:00+01:00")], ["row 1", "years 1 to 9999"]),
        (vec![at("2026-09-30T12:00:00.1234567Z")], ["row 1", "to the microsecond"]),
    ] {
        let rows: Vec<Value> = values.into_iter().map(|value| map(&[("t", value)])).collect();
        let failure = failure(&run(&sqlite("SELECT * FROM rows", &[list(&rows)])).await);
        assert_eq!(failure.kind, FailureKind::BadInput, "{failure:?}");
        for word in ["table `rows`: column `t`", words[0], words[1]] {
            assert!(failure.message.contains(word), "{word:?} is not in {failure:?}");
        }
    }
}

#[tokio::test]
async fn invalid_utf8_becomes_bytes() {
    let answer = value(&run(&sqlite("SELECT CAST(x'ff' AS TEXT) v", &[])).await);
    assert_eq!(answer, list(&[map(&[("v", Value::Bytes(vec![255]))])]));
}

#[tokio::test]
async fn inputs_that_are_not_rows_are_named() {
    for (input, words) in [
        (Value::Int(3), vec!["needs rows (a list of maps) for table `rows`", "step input 1 is an int"]),
        (Value::Null, vec!["step input 1 is null"]),
        (list(&[map(&[]), text("x")]), vec!["a list whose element 1 is a text"]),
        (list(&[map(&[("a\0b", Value::Int(1))])]), vec!["zero character", "`rows`"]),
    ] {
        let failure = failure(&run(&sqlite("SELECT * FROM rows", std::slice::from_ref(&input))).await);
        assert_eq!(failure.kind, FailureKind::BadInput, "{failure:?}");
        for word in words {
            assert!(failure.message.contains(word), "{word:?} is not in {failure:?}");
        }
    }
}

#[tokio::test]
async fn a_map_that_holds_the_rows_is_named_with_its_keys() {
    let report = map(&[("config", map(&[])), ("table_data", numbers())]);
    let failure = failure(&run(&sqlite("SELECT a FROM rows", &[report])).await);
    assert_eq!(failure.kind, FailureKind::BadInput);
    let expected = "needs rows (a list of maps) for table `rows`, but step input 1 is a map with the keys config, table_data; return the list itself";
    assert!(failure.message.contains(expected), "{failure:?}");
}

/// The day without sales: an empty list has the columns that the statements name.
#[tokio::test]
async fn an_empty_table_has_the_columns_that_are_used() {
    let empty = list(&[]);
    for (sql, inputs, expected) in [
        ("SELECT a FROM rows", vec![&empty], "[]"),
        (
            "SELECT r.a, \"b c\", count(*) n FROM rows r WHERE r.d > 5 GROUP BY r.a HAVING sum(e) > 1 ORDER BY f",
            vec![&empty],
            "[]",
        ),
        ("SELECT sum(a) s, count(*) n FROM rows", vec![&empty], r#"[{"s":null,"n":0}]"#),
        ("INSERT INTO rows(a, b) VALUES (1, 2); SELECT * FROM rows", vec![&empty], r#"[{"a":1,"b":2}]"#),
        ("UPDATE rows SET a = b; SELECT * FROM rows", vec![&empty], "[]"),
        ("CREATE TABLE t AS SELECT a FROM rows; SELECT a FROM t", vec![&empty], "[]"),
        (
            "SELECT r.a, p.z, p.y FROM rows r LEFT JOIN pipe1 p ON p.a = r.a",
            vec![&numbers(), &empty],
            r#"[{"a":1,"z":null,"y":null},{"a":2,"z":null,"y":null}]"#,
        ),
        ("SELECT rows.x, pipe1.y FROM rows, pipe1 WHERE rows.z = pipe1.z", vec![&empty, &empty], "[]"),
    ] {
        let inputs: Vec<Value> = inputs.into_iter().cloned().collect();
        assert_eq!(json(sql, &inputs).await, expected, "{sql}");
    }
}

/// A column of a table with rows is not taken for one of an empty table.
#[tokio::test]
async fn a_missing_column_of_another_table_is_missed() {
    let inputs = [numbers(), list(&[])];
    let failure = failure(&run(&sqlite("SELECT rows.nonsense FROM rows, pipe1", &inputs)).await);
    assert_eq!(failure.kind, FailureKind::BadInput);
    assert!(failure.message.contains("no such column: rows.nonsense"), "{failure:?}");
}

#[tokio::test]
async fn errors_name_file_line_and_position() {
    let sql = "SELECT 1;\n-- more\nSELECT a,\n  nonsense\nFROM rows";
    let failure = failure(&run(&sqlite(sql, &[numbers()])).await);
    assert_eq!(failure.kind, FailureKind::BadCode);
    assert_eq!(failure.message, "query.sql, line 4: no such column: nonsense\n      nonsense\n      ^");
}

#[tokio::test]
async fn misspelt_sql_is_bad_code_and_bad_data_is_not() {
    for (sql, kind) in [
        ("SELEC 1", FailureKind::BadCode),
        ("SELECT ?", FailureKind::BadCode),
        ("SELECT \"nothing\" FROM rows", FailureKind::BadCode),
        ("SELECT 'open", FailureKind::BadCode),
        ("CREATE TABLE t(x CHECK (x > 1)); INSERT INTO t VALUES (0)", FailureKind::Raised),
        ("SELECT json_extract('{', '$.a')", FailureKind::Raised),
        ("SELECT abs(-9223372036854775808)", FailureKind::Raised),
    ] {
        let failure = failure(&run(&sqlite(sql, &[numbers()])).await);
        assert_eq!(failure.kind, kind, "{sql}: {failure:?}");
        assert!(failure.message.starts_with("query.sql, line 1: "), "{failure:?}");
    }
}

#[tokio::test]
async fn what_reaches_outside_is_denied() {
    let file = tempfile::tempdir().expect("a directory");
    let path = file.path().join("out.db");
    let path = path.display();
    for sql in [
        format!("ATTACH DATABASE '{path}' AS other"),
        format!("VACUUM INTO '{path}'"),
        "VACUUM".to_owned(),
        "DETACH DATABASE main".to_owned(),
        "SELECT load_extension('libc.so.6')".to_owned(),
        "SELECT fts3_tokenizer('simple')".to_owned(),
        "PRAGMA writable_schema = ON".to_owned(),
        "PRAGMA temp_store_directory = '/tmp'".to_owned(),
        "PRAGMA hard_heap_limit = 0".to_owned(),
        "PRAGMA journal_mode = WAL".to_owned(),
        "PRAGMA trusted_schema = ON".to_owned(),
        "CREATE VIRTUAL TABLE v USING fts5(x)".to_owned(),
        "CREATE VIRTUAL TABLE v USING rtree(id, a, b)".to_owned(),
    ] {
        let failure = failure(&run(&sqlite(&sql, &[])).await);
        assert!(matches!(failure.kind, FailureKind::Denied | FailureKind::BadCode), "{sql}: {failure:?}");
    }
    assert_eq!(std::fs::read_dir(file.path()).expect("a directory").count(), 0, "a file was written");
}

#[tokio::test]
async fn read_only_pragmas_are_allowed() {
    assert_eq!(
        json("SELECT name FROM pragma_table_info('rows')", &[numbers()]).await,
        r#"[{"name":"a"},{"name":"b"},{"name":"c"}]"#
    );
}

#[tokio::test]
async fn greedy_statements_meet_a_limit() {
    let endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)";
    let (small, quick) = (16 << 20, Duration::from_millis(300));
    for (sql, limits, word) in [
        (format!("{endless} SELECT sum(x) FROM n"), Limits { time: quick, ..Limits::default() }, "300 ms"),
        (
            format!("{endless} SELECT x FROM n ORDER BY randomblob(1000)"),
            Limits { memory_bytes: small, ..Limits::default() },
            "16 MiB",
        ),
        (
            format!("CREATE TABLE t AS {endless} SELECT randomblob(1000) b FROM n"),
            Limits { memory_bytes: small, ..Limits::default() },
            "16 MiB",
        ),
        (
            format!("CREATE TEMP TABLE t AS {endless} SELECT randomblob(1000) b FROM n"),
            Limits { memory_bytes: small, ..Limits::default() },
            "16 MiB",
        ),
        (format!("{endless} SELECT x FROM n"), Limits { result_bytes: 1 << 20, ..Limits::default() }, "1 MiB"),
        ("SELECT zeroblob(1000000000)".to_owned(), Limits::default(), "64 MiB"),
        ("SELECT randomblob(60000000) || randomblob(60000000)".to_owned(), Limits::default(), "64 MiB"),
        ("SELECT hex(zeroblob(50000000))".to_owned(), Limits::default(), "64 MiB"),
    ] {
        let mut task = sqlite(&sql, &[]);
        task.limits = limits;
        let failure = failure(&run(&task).await);
        assert_eq!(failure.kind, FailureKind::Limit, "{sql}: {failure:?}");
        assert!(failure.message.contains(word), "{sql}: {failure:?}");
    }
}

#[tokio::test]
async fn deep_and_long_statements_end_in_an_error() {
    for sql in [
        format!("SELECT {}1{}", "(".repeat(100_000), ")".repeat(100_000)),
        format!("SELECT {}", vec!["1"; 100_000].join(",")),
        vec!["SELECT 1"; 10_000].join(" UNION ALL "),
        format!("SELECT 'x' LIKE '{}'", "%a".repeat(100_000)),
    ] {
        assert!(matches!(failure(&run(&sqlite(&sql, &[])).await).kind, FailureKind::BadCode | FailureKind::Raised));
    }
}

#[tokio::test]
async fn a_loop_takes_rows_as_they_come() {
    let sql = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 100000) SELECT x FROM n";
    let (finished, rows) = stream(&mut sqlite(sql, &[])).await;
    assert!(matches!(finished.answer, Answer::Completed { streamed: true, .. }), "{finished:?}");
    assert_eq!((rows.len(), rows.last()), (100_000, Some(&map(&[("x", Value::Int(100_000))]))));
    let (_, none) = stream(&mut sqlite("SELECT 1 WHERE 0", &[])).await;
    assert!(none.is_empty());
}

#[tokio::test]
async fn one_step_finds_nothing_of_another() {
    assert_eq!(json("CREATE TABLE left_over(x); SELECT 1 a", &[]).await, r#"[{"a":1}]"#);
    let failure = failure(&run(&sqlite("SELECT * FROM left_over", &[])).await);
    assert!(failure.message.contains("no such table: left_over"), "{failure:?}");
}

#[tokio::test]
async fn many_rows_go_in_and_out() {
    let rows: Vec<Value> = (0..50_000).map(|x| map(&[("x", Value::Int(x)), ("t", text("some text"))])).collect();
    let finished = run(&sqlite("SELECT * FROM rows WHERE x % 2 = 0", &[list(&rows)])).await;
    let Answer::Completed { value, .. } = &finished.answer else { panic!("{finished:?}") };
    assert_eq!(cbor::array_items(value).expect("CBOR").map(Iterator::count), Some(25_000));
}

/// The SQLite of the steps is built apart from that of the hub and of `bue check`; an upgrade of one must not forget the other.
#[tokio::test]
async fn guest_and_host_have_the_same_sqlite() {
    let native = rusqlite::Connection::open_in_memory().expect("a database");
    let expected: String = native.query_row("SELECT sqlite_source_id()", [], |row| row.get(0)).expect("an id");
    let rows = value(&run(&sqlite("SELECT sqlite_source_id() AS id", &[])).await);
    assert_eq!(rows, list(&[map(&[("id", text(&expected))])]));
}

/// All steps begin as copies of the same memory, also that of SQLite's generator.
#[tokio::test]
async fn steps_have_different_random_numbers() {
    let sql = "SELECT hex(randomblob(16)) AS a, random() AS b";
    let mut seen = std::collections::HashSet::new();
    for _ in 0..20 {
        assert!(seen.insert(json(sql, &[]).await), "twice the same");
    }
}

#[tokio::test]
async fn local_time_is_utc() {
    let sql = "SELECT datetime('2026-07-01 12:00:00', 'localtime') AS t, datetime('now') = datetime('now', 'localtime') AS same";
    assert_eq!(json(sql, &[]).await, r#"[{"t":"2026-07-01 12:00:00","same":1}]"#);
    let year = json("SELECT CAST(strftime('%Y', 'now') AS INTEGER) > 2025 AS it_has_a_clock", &[]).await;
    assert_eq!(year, r#"[{"it_has_a_clock":1}]"#);
}

#[tokio::test]
async fn foreign_keys_are_enforced() {
    let sql = "CREATE TABLE p(x PRIMARY KEY); CREATE TABLE c(x REFERENCES p(x)); INSERT INTO c VALUES (1)";
    let failure = failure(&run(&sqlite(sql, &[])).await);
    assert!(failure.kind == FailureKind::Raised && failure.message.contains("FOREIGN KEY"), "{failure:?}");
}

/// Neither the input nor the result is in the guest's memory as a whole, beside the table.
#[tokio::test]
async fn an_input_needs_the_memory_of_its_table() {
    let line = "x".repeat(1000);
    let rows: Vec<Value> = (0..24_000).map(|n| map(&[("n", Value::Int(n)), ("t", text(&line))])).collect();
    let mut task = sqlite("SELECT * FROM rows", &[list(&rows)]);
    task.limits.memory_bytes = 40 << 20;
    let finished = run(&task).await;
    let Answer::Completed { value, .. } = &finished.answer else { panic!("{finished:?}") };
    assert_eq!(cbor::array_items(value).expect("CBOR").map(Iterator::count), Some(24_000));
    assert!(finished.usage.memory_bytes > 24 << 20 && finished.usage.memory_bytes <= 40 << 20, "{:?}", finished.usage);
}

/// A value that is longer than a chunk.
#[tokio::test]
async fn long_values_go_in_and_out() {
    for len in [127 << 10, 128 << 10, 129 << 10, 5 << 20] {
        let long = text(&"é".repeat(len / 2));
        let rows = list(&[map(&[("a", Value::Int(1))]), map(&[("a", long.clone())]), map(&[("a", Value::Null)])]);
        let answer = value(&run(&sqlite("SELECT a FROM rows", std::slice::from_ref(&rows))).await);
        assert_eq!(answer, rows, "{len}");
    }
}

/// SQLite reports some refusals with other words, or goes on without.
#[tokio::test]
async fn memory_that_is_refused_is_named() {
    let allowed = 16 << 20;
    for sql in [
        "SELECT length(group_concat(randomblob(100000))) FROM (WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n)",
        "SELECT count(*) FROM (SELECT DISTINCT randomblob(1000) FROM (WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n))",
        "SELECT json_group_array(hex(randomblob(1000))) FROM (WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n)",
        "SELECT zeroblob(30000000)",
        "SELECT hex(randomblob(8000000))",
    ] {
        let mut task = sqlite(sql, &[]);
        task.limits.memory_bytes = allowed;
        let failure = failure(&run(&task).await);
        let words = "The SQL needs more memory than its limit of 16 MiB; work on fewer rows at a time";
        assert_eq!((failure.kind, failure.message.as_str()), (FailureKind::Limit, words), "{sql}");
    }
    let mut task = sqlite("SELECT 1", &[]);
    task.limits.memory_bytes = 64 << 10;
    let failure = failure(&run(&task).await);
    assert!(failure.kind == FailureKind::Limit && failure.message.contains("SQLite alone needs"), "{failure:?}");
}

/// A text of so many statements cost the square of its length.
#[tokio::test]
async fn many_statements_are_executed() {
    let sql = format!("{}SELECT 7 AS x", "SELECT 1;\n".repeat(50_000));
    assert_eq!(json(&sql, &[]).await, r#"[{"x":7}]"#);
    let broken = format!("{}SELECT FROM x", "SELECT 1;\n".repeat(50_000));
    assert!(failure(&run(&sqlite(&broken, &[])).await).message.starts_with("query.sql, line 50001: "));
}

#[tokio::test]
async fn a_loop_that_takes_no_rows_holds_the_step() {
    let sql = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 10000) SELECT x FROM n";
    let mut task = sqlite(sql, &[]);
    task.loop_text = Some("for row in rows() (line 3)".to_owned());
    task.limits.time = Duration::from_millis(300);
    let (items, mut received) = mpsc::channel::<Items>(1);
    let finished = within_deadline("the step to end", sandbox().run(&task, items)).await;
    assert!(failure(&finished).message.contains("300 ms"), "{finished:?}");
    let batch = received.try_recv().expect("the batch that had a place");
    assert!(batch.count < 10_000 && received.try_recv().is_err(), "{} rows, and more", batch.count);
    // with somebody who takes them, they are all there
    task.limits.time = Limits::default().time;
    assert_eq!(stream(&mut task).await.1.len(), 10_000);
}
