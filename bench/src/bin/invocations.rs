//! How many runs of a published pipeline a hub starts per second, over HTTP: one in each request, and a thousand in each request.
//! Compared with graphile-worker's `add_job` and `add_jobs` on the same PostgreSQL.
//!
//! `cargo run --release -p bue-bench --bin invocations -- [INVOCATIONS [ROUNDS [CONNECTIONS]]]`; the defaults are 5,000, 5 and 16.
//! `bench/peers.sh` installs graphile-worker; without it, its rows are left out. Each measurement has a new database.
//!
//! How to read the figures: the pipeline has a parameter and one step, so each invocation checks the parameter, and creates a run
//! and a job. All arms are durable: an answer means that a commit has reached the disk. CONNECTIONS requests are in flight at a
//! time in the arms with one invocation per request, one in the others.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its figures")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bue_bench::{Database, HubProcess, Peers, Samples, StoreKind, single_job, table};
use bue_client::HubClient;
use bue_model::param::{Allowed, Param, ParamKind};
use bue_model::pipeline::{MAX_BATCH, Publication};
use bue_model::{BlobHash, BlobRef, Plan, RunId};
use futures_util::future::try_join_all;
use serde::Deserialize;
use uuid::Uuid;

/// The wall times of one arm.
struct Arm {
    name: &'static str,
    walls: Samples,
}

/// What the script of graphile-worker prints.
#[derive(Deserialize)]
struct Added {
    single_s: f64,
    batch_s: f64,
}

/// The size of a measurement.
#[derive(Clone, Copy)]
struct Size {
    invocations: u32,
    connections: u32,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<u32> = std::env::args().skip(1).map(|text| text.parse()).collect::<Result<_, _>>()?;
    let number = |index: usize, default| arguments.get(index).copied().unwrap_or(default);
    let size = Size { invocations: number(0, 5_000), connections: number(2, 16) };
    let rounds = number(1, 5);
    let (database, peers) = (Database::start(), Peers::find()?);
    let arm = |name| Arm { name, walls: Samples::default() };
    let mut arms = [
        arm("bue, SQLite"),
        arm("bue, PostgreSQL"),
        arm("graphile-worker, add_job"),
        arm("bue, SQLite, batches"),
        arm("bue, PostgreSQL, batches"),
        arm("graphile-worker, add_jobs"),
    ];
    for round in 0..rounds {
        eprintln!("round {}", round + 1);
        let [sqlite, postgres, graphile, sqlite_batches, postgres_batches, graphile_batches] = &mut arms;
        measure_hub(size, &StoreKind::Sqlite, sqlite, sqlite_batches).await?;
        measure_hub(size, &StoreKind::Postgres(database.create().await), postgres, postgres_batches).await?;
        match peers.check_installed("graphile") {
            Ok(()) => {
                let arguments = [size.invocations.to_string(), size.connections.to_string()];
                let added: Added = peers.run_graphile("add_graphile.mjs", &database.create().await, &arguments)?;
                graphile.walls.push(Duration::from_secs_f64(added.single_s));
                graphile_batches.walls.push(Duration::from_secs_f64(added.batch_s));
            }
            Err(missing) => eprintln!("{missing}"),
        }
    }
    print(size, rounds, &arms);
    Ok(())
}

fn print(size: Size, rounds: u32, arms: &[Arm]) {
    let rate = |arm: &Arm, percent| f64::from(size.invocations) / arm.walls.percentile(percent).as_secs_f64();
    let mut figures = table(&["arm", "invocations/s (p10 to p90)"]);
    for arm in arms.iter().filter(|arm| !arm.walls.is_empty()) {
        let cell = format!("{:.0} ({:.0} to {:.0})", rate(arm, 50), rate(arm, 90), rate(arm, 10));
        figures.add_row([arm.name.to_owned(), cell]);
    }
    println!("{} invocations, {} connections, {rounds} rounds\n{figures}", size.invocations, size.connections);
    for (one, other) in [(1, 2), (4, 5)] {
        if let (Some(one), Some(other)) = (arms.get(one), arms.get(other))
            && !other.walls.is_empty()
        {
            println!("{} / {}: {:.2}", one.name, other.name, rate(one, 50) / rate(other, 50));
        }
    }
}

/// Measures both ways to invoke on a new hub.
async fn measure_hub(size: Size, store: &StoreKind, single: &mut Arm, batches: &mut Arm) -> Result<()> {
    let hub = HubProcess::start(store)?;
    let client = hub.client()?;
    client.publish("p", &publication()).await?;
    let (start, next) = (Instant::now(), AtomicU32::new(0));
    try_join_all((0..size.connections).map(|_| invoke_one_by_one(&client, &next, size.invocations))).await?;
    single.walls.push(start.elapsed());
    let start = Instant::now();
    let all: Vec<String> = (0..size.invocations).map(invocation).collect();
    for part in all.chunks(MAX_BATCH) {
        let runs = client.invoke_batch("p", format!(r#"{{"runs": [{}]}}"#, part.join(","))).await?;
        ensure!(runs.len() == part.len(), "{} of {} runs were started", runs.len(), part.len());
    }
    batches.walls.push(start.elapsed());
    Ok(())
}

async fn invoke_one_by_one(client: &HubClient, next: &AtomicU32, invocations: u32) -> Result<()> {
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= invocations {
            return Ok(());
        }
        client.invoke("p", invocation(number), false).await?;
    }
}

/// Returns the body of an invocation.
fn invocation(number: u32) -> String {
    format!(r#"{{"params": {{"n": {number}}}}}"#)
}

/// A pipeline with a parameter and one step.
fn publication() -> Publication {
    let n = Param { name: "n".to_owned(), kind: ParamKind::Int, default: None, allowed: Allowed::All, line: 1 };
    let plan = Plan { params: vec![n], ..single_job(1).plan };
    let code = vec![BlobRef { hash: BlobHash([7; 32]), len: 1 }];
    Publication { upload: RunId(Uuid::from_u128(1)), script: "p.bue".to_owned(), plan, code }
}
