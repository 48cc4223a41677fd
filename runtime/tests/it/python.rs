//! What Python steps can do and return: programs with their expectations, in `tests/programs/python`.
//!
//! The comments above a function state the expected outcome of a call. The words:
//!
//! | word | what follows it |
//! | --- | --- |
//! | `calls` | the name of the function, if it is not the one below |
//! | `given` | the inputs: JSON, separated by commas |
//! | `reads` | JSON: the `env` that earlier steps passed on, `bue.env` |
//! | `loop` | the text of the loop that runs over the result: it is streamed |
//! | `limit` | the largest result in bytes |
//! | `then` | a function of the same file that is called with the result; its outcome is checked |
//! | `gives` | JSON: the result; for a stream, the list of its elements |
//! | `elements` | the number of elements, which arrive in several batches |
//! | `answers` | `pending 1500`, `reset`, `cancelled` |
//! | `scope` | where the job runs next if it is pending, or dependent steps if it is completed |
//! | `priority`, `env` | the hints for dependent steps |
//! | `fails` | `kind: message`; `…` at its end matches anything |
//! | `trace` | text in the traceback |
//! | `at` | the line in the traceback, relative to the function's first |
//! | `retry after` | milliseconds |
//! | `prints` | text of a line in the log, in this order |

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bue_model::job::Hints;
use bue_model::{Answer, BlobHash, Bundle, Json, SourceFile, Value, cbor};
use bue_runtime::{Code, Finished, Items, Limits, Permissions, Task};
use bytes::Bytes;
use serde_json::{Value as JsonValue, json};
use tokio::sync::mpsc;

use crate::common::{self, with_sandbox};

#[tokio::test]
async fn values_are_passed_or_refused_with_their_path() {
    check_file("values.py").await;
}

#[tokio::test]
async fn answers_have_their_documented_meaning() {
    check_file("answers.py").await;
}

#[tokio::test]
async fn sqlite3_is_a_database_in_memory() {
    check_file("sqlite.py").await;
}

#[tokio::test]
async fn classes_and_modules_of_c_are_those_of_python_as_far_as_a_sandbox_has_them() {
    check_file("classes_and_c.py").await;
}

#[tokio::test]
async fn modules_of_buelon_work_or_say_what_to_use() {
    check_file("of_buelon.py").await;
}

#[tokio::test]
async fn functions_are_called_with_the_inputs_they_accept() {
    check_file("calling.py").await;
}

#[tokio::test]
async fn streams_return_their_elements_in_order() {
    check_file("streams.py").await;
}

#[tokio::test]
async fn waiting_works_without_sockets_and_threads() {
    check_file("waiting.py").await;
}

#[tokio::test]
async fn threads_behave_as_on_a_single_core() {
    check_file("threads.py").await;
}

#[tokio::test]
async fn threads_that_have_not_started_do_not_run_if_the_step_fails() {
    let text = "import threading\ndef f():\n  threading.Thread(target=print, args=('it has run',)).start()\n  raise KeyError\n";
    let finished = common::run(&common::python(text, "f", &[])).await;
    assert_eq!(common::failure(&finished).message, "KeyError");
    let log = String::from_utf8_lossy(&finished.log);
    assert!(!log.contains("it has run"), "{log}");
}

#[tokio::test]
async fn environment_variables_are_those_of_the_call_and_of_no_image() {
    let text = "
import os, time
AT_IMPORT = dict(os.environ)
def read(): return [dict(os.environ), AT_IMPORT, os.environ.get('A'), time.tzname[0]]
def require(): return os.environ['A']
";
    let call = |function: &str, variables: &[(&str, &str)]| {
        let mut task = common::python(text, function, &[]);
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        task.permissions.environment = variables.iter().map(owned).collect();
        async move { common::run(&task).await }
    };
    // one after the other, in copies of one image
    for (variables, expected) in [
        (&[("A", "1"), ("TZ", "Asia/Tokyo")][..], json!([{"A": "1", "TZ": "Asia/Tokyo"}, {}, "1", "JST"])),
        (&[][..], json!([{}, {}, null, "UTC"])),
        (&[("A", "ä=\n")][..], json!([{"A": "ä=\n"}, {}, "ä=\n", "UTC"])),
    ] {
        assert_eq!(json(&common::value(&call("read", variables).await)), expected);
    }
    let message = common::failure(&call("require", &[]).await).message;
    assert!(message.contains("KeyError: 'A'. `!allow env A` above the step requests this variable"), "{message}");
    let message = common::failure(&call("read", &[("TZ", "Nowhere")]).await).message;
    assert!(message.contains("ValueError: TZ is 'Nowhere'"), "{message}");
}

