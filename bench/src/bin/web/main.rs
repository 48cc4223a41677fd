//! What the dashboard costs the hub of a store with many runs and jobs: the time and the processor time of each page, and what open and
//! hidden pages cost those who lease.
//!
//! `cargo run --release -p bue-bench --bin web -- [RUNS [JOBS [SECONDS]]]`; the defaults are 10,000, 1,000,000 and 10.
//!
//! How to read the figures: the store is that of the bench `lists`. Each page is requested two hundred times, one request after the
//! other, as a page that is open requests what has changed. p50 and p99 are from sending the request to the end of the answer, over
//! HTTP. `CPU ms` is the processor time of the hub for one of them; the last column is its ratio to the lower bound, an answer to
//! `/healthz` on the same connection. The address is another one each time, so that no answer is shared. A page should take at most
//! 100 ms, and a refresh 2 ms of processor time.
//!
//! Then four connections lease sixteen jobs at a time and report them, for SECONDS seconds alone, for as long beside 500 open pages
//! (overview, runs, errors, workers and a hundred runs, a hundred times each), all of which were opened before, and alone again. The
//! pages are requested from a second thread of this program, which shares the cores with hub and leases. Leases should be as fast as
//! alone. At the end nothing leases, and the processor time of the hub is that of 500 open pages, of 500 hidden ones, which keep a
//! connection and request nothing, and of none.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its figures")]

mod browser;

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use bue_bench::{Database, HubProcess, Samples, StoreKind, StoreSize, cpu, fill, raise_file_limit, table, with_leases};
use bue_client::HubClient;
use bue_model::RunId;
use bue_model::wire::JobQuery;
use futures_util::future::try_join_all;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::browser::{Connection, keep_open};

/// Requests of each page.
const REQUESTS: usize = 200;
/// Requests of the lower bound, which takes little.
const HEALTH_REQUESTS: usize = 5_000;
/// Pages that are open at the same time.
const OPEN_PAGES: usize = 500;
/// Runs whose pages are open.
const OPEN_RUNS: u32 = 100;

/// What requests of a page cost.
struct Cost {
    name: &'static str,
    bytes: usize,
    took: Samples,
    cpu: Duration,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let (size, seconds) = StoreSize::from_arguments(10)?;
    // hubs inherit it
    raise_file_limit();
    let database = Database::start();
    for (name, store) in [("SQLite", StoreKind::Sqlite), ("PostgreSQL", StoreKind::Postgres(database.create().await))] {
        eprintln!("{name}");
        let hub = HubProcess::start(&store)?;
        let client = hub.client()?;
        let begin = Instant::now();
        fill(size, &client).await?;
        eprintln!("filled in {:.0} s", begin.elapsed().as_secs_f64());
        println!("{name}: {} runs, {} jobs each", size.runs, size.jobs_per_run);
        print_costs(&hub, &pages(&client).await?).await?;
        print_leases(&hub, &client, &open_pages(&client, size).await?, seconds).await?;
    }
    Ok(())
}

