//! Hostile guests, executed by real sandbox hosts: the programs in `tests/programs/evil`, each with its expected outcome.
//!
//! After every guest, its host is alive, an innocent step in the same slot works, and the worker holds at most 64 MiB more
//! memory than before. No guest has connected to the port of this test, no output contains the canary, and a value of the bucket that
//! they may not use is as it was.

mod guest;

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bue_model::{BlobHash, Value};
use bue_runtime::{Egress, EgressConfig, GuestBytes, GuestModule, Hosts, HostsConfig, NetPolicy, Prepared};

use self::guest::{Guest, Language, matches};
use crate::common::value;
use crate::memory_bucket::MemoryBucket;
use crate::{Runtime, children, finish};

/// Bytes by which the memory of a worker may grow during a guest.
const MAX_GROWTH: u64 = 64 << 20;
/// A guest that has not ended after this time hangs: the longest time limit of a guest is some seconds.
const GUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// The content of a file of this machine, which no guest may read.
const CANARY: &str = "canary-5fd1c7a0b2";
/// A value of the bucket that no guest may use.
const FORBIDDEN_VALUE: &str = "secret/canary";

pub(crate) fn hostile_guests_have_their_expected_outcomes(runtime: &Runtime) {
    let mut canary = tempfile::NamedTempFile::new().expect("a file");
    canary.write_all(CANARY.as_bytes()).expect("written");
    let trap = TcpListener::bind("127.0.0.1:0").expect("a port");
    trap.set_nonblocking(true).expect("a listener");
    let guests = Guest::all(&programs(), canary.path(), trap.local_addr().expect("an address").port());
    assert!(guests.len() >= 60 || std::env::var_os("BUE_EVIL").is_some(), "only {} guests", guests.len());
    let checked = guests.len();
    let problems = runtime.tokio.block_on(check_all(runtime, guests));
    assert!(problems.is_empty(), "{} of {}:\n{}", problems.len(), checked, problems.join("\n"));
    assert!(trap.accept().is_err(), "a guest reached a port of this machine");
    println!("{checked} hostile guests");
}

fn programs() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/programs/evil")
}

async fn check_all(runtime: &Runtime, mut guests: Vec<Guest>) -> Vec<String> {
    let config = HostsConfig { egress: open_egress(), ..runtime.config(1) };
    let shared = Hosts::start(config).await.expect("hosts");
    compile_rust(&shared, &mut guests).await;
    let mut problems = Vec::new();
    for guest in &guests {
        let start = Instant::now();
        let new_problems = match guest.language {
            Language::Wat => check_module(runtime, guest).await,
            Language::Python | Language::Sql | Language::Rust => check(&shared, guest).await,
        };
        if std::env::var_os("BUE_EVIL").is_some() {
            println!("{:>7.0?} {}", start.elapsed(), guest.name);
        }
        problems.extend(new_problems.into_iter().map(|problem| format!("{}: {problem}", guest.name)));
    }
    shared.shutdown().await;
    problems
}

async fn compile_rust(hosts: &Hosts, guests: &mut [Guest]) {
    let mut rust_guests = guests.iter_mut().filter(|guest| guest.language == Language::Rust).peekable();
    if rust_guests.peek().is_some() {
        let component = crate::wasm::compiled(hosts, crate::wasm::guests::evil()).await;
        rust_guests.for_each(|guest| guest.component = Some(component.clone()));
    }
}

/// A worker that allows everything, so that refusals do not depend on the worker's rules.
fn open_egress() -> Egress {
    let special = ["localhost", "127.0.0.0/8", "[::1]", "10.0.0.0/8", "169.254.0.0/16", "192.168.0.0/16"];
    let rules = special.map(|rule| rule.parse().expect("a rule"));
    let config = EgressConfig {
        allowed: NetPolicy::Public(rules.to_vec()),
        allowed_tcp: NetPolicy::Public(rules.to_vec()),
        ..EgressConfig::default()
    };
    Egress::new(config, None::<&Path>).expect("no file to read")
}

/// Runs a guest that replaces the Python guest's module, in a separate host.
async fn check_module(runtime: &Runtime, guest: &Guest) -> Vec<String> {
    let cache = tempfile::tempdir().expect("a directory");
    let bytes = wat::parse_str(&guest.text).unwrap_or_else(|error| panic!("{}: {error}", guest.name));
    let module = GuestModule { hash: BlobHash(*blake3::hash(&bytes).as_bytes()), bytes: GuestBytes::Plain(bytes) };
    let prepared = match (
        Prepared::open_guest(cache.path(), &cache.path().join("keys"), &module, &|_| ()),
        guest.one("refused"),
    ) {
        (Ok(prepared), None) => prepared,
        (Err(error), Some(words)) if matches(words, &error.to_string()) => return Vec::new(),
        (other, _) => {
            return vec![format!(
                "it was accepted, or refused for another reason: {:?}",
                other.map_err(|e| e.to_string())
            )];
        }
    };
    let config = HostsConfig { prepared, egress: open_egress(), ..runtime.config(1) };
    let hosts = Hosts::start(config).await.expect("hosts");
    let problems = check(&hosts, guest).await;
    hosts.shutdown().await;
    problems
}

async fn check(hosts: &Hosts, guest: &Guest) -> Vec<String> {
    // loads the module, so that its image does not count as growth
    let mut problems = innocent(hosts, guest, "before").await;
    let (memory, processes) = (private_memory(), children());
    let bucket = Arc::new(MemoryBucket::default());
    bucket.set(FORBIDDEN_VALUE, CANARY);
    let mut running = hosts.run_with((guest.task("evil"), 1), bucket.clone(), ()).await.expect("open");
    let Ok(finished) = tokio::time::timeout(GUEST_TIMEOUT, finish(&mut running)).await else {
        return vec!["it did not end within a minute".to_owned()];
    };
    match finished {
        Ok(finished) => problems.extend(guest.problems(&finished)),
        Err(lost) => problems.push(lost.to_string()),
    }
    if bucket.value(FORBIDDEN_VALUE).as_deref() != Some(CANARY.as_bytes()) {
        problems.push("it changed a value that it may not use".to_owned());
    }
    problems.extend(innocent(hosts, guest, "after").await);
    if children() != processes {
        problems.push("its host died".to_owned());
    }
    let growth = private_memory().saturating_sub(memory);
    if growth > MAX_GROWTH {
        problems.push(format!("the worker uses {} MiB more", growth >> 20));
    }
    problems
}

/// Runs a harmless step where the hostile one runs: same module, same image, same slot.
async fn innocent(hosts: &Hosts, guest: &Guest, when: &str) -> Vec<String> {
    let mut running = hosts.run(guest.innocent_task()).await.expect("open");
    match finish(&mut running).await {
        Ok(finished) if matches!(finished.answer, bue_model::Answer::Completed { .. }) => {
            let result = value(&finished);
            let is_expected = result == Value::Int(7) || result == Value::List(vec![]);
            if is_expected { Vec::new() } else { vec![format!("an innocent step {when} it returned {result:?}")] }
        }
        other => vec![format!("an innocent step {when} it: {other:?}")],
    }
}

/// Returns the bytes of private memory of this process and its children.
fn private_memory() -> u64 {
    let own = std::process::id().to_string();
    children().iter().chain([&own]).map(|pid| private_memory_of(pid)).sum()
}

fn private_memory_of(pid: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let lines = status.lines().filter(|line| line.starts_with("RssAnon:") || line.starts_with("RssShmem:"));
    lines.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).sum::<u64>() << 10
}
