//! CPython's own tests, run in the guest: how much of Python a step has.
//!
//! The tests are those of an installed CPython; nothing of them is kept here. Those that fail are listed, with the reason,
//! in `tests/programs/cpython/expected-VERSION.txt`. A test that fails and is not listed fails this one, and one that is
//! listed and passes is named, to be taken out.

mod expected;
mod installed;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bue_model::{Answer, BlobHash, Bundle, SourceFile, Value, cbor};
use bue_runtime::{Code, Finished, Limits, Permissions, Task};
use bytes::Bytes;
use tokio::sync::mpsc;

use self::expected::Expected;
use self::installed::Installed;
use crate::common::with_sandbox;

/// Files of CPython's `Lib/test` that are run always: the quick ones. Of a package the modules, where that is not all of them.
const FILES: &[(&str, &[&str])] = &[
    ("test_json", &[]),
    ("test_re", &[]),
    ("test_csv", &[]),
    ("test_strptime", &[]),
    ("test_collections", &[]),
    ("test_string", &[]),
    ("test_urlparse", &[]),
    ("test_base64", &[]),
    ("test_struct", &[]),
    ("test_sqlite3", &[]),
];

/// The others, some minutes, run where `BUE_CPYTHON=all` asks for it.
const MORE: &[(&str, &[&str])] = &[
    ("test_datetime", &[]),
    ("test_itertools", &[]),
    ("test_functools", &[]),
    ("test_decimal", &[]),
    ("test_urllib", &[]),
    ("test_urllib2", &[]),
    ("test_hashlib", &[]),
    ("test_dataclasses", &[]),
    ("test_enum", &[]),
    ("test_typing", &[]),
    (
        "test_asyncio",
        &["futures", "locks", "pep492", "protocols", "queues", "runners", "taskgroups", "tasks", "timeouts", "waitfor"],
    ),
    ("test_zoneinfo", &[]),
    ("test_uuid", &[]),
    ("test_statistics", &[]),
    ("test_textwrap", &[]),
    ("test_html", &[]),
    ("test_hmac", &[]),
    ("test_binascii", &[]),
    ("test_calendar", &[]),
    ("test_fractions", &[]),
    ("test_contextlib", &[]),
    ("test_copy", &[]),
    ("test_heapq", &[]),
    ("test_operator", &[]),
    ("test_zlib", &[]),
    ("test_graphlib", &[]),
    ("test_string_literals", &[]),
    ("test_fstring", &[]),
    ("test_generators", &[]),
    ("test_exceptions", &[]),
];

/// The longest file, on a slow machine that does other things too.
const TIME: Duration = Duration::from_secs(600);

/// What became of one test.
#[derive(Clone, Debug)]
enum Outcome {
    Passed,
    Skipped,
    Failed(String),
}

type Outcomes = BTreeMap<String, Outcome>;

#[test]
fn python_passes_the_tests_of_cpython_but_for_those_that_are_listed() {
    let found = Installed::find().and_then(|installed| Ok((Expected::read(&installed.version)?, installed)));
    let (expected, installed) = match found {
        Ok(found) => found,
        Err(why) => {
            assert!(std::env::var_os("BUE_TEST_CPYTHON").is_none(), "{why}");
            return println!("not tested: {why}");
        }
    };
    let outcomes = run_all(&installed);
    if let Some(path) = std::env::var_os("BUE_CPYTHON_OUTCOMES") {
        fs::write(path, table(&outcomes)).expect("written");
    }
    println!("{}", expected.totals(&outcomes, &installed.version));
    for name in expected.passing(&outcomes) {
        println!("listed, and it passes: {name}");
    }
    let failures = expected.surprises(&outcomes);
    assert!(failures.is_empty(), "{} tests fail that are not listed:\n{}", failures.len(), failures.join("\n"));
}