#[tokio::test]
async fn local_time_is_that_of_the_zone_that_tz_names() {
    check_file("local_time.py").await;
}

#[tokio::test]
async fn exceptions_are_reported_whatever_they_do() {
    check_file("failures.py").await;
}

#[tokio::test]
async fn hostile_values_break_nothing() {
    check_file("hostile.py").await;
}

#[tokio::test]
async fn printed_lines_reach_the_log_in_order() {
    check_file("printing.py").await;
}

#[tokio::test]
async fn neighbours_are_imported_relative_to_the_step() {
    check(&bundle(&programs().join("neighbours"), "jobs/steps.py", 1)).await;
}

#[tokio::test]
async fn code_that_cannot_be_loaded_is_reported_with_the_reason() {
    let mut names: Vec<_> = fs::read_dir(programs().join("broken")).expect("programs").collect();
    names.sort_by_key(|entry| entry.as_ref().expect("an entry").file_name());
    for entry in names {
        let name = format!("broken/{}", entry.expect("an entry").file_name().display());
        let bundle = bundle(&programs(), &name, 1);
        // the file's first comment is about the file
        let cases = cases_of(&bundle);
        let [case] = &cases[..] else { panic!("{name} has {} cases", cases.len()) };
        let problems = case.check(&bundle).await;
        assert!(problems.is_empty(), "{}", problems.join("\n"));
    }
}

#[tokio::test]
async fn inline_code_is_at_the_lines_of_its_script() {
    let text = "def fails():\n    raise KeyError('here')\n";
    let file = SourceFile { path: "report.bue".to_owned(), content: text.into() };
    let bundle =
        Arc::new(Bundle { entry: "report.bue".to_owned(), first_line: 11, files: vec![file], ..Bundle::default() });
    let finished = Case::call("fails").run(&bundle).await.finished;
    let trace = common::failure(&finished).trace.expect("a traceback");
    assert!(trace.contains("File \"report.bue\", line 12, in fails\n    raise KeyError('here')"), "{trace}");
}

#[tokio::test]
async fn inline_code_can_import_a_file_with_the_name_of_its_script() {
    let files = vec![
        SourceFile { path: "report.bue".to_owned(), content: "import report\ndef name(): return report.NAME\n".into() },
        SourceFile { path: "report.py".to_owned(), content: "NAME = 'the file'\n".into() },
    ];
    let bundle = Arc::new(Bundle { entry: "report.bue".to_owned(), first_line: 3, files, ..Bundle::default() });
    let finished = Case::call("name").run(&bundle).await.finished;
    assert_eq!(common::value(&finished), Value::Text("the file".to_owned()));
}

#[tokio::test]
async fn seeded_generators_repeat_and_unseeded_ones_do_not() {
    let text = "
import copy, random, uuid
seeded, unseeded, native = random.Random(42), random.Random(), random.Random()
copied, repeated = copy.deepcopy(unseeded), copy.deepcopy(seeded)
seeded.random(), unseeded.random(), uuid.uuid1(), random.gauss(0, 1)
native.seed(7)
def draw():
    return [[seeded.random(), native.random(), repeated.random()],
            [unseeded.random(), copied.random(), random.random(), random.Random().random(), random.gauss(0, 1), str(uuid.uuid4()), str(uuid.uuid1())]]
";
    let (first, second) = (draw(text).await, draw(text).await);
    assert_eq!(first[0], second[0], "a seeded generator returns the same numbers");
    for (one, other) in items(&first[1]).iter().zip(items(&second[1])) {
        assert_ne!(*one, other, "instances of the same image return the same numbers");
    }
}

