//! The speed at which rows are loaded into SQL steps, compared with the least work of the bare libraries: prepared inserts for
//! SQLite, and binary COPY for PostgreSQL.
//!
//! `cargo run --release -p bue-bench --bin rows -- [ROWS]`; the default is 100,000. Needs PostgreSQL installed.
//!
//! How to read the figures: ours starts with the encoded result of the previous step, and ends when the step has counted its
//! rows. The floors start with the same rows as Rust values, in tables declared by hand, and count them too. `floor / ours` is the
//! fraction of the floor's speed that a step reaches.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use core::num::NonZeroUsize;
use std::collections::HashMap;
use std::pin::pin;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use bue_bench::{Database, Samples, SqlStep, connect, interleave, sql_bundle, table};
use bue_model::{Answer, Value, cbor};
use bue_runtime::{Databases, DatabasesConfig, Event, Limits, Placeholders, Query};
use bytes::Bytes;
use comfy_table::Table;
use rusqlite::params;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::Client;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::Type;

const ROUNDS: usize = 15;
const COUNT: &str = "SELECT count(*) AS n FROM rows";
/// The columns of a typical report of an advertising API.
const COLUMNS: &str = "id bigint, day text, campaign text, clicks bigint, cost double precision, active boolean";

fn main() -> Result<()> {
    let rows = std::env::args().nth(1).map_or(Ok(100_000), |text| text.parse())?;
    let rows: Vec<Row> = (0..rows).map(Row::new).collect();
    let input = Bytes::from(cbor::encode(&Value::List(rows.iter().map(Row::value).collect())));
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let mut figures = table(&["rows into", "ours", "rows/s", "floor", "rows/s", "floor / ours"]);
    let (ours, floor) = sqlite(&rows, &input)?;
    add_row(&mut figures, "sqlite3", rows.len(), &ours, &floor);
    let (ours, floor) = runtime.block_on(Postgres::start())?.measure(&runtime, &rows, &input)?;
    add_row(&mut figures, "postgres", rows.len(), &ours, &floor);
    println!("{} rows of 6 columns, {} bytes, {ROUNDS} rounds A B B A\n{figures}", rows.len(), input.len());
    Ok(())
}

fn add_row(figures: &mut Table, name: &str, rows: usize, ours: &Samples, floor: &Samples) {
    #[expect(clippy::cast_precision_loss, reason = "no more rows than fit into memory")]
    let speed = |samples: &Samples| format!("{:.0}", rows as f64 / samples.median().as_secs_f64());
    let ratio = floor.median().as_secs_f64() / ours.median().as_secs_f64();
    let cells = [ours.cell(), speed(ours), floor.cell(), speed(floor), format!("{ratio:.2}")];
    figures.add_row([name.to_owned()].into_iter().chain(cells));
}

struct Row {
    id: i64,
    day: String,
    campaign: String,
    clicks: i64,
    cost: f64,
    active: bool,
}

impl Row {
    fn new(number: u32) -> Self {
        let id = i64::from(number);
        Self {
            id,
            day: format!("2026-{:02}-{:02}", number % 12 + 1, number % 28 + 1),
            campaign: format!("campaign {}", number % 500),
            clicks: id * 7 % 1_000,
            cost: f64::from(number % 10_000) / 100.0,
            active: number.is_multiple_of(3),
        }
    }

    fn value(&self) -> Value {
        let text = |text: &str| Value::Text(text.to_owned());
        Value::Map(vec![
            (text("id"), Value::Int(self.id)),
            (text("day"), text(&self.day)),
            (text("campaign"), text(&self.campaign)),
            (text("clicks"), Value::Int(self.clicks)),
            (text("cost"), Value::Float(self.cost)),
            (text("active"), Value::Bool(self.active)),
        ])
    }
}