/// The addresses of all pages that show something of the store.
async fn pages(client: &HubClient) -> Result<Vec<(&'static str, String)>> {
    let run_in = async |state: &str| {
        let page = client.run_page(&[("state", state)]).await?;
        page.runs.first().map(|run| run.id).with_context(|| format!("no run is {state}"))
    };
    let (running, failed) = (run_in("running").await?, run_in("failed").await?);
    let jobs = client.jobs(failed, &JobQuery { limit: 1, ..JobQuery::default() }).await?;
    let job = jobs.jobs.first().context("a run without jobs")?.id;
    let page = client.run_page(&[]).await?;
    let second = page.next.context("there are too few runs for a second page")?;
    let tab = |run: RunId, name: &str| format!("/runs/{run}?tab={name}");
    Ok(vec![
        ("overview", "/".to_owned()),
        ("overview, a week", "/?period=7d".to_owned()),
        ("overview, a minute ago", "/?at=1m".to_owned()),
        ("activity", "/activity".to_owned()),
        ("runs", "/runs".to_owned()),
        ("runs, second page", format!("/runs?after={second}")),
        ("runs, failed", "/runs?state=failed".to_owned()),
        ("runs, by parameter", "/runs?param=n%3D500".to_owned()),
        ("start a run", "/runs/new?pipeline=p".to_owned()),
        ("run, jobs", tab(running, "jobs")),
        ("run, timeline", tab(failed, "timeline")),
        ("run, plan", tab(running, "plan")),
        ("run, results", tab(failed, "results")),
        ("run, parameters", tab(running, "parameters")),
        ("run, activity", tab(running, "activity")),
        ("compare two runs", format!("/runs/{running}/diff/{failed}")),
        ("job", format!("/jobs/{job}")),
        ("errors", "/errors".to_owned()),
        ("pipelines", "/pipelines".to_owned()),
        ("pipeline", "/pipelines/p".to_owned()),
        ("schedules", "/schedules".to_owned()),
        ("workers", "/workers".to_owned()),
        ("settings", "/settings".to_owned()),
    ])
}

