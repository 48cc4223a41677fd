//! Python's HTTP libraries in steps, against a server on this machine: programs in `tests/programs/network`.
//!
//! A comment above a function, `# gives: JSON`, is its expected result. The function is called with a dict of addresses: `http`,
//! `https` (HTTP/1.1), `h2`, `closed` (nothing listens there), `denied` (no rule allows it), `garbage` (it does not speak HTTP),
//! `two_lengths` (its response has a length and chunks), `untrusted` (its certificate is signed by an unknown authority). `tcp.rs`
//! has the servers of `sockets.py`, which also gets `ca`, the certificate of their authority, and `other_ca`, that of another one.

mod real;
mod server;
mod soft_limit;
mod tcp;
mod wheels;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bue_model::{Answer, BlobHash, Bundle, Json, NetRule, SourceFile, Value, cbor};
use bue_runtime::{Code, Egress, EgressConfig, Finished, Limits, NetPolicy, Permissions, Task};
use bue_test_support::authority::Authority;
use bytes::Bytes;
use futures_util::future::join_all;
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::common::{self, with_packages, with_sandbox};

use self::server::Servers;
use self::tcp::TcpServers;

/// Open connections of a step of `sockets.py` at most: fewer than this process may have files.
const MAX_SOCKETS: u32 = 48;

#[tokio::test]
async fn the_standard_library_sends_http_requests() {
    check("standard.py", &[]).await;
}

#[tokio::test]
async fn tasks_of_asyncio_run_concurrently() {
    check("tasks.py", &[]).await;
}

#[tokio::test]
async fn requests_of_threads_are_in_flight_together() {
    check("pools.py", &[]).await;
}

#[tokio::test]
async fn sockets_streams_and_tls_are_those_of_python() {
    let folder = TempDir::new().expect("a folder");
    let TcpServers { addresses, authority } = TcpServers::start().await;
    let network = Network::of_tcp(addresses, &authority, &folder);
    let limits = Limits { net_exchanges: MAX_SOCKETS, ..Limits::default() };
    check_in(&Network { limits, ..network }, "sockets.py", &[]).await;
}

#[tokio::test]
async fn requests_and_urllib3_work_as_published() {
    if let Some(files) = wheels::files(&wheels::REQUESTS) {
        check("with_requests.py", &files).await;
    }
}

#[tokio::test]
async fn the_older_urllib3_works_as_published() {
    if let Some(files) = wheels::files(&wheels::OLDER_URLLIB3) {
        check("with_older_urllib3.py", &files).await;
    }
}

#[tokio::test]
async fn httpx_works_as_published() {
    if let Some(files) = wheels::files(&wheels::HTTPX) {
        check("with_httpx.py", &files).await;
    }
}

#[tokio::test]
async fn aiohttp_works_as_published() {
    if let Some(files) = wheels::files(&wheels::AIOHTTP) {
        check("with_aiohttp.py", &files).await;
    }
}

/// Each page costs a page fault or a copy, and memory while the step waits.
#[tokio::test]
async fn a_request_writes_to_few_pages() {
    const MOST: u32 = 110;
    let folder = TempDir::new().expect("a folder");
    let network = Network::of_http(&folder).await;
    let text = "import urllib.request\n\
                def get(at):\n    with urllib.request.urlopen(at['http'] + '/echo') as response:\n        \
                return response.status\n";
    let Task { code, .. } = common::python(text, "get", &[]);
    // what the first runs of a module write to is counted
    let finished = finished(network.task(&code, "get"), network.egress.clone()).await;
    assert_eq!(common::value(&finished), Value::Int(200));
    let pages = finished.usage.dirty_pages;
    assert!(pages.is_none_or(|pages| pages <= MOST), "{pages:?} pages");
}

