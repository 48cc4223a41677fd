//! Named values of the bucket in Python steps: `bue.bucket`. The programs are in `tests/programs/bucket/files.py`, each with its result.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bue_model::{Failure, FailureKind, Value};
use bue_runtime::{Egress, EgressConfig, Finished, Refusals, Task};
use bue_test_support::wait::{wait_until_async, within_deadline};
use futures_util::future::join_all;
use tokio::sync::mpsc;

use crate::common::{failure, python, value, with_sandbox};
use crate::memory_bucket::MemoryBucket;
use crate::network::{answer, cases, compare};

/// Longer than a step needs until its function begins, because before that it cannot catch anything.
const SOFT: Duration = Duration::from_millis(1500);

/// Runs a step with a bucket, of which its script allows these names.
async fn run(mut task: Task, allow: &[&str], bucket: &Arc<MemoryBucket>) -> Finished {
    task.permissions.bucket = allow.iter().map(|pattern| pattern.parse().expect("a pattern")).collect();
    let net = Egress::closed().port_with_bucket(&task.permissions, &task.limits, Some(bucket.clone()));
    let (items, _receiver) = mpsc::channel(1);
    let run = with_sandbox(|sandbox| Box::pin(async move { sandbox.run_connected(&task, items, net).await }));
    within_deadline("a step to end", run).await
}

/// Runs `f` of a module that may use all names, and returns why it failed.
async fn failing(code: &str, bucket: &Arc<MemoryBucket>) -> Failure {
    failure(&run(python(code, "f", &[]), &["*"], bucket).await)
}

/// Nothing is stored under the name, and no parts are left of what was written.
async fn expect_nothing(bucket: &MemoryBucket, name: &str) {
    assert_eq!(bucket.value(name), None, "{name}");
    wait_until_async("the parts are deleted", async || bucket.parts() == 0).await;
}

#[tokio::test]
async fn values_are_read_and_written_as_files_are() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/programs/bucket/files.py");
    let text = fs::read_to_string(path).expect("a program");
    let cases = cases(&text);
    assert!(cases.len() > 15, "{} cases", cases.len());
    let bucket = Arc::new(MemoryBucket::default());
    bucket.set("shared/old", "old");
    let mut problems = Vec::new();
    for (function, expected) in &cases {
        let finished = run(python(&text, function, &[]), &["*"], &bucket).await;
        problems.extend(compare(function, expected, answer(&finished)));
    }
    assert!(problems.is_empty(), "{} of {}:\n{}", problems.len(), cases.len(), problems.join("\n"));
    wait_until_async("the parts are deleted", async || bucket.parts() == 0).await;
}