#[tokio::test]
async fn sqlite_draws_other_numbers_in_each_instance() {
    let text = "
import sqlite3
db = sqlite3.connect(':memory:')
db.execute('SELECT random()').fetchone()
def draw():
    return list(db.execute('SELECT random(), hex(randomblob(16))').fetchone())
";
    let (first, second) = (draw(text).await, draw(text).await);
    for (one, other) in first.iter().zip(&second) {
        assert_ne!(one, other, "instances of the same image return the same numbers");
    }
}

#[tokio::test]
async fn a_generator_seeded_as_a_whole_module_repeats() {
    let text = "import random\nrandom.seed(1)\ndef draw():\n    return [random.random(), random.randrange(10**9)]\n";
    assert_eq!(draw(text).await, draw(text).await);
}

#[tokio::test]
async fn an_empty_step_writes_to_few_pages() {
    const MOST: u32 = 32;
    let finished = common::run(&common::python("def f(*inputs): return None\n", "f", &[])).await;
    let pages = finished.usage.dirty_pages;
    assert!(pages.is_none_or(|pages| pages <= MOST), "{pages:?} pages: each costs a page fault or a copy per run");
}

#[tokio::test]
async fn malformed_inputs_are_refused() {
    let text = "def take(*values): return [repr(value) for value in values]\n";
    let file = SourceFile { path: "take.py".to_owned(), content: text.into() };
    let bundle =
        Arc::new(Bundle { entry: "take.py".to_owned(), first_line: 1, files: vec![file], ..Bundle::default() });
    for (bytes, expected) in MALFORMED {
        let mut task = Case::call("take").task(&bundle);
        task.inputs = vec![Bytes::from_static(bytes)];
        let (items, _receiver) = mpsc::channel(1);
        let finished = with_sandbox(|sandbox| Box::pin(async move { sandbox.run(&task, items).await })).await;
        let outcome = match &finished.answer {
            Answer::Failed(failure) => format!("{}: {}", failure.kind.name(), failure.message),
            _ => json(&common::value(&finished)).to_string(),
        };
        assert!(outcome.contains(expected), "{bytes:02x?}: {outcome:?} does not contain {expected:?}");
    }
}

/// CBOR that bue does not write, with the expected outcome.
const MALFORMED: &[(&[u8], &str)] = &[
    (&[], "bad_input: input 1 of `take` cannot be read"),
    (&[0xff], "bad_input"),
    (&[0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], "bad_input"),
    (&[0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], "bad_input"),
    (&[0x00, 0x00], "bytes after the value"),
    (&[0x81; 300], "nested too deeply"),
    (&[0xa1, 0xa0, 0xf6], "a key of a map is itself a map"),
    (&[0xd9, 0x01, 0x02, 0x81, 0xa0], "an element of a set is a map"),
    (&[0xd8, 0x25, 0x41, 0xaa], "a uuid is not 16 bytes"),
    (&[0xd9, 0x03, 0xec, 0x61, b'a'], "is not a date or time"),
    (&[0xe0], "a simple value"),
    (&[0x9f, 0x01, 0x02, 0xff], "[1, 2]"),
    (&[0xbf, 0x61, b'a', 0x01, 0xff], "{'a': 1}"),
    (&[0x7f, 0x61, b'a', 0x61, b'b', 0xff], "'ab'"),
    (&[0xc4, 0x82, 0x01, 0x03], "Decimal('3E+1')"),
    (&[0xa1, 0x82, 0x01, 0x81, 0x02, 0xf6], "{(1, (2,)): None}"),
    (&[0xd9, 0xd9, 0xf7, 0x01], "1"),
    (&[0xf7], "None"),
];

