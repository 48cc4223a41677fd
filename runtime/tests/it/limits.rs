//! Every limit ends a Python step in one clear failure that names the limit and its value.

use std::time::Duration;

use bue_model::{Answer, Failure, FailureKind, Value};
use bue_runtime::engine::EPOCH_INTERVAL;
use bue_runtime::{Finished, Limits};
use bue_test_support::wait::within_deadline;

use crate::common::{failure, python, run, value};

/// Runs `f` of a module under limits.
async fn limited(code: &str, limits: Limits) -> Finished {
    let mut task = python(code, "f", &[]);
    task.limits = limits;
    run(&task).await
}

fn expect_limit(finished: &Finished, words: &[&str]) -> Failure {
    let failure = failure(finished);
    assert_eq!(failure.kind, FailureKind::Limit, "{failure:?}");
    for word in words {
        assert!(failure.message.contains(word), "{word:?} is not in {failure:?}");
    }
    failure
}

#[tokio::test]
async fn a_step_that_computes_forever_is_stopped() {
    let limits = Limits { time: Duration::from_millis(300), ..Limits::default() };
    let step = limited("def f():\n  while True: pass\n", limits);
    let finished = within_deadline("the end of a step that computes", step).await;
    expect_limit(&finished, &["time limit", "300 ms", "!timeout"]);
}

#[tokio::test]
async fn a_step_that_waits_forever_is_stopped() {
    let time = Duration::from_millis(300);
    for sleep in ["1e6", "1e9", "3e9"] {
        let code = format!("import time\ndef f():\n  time.sleep({sleep})\n");
        let finished = limited(&code, Limits { time, ..Limits::default() }).await;
        expect_limit(&finished, &["time limit", "300 ms"]);
    }
}

/// The ticker that interrupts guests sleeps after a second without one. A step that computes for longer, or that computes
/// after a long wait, must keep it awake: with a sleeping ticker this step would never end.
#[tokio::test]
async fn a_step_that_outlasts_the_tickers_idle_time_is_stopped() {
    let time = Duration::from_millis(2_000);
    for code in ["def f():\n  while True: pass\n", "import time\ndef f():\n  time.sleep(1.5)\n  while True: pass\n"] {
        let finished = limited(code, Limits { time, ..Limits::default() }).await;
        expect_limit(&finished, &["time limit", "2 s"]);
    }
}

#[tokio::test]
async fn a_step_that_computes_forever_after_a_long_wait_is_stopped() {
    // longer than the ticker that interrupts guests stays awake without one
    let code = "import time\ndef f():\n  time.sleep(2)\n  while True: pass\n";
    let finished = limited(code, Limits { time: Duration::from_millis(2500), ..Limits::default() }).await;
    expect_limit(&finished, &["time limit", "2.5 s"]);
}

#[tokio::test]
async fn timers_fire_beside_a_step_that_computes() {
    // it is interrupted once per epoch, and each interrupt lets the timer run: twenty per round are more than enough
    let interrupts = 400;
    let hog =
        limited("def f():\n  while True: pass\n", Limits { cpu: EPOCH_INTERVAL * interrupts, ..Limits::default() });
    let timer = async {
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        biased;
        () = timer => {}
        finished = hog => panic!("{interrupts} interrupts passed before the timer was done: {finished:?}"),
    }
}

#[tokio::test]
async fn a_step_that_computes_too_much_is_stopped() {
    let code = "def f():\n  while True: pass\n";
    let finished = limited(code, Limits { cpu: Duration::from_millis(50), ..Limits::default() }).await;
    expect_limit(&finished, &["processor limit", "50 ms"]);
}

#[tokio::test]
async fn an_import_that_never_ends_is_stopped() {
    let finished =
        limited("while True: pass\n", Limits { time: Duration::from_millis(500), ..Limits::default() }).await;
    expect_limit(&finished, &["time limit", "500 ms"]);
}

#[tokio::test]
async fn a_step_that_eats_memory_names_the_limit() {
    for code in [
        "def f():\n  return len(bytearray(1 << 30))\n",
        "def f():\n  parts = []\n  while True: parts.append(bytearray(1 << 20))\n",
        "def f():\n  parts = []\n  while True: parts.append(str(len(parts)) * 1000)\n",
    ] {
        let finished = limited(code, Limits { memory_bytes: 128 << 20, ..Limits::default() }).await;
        expect_limit(&finished, &["memory limit", "128 MiB"]);
    }
}