#[tokio::test]
async fn a_name_that_the_script_does_not_allow_is_refused_with_the_line_to_write() {
    let code = "
from bue import bucket
def f(what, name):
  try:
    match what:
      case 'get': return bucket.get(name).decode()
      case 'set': bucket.set(name, b'x')
      case 'delete': bucket.delete(name)
      case mode: return bucket.open(name, mode).name
  except PermissionError as error:
    return str(error)
";
    let refusals = Refusals::default();
    let config = EgressConfig { refusals: refusals.clone(), ..EgressConfig::default() };
    let egress = Egress::new(config, None).expect("an egress");
    let bucket = Arc::new(MemoryBucket::default());
    bucket.set("secret/plan", "canary");
    for what in ["get", "set", "delete", "r", "wb"] {
        let mut task = python(code, "f", &[text(what), text("secret/plan")]);
        task.permissions.bucket = vec!["reports/*".parse().expect("a pattern")];
        let net = egress.port_with_bucket(&task.permissions, &task.limits, Some(bucket.clone()));
        let (items, _receiver) = mpsc::channel(1);
        let finished = with_sandbox(|sandbox| Box::pin(async move { sandbox.run_connected(&task, items, net).await }));
        let finished = within_deadline("a step to end", finished).await;
        let message = "the script does not allow the value `secret/plan` of the bucket: write `!allow bucket \
                       secret/plan` above the step";
        assert_eq!(value(&finished), text(message), "{what}");
        let log = String::from_utf8_lossy(&finished.log).into_owned();
        assert!(log.contains(&format!("bue: refused: {message}")), "{log}");
    }
    assert_eq!(bucket.value("secret/plan").as_deref(), Some(&b"canary"[..]));
    assert_eq!(refusals.lines(), (vec!["!allow bucket secret/plan".to_owned()], Vec::new()));
    for (name, allow, expected) in [
        ("reports/today", "reports/today", "reports/today"),
        ("reports/today", "reports/*", "reports/today"),
        ("reports/today", "*", "reports/today"),
        ("reports/a,b", "reports", "write `!allow bucket reports/a*` above the step"),
    ] {
        let finished = run(python(code, "f", &[text("wb"), text(name)]), &[allow], &bucket).await;
        let answered = match &finished.answer {
            bue_model::Answer::Failed(failure) => failure.message.clone(),
            _ => format!("{:?}", value(&finished)),
        };
        // a file that is left open is an error of its own
        assert!(answered.contains(expected), "{name}: {answered}");
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

#[tokio::test]
async fn a_step_without_a_bucket_says_so() {
    let mut task = python("from bue import bucket\ndef f(): bucket.get('a')\n", "f", &[]);
    task.permissions.bucket = vec!["a".parse().expect("a pattern")];
    let net = Egress::closed().port(&task.permissions, &task.limits);
    let (items, _receiver) = mpsc::channel(1);
    let finished =
        with_sandbox(|sandbox| Box::pin(async move { sandbox.run_connected(&task, items, net).await })).await;
    assert_eq!(failure(&finished).message, "OSError: this step has no bucket");
}

#[tokio::test]
async fn a_module_has_no_bucket_while_it_is_imported() {
    let bucket = Arc::new(MemoryBucket::default());
    bucket.set("a", "value");
    let refused = failing("from bue import bucket\nVALUE = bucket.get('a')\ndef f(): pass\n", &bucket).await;
    assert!(refused.message.contains("while a module is imported"), "{refused:?}");
}

#[tokio::test]
async fn a_write_that_does_not_end_leaves_nothing() {
    let write = "from bue import bucket\nimport time\ndef f():\n  with bucket.open('a', 'wb') as file:\n    \
                 file.write(bytes(3 << 20))\n    ";
    for (then, words) in [
        ("raise KeyError('x')", "KeyError"),
        ("import sys; sys.exit(0)", "sys.exit(0)"),
        ("time.sleep(1e6)", "time limit"),
        ("while True: pass", "time limit"),
        ("bytes(1 << 30)", "memory"),
    ] {
        let bucket = Arc::new(MemoryBucket::default());
        let mut task = python(&format!("{write}{then}\n"), "f", &[]);
        if words == "time limit" {
            task.limits.time = SOFT;
        }
        let failed = failure(&run(task, &["*"], &bucket).await);
        assert!(failed.message.to_lowercase().contains(&words.to_lowercase()), "{then}: {failed:?}");
        expect_nothing(&bucket, "a").await;
    }
}

#[tokio::test]
async fn the_soft_limit_in_the_middle_of_a_write_leaves_nothing() {
    let code = "
import time
from bue import bucket, TimeoutSoon
def nothing(): pass
def f():
  try:
    with bucket.open('a', 'wb') as file:
      while True:
        file.write(bytes(1 << 20))
        time.sleep(0.01)
  except TimeoutSoon:
    return [file.closed, bucket.get('a', None)]
";
    let bucket = Arc::new(MemoryBucket::default());
    // so that the module is imported before the time begins
    run(python(code, "nothing", &[]), &[], &bucket).await;
    let mut task = python(code, "f", &[]);
    task.limits.soft_time = Some(SOFT);
    let finished = run(task, &["*"], &bucket).await;
    assert_eq!(value(&finished), Value::List(vec![Value::Bool(true), Value::Null]));
    expect_nothing(&bucket, "a").await;
}

#[tokio::test]
async fn a_file_that_is_not_closed_fails_the_step() {
    for body in [
        "file = bucket.open('a', 'w'); file.write('x')",
        "import json; json.dump([1], bucket.open('a', 'w'))",
        "bucket.open('a', 'wb').write(bytes(3 << 20))",
    ] {
        let bucket = Arc::new(MemoryBucket::default());
        let failed = failing(&format!("from bue import bucket\ndef f():\n  {body}\n  return 1\n"), &bucket).await;
        assert_eq!(failed.kind, FailureKind::Raised);
        assert!(failed.message.contains("was not closed: `a`") && failed.message.contains("with bue.bucket.open"));
        expect_nothing(&bucket, "a").await;
    }
}

#[tokio::test]
async fn what_the_bucket_cannot_do_is_an_error_of_the_step() {
    let large = "with bucket.open('a', 'wb') as file:\n    file.write(bytes(3 << 20))";
    // what follows a failed write cannot make a value of the rest
    let stubborn = "file = bucket.open('a', 'wb')\n  try: file.write(bytes(3 << 20))\n  except OSError: pass\n  \
                    file.write(b'rest')";
    let closing =
        "file = bucket.open('a', 'wb')\n  try: file.write(bytes(3 << 20))\n  except OSError: pass\n  file.close()";
    for (broken, body, words) in [
        ("read", "bucket.get('b')", "OSError: read is broken"),
        ("read", "bucket.open('b').read()", "OSError: read is broken"),
        ("store", "bucket.set('a', b'x')", "OSError: store is broken"),
        ("store", "with bucket.open('a', 'w') as file: file.write('x')", "OSError: store is broken"),
        ("begin", large, "OSError: begin is broken"),
        ("part 0", large, "OSError: part 0 is broken"),
        ("part 1", large, "OSError: part 1 is broken"),
        ("join", large, "OSError: join is broken"),
        ("part 1", stubborn, "OSError: `a` is not stored, because writing it failed before"),
        ("part 1", closing, "OSError: `a` is not stored, because writing it failed before"),
        ("delete", "bucket.delete('a')", "OSError: delete is broken"),
    ] {
        let bucket = Arc::new(MemoryBucket::broken(&[broken]));
        bucket.set("b", "value");
        let failed = failing(&format!("from bue import bucket\ndef f():\n  {body}\n"), &bucket).await;
        assert_eq!(failed.message, words, "{broken}: {body}");
        expect_nothing(&bucket, "a").await;
    }
}

/// A text ends with what its encoding still has to write.
#[tokio::test]
async fn the_last_bytes_of_a_text_are_written_or_fail_the_step() {
    let code = "
import codecs
from bue import bucket
class Encoder(codecs.IncrementalEncoder):
  def encode(self, text, final=False):
    if final: raise ValueError('the end cannot be encoded')
    return text.encode()
codecs.register(lambda name: codecs.CodecInfo(None, None, incrementalencoder=Encoder, name=name) if name == 'broken' else None)
def f():
  with bucket.open('a', 'w', encoding='broken') as file:
    file.write('x')
";
    let bucket = Arc::new(MemoryBucket::default());
    assert_eq!(failing(code, &bucket).await.message, "ValueError: the end cannot be encoded");
    expect_nothing(&bucket, "a").await;
}

#[tokio::test]
async fn a_value_that_is_replaced_or_deleted_while_it_is_read_is_an_error() {
    for (change, words) in [
        ("bucket.set('a', bytes(1 << 20))", "the key has another value by now"),
        ("bucket.delete('a')", "`a` was deleted while it was read"),
    ] {
        let bucket = Arc::new(MemoryBucket::default());
        bucket.set("a", vec![0; 1 << 20]);
        let body = format!("file = bucket.open('a', 'rb')\n  file.read(5)\n  {change}\n  return len(file.read())");
        let failed = failing(&format!("from bue import bucket\ndef f():\n  {body}\n"), &bucket).await;
        assert!(failed.message.contains(words), "{failed:?}");
    }
}

/// Each step waits until all of them do.
#[tokio::test]
async fn many_steps_wait_for_the_bucket_at_once() {
    const AT_ONCE: usize = 100;
    let bucket = Arc::new(MemoryBucket::with_readers(AT_ONCE));
    bucket.set("a", "value");
    let code = "from bue import bucket\ndef f():\n  return bucket.get('a').decode()\n";
    let runs = (0..AT_ONCE).map(|_| run(python(code, "f", &[]), &["a"], &bucket));
    for finished in join_all(runs).await {
        assert_eq!(value(&finished), text("value"));
    }
}

/// Each thread waits until all of them do.
#[tokio::test]
async fn threads_of_a_step_wait_at_once() {
    let bucket = Arc::new(MemoryBucket::with_readers(8));
    bucket.set("a", "value");
    let code = "
from concurrent.futures import ThreadPoolExecutor
from bue import bucket
def f():
  with ThreadPoolExecutor(8) as pool:
    return len(b''.join(pool.map(bucket.get, ['a'] * 8)))
";
    assert_eq!(value(&run(python(code, "f", &[]), &["a"], &bucket).await), Value::Int(40));
}

#[tokio::test]
async fn bytes_and_open_values_are_limited() {
    let open = "files = []\n  for number in range(9): files.append(bucket.open('a', 'rb'))";
    for (body, words) in [
        ("with bucket.open('b', 'wb') as file: file.write(bytes(4 << 20))", "limit of 2 MiB (`net_up_bytes`)"),
        ("bucket.set('b', bytes(4 << 20))", "limit of 2 MiB (`net_up_bytes`)"),
        ("bucket.get('large')", "limit of 1 MiB (`net_down_bytes`)"),
        (open, "or connections or values of the bucket open, the most it may have (`net_exchanges`)"),
    ] {
        let bucket = Arc::new(MemoryBucket::default());
        bucket.set("a", vec![0; 300 << 10]);
        bucket.set("large", vec![0; 2 << 20]);
        let mut task = python(&format!("from bue import bucket\ndef f():\n  {body}\n"), "f", &[]);
        (task.limits.net_up_bytes, task.limits.net_down_bytes) = (2 << 20, 1 << 20);
        task.limits.net_exchanges = 8;
        if body == open {
            task.limits.net_down_bytes = 1 << 30;
        }
        let failed = failure(&run(task, &["*"], &bucket).await);
        assert!(failed.message.starts_with("OSError") && failed.message.contains(words), "{failed:?}");
        expect_nothing(&bucket, "b").await;
    }
}