async fn draw(text: &str) -> Vec<JsonValue> {
    let finished = common::run(&common::python(text, "draw", &[])).await;
    items(&json(&common::value(&finished)))
}

fn items(list: &JsonValue) -> Vec<JsonValue> {
    list.as_array().expect("a list").clone()
}

fn json(value: &Value) -> JsonValue {
    serde_json::to_value(Json(value)).expect("JSON")
}

fn programs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/programs/python")
}

async fn check_file(name: &str) {
    let text = fs::read(programs().join(name)).expect("a program");
    let file = SourceFile { path: name.to_owned(), content: text.into() };
    check(&Arc::new(Bundle { entry: name.to_owned(), first_line: 1, files: vec![file], ..Bundle::default() })).await;
}

/// Runs every case of a bundle's entry.
async fn check(bundle: &Arc<Bundle>) {
    let cases = cases_of(bundle);
    assert!(!cases.is_empty(), "{} has no case", bundle.entry);
    let mut problems = Vec::new();
    for case in &cases {
        problems.extend(case.check(bundle).await);
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// Bundles all Python files of a folder.
fn bundle(root: &Path, entry: &str, first_line: u32) -> Arc<Bundle> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "py") {
                let name = path.strip_prefix(root).expect("below it").to_string_lossy().into_owned();
                files.push(SourceFile { path: name, content: fs::read(&path).expect("a file").into() });
            }
        }
    }
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Arc::new(Bundle { entry: entry.to_owned(), first_line, files, ..Bundle::default() })
}

/// A function and the words above it.
struct Case {
    function: String,
    line: usize,
    words: Vec<(String, String)>,
}

/// The outcome of a case: its answer, the streamed elements, and the number of their batches.
struct CaseRun {
    finished: Finished,
    elements: Vec<JsonValue>,
    batches: usize,
}

const WORDS: [&str; 17] = [
    "calls",
    "given",
    "reads",
    "loop",
    "limit",
    "then",
    "gives",
    "elements",
    "answers",
    "scope",
    "priority",
    "env",
    "fails",
    "trace",
    "at",
    "retry after",
    "prints",
];

/// Reads the cases of an entry. If no function follows the words, they describe the file itself, and `step` is called.
fn cases_of(bundle: &Bundle) -> Vec<Case> {
    let text = String::from_utf8(bundle.entry_content().expect("the entry").to_vec()).expect("UTF-8");
    let (mut cases, mut words) = (Vec::new(), Vec::new());
    for (index, line) in text.lines().enumerate() {
        let function = line.strip_prefix("async ").unwrap_or(line).strip_prefix("def ");
        if let Some((word, text)) = line.strip_prefix("# ").and_then(|line| line.split_once(": ")) {
            assert!(WORDS.contains(&word), "{}:{}: unknown word {word:?}", bundle.entry, index + 1);
            words.push((word.to_owned(), text.to_owned()));
        } else if let Some((name, _)) = function.and_then(|function| function.split_once('(')) {
            let words = std::mem::take(&mut words);
            if !words.is_empty() && !bundle.entry.starts_with("broken/") {
                cases.push(Case { function: name.to_owned(), line: index + 1, words });
            } else if !words.is_empty() {
                return vec![Case { function: "step".to_owned(), line: 1, words }];
            }
        }
    }
    if !words.is_empty() {
        cases.push(Case { function: "step".to_owned(), line: 1, words });
    }
    cases
}

impl Case {
    fn call(function: &str) -> Self {
        Self { function: function.to_owned(), line: 1, words: Vec::new() }
    }

