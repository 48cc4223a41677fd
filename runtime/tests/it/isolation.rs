//! Steps are isolated from each other: state, random numbers and failures are each step's own.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use crate::common::{failure, python, run, sandbox, sqlite, stream, value};
use bue_model::{Answer, BlobHash, FailureKind, Value};
use bue_runtime::{Code, Limits};
use bue_test_support::wait::within_deadline;
use futures_util::future::join_all;
use tokio::sync::mpsc;

#[tokio::test]
async fn a_step_finds_the_module_as_it_was_imported() {
    let code = "seen = []\nblock = bytearray(200000)\ndef f(x):\n  seen.append(x)\n  was = sum(block)\n  block[:] = b'\\x01' * len(block)\n  return [len(seen), was]\n";
    for round in 0..50 {
        let answer = value(&run(&python(code, "f", &[Value::Int(round)])).await);
        assert_eq!(answer, Value::List(vec![Value::Int(1), Value::Int(0)]), "round {round}");
    }
}

/// Returns a value of every source of randomness.
const RANDOM: &str = "import os, random, secrets, uuid, time\ndef f():\n  return [os.urandom(8).hex(), str(random.random()), secrets.token_hex(8), str(uuid.uuid4()), str(uuid.uuid1())]\n";

#[tokio::test]
async fn no_two_steps_draw_the_same() {
    let mut seen = HashSet::new();
    for _ in 0..20 {
        let Value::List(drawn) = value(&run(&python(RANDOM, "f", &[])).await) else { panic!("a list") };
        for draw in drawn {
            assert!(seen.insert(format!("{draw:?}")), "{draw:?} was drawn twice");
        }
    }
}

#[tokio::test]
async fn random_numbers_drawn_while_importing_do_not_fix_those_of_steps() {
    let code = "import random\nfirst = random.random()\ndef f():\n  return random.random()\n";
    let (a, b) = (run(&python(code, "f", &[])).await, run(&python(code, "f", &[])).await);
    assert_ne!(value(&a), value(&b), "an image must not hand its generator's state to every step");
}

#[tokio::test]
async fn the_clock_goes_on_after_the_image_was_made() {
    let code = "import time\nthen = time.time()\ndef f():\n  return time.time() - then\n";
    let _ = run(&python(code, "f", &[])).await;
    tokio::time::sleep(Duration::from_millis(30)).await;
    let Value::Float(passed) = value(&run(&python(code, "f", &[])).await) else { panic!("a float") };
    assert!(passed >= 0.02, "{passed}");
}

#[tokio::test]
async fn a_thousand_sleeping_steps_end_together() {
    let code = "import time\ndef f(x):\n  start = time.time()\n  time.sleep(0.5)\n  return [x, start, time.time()]\n";
    let _ = run(&python(code, "f", &[Value::Int(0)])).await;
    let steps = (0..1000).map(|x| async move { value(&run(&python(code, "f", &[Value::Int(x)])).await) });
    let mut sleeps: Vec<(f64, f64)> = Vec::new();
    for (x, answer) in join_all(steps).await.iter().enumerate() {
        let Value::List(parts) = answer else { panic!("{answer:?}") };
        let [number, Value::Float(start), Value::Float(end)] = &parts[..] else { panic!("{answer:?}") };
        assert_eq!(*number, Value::Int(i64::try_from(x).expect("small")));
        sleeps.push((*start, *end));
    }
    sleeps.sort_by(|a, b| a.0.total_cmp(&b.0));
    for pair in sleeps.windows(2) {
        assert!(pair[1].0 < pair[0].1, "a step began to sleep only after the one before it had ended: {pair:?}");
    }
}

#[tokio::test]
async fn a_computing_step_does_not_block_others() {
    let hog = python("def f():\n  while True: pass\n", "f", &[]);
    let quick = async {
        for _ in 0..10 {
            assert_eq!(value(&run(&python("def f(): return 1\n", "f", &[])).await), Value::Int(1));
        }
    };
    tokio::select! {
        finished = run(&hog) => panic!("{finished:?}"),
        () = quick => {}
    }
}

#[tokio::test]
async fn a_dropped_step_stops_and_leaves_nothing() {
    let code = "import time\ndef f(how):\n  while how == 'run': pass\n  time.sleep(100)\n";
    for how in ["run", "wait", "run", "wait"] {
        let task = python(code, "f", &[Value::Text(how.to_owned())]);
        let ended = tokio::time::timeout(Duration::from_millis(100), run(&task)).await;
        assert!(ended.is_err(), "{ended:?}");
    }
    assert_eq!(value(&run(&python("def f(): return 1\n", "f", &[])).await), Value::Int(1));
}

