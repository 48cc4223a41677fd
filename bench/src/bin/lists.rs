//! How long the lists of the HTTP API take in a hub with many runs and jobs, while workers lease and report; and how much longer
//! leases take because of them.
//!
//! `cargo run --release -p bue-bench --bin lists -- [RUNS [JOBS [SECONDS]]]`; the defaults are 10,000, 1,000,000 and 20.
//!
//! How to read the figures: RUNS runs of a pipeline have JOBS jobs together. Of a tenth of the runs the jobs have completed, of a
//! twentieth they have failed, a tenth was cancelled; the others are open. Four connections lease sixteen jobs at a time and report
//! them, first for SECONDS seconds alone, then while one client requests one list after the other, each a hundred times. p50 and p99
//! are of the requests of each list, over HTTP, from sending the request to the decoded answer. Every list should be
//! within 50 ms, and leases at most twice as slow as alone.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its figures")]

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bue_bench::{Database, HubProcess, Samples, StoreKind, StoreSize, fill, table, with_leases};
use bue_client::HubClient;
use bue_model::wire::{JobQuery, ResultCursor};
use bue_model::{JobState, RunId};
use uuid::Uuid;

/// Requests of each list.
const REQUESTS: usize = 100;

/// What was measured on one store.
struct Measurement {
    lists: Vec<(&'static str, Samples)>,
    alone: Samples,
    beside: Samples,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let (size, seconds) = StoreSize::from_arguments(20)?;
    let database = Database::start();
    for (name, store) in [("SQLite", StoreKind::Sqlite), ("PostgreSQL", StoreKind::Postgres(database.create().await))] {
        eprintln!("{name}");
        print(name, size, &measure(size, seconds, &store).await?);
    }
    Ok(())
}

fn print(name: &str, size: StoreSize, measurement: &Measurement) {
    let ms = |duration: Duration| format!("{:.1}", duration.as_secs_f64() * 1_000.0);
    let mut figures = table(&["request", "p50 ms", "p99 ms"]);
    for (list, samples) in &measurement.lists {
        figures.add_row([(*list).to_owned(), ms(samples.median()), ms(samples.percentile(99))]);
    }
    for (name, samples) in [("a lease alone", &measurement.alone), ("a lease beside lists", &measurement.beside)] {
        figures.add_row([name.to_owned(), ms(samples.median()), ms(samples.percentile(99))]);
    }
    println!("{name}: {} runs, {} jobs each\n{figures}", size.runs, size.jobs_per_run);
    let ratio = measurement.beside.percentile(99).as_secs_f64() / measurement.alone.percentile(99).as_secs_f64();
    println!("p99 of leases beside lists / alone: {ratio:.2}");
}

async fn measure(size: StoreSize, seconds: Duration, store: &StoreKind) -> Result<Measurement> {
    let hub = HubProcess::start(store)?;
    let client = hub.client()?;
    let begin = Instant::now();
    fill(size, &client).await?;
    eprintln!("filled in {:.0} s", begin.elapsed().as_secs_f64());
    let alone = with_leases(&client, async {
        tokio::time::sleep(seconds).await;
        Ok(())
    })
    .await?
    .1;
    let (lists, beside) = with_leases(&client, all_lists(&client)).await?;
    Ok(Measurement { lists, alone, beside })
}

/// Requests each list again and again.
async fn all_lists(client: &HubClient) -> Result<Vec<(&'static str, Samples)>> {
    let deep = deep_position(client).await?;
    let (after, failed) = (deep.as_str(), [("state", "failed")]);
    let run = client.run_page(&failed).await?.runs.first().map_or(RunId(Uuid::nil()), |run| run.id);
    let state = |state| JobQuery { state: Some(state), limit: 200, ..JobQuery::default() };
    let of_step = JobQuery { step: Some("step".to_owned()), limit: 200, ..JobQuery::default() };
    let mut lists = Vec::new();
    macro_rules! measured {
        ($($name:literal: $request:expr;)*) => {$(
            let mut samples = Samples::default();
            for _ in 0..REQUESTS {
                let sent_at = Instant::now();
                $request.await?;
                samples.push(sent_at.elapsed());
            }
            lists.push(($name, samples));
        )*};
    }
    measured! {
        "runs": client.run_page(&[]);
        "runs, behind 5,000": client.run_page(&[("after", after)]);
        "runs?state=failed": client.run_page(&failed);
        "runs?state=failed,cancelled,completed": client.run_page(&[("state", "failed,cancelled,completed")]);
        "runs?pipeline=p": client.run_page(&[("pipeline", "p")]);
        "runs?pipeline=p&state=failed": client.run_page(&[("pipeline", "p"), ("state", "failed")]);
        "runs?name=p.bue": client.run_page(&[("name", "p.bue")]);
        "runs?name=none*": client.run_page(&[("name", "none*")]);
        "runs?param.n=500": client.run_page(&[("param.n", "500")]);
        "runs?since=1h&until=1s": client.run_page(&[("since", "1h"), ("until", "1s")]);
        "runs/ID/jobs": client.jobs(run, &JobQuery { limit: 200, ..JobQuery::default() });
        "runs/ID/jobs?step=": client.jobs(run, &of_step);
        "runs/ID/jobs?state=failed": client.jobs(run, &state(JobState::Failed));
        "runs/ID/jobs?state=running": client.jobs(run, &state(JobState::Running));
        "runs/ID/results": client.result_page(run, ResultCursor::default());
        "errors": client.failed_jobs(&[]);
        "errors?step=": client.failed_jobs(&[("step", "step")]);
        "errors?group=1": client.failure_groups(&[]);
        "pipelines": client.pipelines();
        "pipelines/p": client.pipeline("p");
        "schedules": client.schedules("");
        "workers": client.workers();
    }
    Ok(lists)
}

/// Returns the position behind the latest 5,000 runs, or behind as many as there are.
async fn deep_position(client: &HubClient) -> Result<String> {
    let mut position = String::new();
    for _ in 0..50 {
        let filters = [("after", position.as_str())];
        let page = client.run_page(if position.is_empty() { &[] } else { &filters }).await?;
        let Some(next) = page.next else { break };
        position = next;
    }
    ensure!(!position.is_empty(), "there are too few runs for a second page");
    Ok(position)
}
