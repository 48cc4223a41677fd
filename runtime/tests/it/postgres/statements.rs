//! What statements may do, and the failures of those that fail.

use bue_model::FailureKind;
use bue_runtime::{Limits, Query};

use super::common::{Fixture, failure, log, numbers, query};

#[tokio::test]
async fn a_failure_rolls_back_and_names_the_line() {
    let fixture = Fixture::new().await;
    fixture.client.batch_execute("CREATE TABLE kept(x int PRIMARY KEY)").await.expect("a table");
    for (sql, kind, expected) in [
        (
            "INSERT INTO kept VALUES (1);\nSELECT 1 FROM nowhere",
            FailureKind::BadCode,
            "query.sql, line 2: relation \"nowhere\" does not exist (SQLSTATE 42P01)\n    SELECT 1 FROM nowhere\n                  ^",
        ),
        (
            "INSERT INTO kept VALUES (1); SELEKT",
            FailureKind::BadCode,
            "syntax error at or near \"SELEKT\" (SQLSTATE 42601)",
        ),
        (
            "INSERT INTO kept VALUES (1);\n\nSELECT 'é', 1/0",
            FailureKind::Raised,
            "query.sql, line 3: division by zero (SQLSTATE 22012)",
        ),
        (
            "INSERT INTO kept VALUES (1); INSERT INTO kept VALUES (1)",
            FailureKind::Raised,
            "\nDetail: Key (x)=(1) already exists.",
        ),
        ("INSERT INTO kept VALUES (1); SELECT A FROM rows_ LIMIT", FailureKind::BadCode, "at end of input"),
        (
            "INSERT INTO kept VALUES (1); SELECT aa FROM rows",
            FailureKind::BadCode,
            "\nHint: Perhaps you meant to reference the column \"rows.a\".",
        ),
        ("INSERT INTO kept VALUES (1); SELECT $1", FailureKind::BadCode, "there is no parameter $1"),
        (
            "INSERT INTO kept VALUES (1); DO $$ BEGIN RAISE EXCEPTION 'x' USING HINT = 'do y'; END $$",
            FailureKind::Raised,
            "\nHint: do y\nWhere: PL/pgSQL",
        ),
        (
            "INSERT INTO kept VALUES (1); COMMIT; SELECT 1",
            FailureKind::BadCode,
            "line 1: a postgres step is one transaction",
        ),
        // the server would end the string before the first semicolon
        (
            "INSERT INTO kept VALUES (1); SET standard_conforming_strings = off; SELECT '\\'' ; COMMIT; --'; SELECT 1/0",
            FailureKind::Raised,
            "division by zero",
        ),
        (
            "INSERT INTO kept VALUES (1); SELECT set_config('standard_conforming_strings', 'off', false) -- off\n; \
             SELECT '\\'' ; COMMIT; --'; SELECT 1/0",
            FailureKind::Raised,
            "division by zero",
        ),
        (
            "INSERT INTO kept VALUES (1); DO $$ BEGIN COMMIT; END $$",
            FailureKind::Raised,
            "invalid transaction termination",
        ),
        ("COPY kept FROM STDIN", FailureKind::BadCode, "COPY has no client here"),
        ("SELECT 1;\nSELECT 'a\0b'", FailureKind::BadCode, "line 2: a NUL character"),
        (
            "CREATE TABLE d(x int REFERENCES kept DEFERRABLE INITIALLY DEFERRED); INSERT INTO d VALUES (5)",
            FailureKind::Raised,
            "could not be committed",
        ),
    ] {
        let failure = fixture.failure(sql, &[numbers()]).await;
        assert_eq!(failure.kind, kind, "{sql}: {failure}");
        assert!(failure.message.contains(expected), "{sql}: {failure}");
        let kept: i64 = fixture.client.query_one("SELECT count(*) FROM kept", &[]).await.expect("a count").get(0);
        assert_eq!(kept, 0, "{sql}");
    }
    fixture.value("INSERT INTO kept VALUES (1)", &[]).await;
    let kept: i64 = fixture.client.query_one("SELECT count(*) FROM kept", &[]).await.expect("a count").get(0);
    assert_eq!(kept, 1, "what went well stays");
}

#[tokio::test]
async fn a_table_in_capitals_is_named_in_the_hint() {
    let fixture = Fixture::new().await;
    let query = Query { table: "Orders".to_owned(), ..query("SELECT a FROM Orders", &[numbers()]) };
    let failure = failure(&fixture.run(query).await);
    assert!(failure.message.contains("write \"Orders\" with the double quotes"), "{failure}");
}

/// bue splits a script into statements before it sends them; here PostgreSQL counts them too.
#[tokio::test]
async fn postgres_counts_statements_as_we_do() {
    let fixture = Fixture::new().await;
    let parts = [
        "SELECT 1",
        "SELECT ';'",
        "SELECT 'it''s;'",
        r"SELECT E'\';--'",
        "SELECT \";\" FROM (SELECT 1 AS \";\") t",
        "SELECT $$;'$$",
        "SELECT $a$;$$;$a$",
        "SELECT 1 /* ; /* ; */ ; */",
        "SELECT 1 -- ;'\n",
        "SELECT 1 AS a$b$c",
        "CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END",
        "CREATE TEMP TABLE t(x int)",
        "CREATE RULE r AS ON INSERT TO t DO ALSO (SELECT 1; SELECT 2)",
        "SELECT U&'\\0041;'",
        r"SELECT '\'",
        "SELECT B'1', X'1', N';'",
        "SELECT 1.5e1, 2",
        "SELECT 'a'\n';b'",
    ];
    for joint in [";", " ; ", ";\n", ";-- ;\n", ";;/* ; */;"] {
        let script = parts.join(joint);
        let notices = script.clone() + joint + "DO 'BEGIN RAISE NOTICE ''the end''; END'";
        let finished = fixture.run(query(&notices, &[])).await;
        assert!(log(&finished).contains("NOTICE: the end"), "{finished:?}");
        let counted = fixture.client.simple_query(&format!("BEGIN; {script}; ROLLBACK")).await.expect("statements");
        let complete =
            counted.iter().filter(|message| matches!(message, tokio_postgres::SimpleQueryMessage::CommandComplete(_)));
        assert_eq!(complete.count(), parts.len() + 2);
    }
}

#[tokio::test]
async fn notices_go_to_the_log_of_their_step() {
    let fixture = Fixture::with_connections(1).await;
    let finished =
        fixture.run(query("DO $$ BEGIN RAISE NOTICE 'one'; RAISE WARNING 'two'; END $$; SELECT 1", &[])).await;
    let text = log(&finished);
    assert!(text.contains("Z NOTICE: one\n") && text.contains("Z WARNING: two\n"), "{text}");
    assert_eq!(log(&fixture.run(query("SELECT 1", &[])).await), "");
}

#[tokio::test]
async fn notices_without_end_are_stopped() {
    let fixture = Fixture::new().await;
    let limits = Limits { output_bytes: 10_000, ..Limits::default() };
    let sql = "DO $$ BEGIN FOR i IN 1..1000 LOOP RAISE NOTICE 'again and again'; END LOOP; END $$; SELECT 1";
    let failure = failure(&fixture.run(Query { limits, ..query(sql, &[]) }).await);
    assert_eq!(failure.kind, FailureKind::Limit, "{failure}");
}