/// Fails unless all rows were counted.
fn check_count(answer: &Answer, rows: usize) -> Result<()> {
    let Answer::Completed { value, .. } = answer else { bail!("{answer:?}") };
    let expected = Value::List(vec![Value::Map(vec![(Value::Text("n".into()), Value::Int(i64::try_from(rows)?))])]);
    ensure!(cbor::decode(value)? == expected, "not all rows were counted");
    Ok(())
}

fn sqlite(rows: &[Row], input: &Bytes) -> Result<(Samples, Samples)> {
    let step = SqlStep::new(COUNT, Some(input.clone()))?;
    let ours = || {
        let started = Instant::now();
        check_count(&step.run()?.answer, rows.len())?;
        Ok(started.elapsed())
    };
    interleave(ROUNDS, ours, || sqlite_floor(rows))
}

fn sqlite_floor(rows: &[Row]) -> Result<Duration> {
    let started = Instant::now();
    let db = rusqlite::Connection::open_in_memory()?;
    db.execute_batch(&format!("CREATE TABLE rows ({COLUMNS}); BEGIN"))?;
    let mut insert = db.prepare("INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?)")?;
    for row in rows {
        insert.execute(params![row.id, row.day, row.campaign, row.clicks, row.cost, row.active])?;
    }
    db.execute_batch("COMMIT")?;
    let count: i64 = db.query_row(COUNT, [], |row| row.get(0))?;
    ensure!(usize::try_from(count)? == rows.len(), "not all rows were counted");
    Ok(started.elapsed())
}

struct Postgres {
    databases: Databases,
    client: Client,
    /// Stops when it is dropped.
    _server: Database,
}

impl Postgres {
    async fn start() -> Result<Self> {
        let server = Database::start();
        let address = server.create().await;
        let unnamed = bue_runtime::Database::from_url(&address, NonZeroUsize::MIN)?;
        // the role of this temporary server is its superuser
        let config = DatabasesConfig { unnamed: Some(unnamed), named: HashMap::new() }.allow_privileged_roles();
        let databases = Databases::new(config);
        Ok(Self { databases, client: connect(&address).await?, _server: server })
    }

    fn measure(&self, runtime: &Runtime, rows: &[Row], input: &Bytes) -> Result<(Samples, Samples)> {
        interleave(ROUNDS, || runtime.block_on(self.ours(rows.len(), input)), || runtime.block_on(self.floor(rows)))
    }

    async fn ours(&self, rows: usize, input: &Bytes) -> Result<Duration> {
        let started = Instant::now();
        let mut running = self.databases.run(Query {
            bundle: sql_bundle(COUNT),
            table: "rows".to_owned(),
            placeholders: Placeholders::default(),
            connection: None,
            inputs: vec![input.clone()],
            streamed: false,
            limits: Limits::default(),
        });
        let Event::Finished(finished) = running.next().await? else { bail!("the query did not finish") };
        check_count(&finished.answer, rows)?;
        Ok(started.elapsed())
    }

    async fn floor(&self, rows: &[Row]) -> Result<Duration> {
        const TYPES: [Type; 6] = [Type::INT8, Type::TEXT, Type::TEXT, Type::INT8, Type::FLOAT8, Type::BOOL];
        let started = Instant::now();
        self.client.batch_execute(&format!("BEGIN; CREATE TEMP TABLE rows ({COLUMNS}) ON COMMIT DROP")).await?;
        let sink = self.client.copy_in("COPY rows FROM STDIN BINARY").await?;
        let mut writer = pin!(BinaryCopyInWriter::new(sink, &TYPES));
        for row in rows {
            writer.as_mut().write(&[&row.id, &row.day, &row.campaign, &row.clicks, &row.cost, &row.active]).await?;
        }
        writer.as_mut().finish().await?;
        let count: i64 = self.client.query_one(COUNT, &[]).await?.get(0);
        ensure!(usize::try_from(count)? == rows.len(), "not all rows were counted");
        self.client.batch_execute("COMMIT").await?;
        Ok(started.elapsed())
    }
}