/// Runs every file as a separate step, as many concurrently as there are cores.
fn run_all(installed: &Installed) -> Outcomes {
    let chosen = std::env::var("BUE_CPYTHON").unwrap_or_default();
    let is_chosen = |name: &str| match chosen.as_str() {
        "" => FILES.iter().any(|(known, _)| *known == name),
        "all" => true,
        chosen => name.contains(chosen),
    };
    let files = FILES.iter().chain(MORE).filter(|(name, _)| is_chosen(name));
    let waiting = Mutex::new(files.collect::<Vec<_>>());
    let all = Mutex::new(Outcomes::new());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                let tokio = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
                while let Some((name, modules)) = next(&waiting) {
                    let outcomes = tokio.block_on(run_file(installed, name, modules));
                    all.lock().expect("no panic").extend(outcomes);
                }
            });
        }
    });
    all.into_inner().expect("no panic")
}

fn next<T>(waiting: &Mutex<Vec<T>>) -> Option<T> {
    waiting.lock().expect("no panic").pop()
}

/// Runs the tests of a file. A test that ends the whole step has failed; another step continues with the tests after it.
async fn run_file(installed: &Installed, name: &str, parts: &[&str]) -> Outcomes {
    let modules = match parts {
        [] => installed.modules(name),
        parts => parts.iter().map(|part| format!("test.{name}.test_{part}")).collect(),
    };
    let bundle = bundle(installed, name);
    let mut outcomes = Outcomes::new();
    loop {
        let task = task(&bundle, name, &modules, &outcomes);
        let (items, _receiver) = mpsc::channel(1);
        let finished = with_sandbox(|sandbox| Box::pin(async move { sandbox.run(&task, items).await })).await;
        let known = outcomes.len();
        let running = record_outcomes(&finished, &mut outcomes);
        let Answer::Failed(failure) = finished.answer else { return outcomes };
        let reason = format!("the step ends: {}", failure.message);
        match running {
            Some(test) => drop(outcomes.insert(test, Outcome::Failed(reason))),
            // a test raised an exception that ends the step, and was recorded as failed
            None if outcomes.len() > known => {}
            None => {
                outcomes.insert(format!("test.{name}"), Outcome::Failed(reason));
                return outcomes;
            }
        }
    }
}

fn bundle(installed: &Installed, name: &str) -> Arc<Bundle> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/programs/cpython/run.py");
    let entry = SourceFile { path: "run.py".to_owned(), content: fs::read(path).expect("a program").into() };
    let files = core::iter::once(entry).chain(installed.files(name)).collect();
    Arc::new(Bundle { entry: "run.py".to_owned(), first_line: 1, files, ..Bundle::default() })
}

fn task(bundle: &Arc<Bundle>, name: &str, modules: &[String], done: &Outcomes) -> Task {
    let list = |names: Vec<&String>| Value::List(names.into_iter().map(|name| Value::Text(name.clone())).collect());
    let inputs = [list(modules.iter().collect()), list(done.keys().collect())];
    let key = BlobHash(*blake3::hash(format!("cpython {name}").as_bytes()).as_bytes());
    Task {
        code: Code::Python {
            bundle: Arc::clone(bundle),
            key,
            function: "run".to_owned(),
            keywords: None,
            packages: None,
        },
        inputs: inputs.iter().map(|input| Bytes::from(cbor::encode(input))).collect(),
        env: None,
        loop_text: None,
        limits: Limits { time: TIME, memory_bytes: 1 << 30, log_bytes: 64 << 20, ..Limits::default() },
        permissions: Permissions::default(),
    }
}

/// Records the outcomes in the log of a step; returns the test that was running when the step ended.
fn record_outcomes(finished: &Finished, outcomes: &mut Outcomes) -> Option<String> {
    let mut running = None;
    let log = String::from_utf8_lossy(&finished.log).into_owned();
    for line in log.lines().filter_map(|line| line.split_once(" @@ ").map(|(_, text)| text)) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let (name, reason) = rest.split_once(": ").unwrap_or((rest, ""));
        let outcome = match word {
            "begins" => {
                running = Some(name.to_owned());
                continue;
            }
            "passed" => Outcome::Passed,
            "skipped" => Outcome::Skipped,
            _ => Outcome::Failed(reason.to_owned()),
        };
        running = None;
        outcomes.insert(name.to_owned(), outcome);
    }
    running
}

/// Formats all outcomes, one per line, to update the list of expected failures.
fn table(outcomes: &Outcomes) -> String {
    outcomes.iter().map(|(name, outcome)| format!("{name}\t{outcome:?}\n")).collect()
}
