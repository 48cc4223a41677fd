//! An input never takes the place of a table of the database.

use bue_model::{FailureKind, Value};
use bue_runtime::Query;

use super::common::{Fixture, failure, list, map, query, value};

/// A step whose input is the table `sales`.
fn step(sql: &str) -> Query {
    let row = |id: i64| map(&[("id", Value::Int(id)), ("amount", Value::Int(id * 10))]);
    Query { table: "sales".to_owned(), ..query(sql, &[list(&[row(1), row(2)])]) }
}

async fn stored(fixture: &Fixture) -> i64 {
    fixture.client.query_one("SELECT count(*) FROM public.sales", &[]).await.expect("a table").get(0)
}

/// The script that reported four rows and stored none.
const LOST: &str = "CREATE TABLE IF NOT EXISTS sales(id bigint, amount bigint);\n\
                    INSERT INTO sales SELECT id, amount FROM sales;\nSELECT count(*) AS n FROM sales";

#[tokio::test]
async fn an_input_that_would_shadow_a_table_is_refused() {
    let fixture = Fixture::new().await;
    let create = "CREATE TABLE sales(id bigint, amount bigint)";
    let both_fixes = ["public.sales", "name the input differently on the step's table line", "pg_temp.sales"];
    // the table does not exist yet, then it does
    for round in 0..2 {
        let failure = failure(&fixture.run(step(LOST)).await);
        assert_eq!(failure.kind, FailureKind::BadCode, "{failure}");
        for word in both_fixes {
            assert!(failure.message.contains(word), "{word:?} is not in {failure}");
        }
        if round == 0 {
            let gone = fixture.client.query_one("SELECT to_regclass('public.sales') IS NULL", &[]).await;
            assert!(gone.expect("an answer").get::<_, bool>(0), "everything was rolled back");
            fixture.client.batch_execute(create).await.expect("a table");
        }
    }
    for sql in ["SELECT * FROM sales", "DO $$ BEGIN EXECUTE 'INSERT INTO Sales VALUES (1, 2)'; END $$"] {
        let failure = failure(&fixture.run(step(sql)).await);
        assert!(
            failure.message.contains("`sales` is both an input of this step and the table public.sales"),
            "{failure}"
        );
    }
    assert_eq!(stored(&fixture).await, 0);
}

#[tokio::test]
async fn both_fixes_store_the_rows() {
    let fixture = Fixture::new().await;
    let qualified = "CREATE TABLE IF NOT EXISTS public.sales(id bigint, amount bigint); \
                     INSERT INTO public.sales SELECT id, amount FROM pg_temp.sales; SELECT count(*) AS n FROM public.sales";
    let counted = |n| list(&[map(&[("n", Value::Int(n))])]);
    assert_eq!(value(&fixture.run(step(qualified)).await), counted(2));
    assert_eq!(stored(&fixture).await, 2);
    let renamed = "INSERT INTO sales SELECT id, amount FROM new_sales; SELECT count(*) AS n FROM sales";
    let renamed = Query { table: "new_sales".to_owned(), ..step(renamed) };
    assert_eq!(value(&fixture.run(renamed).await), counted(4));
    assert_eq!(stored(&fixture).await, 4);
}

/// A function's text is not the step's, but what it writes is noticed.
#[tokio::test]
async fn a_function_does_not_write_to_an_input_instead() {
    let fixture = Fixture::new().await;
    let function = "CREATE TABLE sales(id bigint, amount bigint); CREATE FUNCTION add() RETURNS void LANGUAGE plpgsql AS \
                    $$ BEGIN INSERT INTO sales VALUES (7, 7); END $$";
    fixture.client.batch_execute(function).await.expect("a function");
    let failure = failure(&fixture.run(step("SELECT add()")).await);
    assert!(failure.message.contains("wrote to the input `sales`"), "{failure}");
    // an input without a namesake may be changed
    let sql = "UPDATE rows SET id = id + 1; SELECT max(id) AS n FROM rows";
    let free = Query { table: "rows".to_owned(), ..step(sql) };
    assert_eq!(value(&fixture.run(free).await), list(&[map(&[("n", Value::Int(3))])]));
    // a table that comes on the search path within the step
    fixture.client.batch_execute("CREATE SCHEMA other; CREATE TABLE other.rows(id bigint)").await.expect("a table");
    let sql = "SET LOCAL search_path = other; INSERT INTO rows VALUES (1)";
    let moved = Query { table: "rows".to_owned(), ..step(sql) };
    let failure = super::common::failure(&fixture.run(moved).await);
    assert!(failure.message.contains("other.rows"), "{failure}");
}
