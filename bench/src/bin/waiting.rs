//! Many concurrent steps in one worker, each waiting for a slow HTTP response, compared with a bare aiohttp script on the same server.
//!
//! `cargo run --release -p bue-bench --bin waiting -- [STEPS [SECONDS [ROUNDS]]]`; the defaults are 10,000 steps, 120 seconds until
//! the server responds, and 3 rounds. The script needs `python3` and a package index from which pip can install aiohttp; otherwise
//! its arm is left out. Each connection is an open file: `ulimit -Hn` must be well above STEPS.
//!
//! How to read the figures: the ideal wall time is the server's delay, so the ratio to it shows the overhead of starting and
//! completing all steps. Memory is the peak of anonymous memory, in total and per step. The figures of each arm are those of the
//! round with the median wall time.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its figures")]

use core::convert::Infallible;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bue_bench::{Bue, CommandRun, raise_file_limit, table};
use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

fn main() -> Result<()> {
    raise_file_limit();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize, default: u32| arguments.get(index).map_or(Ok(default), |text| text.parse());
    if arguments.first().is_some_and(|first| first == "serve") {
        return serve(Duration::from_secs(number(1, 120)?.into()));
    }
    compare(number(0, 10_000)?, number(1, 120)?, number(2, 3)?)
}

fn compare(steps: u32, seconds: u32, rounds: u32) -> Result<()> {
    let server = Server::start(seconds)?;
    let aiohttp = install_aiohttp().inspect_err(|error| eprintln!("the aiohttp arm is left out: {error:#}")).ok();
    let bue = Bue::find()?;
    // fills the caches
    run_bue(&bue, &server, 10)?;
    let (mut bue_runs, mut aiohttp_runs) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        eprintln!("round {} of {rounds}", round + 1);
        bue_runs.push(run_bue(&bue, &server, steps)?);
        if let Some(python) = &aiohttp {
            aiohttp_runs.push(run_aiohttp(python, &server, steps)?);
        }
    }
    print(steps, Duration::from_secs(seconds.into()), bue_runs, aiohttp_runs);
    Ok(())
}

fn print(steps: u32, ideal: Duration, mut bue_runs: Vec<CommandRun>, mut aiohttp_runs: Vec<CommandRun>) {
    let mut figures = table(&["figure", "bue", "aiohttp"]);
    bue_runs.sort_by_key(|run| run.wall);
    aiohttp_runs.sort_by_key(|run| run.wall);
    let median = |runs: &[CommandRun], figure: &dyn Fn(&CommandRun) -> String| {
        runs.get(runs.len() / 2).map_or_else(|| "-".to_owned(), figure)
    };
    let mut row = |name: &str, figure: &dyn Fn(&CommandRun) -> String| {
        figures.add_row([name.to_owned(), median(&bue_runs, figure), median(&aiohttp_runs, figure)]);
    };
    row("whole command, wall", &|run| format!("{:.2?}", run.wall));
    row("wall / the server's delay", &|run| format!("{:.3}", run.wall.as_secs_f64() / ideal.as_secs_f64()));
    row("processor time per step", &|run| format!("{:.3?}", run.cpu / steps));
    row("peak anonymous memory, all processes", &|run| format!("{} MiB", run.peak_all_kib / 1024));
    row("peak memory per step", &|run| format!("{} KiB", run.peak_all_kib / u64::from(steps)));
    println!("{steps} steps, each with a response after {ideal:?}; the median of {} runs\n{figures}", bue_runs.len());
}

fn run_bue(bue: &Bue, server: &Server, steps: u32) -> Result<CommandRun> {
    let (script, step) = (script(&server.address), step(&server.address, steps));
    let run = bue.run_with(&["--allow-net", &server.address], &script, &[("step.py", &step)])?;
    ensure!(run.stdout.contains(&format!("{}", 2 * (steps - 1))), "the last step's result is missing");
    Ok(run)
}

fn script(address: &str) -> String {
    format!(
        "!allow net {address}\nimport python (numbers, ask) step.py\nsource = | numbers\nwork = | ask\n\
         for number in source():\n    work(number)\n"
    )
}

fn step(address: &str, steps: u32) -> String {
    format!(
        "import urllib.request\n\
         def numbers():\n    return list(range({steps}))\n\
         def ask(number):\n\
         \x20   with urllib.request.urlopen(f'http://{address}/{{number}}') as answer:\n\
         \x20       return int(answer.read()) * 2\n"
    )
}

const AIOHTTP: &str = "\
import asyncio, sys, aiohttp
async def main(address, steps):
    async def ask(session, number):
        async with session.get(f'http://{address}/{number}') as answer:
            return int(await answer.read()) * 2
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None)) as session:
        answers = await asyncio.gather(*(ask(session, number) for number in range(steps)))
    print(sum(answers))
asyncio.run(main(sys.argv[1], int(sys.argv[2])))
";

fn run_aiohttp(python: &Path, server: &Server, steps: u32) -> Result<CommandRun> {
    let mut command = Command::new(python);
    command.args(["-c", AIOHTTP, &server.address, &steps.to_string()]);
    let run = bue_bench::run(command)?;
    let sum: u64 = (0..u64::from(steps)).map(|number| 2 * number).sum();
    ensure!(run.stdout.trim() == sum.to_string(), "aiohttp's answers add up to {}", run.stdout);
    Ok(run)
}

/// Installs aiohttp in a virtual environment beside this program; returns its Python.
fn install_aiohttp() -> Result<PathBuf> {
    let mut folder = std::env::current_exe()?;
    folder.set_file_name("aiohttp-venv");
    let python = folder.join("bin/python");
    if !python.is_file() {
        run_checked(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
    }
    run_checked(Command::new(&python).args(["-m", "pip", "install", "--quiet", "aiohttp"]))?;
    Ok(python)
}

fn run_checked(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("failed to start {command:?}"))?;
    ensure!(status.success(), "{command:?} failed");
    Ok(())
}

/// The server: this program in another process, so that its cost is not part of any arm.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start(seconds: u32) -> Result<Self> {
        let program = std::env::current_exe()?;
        let mut process = Command::new(program).args(["serve", &seconds.to_string()]).stdout(Stdio::piped()).spawn()?;
        let stdout = process.stdout.take().context("no standard output")?;
        let mut address = String::new();
        BufReader::new(stdout).read_line(&mut address)?;
        Ok(Self { process, address: address.trim().to_owned() })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // fails if the process has already ended
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn serve(delay: Duration) -> Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(async move {
                let service = service_fn(move |request| respond(request, delay));
                // an error means that the client closed the connection
                let _ =
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    })
}

/// Responds with the number in the path, after the delay.
async fn respond<Body>(request: Request<Body>, delay: Duration) -> Result<Response<Full<Bytes>>, Infallible> {
    let started = Instant::now();
    tokio::time::sleep_until((started + delay).into()).await;
    let number = request.uri().path().trim_start_matches('/').to_owned();
    Ok(Response::new(Full::new(Bytes::from(number))))
}
