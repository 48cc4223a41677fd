//! The cache of compiled code and images: reused, verified, created once. And guests that break the contract.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::common::{failure, python, value};
use bue_model::{BlobHash, FailureKind, Value};
use bue_runtime::sandbox::Sandbox;
use bue_runtime::{Finished, GuestBytes, GuestModule, Prepared, RuntimeError};
use bue_test_support::wait::within_deadline;
use tokio::sync::mpsc;

/// A guest that answers every call with the CBOR list `[counter]`, where the counter is in a global, in data and in memory
/// that it grew: three places an image must hold.
const COUNTER: &str = r#"(module
  (memory (export "memory") 2)
  (global $calls (mut i32) (i32.const 0))
  ;; LoadReply::Loaded, and Answer::Completed { value: 2 bytes, streamed: false, hints: none }
  (data (i32.const 16) "\00")
  (data (i32.const 32) "\00\02\81\00\00\00\00\00")
  (func (export "bue_init")
    (drop (memory.grow (i32.const 1)))
    (i32.store8 (i32.const 131072) (i32.const 20)))
  (func (export "bue_alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "bue_load") (param i32 i32) (result i64)
    (global.set $calls (i32.const 3))
    (i64.const 0x1000000001))
  (func (export "bue_call") (param i32 i32) (result i64)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (i32.store8 (i32.const 131072) (i32.add (i32.load8_u (i32.const 131072)) (i32.const -16)))
    (i32.store8 (i32.const 35) (i32.add (global.get $calls) (i32.load8_u (i32.const 131072))))
    (i64.const 0x2000000008)))"#;

fn guest(text: &str) -> GuestModule {
    let bytes = wat::parse_str(text).expect("WAT");
    GuestModule { hash: BlobHash(*blake3::hash(&bytes).as_bytes()), bytes: GuestBytes::Plain(bytes) }
}

/// The small guest that keeps the contract.
pub(crate) fn counter() -> GuestModule {
    guest(COUNTER)
}

/// Prepares a guest and returns the lines of its progress.
fn prepare(cache: &Path, text: &str) -> (Result<Prepared, RuntimeError>, Vec<String>) {
    let progress = Mutex::new(Vec::new());
    let prepared = Prepared::open_guest(cache, &cache.join("keys"), &guest(text), &|line| {
        progress.lock().expect("no panic").push(line.to_owned());
    });
    (prepared, progress.into_inner().expect("no panic"))
}

async fn call(sandbox: &Sandbox) -> Finished {
    let (items, _receiver) = mpsc::channel(1);
    within_deadline("a step to end", sandbox.run(&python("", "f", &[]), items)).await
}

async fn expect_answer(prepared: &Prepared) {
    let sandbox = Sandbox::open(prepared).expect("a sandbox");
    for _ in 0..3 {
        assert_eq!(value(&call(&sandbox).await), Value::List(vec![Value::Int(8)]));
    }
}

fn files(cache: &Path, suffix: &str) -> Vec<PathBuf> {
    let all = ["sandbox", "keys"].into_iter().flat_map(|name| fs::read_dir(cache.join(name)).expect("the cache"));
    all.map(|entry| entry.expect("an entry").path()).filter(|path| path.to_string_lossy().ends_with(suffix)).collect()
}

#[tokio::test]
async fn a_prepared_sandbox_is_reused() {
    let cache = tempfile::tempdir().expect("a directory");
    let (first, progress) = prepare(cache.path(), COUNTER);
    assert_eq!(progress.len(), 2, "{progress:?}");
    expect_answer(&first.expect("made")).await;
    let (second, progress) = prepare(cache.path(), COUNTER);
    assert!(progress.is_empty(), "{progress:?}");
    expect_answer(&second.expect("found")).await;
    assert!(files(cache.path(), "").iter().all(|path| !path.to_string_lossy().contains("tmp-")));
}