    fn all<'a>(&'a self, word: &str) -> impl Iterator<Item = &'a str> {
        let word = word.to_owned();
        self.words.iter().filter(move |(known, _)| *known == word).map(|(_, text)| text.as_str())
    }

    fn one(&self, word: &str) -> Option<&str> {
        self.all(word).next()
    }

    fn function(&self) -> &str {
        self.one("calls").unwrap_or(&self.function)
    }

    fn task(&self, bundle: &Arc<Bundle>) -> Task {
        let key = BlobHash(*blake3::hash(format!("{bundle:?}").as_bytes()).as_bytes());
        let limit = self.one("limit").map(|limit| limit.parse().expect("bytes"));
        let mut limits = Limits::default();
        limits.result_bytes = limit.unwrap_or(limits.result_bytes);
        let function = self.function().to_owned();
        Task {
            code: Code::Python { bundle: Arc::clone(bundle), key, function, keywords: None, packages: None },
            inputs: self.one("given").map(inputs).unwrap_or_default(),
            env: self.one("reads").map(|env| encoded(&serde_json::from_str(env).expect("JSON"))),
            loop_text: self.one("loop").map(str::to_owned),
            limits,
            permissions: Permissions::default(),
        }
    }

    async fn run(&self, bundle: &Arc<Bundle>) -> CaseRun {
        let case_run = run(&self.task(bundle)).await;
        let (Some(next), Answer::Completed { value, .. }) = (self.one("then"), &case_run.finished.answer) else {
            return case_run;
        };
        let mut task = Self::call(next).task(bundle);
        task.inputs = vec![value.clone()];
        run(&task).await
    }

    async fn check(&self, bundle: &Arc<Bundle>) -> Vec<String> {
        let case_run = self.run(bundle).await;
        let location = format!("{}:{} {}", bundle.entry, self.line, self.function());
        let problems = self.problems(&bundle.entry, &case_run);
        problems.into_iter().map(|problem| format!("{location}: {problem}\n  {:?}", case_run.finished)).collect()
    }

    fn problems(&self, entry: &str, case_run: &CaseRun) -> Vec<String> {
        let answer = &case_run.finished.answer;
        let mut problems = self.wrong_answer(case_run);
        if let Answer::Completed { hints, .. } = answer {
            problems.extend(self.wrong_hints(hints));
        }
        let failure = match answer {
            Answer::Failed(failure) => Some(failure),
            _ => None,
        };
        let trace = failure.and_then(|failure| failure.trace.clone()).unwrap_or_default();
        let at = self.one("at").map(|at| self.line + at.parse::<usize>().expect("a number"));
        let line = at.map(|line| format!("  File \"{entry}\", line {line}, in {}\n", self.function()));
        for text in self.all("trace").chain(line.as_deref()) {
            if !trace.contains(text) {
                problems.push(format!("the traceback does not contain {text:?}:\n{trace}"));
            }
        }
        if trace.contains("<bue>") || trace.contains("importlib") {
            problems.push(format!("the traceback shows internal frames:\n{trace}"));
        }
        let wait = self.one("retry after").map(|wait| wait.parse().expect("milliseconds"));
        if failure.is_some_and(|failure| failure.retry_after_ms != wait) {
            problems.push(format!("it should be retried after {wait:?}"));
        }
        problems.extend(self.missing_line(&case_run.finished));
        problems
    }

    fn wrong_answer(&self, case_run: &CaseRun) -> Vec<String> {
        let mut problems = Vec::new();
        let mut expect = |holds: bool, what: &str| {
            if !holds {
                problems.push(format!("it should have {what}"));
            }
        };
        let answer = &case_run.finished.answer;
        if let Some(json_text) = self.one("gives") {
            let expected: JsonValue = serde_json::from_str(json_text).expect("JSON");
            expect(result(case_run) == Some(expected), &format!("returned {json_text}"));
        }
        if let Some(count) = self.one("elements") {
            let holds = case_run.elements.len().to_string() == count && case_run.batches > 1;
            expect(holds, &format!("returned {count} elements in batches"));
        }
        if let Some(words) = self.one("answers") {
            expect(answer_words(answer) == words, &format!("answered {words}"));
        }
        let scope = match answer {
            Answer::Pending { scope, .. } => scope.as_deref(),
            Answer::Completed { hints, .. } => hints.scope.as_deref(),
            _ => None,
        };
        expect(scope == self.one("scope"), "chose another scope");
        if let Some(words) = self.one("fails") {
            let failure = match answer {
                Answer::Failed(failure) => format!("{}: {}", failure.kind.name(), failure.message),
                _ => String::new(),
            };
            let holds = words.strip_suffix('…').map_or(failure == words, |start| failure.starts_with(start));
            expect(holds, &format!("failed with\n  {words}\n, not with\n  {failure}\n"));
        }
        problems
    }

    fn wrong_hints(&self, hints: &Hints) -> Vec<String> {
        let priority = self.one("priority").map(|priority| priority.parse().expect("a number"));
        let env = self.one("env").map(|env| serde_json::from_str::<JsonValue>(env).expect("JSON"));
        let actual = hints.env.as_ref().map(|env| json(&cbor::decode(env).expect("CBOR")));
        match hints.priority == priority && actual == env {
            true => Vec::new(),
            false => vec![format!("it passed on {:?} and {actual:?}", hints.priority)],
        }
    }

    /// Returns the first expected line that is not in the log after the previous ones.
    fn missing_line(&self, finished: &Finished) -> Option<String> {
        let log = String::from_utf8_lossy(&finished.log);
        let mut lines = log.lines();
        let missing = self.all("prints").find(|text| !lines.any(|line| line.contains(*text)));
        missing.map(|text| format!("the log does not contain {text:?} in the expected order:\n{log}"))
    }
}

