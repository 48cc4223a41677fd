//! Names are names: no key of an input and no table's name is ever read as SQL.

use bue_model::{Answer, Value};
use bue_runtime::Query;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::common::{Fixture, list, map, query, text, value};

/// Names a round. `BUE_NAMES` sets more for a long run by hand.
fn rounds() -> usize {
    option_env!("BUE_NAMES").and_then(|text| text.parse().ok()).unwrap_or(300)
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[\"'`;\\\\$() \\-/*a\0é\n%{}]{0,20}",
        "[a-zA-Z]{1,70}",
        Just("x\"); DROP TABLE canary; --".to_owned()),
        Just("\"; DROP TABLE canary; --".to_owned()),
        Just("$$; DROP TABLE canary; $$".to_owned()),
        Just("select".to_owned()),
        Just("\u{202e}é\u{0}".to_owned()),
        any::<String>().prop_map(|text| text.chars().take(70).collect()),
    ]
}

/// PostgreSQL can name it, and no column of PostgreSQL has this name.
fn is_possible(name: &str) -> bool {
    let own = ["tableoid", "cmax", "xmax", "cmin", "xmin", "ctid"];
    !name.is_empty() && name.len() <= 63 && !name.contains('\0') && !own.contains(&name)
}

#[tokio::test]
async fn hostile_names_are_columns_and_tables_or_refused() {
    let fixture = Fixture::new().await;
    fixture.client.batch_execute("CREATE TABLE canary(x int); INSERT INTO canary VALUES (1)").await.expect("a table");
    let mut runner = TestRunner::deterministic();
    let mut kept = 0;
    for _ in 0..rounds() {
        let strategy = (name(), proptest::collection::vec(name(), 1..4));
        let (table, keys) = strategy.new_tree(&mut runner).expect("names").current();
        // a row that has a key twice is refused
        let mut unique = keys.clone();
        unique.sort();
        unique.dedup();
        let keys = unique;
        let row: Vec<(&str, Value)> = keys.iter().map(|key| (key.as_str(), text(key))).collect();
        let quoted = format!("\"{}\"", table.replace('"', "\"\""));
        let sql = format!("SELECT * FROM pg_temp.{}", if is_possible(&table) { &quoted } else { "x" });
        let finished = fixture.run(Query { table: table.clone(), ..query(&sql, &[list(&[map(&row)])]) }).await;
        if is_possible(&table) && keys.iter().all(|key| is_possible(key)) {
            let Value::List(rows) = value(&finished) else { panic!("no rows") };
            assert_eq!(rows, [map(&row)], "{table:?} {keys:?}");
            kept += 1;
        } else {
            assert!(matches!(finished.answer, Answer::Failed(_)), "{table:?} {keys:?}: {finished:?}");
        }
    }
    assert!(kept * 10 > rounds(), "only {kept} names were possible");
    let canary: i64 = fixture.client.query_one("SELECT count(*) FROM canary", &[]).await.expect("the table").get(0);
    assert_eq!(canary, 1);
}
