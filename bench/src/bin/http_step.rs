//! The cost of one HTTP request in a fresh sandbox, for each Python library: processor time and dirty pages.
//!
//! `cargo run --release -p bue-bench --bin http_step -- [FOLDER [SCRIPT…]]`. The folder contains Python packages; without it, `python3 -m
//! pip` installs them beside this program, once. Each SCRIPT is a Python file whose function `step(url)` is measured instead of the
//! libraries.
//!
//! How to read the figures: subtract `no request`, which is the cost of a step, to get the cost of a request. `the host call
//! itself` is the lower bound: a request without any library. `requests, without a request` is the lower bound of `requests`: its own
//! objects, however the request is sent. The server is in the same process and responds at once, so the wall
//! time is the processor time plus the round trip.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its figures")]

use core::convert::Infallible;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use bue_bench::{Samples, table};
use bue_model::{Answer, BlobHash, Bundle, SourceFile, Value, cbor};
use bue_runtime::sandbox::Sandbox;
use bue_runtime::{Code, Egress, EgressConfig, Finished, Limits, NetPolicy, Permissions, Prepared, Task};
use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use hyper::header::HeaderValue;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

const STEPS: usize = 300;

/// `requests` with an adapter that answers by itself.
const WITHOUT_TRANSPORT: &str = "requests, without a request";

/// What needs packages.
const PACKAGES: [&str; 4] = ["requests", WITHOUT_TRANSPORT, "urllib3", "httpx"];

const LIBRARIES: [(&str, &str); 8] = [
    ("no request", "def step(url):\n    return url\n"),
    (
        "the host call itself",
        "import _bue_net as net\n\
         def step(url):\n    return len(net.wait([net.start('GET', url, '/', [], None, None)], None))\n",
    ),
    (
        "http.client",
        "import http.client\n\
         def step(url):\n    connection = http.client.HTTPConnection(url[7:])\n    connection.request('GET', '/')\n    \
             return connection.getresponse().read()\n",
    ),
    (
        "urllib.request",
        "import urllib.request\n\
         def step(url):\n    with urllib.request.urlopen(url) as answer:\n        return answer.read()\n",
    ),
    ("urllib3", "import urllib3\ndef step(url):\n    return urllib3.request('GET', url).json()\n"),
    ("requests", "import requests\ndef step(url):\n    return requests.get(url).json()\n"),
    (
        WITHOUT_TRANSPORT,
        "import io\nimport requests\nimport urllib3\n\
         class Canned(requests.adapters.HTTPAdapter):\n    def send(self, request, **options):\n        \
             raw = urllib3.HTTPResponse(io.BytesIO(b'1'), {'content-type': 'application/json'}, 200, preload_content=False)\n        \
             return self.build_response(request, raw)\n\
         requests.sessions.HTTPAdapter = Canned\n\
         def step(url):\n    return requests.get(url).json()\n",
    ),
    ("httpx", "import httpx\ndef step(url):\n    return httpx.get(url).json()\n"),
];

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().map_or_else(install_packages, |folder| Ok(PathBuf::from(folder)));
    let packages = folder.and_then(|folder| python_files(&folder));
    let packages = packages.inspect_err(|error| eprintln!("the packages are missing: {error:#}")).unwrap_or_default();
    let scripts = arguments.map(|path| Ok((path.clone(), fs::read_to_string(path)?))).collect::<Result<Vec<_>>>()?;
    let mut measured: Vec<(&str, &str)> = scripts.iter().map(|(path, code)| (path.as_str(), code.as_str())).collect();
    if measured.is_empty() {
        measured.extend(LIBRARIES);
    }
    let cache = dirs::cache_dir().context("no cache directory")?.join("bue");
    let keys = dirs::state_dir().context("no state directory")?.join("bue");
    let prepared = Prepared::open(&cache, &keys, &|message| eprintln!("{message}"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut figures = table(&["library", "processor (p10 to p90)", "wall (p10 to p90)", "dirty pages"]);
    runtime.block_on(async {
        let url = serve().await?;
        let sandbox = Sandbox::open(&prepared)?;
        let allowed = NetPolicy::Rules(vec!["127.0.0.1".parse()?]);
        let config = EgressConfig { allowed, ..EgressConfig::default() };
        let egress = Egress::new(config, None)?;
        for (number, (name, code)) in (1..).zip(measured) {
            if packages.is_empty() && PACKAGES.contains(&name) {
                figures.add_row([name, "not installed", "", ""]);
                continue;
            }
            let task = task(number, code, &packages, &url);
            let (mut cpu, mut wall, mut pages) = (Samples::default(), Samples::default(), None);
            for _ in 0..STEPS {
                let finished = run(&sandbox, &egress, &task).await?;
                cpu.push(finished.usage.cpu);
                wall.push(finished.usage.wall);
                pages = finished.usage.dirty_pages.or(pages);
            }
            let pages = pages.map_or_else(|| "unknown on this system".to_owned(), |pages| pages.to_string());
            figures.add_row([name.to_owned(), cpu.cell(), wall.cell(), pages]);
        }
        println!("{figures}");
        Ok(())
    })
}

async fn run(sandbox: &Sandbox, egress: &Egress, task: &Task) -> Result<Finished> {
    let (items, _receiver) = mpsc::channel(1);
    let net = egress.port(&task.permissions, &task.limits);
    let finished = sandbox.run_connected(task, items, net).await;
    ensure!(matches!(finished.answer, Answer::Completed { .. }), "the step answered {:?}", finished.answer);
    Ok(finished)
}

fn task(number: u8, code: &str, packages: &[SourceFile], url: &str) -> Task {
    let entry = SourceFile { path: "step.py".to_owned(), content: Bytes::copy_from_slice(code.as_bytes()) };
    let mut files = vec![entry];
    files.extend_from_slice(packages);
    let bundle = Bundle { entry: "step.py".to_owned(), first_line: 1, files, ..Bundle::default() };
    let mut permissions = Permissions::default();
    permissions.net = "127.0.0.1".parse().into_iter().collect();
    Task {
        code: Code::Python {
            bundle: Arc::new(bundle),
            key: BlobHash([number; 32]),
            function: "step".to_owned(),
            keywords: None,
            packages: None,
        },
        inputs: vec![cbor::encode(&Value::Text(url.to_owned())).into()],
        env: None,
        loop_text: None,
        limits: Limits::default(),
        permissions,
    }
}

/// Starts a server that responds at once, and returns its URL.
async fn serve() -> Result<String> {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let service = service_fn(|_| async { Ok::<_, Infallible>(response()) });
                let _ =
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    Ok(url)
}

fn response() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(b"1")));
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
    response
}

/// Installs the packages in a folder beside this program.
fn install_packages() -> Result<PathBuf> {
    let folder = std::env::current_exe()?.with_file_name("http-step-packages");
    if !folder.is_dir() {
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--target"]).arg(&folder).args(["requests", "urllib3", "httpx"]);
        ensure!(pip.status().context("failed to start python3")?.success(), "pip failed");
    }
    Ok(folder)
}

/// Reads all Python files in a folder and its subfolders.
fn python_files(folder: &Path) -> Result<Vec<SourceFile>> {
    let (mut folders, mut files) = (vec![folder.to_owned()], Vec::new());
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "py") {
                let name = path.strip_prefix(folder)?.to_string_lossy().into_owned();
                files.push(SourceFile { path: name, content: fs::read(&path)?.into() });
            }
        }
    }
    Ok(files)
}