fn result(case_run: &CaseRun) -> Option<JsonValue> {
    match &case_run.finished.answer {
        Answer::Completed { streamed: true, .. } => Some(JsonValue::Array(case_run.elements.clone())),
        Answer::Completed { value, .. } => Some(json(&cbor::decode(value).expect("CBOR"))),
        _ => None,
    }
}

fn answer_words(answer: &Answer) -> String {
    let with = |word: &str, delay: &Option<u64>| match delay {
        Some(delay) => format!("{word} {delay}"),
        None => word.to_owned(),
    };
    match answer {
        Answer::Pending { delay_ms, .. } => with("pending", delay_ms),
        Answer::Reset { delay_ms } => with("reset", delay_ms),
        Answer::Cancelled => "cancelled".to_owned(),
        Answer::Completed { .. } | Answer::Failed(_) => String::new(),
    }
}

async fn run(task: &Task) -> CaseRun {
    let (sender, mut receiver) = mpsc::channel::<Items>(1);
    let collect = async {
        let (mut elements, mut batches) = (Vec::new(), 0);
        while let Some(batch) = receiver.recv().await {
            batches += 1;
            elements.extend(items(&json(&cbor::decode(&batch.items).expect("CBOR"))));
        }
        (elements, batches)
    };
    let finished = with_sandbox(|sandbox| Box::pin(sandbox.run(task, sender)));
    let (finished, (elements, batches)) = tokio::join!(finished, collect);
    CaseRun { finished, elements, batches }
}

fn inputs(text: &str) -> Vec<Bytes> {
    let list: Vec<JsonValue> = serde_json::from_str(&format!("[{text}]")).expect("JSON");
    list.iter().map(encoded).collect()
}

fn encoded(json: &JsonValue) -> Bytes {
    cbor::encode(&value_of(json)).into()
}

fn value_of(json: &JsonValue) -> Value {
    match json {
        JsonValue::Null => Value::Null,
        JsonValue::Bool(truth) => Value::Bool(*truth),
        JsonValue::Number(number) => match number.as_i64() {
            Some(number) => Value::Int(number),
            None => Value::Float(number.as_f64().expect("a number")),
        },
        JsonValue::String(text) => Value::Text(text.clone()),
        JsonValue::Array(items) => Value::List(items.iter().map(value_of).collect()),
        JsonValue::Object(entries) => {
            Value::Map(entries.iter().map(|(key, value)| (Value::Text(key.clone()), value_of(value))).collect())
        }
    }
}