#[tokio::test]
async fn modified_files_are_prepared_again() {
    for suffix in [".cwasm", ".image", ".seal", ".key"] {
        for change in ["flip", "cut", "empty", "remove"] {
            let cache = tempfile::tempdir().expect("a directory");
            prepare(cache.path(), COUNTER).0.expect("made");
            let [path] = &files(cache.path(), suffix)[..] else { panic!("one file {suffix}") };
            let mut bytes = fs::read(path).expect("read");
            let middle = bytes.len() / 2;
            match change {
                "flip" => bytes[middle] ^= 1,
                "cut" => bytes.truncate(middle),
                _ => bytes.clear(),
            }
            fs::remove_file(path).expect("removed");
            if change != "remove" {
                fs::write(path, bytes).expect("written");
            }
            let (again, progress) = prepare(cache.path(), COUNTER);
            assert_eq!(progress.len(), 2, "{suffix} {change}: {progress:?}");
            expect_answer(&again.expect("made again")).await;
        }
    }
}

#[test]
fn compiled_code_from_elsewhere_is_not_taken() {
    let (here, there) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    prepare(here.path(), COUNTER).0.expect("made");
    prepare(there.path(), COUNTER).0.expect("made");
    for suffix in [".cwasm", ".image", ".seal"] {
        let [from, to] = [&there, &here].map(|cache| files(cache.path(), suffix).remove(0));
        fs::copy(from, to).expect("smuggled in");
    }
    let (_, progress) = prepare(here.path(), COUNTER);
    assert_eq!(progress.len(), 2, "a seal under another installation's key must not hold");
}

