//! Hostile guests, run by real sandbox hosts: the programs in `tests/programs/evil`, each with what it must get.
//!
//! Whatever a guest gets, three things hold afterwards: its host is alive, an innocent step in the same slot works, and
//! the worker holds no more memory than before, but for 64 MiB. Nobody was connected to, and nothing says the canary.

mod guest;

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use bue_model::{BlobHash, Value};
use bue_runtime::{Allowed, Egress, EgressConfig, GuestBytes, GuestModule, Hosts, HostsConfig, Prepared};

use self::guest::{Guest, Language, matches};
use crate::common::value;
use crate::{Runtime, children, finish};

/// Bytes that a worker may hold more after a guest than before it.
const MOST_GROWTH: u64 = 64 << 20;
/// A guest that has not ended by then hangs: the longest time limit of one is seconds.
const HANGS: Duration = Duration::from_secs(60);
/// What stands in a file of this machine, which no guest may read.
const CANARY: &str = "canary-5fd1c7a0b2";

pub(crate) fn hostile_guests_get_what_they_must(runtime: &Runtime) {
    let mut canary = tempfile::NamedTempFile::new().expect("a file");
    canary.write_all(CANARY.as_bytes()).expect("written");
    let trap = TcpListener::bind("127.0.0.1:0").expect("a port");
    trap.set_nonblocking(true).expect("a listener");
    let guests = Guest::all(&programs(), canary.path(), trap.local_addr().expect("an address").port());
    assert!(guests.len() >= 60 || std::env::var_os("BUE_EVIL").is_some(), "only {} guests", guests.len());
    let checked = guests.len();
    let complaints = runtime.tokio.block_on(check_all(runtime, guests));
    assert!(complaints.is_empty(), "{} of {}:\n{}", complaints.len(), checked, complaints.join("\n"));
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
    let mut complaints = Vec::new();
    for guest in &guests {
        let start = Instant::now();
        let said = match guest.language {
            Language::Wat => check_module(runtime, guest).await,
            Language::Python | Language::Sql | Language::Rust => check(&shared, guest).await,
        };
        if std::env::var_os("BUE_EVIL").is_some() {
            println!("{:>7.0?} {}", start.elapsed(), guest.name);
        }
        complaints.extend(said.into_iter().map(|said| format!("{}: {said}", guest.name)));
    }
    shared.shutdown().await;
    complaints
}

async fn compile_rust(hosts: &Hosts, guests: &mut [Guest]) {
    let mut of_rust = guests.iter_mut().filter(|guest| guest.language == Language::Rust).peekable();
    if of_rust.peek().is_some() {
        let component = crate::wasm::compiled(hosts, crate::wasm::guests::evil()).await;
        of_rust.for_each(|guest| guest.component = Some(component.clone()));
    }
}

/// The worker allows anything, so that what is refused is refused whatever a worker allows.
fn open_egress() -> Egress {
    let config = EgressConfig { allowed: Allowed::Anything, ..EgressConfig::default() };
    Egress::new(config, None::<&Path>).expect("no file to read")
}

/// A module of one's own is its own guest, in a host of its own.
async fn check_module(runtime: &Runtime, guest: &Guest) -> Vec<String> {
    let cache = tempfile::tempdir().expect("a directory");
    let bytes = wat::parse_str(&guest.text).unwrap_or_else(|error| panic!("{}: {error}", guest.name));
    let module = GuestModule { hash: BlobHash(*blake3::hash(&bytes).as_bytes()), bytes: GuestBytes::Plain(bytes) };
    let prepared = match (Prepared::open_guest(cache.path(), &module, &|_| ()), guest.one("refused")) {
        (Ok(prepared), None) => prepared,
        (Err(error), Some(words)) if matches(words, &error.to_string()) => return Vec::new(),
        (other, _) => {
            return vec![format!("it was taken or refused otherwise: {:?}", other.map_err(|e| e.to_string()))];
        }
    };
    let config = HostsConfig { prepared, egress: open_egress(), ..runtime.config(1) };
    let hosts = Hosts::start(config).await.expect("hosts");
    let complaints = check(&hosts, guest).await;
    hosts.shutdown().await;
    complaints
}

async fn check(hosts: &Hosts, guest: &Guest) -> Vec<String> {
    // loads the module, so that its image counts for nobody
    let mut complaints = innocent(hosts, guest, "before").await;
    let (held, processes) = (held(), children());
    let mut running = hosts.run(guest.task("evil")).await.expect("open");
    let Ok(finished) = tokio::time::timeout(HANGS, finish(&mut running)).await else {
        return vec!["it hangs".to_owned()];
    };
    match finished {
        Ok(finished) => complaints.extend(guest.complaints(&finished)),
        Err(lost) => complaints.push(lost.to_string()),
    }
    complaints.extend(innocent(hosts, guest, "after").await);
    if children() != processes {
        complaints.push("its host died".to_owned());
    }
    let grown = self::held().saturating_sub(held);
    if grown > MOST_GROWTH {
        complaints.push(format!("the worker holds {} MiB more", grown >> 20));
    }
    complaints
}

/// A step that means no harm, where the hostile one is: same module, same image, same slot.
async fn innocent(hosts: &Hosts, guest: &Guest, when: &str) -> Vec<String> {
    let mut running = hosts.run(guest.innocent_task()).await.expect("open");
    match finish(&mut running).await {
        Ok(finished) if matches!(finished.answer, bue_model::Answer::Completed { .. }) => {
            let given = value(&finished);
            let is = given == Value::Int(7) || given == Value::List(vec![]);
            if is { Vec::new() } else { vec![format!("an innocent step {when} it gave {given:?}")] }
        }
        other => vec![format!("an innocent step {when} it: {other:?}")],
    }
}

/// Bytes of memory that this process and its children hold for themselves.
fn held() -> u64 {
    let own = std::process::id().to_string();
    children().iter().chain([&own]).map(|pid| anonymous(pid)).sum()
}

fn anonymous(pid: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let lines = status.lines().filter(|line| line.starts_with("RssAnon:") || line.starts_with("RssShmem:"));
    lines.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).sum::<u64>() << 10
}
