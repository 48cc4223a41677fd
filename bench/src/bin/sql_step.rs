//! The cost of a small SQL step in a fresh sandbox, compared with SQLite as native code in this process: opening a database in
//! memory, executing the same statements, reading the rows and closing it.
//!
//! `cargo run --release -p bue-bench --bin sql_step`
//!
//! How to read the figures: the sandbox is created and dropped inside each measurement, and every cell is the mean of 50 steps in
//! a row. The native arm has no limits, no interruption and no wall; it is the least that any solution has to do.
//! `native / ours` is the fraction of its speed that a step reaches.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bue_bench::{Samples, SqlStep, interleave, table};
use bue_model::{Value, cbor};
use bytes::Bytes;
use rusqlite::Connection;

const ROUNDS: usize = 31;
/// Steps per sample, because the time of one is close to the resolution of the clock.
const STEPS_PER_SAMPLE: u32 = 50;

const ONE: &str = "SELECT 1 AS x";
const REPORT: &str = "SELECT day, campaign, clicks, CASE WHEN clicks > 10 THEN cost / clicks ELSE NULL END AS cpc,
    CASE active WHEN 1 THEN 'yes' ELSE 'no' END AS active FROM rows ORDER BY clicks DESC";
const COLUMNS: &str = "id, day, campaign, clicks, cost, active";

fn main() -> Result<()> {
    let input = Bytes::from(cbor::encode(&Value::List((0..3).map(row).collect())));
    let mut figures = table(&["step", "fresh sandbox", "native", "native / ours", "dirty pages"]);
    for (name, sql, input) in [("SELECT 1", ONE, None), ("3 rows of 6 columns, CASE", REPORT, Some(input))] {
        let step = SqlStep::new(sql, input.clone())?;
        let pages = step.run()?.usage.dirty_pages;
        let ours = || sample(|| step.run().map(drop));
        let native = || sample(|| native(sql, input.is_some()));
        let (ours, native): (Samples, Samples) = interleave(ROUNDS, ours, native)?;
        let ratio = native.median().as_secs_f64() / ours.median().as_secs_f64();
        let pages = pages.map_or_else(|| "unknown on this system".to_owned(), |pages| pages.to_string());
        figures.add_row([name.to_owned(), ours.cell(), native.cell(), format!("{ratio:.2}"), pages]);
    }
    println!("the means of {STEPS_PER_SAMPLE} steps in a row, {ROUNDS} rounds A B B A\n{figures}");
    Ok(())
}

/// The mean time of some runs.
fn sample(mut run: impl FnMut() -> Result<()>) -> Result<Duration> {
    let started = Instant::now();
    for _ in 0..STEPS_PER_SAMPLE {
        run()?;
    }
    Ok(started.elapsed() / STEPS_PER_SAMPLE)
}

/// A row of a report of an advertising API.
fn row(number: i64) -> Value {
    let text = |text: &str| Value::Text(text.to_owned());
    Value::Map(vec![
        (text("id"), Value::Int(number)),
        (text("day"), text("2026-09-30")),
        (text("campaign"), text("campaign")),
        (text("clicks"), Value::Int(number * 7)),
        (text("cost"), Value::Float(12.5)),
        (text("active"), Value::Int(number % 2)),
    ])
}

fn native(sql: &str, with_rows: bool) -> Result<()> {
    let database = Connection::open_in_memory()?;
    if with_rows {
        database.execute_batch(&format!("CREATE TABLE rows ({COLUMNS}); BEGIN"))?;
        let mut insert = database.prepare("INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?)")?;
        for number in 0..3_i64 {
            insert.execute((number, "2026-09-30", "campaign", number * 7, 12.5, number % 2))?;
        }
        database.execute_batch("COMMIT")?;
    }
    let mut statement = database.prepare(sql)?;
    let columns = statement.column_count();
    let mut rows = statement.query([])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        for column in 0..columns {
            row.get_ref(column)?;
        }
        count += 1;
    }
    ensure!(count == if with_rows { 3 } else { 1 }, "{count} rows");
    Ok(())
}
