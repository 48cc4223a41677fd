//! A step finds nothing of the previous step in its slot.
//!
//! A WebAssembly guest sees all of its memory, which Python does not. This one searches its memory for data of others, fills it,
//! and ends in one of several ways. `BUE_REUSES` sets how often; see `docs/reliability.md` for the long version.

use std::time::Duration;

use bue_model::{Answer, BlobHash, FailureKind, Value, cbor};
use bue_runtime::sandbox::Sandbox;
use bue_runtime::{Finished, GuestBytes, GuestModule, Prepared, Task};
use bue_test_support::wait::within_deadline;
use futures_util::future::join_all;
use tokio::sync::mpsc;

use crate::common::{python, run, value};

/// A guest whose memory is two pages of the contract's, one page of zeros and one of 0xAB, and more that it grows. Called
/// with eight bytes, its pattern, it answers how many words are not as its image has them, and leaves its pattern in all
/// of its memory, in a global, in its locals and on its native stack.
const SEEKER: &str = r#"(module
  (import "bue" "host" (func $host (param i32 i32 i32 i32) (result i64)))
  (memory (export "memory") 4)
  (global $left (mut i64) (i64.const 0x1111))
  (data (i32.const 16) "\00")
  (data (i32.const 32) "\00\05\1a\00\00\00\00\00\00\00\00")
  ;; HostRequest::Wait { tickets: [], timeout_ms: Some(0) }: others have their turn in the middle of it
  (data (i32.const 64) "\03\00\01\00")
  (func (export "bue_init") (memory.fill (i32.const 196608) (i32.const 0xab) (i32.const 65536)))
  (func (export "bue_alloc") (param i32) (result i32) (i32.const 4096))
  (func (export "bue_load") (param i32 i32) (result i64) (i64.const 0x1000000001))

  ;; words from one place to another that are not this
  (func $other (param $at i32) (param $end i32) (param $expected i64) (result i32)
    (local $found i32)
    (loop $next
      (if (i32.lt_u (local.get $at) (local.get $end)) (then
        (local.set $found (i32.add (local.get $found) (i64.ne (i64.load (local.get $at)) (local.get $expected))))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (br $next))))
    (local.get $found))
  (func $fill (param $at i32) (param $end i32) (param $pattern i64)
    (loop $next
      (if (i32.lt_u (local.get $at) (local.get $end)) (then
        (i64.store (local.get $at) (local.get $pattern))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (br $next)))))
  (func $deep (param $left i32) (param $pattern i64) (result i64)
    (if (result i64) (local.get $left)
      (then (i64.add (local.get $pattern)
        (call $deep (i32.sub (local.get $left) (i32.const 1)) (i64.rotl (local.get $pattern) (i64.const 1)))))
      (else (local.get $pattern))))

  (func (export "bue_call") (param $request i32) (param $len i32) (result i64)
    (local $pattern i64) (local $found i32) (local $grown i32)
    ;; the function's name, one letter; one input; bytes, CBOR's head of eight of them
    (local.set $pattern (i64.load offset=5 (local.get $request)))
    (local.set $found (i64.ne (global.get $left) (i64.const 0x1111)))
    (local.set $found (i32.add (local.get $found) (i32.ne (memory.size) (i32.const 4))))
    (local.set $found (i32.add (local.get $found)
      (call $other (i32.const 8192) (i32.const 196608) (i64.const 0))))
    (local.set $found (i32.add (local.get $found)
      (call $other (i32.const 196608) (i32.const 262144) (i64.const 0xabababababababab))))
    ;; one to eight pages more, or 65 to 72, which must be zeros: some slots reset the written pages, others drop them because there are too many
    (drop (memory.grow (i32.add (i32.const 1) (i32.wrap_i64 (i64.and (local.get $pattern) (i64.const 71))))))
    (local.set $grown (i32.mul (memory.size) (i32.const 65536)))
    (local.set $found (i32.add (local.get $found)
      (call $other (i32.const 262144) (local.get $grown) (i64.const 0))))
    (call $fill (i32.const 8192) (local.get $grown) (local.get $pattern))
    (global.set $left (call $deep (i32.const 1000) (local.get $pattern)))
    (drop (call $host (i32.const 64) (i32.const 4) (i32.const 80) (i32.const 100)))
    (i32.store8 (i32.const 35) (i32.shr_u (local.get $found) (i32.const 24)))
    (i32.store8 (i32.const 36) (i32.shr_u (local.get $found) (i32.const 16)))
    (i32.store8 (i32.const 37) (i32.shr_u (local.get $found) (i32.const 8)))
    (i32.store8 (i32.const 38) (local.get $found))
    ;; every fifth call traps, if there is nothing to report
    (if (i32.and (i64.eqz (i64.rem_u (local.get $pattern) (i64.const 5))) (i32.eqz (local.get $found))) (then unreachable))
    (i64.const 0x200000000b)))"#;