/// From some number of waiting steps on, each gives back the pages that equal its image.
#[tokio::test]
async fn what_many_waiting_steps_give_back_is_missed_by_none() {
    const AT_ONCE: i64 = 100;
    let folder = TempDir::new().expect("a folder");
    let network = Network::of_http(&folder).await;
    let text = "import urllib.request\n\
                rows = [{'row': number} for number in range(2000)]\n\
                def get(at):\n    number = int(at['http'].rpartition('#')[2])\n    mine = [{**row, 'of': number} for row in rows]\n    \
                with urllib.request.urlopen(at['http'].partition('#')[0] + '/slow/2000') as response:\n        text = response.read().decode()\n    \
                assert rows == [{'row': number} for number in range(2000)]\n    \
                assert mine == [{'row': row['row'], 'of': number} for row in rows]\n    return [number, text]\n";
    let Task { code, .. } = common::python(text, "get", &[]);
    let http = network.addresses.iter().find(|(name, _)| name == "http").expect("a server").1.clone();
    let runs = (0..AT_ONCE).map(|number| {
        let mut task = network.task(&code, "get");
        let address = Value::Map(
            core::iter::once((Value::Text("http".to_owned()), Value::Text(format!("{http}#{number}")))).collect(),
        );
        task.inputs = vec![Bytes::from(cbor::encode(&address))];
        let egress = network.egress.clone();
        async move {
            let expected = Value::List(vec![Value::Int(number), Value::Text("at last".to_owned())]);
            assert_eq!(common::value(&finished(task, egress).await), expected);
        }
    });
    join_all(runs).await;
}

/// What a program gets: its network, and the dict that its functions are called with.
struct Network {
    egress: Egress,
    permissions: Permissions,
    limits: Limits,
    addresses: Vec<(String, String)>,
}

impl Network {
    /// Servers for HTTP.
    async fn of_http(folder: &TempDir) -> Self {
        let servers = Servers::start(folder).await;
        let allowed = ["localhost", "127.0.0.0/8", "[::1]"].map(rule);
        let config = EgressConfig { allowed: NetPolicy::Public(allowed.to_vec()), ..EgressConfig::default() };
        let egress = Egress::new(config, Some(&servers.certificate)).expect("an egress");
        let mut permissions = Permissions::default();
        permissions.net = ["127.0.0.1", "localhost", "no-such-name.invalid", "127.0.0.2"].map(rule).to_vec();
        Self { egress, permissions, limits: Limits::default(), addresses: owned(servers.addresses) }
    }

