//! Shared by the tests: one prepared guest, and short ways to run a step.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bue_model::{Answer, BlobHash, BlobRef, Bundle, Failure, Package, SourceFile, Value, cbor};
use bue_runtime::sandbox::Sandbox;
use bue_runtime::{Code, Finished, Items, Limits, Permissions, Placeholders, Prepared, Site, Sites, Task};
use bue_test_support::wait::within_deadline;
use bytes::Bytes;
use tokio::sync::mpsc;

/// The cache that tests share: compiling the interpreter takes seconds. A test that runs as another user names a copy.
pub(crate) fn cache() -> PathBuf {
    let copy = std::env::var_os("BUE_TEST_CACHE").map(PathBuf::from);
    copy.unwrap_or_else(|| Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache"))
}

/// The folder of its key.
pub(crate) fn keys() -> PathBuf {
    cache().with_file_name("keys")
}

pub(crate) fn prepared() -> Prepared {
    Prepared::open(&cache(), &keys(), &|line| println!("{line}")).expect("prepared")
}

pub(crate) fn bundle(entry: &str, text: &str) -> (Arc<Bundle>, BlobHash) {
    let file = SourceFile { path: entry.to_owned(), content: Bytes::copy_from_slice(text.as_bytes()) };
    let bundle = Bundle { entry: entry.to_owned(), first_line: 1, files: vec![file], ..Bundle::default() };
    let key = BlobHash(*blake3::hash(text.as_bytes()).as_bytes());
    (Arc::new(bundle), key)
}

fn task(code: Code, inputs: &[Value]) -> Task {
    Task {
        code,
        inputs: inputs.iter().map(|value| Bytes::from(cbor::encode(value))).collect(),
        env: None,
        loop_text: None,
        limits: Limits::default(),
        permissions: Permissions::default(),
    }
}

/// A call of a function of a one-file module.
pub(crate) fn python(text: &str, function: &str, inputs: &[Value]) -> Task {
    let (bundle, key) = bundle("step.py", text);
    task(Code::Python { bundle, key, function: function.to_owned(), keywords: None, packages: None }, inputs)
}

/// The same step with packages, which are unpacked.
pub(crate) fn with_packages(task: Task, wheels: &[(&str, &[u8])]) -> Task {
    if wheels.is_empty() {
        return task;
    }
    let sites = Sites::open(&prepared()).expect("a folder");
    with_site(task, wheels, sites.unpack(wheels, &Limits::default()).expect("unpacked"))
}

/// The same step with packages that were unpacked.
pub(crate) fn with_site(mut task: Task, wheels: &[(&str, &[u8])], site: Site) -> Task {
    let Code::Python { bundle, key, packages, .. } = &mut task.code else { panic!("a Python step") };
    let named = |(file, bytes): &(&str, &[u8])| Package {
        file: (*file).to_owned(),
        wheel: BlobRef { hash: BlobHash(*blake3::hash(bytes).as_bytes()), len: bytes.len() as u64 },
    };
    *bundle = Arc::new(Bundle { packages: wheels.iter().map(named).collect(), ..Bundle::clone(bundle) });
    let hashes: Vec<u8> = bundle.packages.iter().flat_map(|package| package.wheel.hash.0).collect();
    *key = BlobHash(*blake3::hash(&[&key.0[..], &hashes].concat()).as_bytes());
    *packages = Some(Arc::new(site));
    task
}

/// A SQL step whose first input becomes `rows`.
pub(crate) fn sqlite(text: &str, inputs: &[Value]) -> Task {
    let (bundle, key) = bundle("query.sql", text);
    let placeholders = Placeholders { scope: "eu".to_owned(), priority: 5, timeout_s: 60, retries: 2 };
    task(Code::Sqlite { bundle, key, table: "rows".to_owned(), placeholders }, inputs)
}

/// Runs a step in this thread's sandbox, to its end.
pub(crate) async fn run(task: &Task) -> Finished {
    let (items, _receiver) = mpsc::channel(1);
    within_deadline("a step to end", sandbox().run(task, items)).await
}

/// Runs a step and collects the elements it streams.
pub(crate) async fn stream(task: &mut Task) -> (Finished, Vec<Value>) {
    task.loop_text = Some("for row in rows() (line 3)".to_owned());
    let (items, mut received) = mpsc::channel::<Items>(1);
    let collect = async {
        let mut all = Vec::new();
        while let Some(batch) = received.recv().await {
            match cbor::decode(&batch.items).expect("CBOR") {
                Value::List(values) if values.len() == batch.count as usize => all.extend(values),
                other => panic!("{other:?}"),
            }
        }
        all
    };
    let task = &*task;
    let run = sandbox().run(task, items);
    within_deadline("a stream to end", async { tokio::join!(run, collect) }).await
}

type Run<'a> = std::pin::Pin<Box<dyn Future<Output = Finished> + 'a>>;

/// A future that runs in this thread's sandbox, which is created once per thread and never dropped.
pub(crate) async fn with_sandbox<'a>(start: impl FnOnce(&'static Sandbox) -> Run<'a>) -> Finished {
    start(sandbox()).await
}

/// This thread's sandbox. The first use of the guest compiles it, which takes more than a minute in debug.
pub(crate) fn sandbox() -> &'static Sandbox {
    SANDBOX_OF_THREAD.with(|sandbox| *sandbox)
}

thread_local! {
    static SANDBOX_OF_THREAD: &'static Sandbox = Box::leak(Box::new(Sandbox::open(&prepared()).expect("a sandbox")));
}

pub(crate) fn failure(finished: &Finished) -> Failure {
    match &finished.answer {
        Answer::Failed(failure) => failure.clone(),
        other => panic!("it did not fail: {other:?}"),
    }
}

/// The value of a step that completed.
pub(crate) fn value(finished: &Finished) -> Value {
    match &finished.answer {
        Answer::Completed { value, streamed: false, .. } => cbor::decode(value).expect("CBOR"),
        other => panic!("it did not complete: {other:?}\n{}", String::from_utf8_lossy(&finished.log)),
    }
}