fn reuses() -> u64 {
    std::env::var("BUE_REUSES").ok().map_or(3000, |text| text.parse().expect("a number"))
}

/// A call under a pattern. Two modules take turns, so that slots of two images are used.
fn task(number: u64) -> Task {
    let pattern = 0x5ec2_e700_0000_0000 + number;
    let mut task = python(["", "# another module"][usize::from(number.is_multiple_of(2))], "f", &[]);
    task.inputs = vec![cbor::encode(&Value::Bytes(pattern.to_le_bytes().to_vec())).into()];
    task
}

async fn seek(sandbox: &Sandbox, number: u64) {
    let (items, _receiver) = mpsc::channel(1);
    let task = task(number);
    let seeking = sandbox.run(&task, items);
    if number.is_multiple_of(7) {
        // dropped wherever it is then
        let _ = tokio::time::timeout(Duration::from_micros(number % 300), seeking).await;
    } else {
        expect_nothing_found(number, &within_deadline("a step to end", seeking).await);
    }
}

fn expect_nothing_found(number: u64, finished: &Finished) {
    match &finished.answer {
        Answer::Completed { .. } => assert_eq!(value(finished), Value::Int(0), "words of others, in reuse {number}"),
        Answer::Failed(failure) => {
            assert_eq!(failure.kind, FailureKind::Trap, "{failure:?}");
            assert!(failure.message.contains("unreachable"), "{failure:?}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn no_word_of_another_instance_is_found() {
    let cache = tempfile::tempdir().expect("a directory");
    let bytes = wat::parse_str(SEEKER).expect("WAT");
    let guest = GuestModule { hash: BlobHash(*blake3::hash(&bytes).as_bytes()), bytes: GuestBytes::Plain(bytes) };
    let sandbox = Sandbox::open(
        &Prepared::open_guest(cache.path(), &cache.path().join("keys"), &guest, &|_| ()).expect("prepared"),
    )
    .expect("open");
    // several at once, so that slots are used in every order
    const AT_ONCE: u64 = 6;
    for round in 0..reuses() / AT_ONCE {
        let numbers = round * AT_ONCE..(round + 1) * AT_ONCE;
        join_all(numbers.map(|number| seek(&sandbox, number + 1))).await;
    }
    println!("{} reuses, no word found", reuses());
}

/// What Python can see of its memory: modules, classes, functions, what lies in them.
const PYTHON: &str = r#"
import json, sys

KEPT = []

class Shelf:
    things = {}

def f(mark, seen=()):
    named = [name for name in sys.modules if name.startswith("mark-")]
    found = [KEPT, Shelf.things, named, getattr(json, "mark", []), seen, sys.path_importer_cache.get("mark", [])]
    found = [len(one) for one in found]
    KEPT.append(mark * 1000)
    Shelf.things[mark] = json.mark = sys.path_importer_cache["mark"] = [mark] * 1000
    sys.modules[mark] = [mark.encode() * 100_000]
    f.__defaults__ = (mark,)
    return found
"#;

#[tokio::test]
async fn no_object_of_another_step_is_found() {
    for number in 0..reuses() / 100 {
        let mark = Value::Text(format!("mark-{number:06}"));
        let found = value(&run(&python(PYTHON, "f", &[mark])).await);
        assert_eq!(found, Value::List(vec![Value::Int(0); 6]), "in reuse {number}");
    }
}