#[tokio::test]
async fn an_import_that_eats_memory_names_the_limit() {
    let code = "data = [bytearray(1 << 20) for _ in range(1000)]\ndef f(): pass\n";
    let finished = limited(code, Limits { memory_bytes: 128 << 20, ..Limits::default() }).await;
    expect_limit(&finished, &["memory limit", "128 MiB"]);
}

#[tokio::test]
async fn a_memory_limit_below_the_interpreters_need_is_reported() {
    let finished = limited("def f(): pass\n", Limits { memory_bytes: 1 << 20, ..Limits::default() }).await;
    expect_limit(&finished, &["memory limit", "1 MiB"]);
}

#[tokio::test]
async fn recursion_without_end_is_a_failure_of_the_step() {
    let finished = limited("def f():\n  return f()\n", Limits::default()).await;
    let message = failure(&finished).message;
    assert!(message.contains("RecursionError") || message.contains("stack limit"), "{message}");
    for code in [
        "import sys\nsys.setrecursionlimit(10**8)\ndef f():\n  return f()\n",
        "import sys\nsys.setrecursionlimit(10**8)\nclass A:\n  def __repr__(self): return repr(self)\ndef f():\n  return repr(A())\n",
        "def f():\n  a = []\n  for _ in range(1000000): a = [a]\n  return repr(a)\n",
    ] {
        let finished = limited(code, Limits::default()).await;
        assert!(matches!(finished.answer, Answer::Failed(_)), "{finished:?}");
        let kind = failure(&finished).kind;
        assert!(!matches!(kind, FailureKind::Internal | FailureKind::Trap), "{finished:?}");
    }
}

#[tokio::test]
async fn a_step_that_prints_without_end_is_stopped() {
    let code = "def f():\n  while True: print('x' * 1000)\n";
    let finished = limited(code, Limits { output_bytes: 1 << 20, log_bytes: 1 << 10, ..Limits::default() }).await;
    expect_limit(&finished, &["output limit", "1 MiB"]);
    let log = String::from_utf8(finished.log.to_vec()).expect("UTF-8");
    assert!(log.len() < 2048 && log.contains("more bytes were printed"), "{log}");
}

#[tokio::test]
async fn a_result_that_is_too_large_names_the_limit() {
    let code = "def f():\n  return 'x' * (3 << 20)\n";
    let finished = limited(code, Limits { result_bytes: 1 << 20, ..Limits::default() }).await;
    expect_limit(&finished, &["result", "1048576 bytes"]);
}

#[tokio::test]
async fn inputs_that_are_too_large_are_refused() {
    let mut task = python("def f(x): return 1\n", "f", &[Value::Bytes(vec![0; 1000])]);
    task.limits = Limits { input_bytes: 100, ..Limits::default() };
    expect_limit(&run(&task).await, &["input limit", "100 bytes"]);
}

#[tokio::test]
async fn other_steps_are_not_affected_by_an_expensive_one() {
    let hog = async {
        let code = "def f():\n  parts = []\n  while True: parts.append(bytearray(1 << 20))\n";
        expect_limit(&limited(code, Limits { memory_bytes: 128 << 20, ..Limits::default() }).await, &["memory"]);
    };
    let neighbour = async {
        for _ in 0..20 {
            let finished = limited("def f(): return 1\n", Limits::default()).await;
            assert!(matches!(finished.answer, Answer::Completed { .. }), "{finished:?}");
        }
    };
    tokio::join!(hog, neighbour);
}

#[tokio::test]
async fn python_recursion_within_its_own_limit_is_fine() {
    let code = "def down(n):\n  return 0 if n == 0 else 1 + down(n - 1)\ndef f():\n  return down(900)\n";
    assert_eq!(value(&limited(code, Limits::default()).await), Value::Int(900));
    let code = "import json\ndef f():\n  a = []\n  for _ in range(100): a = [a]\n  return len(json.dumps(a)) + len(repr(a)) + len(sorted([3, 1], key=lambda x: repr(a)))\n";
    assert!(matches!(limited(code, Limits::default()).await.answer, Answer::Completed { .. }));
}
