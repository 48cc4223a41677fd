//! Reports from a slow API, as a day of them goes: requested, polled, downloaded, summed up in SQL, sent on.
//!
//! `cargo run --release -p bue-bench --bin reports -- [REPORTS [SECONDS]]`; the defaults are 30,000 reports and an API that takes 30
//! seconds for each on average, between two thirds and four thirds of that. The API is this program in another process, on loopback.
//! Each report is five steps: `request`, `poll` every 5 seconds until it is ready, `download` of 30 rows, `totals` (sqlite3) and
//! `load`; those in Python use `urllib.request`. Each answer of `poll` is a step in a fresh sandbox.
//!
//! How to read the figures: no report can be loaded before the API has made it, so the wall time is above four thirds of SECONDS. The
//! processor time is that of all processes of `bue run`, without the API, of which the user's part and the system's are listed. Memory
//! is the peak of anonymous memory of all these processes. Page faults are those of the sandbox hosts, for each sandbox.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use core::convert::Infallible;
use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bue_bench::{Bue, raise_file_limit, table};
use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::LocalSet;

const ROWS: u32 = 30;

const STEPS: &str = r#"
import json
import urllib.request
from bue import Result, StepStatus

def call(path, body=None):
    with urllib.request.urlopen("http://ADDRESS" + path, body, timeout=60) as answer:
        return json.loads(answer.read())

def numbers():
    return list(range(REPORTS))

def request(number):
    return call(f"/reports/{number}", b"{}")["id"]

def poll(number):
    if not call(f"/reports/{number}")["ready"]:
        return Result(status=StepStatus.pending, delay=5)
    return number

def download(number):
    return call(f"/reports/{number}/rows")

def load(rows):
    return call("/loaded", json.dumps(rows[0]).encode())["sum"]
"#;

const SCRIPT: &str = "\
!allow net ADDRESS
!timeout 10min
import python (numbers, request, poll, download, load) steps.py

totals:
    sqlite3
    rows
    `
SELECT report, COUNT(*) AS days, SUM(sales) AS sales FROM rows GROUP BY report
`

source = | numbers
report = request | poll | download | totals | load
for number in source():
    report(number)
";

fn main() -> Result<()> {
    raise_file_limit();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize, default: u32| arguments.get(index).map_or(Ok(default), |text| text.parse());
    if arguments.first().is_some_and(|first| first == "serve") {
        return serve(Duration::from_secs(number(1, 30)?.into()));
    }
    measure(number(0, 30_000)?, number(1, 30)?)
}

fn measure(reports: u32, seconds: u32) -> Result<()> {
    let api = Api::start(seconds)?;
    let bue = Bue::find()?;
    let fill = |text: &str| text.replace("ADDRESS", &api.address).replace("REPORTS", &reports.to_string());
    let run = bue.run_with(&["--allow-net", &api.address], &fill(SCRIPT), &[("steps.py", &fill(STEPS))])?;
    let (loaded, calls) = api.counts()?;
    ensure!(loaded == reports, "{loaded} of {reports} reports were loaded");
    let sandboxes = calls + reports + 1;
    let mut figures = table(&["figure", "value"]);
    let mut row = |name: &str, value: String| {
        figures.add_row([name.to_owned(), value]);
    };
    row("wall", format!("{:.1?}", run.wall));
    row("requests to the API", calls.to_string());
    row("sandboxes", sandboxes.to_string());
    row("processor time", format!("{:.1?}", run.cpu));
    row("of which in the kernel", format!("{:.1?}", run.system));
    row("processor time per sandbox", format!("{:.3?}", run.cpu / sandboxes));
    row("page faults per sandbox", (run.faults / u64::from(sandboxes)).to_string());
    row("peak anonymous memory, all processes", format!("{} MiB", run.peak_all_kib / 1024));
    println!("{reports} reports, of which each takes the API {seconds} s on average\n{figures}");
    Ok(())
}

/// The API: this program in another process.
struct Api {
    process: Child,
    address: String,
}

impl Api {
    fn start(seconds: u32) -> Result<Self> {
        let program = std::env::current_exe()?;
        let mut process = Command::new(program).args(["serve", &seconds.to_string()]).stdout(Stdio::piped()).spawn()?;
        let stdout = process.stdout.take().context("no standard output")?;
        let mut address = String::new();
        BufReader::new(stdout).read_line(&mut address)?;
        Ok(Self { process, address: address.trim().to_owned() })
    }

    /// The number of reports that were loaded, and that of all requests.
    fn counts(&self) -> Result<(u32, u32)> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let body = runtime.block_on(get(&self.address, "/counts"))?;
        Ok(serde_json::from_slice(&body)?)
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        // fails if the process has already ended
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn get(address: &str, path: &str) -> Result<Bytes> {
    use http_body_util::BodyExt;
    let stream = tokio::net::TcpStream::connect(address).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::get(path).header("host", address).body(Full::<Bytes>::default())?;
    Ok(sender.send_request(request).await?.into_body().collect().await?.to_bytes())
}

/// What the API knows.
struct Reports {
    delay: Duration,
    /// When each report was requested.
    requested: RefCell<HashMap<u32, Instant>>,
    loaded: RefCell<u32>,
    calls: RefCell<u32>,
}

fn serve(delay: Duration) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (requested, loaded, calls) = (RefCell::default(), RefCell::default(), RefCell::default());
    let reports = Rc::new(Reports { delay, requested, loaded, calls });
    LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let reports = Rc::clone(&reports);
            tokio::task::spawn_local(async move {
                let service = service_fn(|request| core::future::ready(reports.respond(&request)));
                // an error means that the client closed the connection
                let _ =
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    })
}

impl Reports {
    fn respond<Body>(&self, request: &Request<Body>) -> Result<Response<Full<Bytes>>, Infallible> {
        let path = request.uri().path();
        let number = path.split('/').nth(2).and_then(|number| number.parse().ok()).unwrap_or_default();
        let body = match path {
            "/counts" => format!("[{}, {}]", self.loaded.borrow(), self.calls.borrow()),
            _ => {
                *self.calls.borrow_mut() += 1;
                self.answer(request.method(), path, number)
            }
        };
        Ok(Response::new(Full::new(Bytes::from(body))))
    }

    fn answer(&self, method: &Method, path: &str, number: u32) -> String {
        if path == "/loaded" {
            *self.loaded.borrow_mut() += 1;
            return r#"{"sum": 1}"#.to_owned();
        }
        if path.ends_with("/rows") {
            let row = |day| format!(r#"{{"report": {number}, "day": {day}, "sales": {}}}"#, number % 100 + day);
            return format!("[{}]", (0..ROWS).map(row).collect::<Vec<_>>().join(","));
        }
        let mut requested = self.requested.borrow_mut();
        if *method == Method::POST {
            requested.insert(number, Instant::now());
            return format!(r#"{{"id": {number}}}"#);
        }
        // between two thirds and four thirds of the delay, spread evenly over the reports
        let delay = self.delay * (200 + number.wrapping_mul(7919) % 201) / 300;
        let is_ready = requested.get(&number).is_some_and(|requested| requested.elapsed() >= delay);
        format!(r#"{{"ready": {is_ready}}}"#)
    }
}