#[tokio::test]
async fn steps_of_one_module_load_it_once_and_a_dropped_loader_is_replaced() {
    let code = "import time\ntime.sleep(0.2)\ndef f(x): return x\n";
    let first = python(code, "f", &[Value::Int(1)]);
    let second = python(code, "f", &[Value::Int(2)]);
    let dropped = tokio::time::timeout(Duration::from_millis(50), run(&first));
    let (dropped, finished) = tokio::join!(dropped, run(&second));
    assert!(dropped.is_err());
    assert_eq!(value(&finished), Value::Int(2));
}

#[tokio::test]
async fn code_that_cannot_be_loaded_is_imported_only_once() {
    let task = python("print('importing')\nimport nothing_of_that_name\n", "f", &[]);
    let first = run(&task).await;
    assert_eq!(failure(&first).kind, FailureKind::BadCode);
    assert!(first.log.ends_with(b"importing\n"), "{first:?}");
    let second = run(&task).await;
    assert_eq!(failure(&second), failure(&first));
    assert!(second.log.is_empty(), "the module was imported again: {second:?}");
}

#[tokio::test]
async fn a_stream_waits_for_its_receiver() {
    let code = "def rows():\n  for x in range(100000): yield x\n";
    let (finished, rows) = stream(&mut python(code, "rows", &[])).await;
    assert!(matches!(finished.answer, Answer::Completed { streamed: true, .. }), "{finished:?}");
    assert_eq!(rows.len(), 100_000);
    assert_eq!(rows.last(), Some(&Value::Int(99_999)));
}

#[tokio::test]
async fn a_stream_without_a_receiver_ends_the_step() {
    let mut task = python("def rows():\n  x = 0\n  while True:\n    yield x\n    x += 1\n", "rows", &[]);
    task.loop_text = Some("for row in rows() (line 3)".to_owned());
    let (items, mut received) = mpsc::channel(1);
    let take_some = async move {
        for _ in 0..3 {
            received.recv().await.expect("elements");
        }
    };
    let run = sandbox().run(&task, items);
    let (finished, ()) = within_deadline("the step to end", async { tokio::join!(run, take_some) }).await;
    assert_eq!(failure(&finished).kind, FailureKind::Internal, "{finished:?}");
}

#[tokio::test]
async fn a_stream_without_end_meets_its_limit() {
    let mut task = python("def rows():\n  while True: yield 'x' * 1000\n", "rows", &[]);
    task.limits = Limits { stream_bytes: 1 << 20, ..Limits::default() };
    let (finished, _) = stream(&mut task).await;
    let failure = failure(&finished);
    assert!(failure.kind == FailureKind::Limit && failure.message.contains("1 MiB"), "{failure:?}");
}

#[tokio::test]
async fn usage_reports_what_a_step_cost() {
    let code = "import time\ndef f():\n  time.sleep(0.05)\n";
    let finished = run(&python(code, "f", &[])).await;
    let usage = finished.usage;
    assert!(usage.wall >= Duration::from_millis(50) && usage.memory_bytes > 1 << 20, "{usage:?}");
    assert!(usage.dirty_pages.is_some_and(|pages| pages > 0), "{usage:?}");
}

#[tokio::test]
async fn equal_hashes_share_one_image() {
    let mut first = python("def f(): return 1\n", "f", &[]);
    let mut second = python("def f(): return 2\n", "f", &[]);
    for task in [&mut first, &mut second] {
        if let Code::Python { key, .. } = &mut task.code {
            *key = BlobHash([9; 32]);
        }
    }
    assert_eq!(value(&run(&first).await), Value::Int(1));
    assert_eq!(value(&run(&second).await), Value::Int(1), "the key, not the text, names the code");
    assert!(first.code.bundle().is_some_and(|(bundle, _)| Arc::strong_count(bundle) >= 1));
}

#[tokio::test]
async fn python_goes_on_while_sql_computes() {
    let endless = sqlite("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT sum(x) FROM n", &[]);
    let quick = async {
        for _ in 0..10 {
            assert_eq!(value(&run(&python("def f(): return 1\n", "f", &[])).await), Value::Int(1));
        }
    };
    tokio::select! {
        finished = run(&endless) => panic!("{finished:?}"),
        () = quick => {}
    }
}

/// Test O of the security review: if it were dropped, the next step of the module would get an image of its own, and so on for each of
/// thousands that wait.
#[tokio::test]
async fn the_image_of_a_module_is_kept_while_a_step_uses_it() {
    /// More than are kept without a use.
    const OTHERS: usize = 130;
    let code = "import os, time\nloaded = os.urandom(8)\ndef wait(): time.sleep(3600)\ndef which(): return loaded\n";
    let (waiting, which) = (python(code, "wait", &[]), python(code, "which", &[]));
    let others = async {
        let first = value(&run(&which).await);
        for other in 0..OTHERS {
            run(&python(&format!("def f(): return {other}\n"), "f", &[])).await;
        }
        assert_eq!(value(&run(&which).await), first, "the module was loaded again");
    };
    tokio::select! {
        finished = run(&waiting) => panic!("{finished:?}"),
        () = others => {}
    }
}