async fn print_costs(hub: &HubProcess, pages: &[(&'static str, String)]) -> Result<()> {
    let floor = cost(hub, "/healthz (lower bound)", HEALTH_REQUESTS, |_| "/healthz".to_owned()).await?;
    let mut figures = table(&["page", "KiB", "p50 ms", "p99 ms", "CPU ms", "CPU / lower bound"]);
    let mut largest = 0.0_f64;
    for (name, path) in pages {
        let separator = if path.contains('?') { '&' } else { '?' };
        let cost = cost(hub, name, REQUESTS, |number| format!("{path}{separator}bench={number}")).await?;
        largest = largest.max(cost.cpu.as_secs_f64() * 1_000.0);
        figures.add_row(cost.row(&floor));
    }
    figures.add_row(floor.row(&floor));
    println!("{figures}\nthe most processor time of a refresh: {largest:.2} ms");
    Ok(())
}

async fn cost(hub: &HubProcess, name: &'static str, requests: usize, path: impl Fn(usize) -> String) -> Result<Cost> {
    let mut connection = Connection::open(hub.address()).await?;
    let (mut took, mut bytes) = (Samples::default(), 0);
    let cpu_before = hub.cpu();
    for number in 0..requests {
        let sent_at = Instant::now();
        bytes = connection.refresh(&path(number)).await?;
        took.push(sent_at.elapsed());
    }
    let cpu = (hub.cpu() - cpu_before) / u32::try_from(requests)?;
    Ok(Cost { name, bytes, took, cpu })
}

impl Cost {
    fn row(&self, floor: &Self) -> [String; 6] {
        let ms = |duration: Duration| format!("{:.2}", duration.as_secs_f64() * 1_000.0);
        [
            self.name.to_owned(),
            self.bytes.div_ceil(1024).to_string(),
            ms(self.took.median()),
            ms(self.took.percentile(99)),
            ms(self.cpu),
            format!("{:.0}", self.cpu.as_secs_f64() / floor.cpu.as_secs_f64()),
        ]
    }
}

/// The pages of the 500 that look: those that everybody opens, and those of the runs whose jobs are leased next.
async fn open_pages(client: &HubClient, size: StoreSize) -> Result<Vec<String>> {
    // the first runs have ended
    let first = size.runs / 10 + size.runs / 20;
    let mut paths = Vec::with_capacity(OPEN_PAGES);
    for number in first..first + OPEN_RUNS {
        let page = client.run_page(&[("param.n", &number.to_string())]).await?;
        let run = page.runs.first().context("there are too few runs")?;
        paths.extend([format!("/runs/{}", run.id), "/".into(), "/runs".into(), "/errors".into(), "/workers".into()]);
    }
    paths.truncate(OPEN_PAGES);
    Ok(paths)
}

async fn print_leases(hub: &HubProcess, client: &HubClient, paths: &[String], seconds: Duration) -> Result<()> {
    let pause = async || {
        sleep(seconds).await;
        Ok(())
    };
    let before = with_leases(client, pause()).await?.1;
    let viewers = Viewers::start(hub, paths);
    let beside = with_leases(client, pause()).await?.1;
    let refreshes = viewers.stop()?;
    let after = with_leases(client, pause()).await?.1;
    let mut alone = before.clone();
    alone.append(after);
    let mut figures = table(&["leases", "per second", "p50 ms", "p99 ms"]);
    let ms = |duration: Duration| format!("{:.2}", duration.as_secs_f64() * 1_000.0);
    for (name, samples, time) in [("alone", &alone, 2 * seconds), ("beside 500 open pages", &beside, seconds)] {
        let rate = samples.len() as f64 / time.as_secs_f64();
        figures.add_row([name.to_owned(), format!("{rate:.0}"), ms(samples.median()), ms(samples.percentile(99))]);
    }
    println!("{figures}");
    let rate = 2.0 * beside.len() as f64 / alone.len() as f64;
    let ratio = |percent| beside.percentile(percent).as_secs_f64() / alone.percentile(percent).as_secs_f64();
    println!("leases beside open pages / alone: per second {rate:.2}, p50 {:.2}, p99 {:.2}", ratio(50), ratio(99));
    let (count, p50, p99) = (refreshes.len(), ms(refreshes.median()), ms(refreshes.percentile(99)));
    println!("the pages were refreshed {count} times, p50 {p50} ms, p99 {p99} ms");
    print_idle(hub, paths, seconds).await
}

/// Prints what pages cost a hub in which nothing happens.
async fn print_idle(hub: &HubProcess, paths: &[String], seconds: Duration) -> Result<()> {
    let measured = async || {
        let before = cpu(hub.id());
        sleep(seconds).await;
        (cpu(hub.id()) - before).as_secs_f64() / seconds.as_secs_f64() * 1_000.0
    };
    let none = measured().await;
    let viewers = Viewers::start(hub, paths);
    let open = measured().await;
    viewers.stop()?;
    let hidden = try_join_all(paths.iter().map(async |path| {
        let mut connection = Connection::open(hub.address()).await?;
        connection.get(path, "").await?;
        Ok::<_, anyhow::Error>(connection)
    }));
    let hidden = hidden.await?;
    let silent = measured().await;
    drop(hidden);
    println!(
        "ms of processor time per second of an idle hub: {none:.1} without pages, {silent:.1} with 500 hidden, {open:.1} with 500 open\n"
    );
    Ok(())
}

/// Open pages, in a thread of their own.
struct Viewers {
    stop: watch::Sender<bool>,
    thread: thread::JoinHandle<Result<Samples>>,
}

impl Viewers {
    /// Opens the pages, and waits until all are open: that costs more than to keep them open.
    fn start(hub: &HubProcess, paths: &[String]) -> Self {
        let (stop, stopped) = watch::channel(false);
        let (opened, all_opened) = mpsc::channel();
        let count = paths.len();
        let (address, paths) = (hub.address().to_owned(), paths.to_vec());
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let pages = paths.into_iter().map(|path| keep_open(address.clone(), path, opened.clone(), stopped.clone()));
            let mut all = Samples::default();
            runtime.block_on(try_join_all(pages))?.into_iter().for_each(|samples| all.append(samples));
            Ok(all)
        });
        // ends early if a page fails, which `stop` returns
        let _opened = all_opened.iter().take(count).count();
        Self { stop, thread }
    }

    /// Closes the pages; returns how long their refreshes took.
    fn stop(self) -> Result<Samples> {
        self.stop.send_replace(true);
        self.thread.join().map_err(|_| anyhow!("the thread of the pages panicked"))?
    }
}
