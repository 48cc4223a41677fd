//! Steps that each wait for one HTTP answer, all at once in one worker, beside a bare aiohttp script on the same server.
//!
//! `cargo run --release -p bue-bench --bin waiting -- [STEPS [SECONDS [ROUNDS]]]`, 10,000, 120 and 3 where nothing is said. The
//! script needs `python3` with a pip that finds aiohttp; without, its arm is left out. Ten thousand connections want as many
//! open files: `ulimit -Hn` must be well above.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its table")]

use core::convert::Infallible;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bue_bench::{Bue, Finished, raise_file_limit, table};
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
    let aiohttp = aiohttp().inspect_err(|error| eprintln!("without the aiohttp arm: {error:#}")).ok();
    let bue = Bue::find()?;
    ours(&bue, &server, 10)?;
    let (mut of_bue, mut of_aiohttp) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        eprintln!("round {} of {rounds}", round + 1);
        of_bue.push(ours(&bue, &server, steps)?);
        if let Some(python) = &aiohttp {
            of_aiohttp.push(theirs(python, &server, steps)?);
        }
    }
    print(steps, Duration::from_secs(seconds.into()), of_bue, of_aiohttp);
    Ok(())
}

fn print(steps: u32, ideal: Duration, mut of_bue: Vec<Finished>, mut of_aiohttp: Vec<Finished>) {
    let mut figures = table(&["figure", "bue", "aiohttp"]);
    of_bue.sort_by_key(|run| run.wall);
    of_aiohttp.sort_by_key(|run| run.wall);
    let middle = |runs: &[Finished], figure: &dyn Fn(&Finished) -> String| {
        runs.get(runs.len() / 2).map_or_else(|| "-".to_owned(), figure)
    };
    let mut row = |name: &str, figure: &dyn Fn(&Finished) -> String| {
        figures.add_row([name.to_owned(), middle(&of_bue, figure), middle(&of_aiohttp, figure)]);
    };
    row("whole command, wall", &|run| format!("{:.2?}", run.wall));
    row("the same / the server's delay", &|run| format!("{:.3}", run.wall.as_secs_f64() / ideal.as_secs_f64()));
    row("processor a step", &|run| format!("{:.3?}", run.cpu / steps));
    row("peak of private memory, all processes", &|run| format!("{} MiB", run.peak_all_kib / 1024));
    row("the same / steps", &|run| format!("{} KiB", run.peak_all_kib / u64::from(steps)));
    println!("{steps} steps, each answered after {ideal:?}; the middle one of {} runs\n{figures}", of_bue.len());
}

fn ours(bue: &Bue, server: &Server, steps: u32) -> Result<Finished> {
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

fn theirs(python: &Path, server: &Server, steps: u32) -> Result<Finished> {
    let mut command = Command::new(python);
    command.args(["-c", AIOHTTP, &server.address, &steps.to_string()]);
    let run = bue_bench::run(command)?;
    let sum: u64 = (0..u64::from(steps)).map(|number| 2 * number).sum();
    ensure!(run.stdout.trim() == sum.to_string(), "aiohttp's answers add up to {}", run.stdout);
    Ok(run)
}

/// A Python that has aiohttp, in a folder beside this program.
fn aiohttp() -> Result<PathBuf> {
    let mut folder = std::env::current_exe()?;
    folder.set_file_name("aiohttp-venv");
    let python = folder.join("bin/python");
    if !python.is_file() {
        succeed(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
    }
    succeed(Command::new(&python).args(["-m", "pip", "install", "--quiet", "aiohttp"]))?;
    Ok(python)
}

fn succeed(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("failed to start {command:?}"))?;
    ensure!(status.success(), "{command:?} failed");
    Ok(())
}

/// This program again, as the server: what it costs is nobody's step.
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
        // one that is gone already cannot be killed, which is fine
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
                let service = service_fn(move |request| answer(request, delay));
                // a client that goes away is nobody's loss
                let _ =
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    })
}

/// The number in the path, after a while.
async fn answer<Body>(request: Request<Body>, delay: Duration) -> Result<Response<Full<Bytes>>, Infallible> {
    let started = Instant::now();
    tokio::time::sleep_until((started + delay).into()).await;
    let number = request.uri().path().trim_start_matches('/').to_owned();
    Ok(Response::new(Full::new(Bytes::from(number))))
}