    /// TCP connections to these addresses, which both sides allow. The worker trusts this authority.
    fn of_tcp(addresses: Vec<(&'static str, String)>, authority: &Authority, folder: &TempDir) -> Self {
        let certificate = folder.path().join("authority.pem");
        fs::write(&certificate, &authority.root).expect("a file");
        let rules: Vec<NetRule> = addresses.iter().map(|(_, address)| rule(address)).collect();
        let config = EgressConfig { allowed_tcp: NetPolicy::Rules(rules.clone()), ..EgressConfig::default() };
        let egress = Egress::new(config, Some(&certificate)).expect("an egress");
        let mut permissions = Permissions::default();
        permissions.tcp = rules;
        let certificates = vec![("ca", authority.root.clone()), ("other_ca", Authority::new().root)];
        let addresses = owned(addresses.into_iter().chain(certificates).collect());
        Self { egress, permissions, limits: Limits::default(), addresses }
    }

    fn task(&self, code: &Code, called: &str) -> Task {
        let mut code = code.clone();
        if let Code::Python { function, .. } = &mut code {
            called.clone_into(function);
        }
        let text = |text: &String| Value::Text(text.clone());
        let addresses = Value::Map(self.addresses.iter().map(|(name, address)| (text(name), text(address))).collect());
        Task {
            code,
            inputs: vec![Bytes::from(cbor::encode(&addresses))],
            env: None,
            loop_text: None,
            limits: Limits { time: Duration::from_secs(100), ..self.limits.clone() },
            permissions: self.permissions.clone(),
        }
    }
}

fn rule(text: &str) -> NetRule {
    text.parse().expect("a rule")
}

fn owned(texts: Vec<(&'static str, String)>) -> Vec<(String, String)> {
    texts.into_iter().map(|(name, text)| (name.to_owned(), text)).collect()
}

/// Runs every case of a program for HTTP, all at once, with these packages.
async fn check(name: &str, wheels: &[(String, Vec<u8>)]) {
    let folder = TempDir::new().expect("a folder");
    check_in(&Network::of_http(&folder).await, name, wheels).await;
}

/// Runs every case of a program, all at once, with these packages.
async fn check_in(network: &Network, name: &str, wheels: &[(String, Vec<u8>)]) {
    let (code, cases) = program(network, name, wheels);
    check_cases(network, &code, &cases).await;
}

/// The code of a program with these packages, and its cases.
fn program(network: &Network, name: &str, wheels: &[(String, Vec<u8>)]) -> (Code, Vec<(String, String)>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/programs/network").join(name);
    let text = fs::read_to_string(path).expect("a program");
    let files = vec![SourceFile { path: name.to_owned(), content: Bytes::from(text.clone()) }];
    let key = BlobHash(*blake3::hash(text.as_bytes()).as_bytes());
    let bundle = Arc::new(Bundle { entry: name.to_owned(), first_line: 1, files, ..Bundle::default() });
    let packages: Vec<(&str, &[u8])> = wheels.iter().map(|(file, bytes)| (file.as_str(), bytes.as_slice())).collect();
    let code = Code::Python { bundle, key, function: String::new(), keywords: None, packages: None };
    let code = with_packages(network.task(&code, ""), &packages).code;
    let cases = cases(&text);
    assert!(!cases.is_empty(), "{name} has no case");
    (code, cases)
}

/// Runs these cases, all at once.
async fn check_cases(network: &Network, code: &Code, cases: &[(String, String)]) {
    let runs = cases.iter().map(|(function, expected)| {
        let (task, egress) = (network.task(code, function), network.egress.clone());
        async move { compare(function, expected, run(task, egress).await) }
    });
    let problems: Vec<String> = join_all(runs).await.into_iter().flatten().collect();
    assert!(problems.is_empty(), "{} of {}:\n{}", problems.len(), cases.len(), problems.join("\n"));
}

/// Functions and their expected results.
pub(crate) fn cases(text: &str) -> Vec<(String, String)> {
    let (mut cases, mut expected) = (Vec::new(), None);
    for line in text.lines() {
        let function = line.strip_prefix("async ").unwrap_or(line).strip_prefix("def ");
        if let Some(gives) = line.strip_prefix("# gives: ") {
            expected = Some(gives.to_owned());
        } else if let (Some((name, _)), Some(gives)) = (function.and_then(|text| text.split_once('(')), expected.take())
        {
            cases.push((name.to_owned(), gives));
        }
    }
    cases
}

async fn finished(task: Task, egress: Egress) -> Finished {
    let (items, _receiver) = mpsc::channel(1);
    let net = egress.port(&task.permissions, &task.limits);
    with_sandbox(|sandbox| Box::pin(async move { sandbox.run_connected(&task, items, net).await })).await
}

async fn run(task: Task, egress: Egress) -> Result<String, String> {
    answer(&finished(task, egress).await)
}

/// Returns the value of a step as JSON, or why there is none.
pub(crate) fn answer(finished: &Finished) -> Result<String, String> {
    match &finished.answer {
        Answer::Completed { value, .. } => {
            Ok(serde_json::to_string(&Json(&cbor::decode(value).expect("CBOR"))).expect("JSON"))
        }
        Answer::Failed(failure) => {
            let trace = failure.trace.clone().unwrap_or_default();
            Err(format!("{}\n{trace}{}", failure.message, String::from_utf8_lossy(&finished.log)))
        }
        other => Err(format!("{other:?}")),
    }
}

pub(crate) fn compare(function: &str, expected: &str, given: Result<String, String>) -> Option<String> {
    let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
    match given {
        Ok(given) if read(&given) == read(expected) => None,
        Ok(given) => Some(format!("{function} gives {given}, not {expected}")),
        Err(failure) => Some(format!("{function} fails: {failure}")),
    }
}
