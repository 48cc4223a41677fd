//! What others wrote (exceptions, traces, SQL errors, names, output) cannot control the terminal of the one who looks at it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use bue_client::HubClient;
use bue_model::attempt::AttemptUsage;
use bue_model::wire::{Report, ReportBatch, Verdict};
use bue_model::{JobId, Outcome, Token};
use bue_test_support::wait::{DEADLINE, wait_until};
use serde_json::Value;
use tempfile::TempDir;

use crate::project::{CommandOutput, Project, prepare, step};
use crate::services::{Server, client};

/// The name of a script that clears the screen and reverses what follows it.
const NAME: &str = "x\u{1b}[2J\u{202e}y.bue";

/// What the exception says: it sets the title, the colour and the direction, as Python writes it.
const MESSAGE: &str = r"\x1b]0;x\x07\u009b31m\u202e\u2066\x7f\rend";

/// The same as a text.
const TEXT: &str = "\u{1b}]0;x\u{7}\u{9b}31m\u{202e}\u{2066}\u{7f}\rend";

/// A step that prints and raises [`MESSAGE`], one whose code has such a file name, one in SQL, and one whose result is that text.
fn script() -> String {
    let raises = format!("def raises():\n    print('{MESSAGE}')\n    raise Exception('{MESSAGE}')");
    let named = format!("def named():\n    exec(compile('1 / 0', '{MESSAGE}.py', 'exec'))");
    let returns = format!("def returns():\n    return '{MESSAGE}'");
    [
        step("raises", &raises),
        step("named", &named),
        step("returns", &returns),
        "rows:\n    python\n    rows\n    `\ndef rows():\n    return [{'a': 1}]\n`\n".to_owned(),
        "sql:\n    sqlite3\n    t\n    `SELECT * FROM \"\u{1b}[31m\u{9b}31m\u{202e}\"`\np = rows | sql\n".to_owned(),
        "raises()\nnamed()\nreturns()\np()\n".to_owned(),
    ]
    .concat()
}

/// Checks the characters of both streams.
#[track_caller]
fn expect_printable(output: CommandOutput) -> CommandOutput {
    let is_unsafe = |char: char| {
        let is_bidirectional = matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        !matches!(char, '\n' | '\t') && (char.is_control() || is_bidirectional)
    };
    for text in [&output.stdout, &output.stderr] {
        assert!(!text.contains(is_unsafe), "{text:?}");
    }
    output
}

/// The errors in the output of `--json`.
fn errors(json: &Value) -> Vec<&str> {
    json["failed"].as_array().expect("a list").iter().filter_map(|failed| failed["error"].as_str()).collect()
}

#[test]
fn a_failed_run_prints_no_control_characters() {
    prepare();
    let project = Project::new(&[(NAME, &script())]);
    for flags in [&[][..], &["--logs"]] {
        let output = expect_printable(project.bue(&[&["run", NAME], flags].concat()).expect_code(1));
        output.expect_stderr(&["Exception: ]0;x31mend", "ZeroDivisionError", "no such table", "x[2Jy.bue"]);
        assert_eq!(output.stdout, "\"\\u001b]0;x\\u0007\\u009b31m\\u202e\\u2066\\u007f\\rend\"\n");
    }
    let output = expect_printable(project.bue(&["run", NAME, "--json"]).expect_code(1));
    let json = output.json();
    assert_eq!(json["results"][2]["value"], TEXT);
    assert!(errors(&json).iter().any(|error| error.contains(TEXT)), "{json}");
}

#[test]
fn the_verbs_print_no_control_characters_of_runs_of_others() {
    prepare();
    let folder = TempDir::new().expect("a folder");
    let bucket = Server::start(&folder, &["bucket", "-b", "127.0.0.1:0"]);
    let hub = Server::start(&folder, &["hub", "-b", "127.0.0.1:0", "-k", &bucket.address]);
    let project = Project::new(&[(NAME, &script()), ("bue.toml", &client(&hub, &bucket))]);
    let worker = Server::start(project.folder(), &["worker"]);
    let run = |arguments: &[&str], code| expect_printable(project.bue(arguments).expect_code(code));
    run(&["upload", "--wait", "-f", NAME], 1);
    assert!(run(&["status"], 0).stdout.contains("x[2Jy.bue"));
    run(&["status", "last"], 0);
    run(&["status", "last", "--jobs"], 0);
    run(&["top", "last", "--json"], 1);
    assert!(run(&["errors", "last"], 0).stdout.contains("Exception: ]0;x31mend"));
    run(&["wait", "last"], 1);
    run(&["result", "last"], 1);
    for job in 1..=5 {
        let job = job.to_string();
        run(&["why", &job], 0);
        run(&["logs", &job], 0);
    }
    let runs = run(&["status", "--json"], 0).json();
    assert!(runs[0]["name"].as_str().is_some_and(|name| name.ends_with(NAME)), "{runs}");
    run(&["status", "last", "--jobs", "--json"], 0);
    run(&["errors", "last", "--json"], 0);
    run(&["why", "1", "--json"], 0);
    let result = run(&["result", "last", "--json"], 1).json();
    assert!(errors(&result).iter().any(|error| error.contains(TEXT)), "{result}");
    send_forged_report(&hub.address);
    wait_until("the hub has logged the worker's name", || hub.stderr().contains("[2J"));
    for server in [&worker, &hub, &bucket] {
        expect_printable(CommandOutput { code: 0, stdout: String::new(), stderr: server.stderr() });
    }
}

/// Sends the hub a report under a lease that it has not granted, from a worker with a hostile name, which it logs.
fn send_forged_report(hub: &str) {
    let report = Report {
        job: JobId(1),
        token: Token::unsealed(7),
        outcome: Outcome::Cancelled,
        log: None,
        arguments: Vec::new(),
        usage: AttemptUsage::of_ms(1),
    };
    let batch = ReportBatch { worker: "w\u{1b}[2J\u{9b}\u{202e}x".to_owned(), reports: vec![report] };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let verdicts = runtime.block_on(async {
        let client = HubClient::new(&[hub.to_owned()]).expect("a client");
        client.report(&batch).await.expect("verdicts")
    });
    assert_eq!(verdicts, [Verdict::LeaseLost]);
}

/// What the hub answers can be shown as it is sent.
#[test]
fn the_hub_sends_no_control_characters() {
    prepare();
    let folder = TempDir::new().expect("a folder");
    let bucket = Server::start(&folder, &["bucket", "-b", "127.0.0.1:0"]);
    let hub = Server::start(&folder, &["hub", "-b", "127.0.0.1:0", "-k", &bucket.address]);
    let project = Project::new(&[(NAME, &script()), ("bue.toml", &client(&hub, &bucket))]);
    let _worker = Server::start(project.folder(), &["worker"]);
    project.bue(&["upload", "--wait", "-f", NAME]).expect_code(1);
    let mut texts = String::new();
    for path in ["/v1/runs", "/v1/jobs/1", "/v1/jobs/1/why", "/v1/jobs/2", "/v1/jobs/4"] {
        let text = get(&hub.address, path);
        let output = CommandOutput { code: 0, stdout: text.replace('\r', ""), stderr: String::new() };
        texts.push_str(&expect_printable(output).stdout);
    }
    assert!(texts.contains("x\\u001b[2J\\u202ey.bue") && texts.contains("\\u009b31m"), "{texts}");
}

/// The answer to a request, as it is sent.
fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    answer
}
