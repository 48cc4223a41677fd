//! Prints what a fresh sandbox with a trivial Python step costs, in this process and in host processes.
//!
//! `cargo run --release -p bue-runtime --example step_time`
#![expect(clippy::print_stdout, clippy::expect_used, reason = "a program for people at a terminal")]

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bue_model::{Answer, BlobHash, Bundle, SourceFile, Value, cbor};
use bue_runtime::sandbox::Sandbox;
use bue_runtime::{
    Code, Egress, Event, Finished, HostLifecycle, Hosts, HostsConfig, Limits, Permissions, Prepared, Task, WallMode,
    serve_sandbox_host,
};
use tokio::sync::mpsc;

const SERVE: &str = "sandbox-host";
const RUNS: usize = 2000;
const SLEEPERS: usize = 3000;
const CODE: &str = "import time\ndef f(x):\n  return x + 1\ndef nap(x):\n  time.sleep(3)\n";

fn main() -> ExitCode {
    if std::env::args().nth(1).is_some_and(|argument| argument == SERVE) {
        return serve_sandbox_host();
    }
    let cache = std::env::current_exe().expect("our path").with_file_name("step_time_cache");
    let keys = cache.with_file_name("step_time_keys");
    let (prepared, made) = timed(|| Prepared::open(&cache, &keys, &|line| println!("{line}")).expect("prepared"));
    let (prepared, found) = timed(|| Prepared::open(&cache, &keys, &|line| println!("{line}")).unwrap_or(prepared));
    println!("prepare: {made:.1?}, again {found:.1?}");
    let (sandbox, opened) = timed(|| Sandbox::open(&prepared).expect("a sandbox"));
    println!("open a sandbox: {opened:.1?}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(in_process(&sandbox));
    drop(sandbox);
    runtime.block_on(behind_walls(&prepared));
    runtime.block_on(in_hosts(prepared));
    ExitCode::SUCCESS
}

fn timed<T>(what: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    (what(), start.elapsed())
}

fn task(function: &str) -> Task {
    let file = SourceFile { path: "step.py".to_owned(), content: CODE.into() };
    let bundle = Bundle { entry: "step.py".to_owned(), first_line: 1, files: vec![file], ..Bundle::default() };
    Task {
        code: Code::Python {
            bundle: Arc::new(bundle),
            key: BlobHash([1; 32]),
            function: function.to_owned(),
            keywords: None,
            packages: None,
        },
        inputs: vec![cbor::encode(&Value::Int(41)).into()],
        env: None,
        loop_text: None,
        limits: Limits::default(),
        permissions: Permissions::default(),
    }
}

fn check(finished: &Finished) {
    assert!(matches!(finished.answer, Answer::Completed { .. }), "{finished:?}");
}

async fn in_process(sandbox: &Sandbox) {
    let task = task("f");
    let run = async || {
        let start = Instant::now();
        let (items, _nobody) = mpsc::channel(1);
        let finished = sandbox.run(&task, items).await;
        check(&finished);
        (start.elapsed(), finished.usage)
    };
    let (first, usage) = run().await;
    println!("first step, module loaded: {first:.1?}, {} dirty pages", usage.dirty_pages.unwrap_or_default());
    println!("its second: {} dirty pages", run().await.1.dirty_pages.unwrap_or_default());
    let mut times = Vec::new();
    for _ in 0..RUNS {
        times.push(run().await.0);
    }
    report("fresh sandbox + step, in process", times);
}

fn report(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or_default();
    println!("{what}: p50 {:.1?}, p90 {:.1?}, p99 {:.1?}", at(50), at(90), at(99));
}

/// The same step in two hosts, one behind its wall and one without, by turns.
async fn behind_walls(prepared: &Prepared) {
    let program = std::env::current_exe().expect("our path");
    let config = |wall| HostsConfig {
        command: (program.clone(), vec![OsString::from(SERVE)]),
        hosts: 1,
        prepared: prepared.clone(),
        egress: Egress::closed(),
        packages: None,
        wall,
        lifecycle: HostLifecycle::default(),
    };
    let mut arms = Vec::new();
    for wall in [WallMode::Best, WallMode::Off] {
        let (start, hosts) = (Instant::now(), Hosts::start(config(wall)).await.expect("hosts"));
        println!("start with {wall:?}: {:.1?}; {}", start.elapsed(), hosts.wall());
        arms.push((format!("{wall:?}"), hosts, Vec::new()));
    }
    for _ in 0..RUNS {
        for (_, hosts, times) in &mut arms {
            times.push(one(hosts, "f").await);
        }
    }
    for (name, hosts, times) in arms {
        report(&format!("in a host, wall {name}"), times);
        hosts.shutdown().await;
    }
}

async fn in_hosts(prepared: Prepared) {
    let program = std::env::current_exe().expect("our path");
    for hosts in [1, 2] {
        let config = HostsConfig {
            command: (program.clone(), vec![OsString::from(SERVE)]),
            hosts,
            prepared: prepared.clone(),
            egress: Egress::closed(),
            packages: None,
            wall: WallMode::Best,
            lifecycle: HostLifecycle::default(),
        };
        let start = Instant::now();
        let hosts = Hosts::start(config).await.expect("hosts");
        println!("start: {:.1?}", start.elapsed());
        let mut times = Vec::new();
        for _ in 0..RUNS {
            let start = Instant::now();
            one(&hosts, "f").await;
            times.push(start.elapsed());
        }
        report("one after the other, frames included", times);
        let (start, steps) = (Instant::now(), many(&hosts, "f", RUNS * 2).await);
        println!("64 at once: {:.0} steps a second", f64::from(steps) / start.elapsed().as_secs_f64());
        let (start, steps) = (Instant::now(), many_at_once(&hosts, "nap", SLEEPERS).await);
        println!("{steps} sleeping 3 s at once: {:.1?}", start.elapsed());
        hosts.shutdown().await;
    }
}

/// Runs a step, and returns the time that the host reports for it.
async fn one(hosts: &Hosts, function: &str) -> Duration {
    let mut running = hosts.run(task(function)).await.expect("open");
    while let Ok(event) = running.next().await {
        if let Event::Finished(finished) = event {
            check(&finished);
            return finished.usage.wall;
        }
    }
    Duration::ZERO
}

async fn many(hosts: &Hosts, function: &str, count: usize) -> u32 {
    let chains = (0..64).map(async |_| {
        for _ in 0..count / 64 {
            one(hosts, function).await;
        }
    });
    futures_util::future::join_all(chains).await;
    u32::try_from(count / 64 * 64).unwrap_or(u32::MAX)
}

async fn many_at_once(hosts: &Hosts, function: &str, count: usize) -> usize {
    futures_util::future::join_all((0..count).map(async |_| one(hosts, function).await)).await.len()
}