#[tokio::test]
async fn processes_that_prepare_at_once_do_not_disturb_each_other() {
    let cache = tempfile::tempdir().expect("a directory");
    let prepared: Vec<(Prepared, usize)> = std::thread::scope(|scope| {
        let one = || {
            let (prepared, progress) = prepare(cache.path(), COUNTER);
            (prepared.expect("prepared"), progress.iter().filter(|line| line.contains("compiling")).count())
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(one)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert_eq!(prepared.iter().map(|(_, compiled)| compiled).sum::<usize>(), 1, "it was compiled more than once");
    for (prepared, _) in &prepared {
        expect_answer(prepared).await;
    }
}

#[test]
fn only_the_newest_guests_are_kept() {
    let cache = tempfile::tempdir().expect("a directory");
    for number in 0..5 {
        let text = COUNTER.replace("i32.const 1024", &format!("i32.const {}", 1024 + number));
        prepare(cache.path(), &text).0.expect("made");
    }
    assert_eq!([".seal", ".image", ".cwasm"].map(|suffix| files(cache.path(), suffix).len()), [3, 3, 3]);
}

#[test]
fn a_guest_that_cannot_be_used_is_refused_with_the_reason() {
    let cache = tempfile::tempdir().expect("a directory");
    for (text, reason) in [
        (r#"(module (memory (export "memory") 1))"#, "does not export"),
        (r#"(module (import "env" "open" (func)) (memory (export "memory") 1))"#, "env"),
        (r#"(module (memory (export "memory") 1) (memory 1))"#, "one memory"),
        (&COUNTER.replace("(drop (memory.grow (i32.const 1)))", "unreachable"), "unreachable"),
    ] {
        let refused = prepare(cache.path(), text).0.expect_err(text);
        let message = format!("{refused:#}");
        assert!(message.contains(reason), "{message}");
    }
}

#[tokio::test]
async fn a_guest_that_breaks_the_contract_fails_alone() {
    let answer = "(i64.const 0x2000000008)";
    for (instead, kind, words) in [
        ("(i64.const 0xffffffff00000007)", FailureKind::Trap, "outside its memory"),
        ("(i64.const 0x00000010ffffffff)", FailureKind::Trap, "bytes"),
        ("(i64.const 0x0000001000000000)", FailureKind::Trap, "cannot be read"),
        ("(unreachable)", FailureKind::Trap, "unreachable"),
        ("(i64.load (i32.const -8))", FailureKind::Trap, "out of bounds"),
        ("(i64.extend_i32_u (i32.div_u (i32.const 1) (i32.const 0)))", FailureKind::Trap, "divide by zero"),
        ("(loop $l (br $l)) (i64.const 0)", FailureKind::Limit, "time limit of 300 ms"),
        ("(call $deep)", FailureKind::Limit, "stack limit"),
        ("(memory.grow (i32.const 65000)) (drop) (unreachable)", FailureKind::Limit, "memory limit of 256 MiB"),
    ] {
        let cache = tempfile::tempdir().expect("a directory");
        let deep = "(func $deep (result i64) (call $deep))";
        let text = COUNTER
            .replace(answer, instead)
            .replace("(func (export \"bue_init\")", &format!("{deep}\n(func (export \"bue_init\")"));
        let sandbox = Sandbox::open(&prepare(cache.path(), &text).0.expect("made")).expect("a sandbox");
        let mut task = python("", "f", &[]);
        task.limits.time = std::time::Duration::from_millis(300);
        let (items, _receiver) = mpsc::channel(1);
        let failure = failure(&within_deadline("a step to end", sandbox.run(&task, items)).await);
        assert_eq!(failure.kind, kind, "{instead}: {failure:?}");
        assert!(failure.message.contains(words), "{instead}: {failure:?}");
    }
}

#[tokio::test]
async fn hostile_host_calls_end_the_step() {
    use FailureKind::{Limit, Trap};
    for (request, kind, words) in [
        ("(call $host (i32.const -1) (i32.const 16) (i32.const 0) (i32.const 0))", Trap, "outside its memory"),
        ("(call $host (i32.const 0) (i32.const -1) (i32.const 0) (i32.const 0))", Limit, "handed over 3.9 GiB at once"),
        ("(call $host (i32.const 48) (i32.const 4) (i32.const 0) (i32.const 0))", Trap, "cannot be read"),
        // HostRequest::Emit { count: 1, items: [0x80], early: false }, where no elements were requested
        ("(call $host (i32.const 64) (i32.const 5) (i32.const 0) (i32.const 0))", Trap, "not an array of 1"),
        // HostRequest::Emit { count: 0, items: [0x80], early: false }
        ("(call $host (i32.const 72) (i32.const 5) (i32.const 0) (i32.const 0))", Trap, "not to be streamed"),
        // HostRequest::Take of nothing, to a place outside
        ("(call $host (i32.const 80) (i32.const 1) (i32.const -1) (i32.const -1))", Trap, "outside its memory"),
    ] {
        let cache = tempfile::tempdir().expect("a directory");
        let text = COUNTER
            .replace("(memory (export", "(import \"bue\" \"host\" (func $host (param i32 i32 i32 i32) (result i64)))\n(memory (export")
            .replace("(data (i32.const 16)", "(data (i32.const 48) \"\\ff\\ff\\ff\\ff\") (data (i32.const 64) \"\\01\\01\\01\\80\\00\") (data (i32.const 72) \"\\01\\00\\01\\80\\00\") (data (i32.const 80) \"\\00\")\n(data (i32.const 16)")
            .replace("(i64.const 0x2000000008)", &format!("(drop {request}) (i64.const 0x2000000008)"));
        let sandbox = Sandbox::open(&prepare(cache.path(), &text).0.expect("made")).expect("a sandbox");
        let failure = failure(&call(&sandbox).await);
        assert_eq!(failure.kind, kind, "{request}: {failure:?}");
        assert!(failure.message.contains(words), "{request}: {failure:?}");
    }
}

/// A guest for SQL steps that asks for a part of its input, hands over rows, and answers with an empty list.
const SQL_GUEST: &str = r#"(module
  (import "bue" "host" (func $host (param i32 i32 i32 i32) (result i64)))
  (memory (export "memory") 2)
  ;; HostRequest::Input { index: 0, offset: 0, max: 8 } and HostRequest::Rows([0x01])
  (data (i32.const 16) "\05\00\00\08")
  (data (i32.const 32) "\06\01\01")
  ;; Answer::Completed { value: [0x81], streamed: false, hints: none }
  (data (i32.const 48) "\00\01\81\00\00\00\00\00")
  (func (export "bue_alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "bue_call") (param i32 i32) (result i64)
    (drop (call $host (i32.const 16) (i32.const 4) (i32.const 64) (i32.const 8)))
    (i32.store8 (i32.const 34) (i32.load8_u (i32.const 64)))
    (drop (call $host (i32.const 32) (i32.const 3) (i32.const 0) (i32.const 0)))
    (i64.const 0x3000000007)))"#;

fn open_sql(cache: &Path, text: &str) -> Sandbox {
    let prepared = Prepared::open_guests(cache, &cache.join("keys"), &counter(), Some(&guest(text)), &|_| ());
    Sandbox::open(&prepared.expect("made")).expect("a sandbox")
}

#[tokio::test]
async fn a_sql_guest_that_breaks_the_contract_fails_alone() {
    let run = async |text: &str| {
        let cache = tempfile::tempdir().expect("a directory");
        let sandbox = open_sql(cache.path(), text);
        let (items, _receiver) = mpsc::channel(1);
        let mut task = crate::common::sqlite("SELECT 1", &[Value::Int(7)]);
        (task.limits.time, task.limits.result_bytes) = (std::time::Duration::from_millis(300), 64);
        within_deadline("a step to end", sandbox.run(&task, items)).await
    };
    assert_eq!(value(&run(SQL_GUEST).await), Value::List(vec![Value::Int(7)]), "one that keeps it");
    for (part, instead, kind, words) in [
        // rows that are not CBOR, or not as many as the head says
        ("\\06\\01\\01", "\\06\\01\\1c", FailureKind::Trap, "not well-formed"),
        ("\\00\\01\\81", "\\00\\01\\82", FailureKind::Trap, "not well-formed"),
        ("\\00\\01\\81", "\\00\\01\\80", FailureKind::Trap, "bytes behind"),
        // what was not asked for
        ("\\81\\00\\00\\00\\00", "\\81\\01\\00\\00\\00", FailureKind::Trap, "streamed a list"),
        ("\\06\\01\\01", "\\01\\00\\00\\00", FailureKind::Trap, "elements that are"),
        ("(i64.const 0x3000000007)", "(loop $l (br $l)) (i64.const 0)", FailureKind::Limit, "time limit of 300 ms"),
        (
            "(i64.const 0x3000000007)",
            "(loop $l (drop (call $host (i32.const 32) (i32.const 3) (i32.const 0) (i32.const 0))) (br $l)) (i64.const 0)",
            FailureKind::Trap,
            "more rows than its result limit",
        ),
        (
            "(i64.const 0x3000000007)",
            "(drop (memory.grow (i32.const 65000))) unreachable",
            FailureKind::Limit,
            "The SQL needs more memory",
        ),
    ] {
        let text = SQL_GUEST.replace(part, instead);
        assert_ne!(text, SQL_GUEST, "{instead}");
        // the part of the input would overwrite the row
        let text = match part.starts_with("\\06") {
            true => text.replace("(i32.store8 (i32.const 34) (i32.load8_u (i32.const 64)))", ""),
            false => text,
        };
        // elements have a byte more than rows
        let text = match instead.starts_with("\\01") {
            true => text.replace("(i32.const 32) (i32.const 3)", "(i32.const 32) (i32.const 4)"),
            false => text,
        };
        let failure = failure(&run(&text).await);
        assert_eq!(failure.kind, kind, "{instead}: {failure:?}");
        assert!(failure.message.contains(words), "{instead}: {failure:?}");
    }
}

/// Parts of inputs that do not exist are empty.
#[tokio::test]
async fn a_sql_guest_reads_only_its_inputs() {
    for request in ["\\05\\01\\00\\08", "\\05\\00\\01\\08", "\\05\\00\\7f\\08", "\\05\\00\\00\\00"] {
        let cache = tempfile::tempdir().expect("a directory");
        let sandbox = open_sql(cache.path(), &SQL_GUEST.replace("\\05\\00\\00\\08", request));
        let (items, _receiver) = mpsc::channel(1);
        let task = crate::common::sqlite("SELECT 1", &[Value::Int(7)]);
        let finished = within_deadline("a step to end", sandbox.run(&task, items)).await;
        assert_eq!(value(&finished), Value::List(vec![Value::Int(0)]), "{request}");
    }
}
