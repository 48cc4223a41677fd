//! The soft limit of Python steps: `bue.TimeoutSoon` is raised once, whatever the step does. Programs in
//! `tests/programs/network/soft_limit.py`, and what the host says of steps that do not catch it.

use std::time::Duration;

use bue_model::{Answer, FailureKind, Value};
use bue_runtime::{Egress, EgressConfig, Limits, NetPolicy, Permissions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{Network, check_cases, program, rule, run};
use crate::common::{failure, python, stream};

/// Longer than a step needs until its function begins, because before that it cannot catch anything.
const SOFT: Duration = Duration::from_millis(1500);

/// A server that sends back what it gets, and says nothing by itself.
async fn echo_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = [0; 64];
                let mut is_http = false;
                while let Ok(len @ 1..) = stream.read(&mut buffer).await {
                    // a request of HTTP gets no response
                    is_http |= buffer.starts_with(b"GET");
                    if !is_http && stream.write_all(&buffer[..len]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn the_soft_limit_is_raised_once_wherever_the_step_is() {
    let (http, tcp) = (echo_server().await, echo_server().await);
    let policy = |address: &str| NetPolicy::Rules(vec![rule(address)]);
    let config = EgressConfig { allowed: policy(&http), allowed_tcp: policy(&tcp), ..EgressConfig::default() };
    let mut permissions = Permissions::default();
    (permissions.net, permissions.tcp) = (vec![rule(&http)], vec![rule(&tcp)]);
    let addresses = vec![("http".to_owned(), http), ("tcp".to_owned(), tcp)];
    let egress = Egress::new(config, None).expect("an egress");
    let mut network = Network { egress, permissions, limits: Limits::default(), addresses };
    let (code, cases) = program(&network, "soft_limit.py", &[]);
    run(network.task(&code, "nothing"), network.egress.clone()).await.expect("the module is imported");
    network.limits.soft_time = Some(SOFT);
    check_cases(&network, &code, &cases).await;
}

/// Runs `f` of a module with a soft limit.
async fn limited(code: &str, soft: Duration, time: Duration) -> bue_runtime::Finished {
    let mut task = python(code, "f", &[]);
    task.limits = Limits { soft_time: Some(soft), time, ..Limits::default() };
    crate::common::run(&task).await
}

#[tokio::test]
async fn a_step_that_does_not_catch_it_fails_with_both_limits() {
    for body in ["while True: pass", "import time; time.sleep(1e6)"] {
        let code = format!("def f():\n  {body}\n");
        let failure = failure(&limited(&code, Duration::from_millis(300), Duration::from_secs(600)).await);
        assert_eq!(failure.kind, FailureKind::Raised, "{failure:?}");
        let message = "bue.TimeoutSoon: the soft limit of 300 ms was reached; the step is stopped after 600 s";
        assert_eq!(failure.message, message);
        let trace = failure.trace.expect("a traceback");
        assert!(trace.contains("step.py\", line ") && !trace.contains("<bue>"), "{trace}");
    }
}

#[tokio::test]
async fn the_time_limit_still_ends_a_step_that_ignores_it() {
    let code = "
def f():
  while True:
    try:
      while True: pass
    except Exception: print('ignored')
";
    let finished = limited(code, Duration::from_millis(200), Duration::from_millis(1500)).await;
    let failure = failure(&finished);
    assert_eq!(failure.kind, FailureKind::Limit, "{failure:?}");
    assert!(failure.message.contains("time limit of 1.5 s"), "{failure:?}");
    assert_eq!(String::from_utf8_lossy(&finished.log).matches("ignored").count(), 1, "it is raised once");
}

#[tokio::test]
async fn a_step_that_ends_before_is_not_disturbed() {
    let finished = limited("def f():\n  return 1\n", Duration::from_secs(300), Duration::from_secs(600)).await;
    assert_eq!(crate::common::value(&finished), Value::Int(1));
}

#[tokio::test]
async fn a_generator_catches_it_and_goes_on() {
    let code = "
import time
from bue import TimeoutSoon

def rows():
  yield 1
  try:
    while True: time.sleep(0.01)
  except TimeoutSoon:
    yield 2

async def async_rows():
  import asyncio
  yield 1
  try:
    await asyncio.sleep(1e6)
  except TimeoutSoon:
    yield 2
";
    for function in ["rows", "async_rows"] {
        let mut task = python(code, function, &[]);
        task.limits.soft_time = Some(SOFT);
        let (finished, values) = stream(&mut task).await;
        assert!(matches!(finished.answer, Answer::Completed { streamed: true, .. }), "{function}: {finished:?}");
        assert_eq!(values, [Value::Int(1), Value::Int(2)], "{function}");
    }
}

#[tokio::test]
async fn threads_that_nobody_waited_for_end_at_the_soft_limit() {
    let code = "
import threading, time
def f():
  threading.Thread(target=lambda: time.sleep(1e6)).start()
  return 1
";
    let failure = failure(&limited(code, Duration::from_millis(500), Duration::from_secs(600)).await);
    assert!(failure.message.contains("the soft limit of 500 ms was reached"), "{failure:?}");
}
