//! `bue top`: on a terminal, which `script` makes as in `pty.rs`, and as lines of JSON.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{fs, thread};

use bue_test_support::process::{Lines, child_output, exit_status};
use bue_test_support::wait::DEADLINE;
use serde_json::{Value, json};

use crate::pty::{command_line, sequence_length, spawn_script};
use crate::services::Server;
use crate::verbs::Services;

const ROWS: usize = 24;

/// A fused chain, and a step that fails with a message that would control the terminal.
const SCRIPT: &str = "import python (numbers, read, parse, chunk2, check) steps.py\n\
                      work = numbers | [read | parse | chunk2] | check\n\
                      work()\n";
const STEPS: &str = r#"
from bue.streams import chunk

def numbers():
    return ["1", "2", "3"]

def read(texts):
    yield from texts

def parse(texts):
    for text in texts:
        yield int(text)

chunk2 = chunk(2)

def check(chunks):
    print("printed \x1b]0;title\x07 by check")
    raise ValueError("bad\x1b[2J\u202enumbers")
"#;

fn services() -> Services {
    let services = Services::new(SCRIPT);
    services.project.write("steps.py", STEPS);
    services
}

/// `bue top` on a terminal.
struct Session {
    child: Child,
    keys: ChildStdin,
    output: Arc<Mutex<Vec<u8>>>,
    columns: usize,
}

impl Session {
    /// Starts a command. After it, the shell says whether the terminal's settings are as they were before.
    fn start(command: &Command, columns: usize) -> Self {
        let shell = format!(
            "stty cols {columns} rows {ROWS}; before=$(stty -g); sh -c 'echo pid=$$; exec {}'; code=$?; \
             test \"$before\" = \"$(stty -g)\" && echo restored; exit $code",
            command_line(command)
        );
        let mut child = spawn_script(command, &shell);
        let (keys, mut stdout) = (child.stdin.take().expect("stdin"), child.stdout.take().expect("stdout"));
        let output = Arc::<Mutex<Vec<u8>>>::default();
        let collected = Arc::clone(&output);
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length @ 1..) = stdout.read(&mut bytes) {
                collected.lock().expect("the output").extend_from_slice(&bytes[..length]);
            }
        });
        Self { child, keys, output, columns }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).and_then(|()| self.keys.flush()).expect("typed");
    }

    fn output(&self) -> String {
        String::from_utf8_lossy(&self.output.lock().expect("the output")).into_owned()
    }

    fn screen(&self) -> Vec<String> {
        screen(&self.output(), self.columns)
    }

    /// Waits until the screen is as it should be, and returns it.
    #[track_caller]
    fn wait_for(&self, what: &str, is_so: impl Fn(&[String]) -> bool) -> Vec<String> {
        let started_at = Instant::now();
        loop {
            let screen = self.screen();
            if is_so(&screen) {
                return screen;
            }
            assert!(started_at.elapsed() < DEADLINE, "waited for {what}: {screen:#?}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    #[track_caller]
    fn wait_for_text(&self, text: &str) -> Vec<String> {
        self.wait_for(text, |screen| screen.iter().any(|row| row.contains(text)))
    }

    /// Sends a signal to `bue`.
    fn send_signal(&self, signal: &str) {
        let output = self.output();
        let process = output.split("pid=").nth(1).and_then(|rest| rest.split_whitespace().next()).expect("an id");
        assert!(Command::new("kill").args(["-s", signal, process]).status().expect("kill").success());
    }

    /// Waits until it exits, checks that the terminal is as it was before, and returns the exit code.
    #[track_caller]
    fn end(mut self) -> i32 {
        self.wait_for_text("restored");
        let output = self.output();
        let (drawn, after) = output.rsplit_once("\u{1b}[?1049l").expect("the main screen");
        assert!(drawn.contains("\u{1b}[?1049h") && after.contains("\u{1b}[?25h"), "{output:?}");
        // nothing that came from others controlled the terminal
        for sequence in ["\u{1b}]", "\u{202e}", "\u{7}"] {
            assert!(!output.contains(sequence), "{output:?}");
        }
        exit_status("bue top exits", &mut self.child).code().expect("an exit code")
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a terminal shows after this output: it interprets positions, clearing and line ends.
fn screen(output: &str, columns: usize) -> Vec<String> {
    let blank = vec![vec![' '; columns]; ROWS];
    let (mut cells, mut row, mut column) = (blank.clone(), 0, 0);
    let mut remaining = output;
    while let Some(char) = remaining.chars().next() {
        let (symbol, after) = remaining.split_at(sequence_length(remaining));
        remaining = after;
        match (char, symbol.chars().last()) {
            ('\u{1b}', Some('H')) => (row, column) = position(symbol),
            ('\u{1b}', Some('J')) => cells.clone_from(&blank),
            ('\u{1b}', _) if symbol.contains("?1049") => (cells, row, column) = (blank.clone(), 0, 0),
            ('\u{1b}', _) => {}
            ('\r', _) => column = 0,
            ('\n', _) => row += 1,
            (char, _) => {
                if let Some(cell) = cells.get_mut(row).and_then(|row| row.get_mut(column)) {
                    *cell = char;
                }
                column += 1;
            }
        }
    }
    cells.iter().map(|row| row.iter().collect::<String>().trim_end().to_owned()).collect()
}

/// The row and the column of `ESC [ ROW ; COLUMN H`, from 0.
fn position(symbol: &str) -> (usize, usize) {
    let numbers = symbol.trim_start_matches("\u{1b}[").trim_end_matches('H').split(';');
    let mut numbers = numbers.map(|number| number.parse::<usize>().map_or(0, |number| number - 1));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// The cells of the row of a step.
fn cells<'a>(screen: &'a [String], step: &str) -> Option<Vec<&'a str>> {
    let row = screen.iter().find(|row| row.starts_with(step))?;
    Some(row.split_whitespace().collect())
}

fn is_done(screen: &[String], step: &str) -> bool {
    cells(screen, step).is_some_and(|cells| cells.get(1) == Some(&"1/1"))
}

#[test]
fn the_table_follows_a_run_while_the_hub_restarts_and_opens_errors_and_logs() {
    let mut services = services();
    let run = services.upload();
    let mut session = Session::start(&services.project.command(&["top", &run, "--every", "100ms"]), 120);
    session.wait_for("the steps", |screen| {
        cells(screen, "read|parse|chunk2").is_some_and(|cells| cells.get(1) == Some(&"0/1"))
    });
    session.wait_for_text(&format!("run {} running: 0/3 done", &run[..8]));
    services.hub.kill();
    let screen = session.wait_for_text("figures are");
    assert!(screen[1].contains("trying again") && cells(&screen, "numbers").is_some(), "{screen:#?}");
    let arguments = ["hub", "-b", &services.hub.address, "-k", services.bucket_address(), "--store", "sqlite:hub.db"];
    let hub = Server::start(&services.folder, &arguments);
    session.wait_for("an answer", |screen| !screen[1].contains("figures are"));
    let worker = services.worker("default");
    let screen = session.wait_for("all steps to end", |screen| is_done(screen, "check"));
    assert!(is_done(&screen, "numbers") && is_done(&screen, "read|parse|chunk2"), "{screen:#?}");
    assert_eq!(cells(&screen, "check").and_then(|cells| cells.last().copied()), Some("1"), "{screen:#?}");
    session.wait_for_text("failed: 3/3 done");
    session.press("/check\r");
    session.wait_for("the filter", |screen| cells(screen, "numbers").is_none() && is_done(screen, "check"));
    session.press("\r");
    let screen = session.wait_for_text("ValueError: bad[2Jnumbers");
    assert!(screen.iter().any(|row| row == "errors of check") && screen.iter().any(|row| row.contains("job ")));
    session.press("q");
    session.wait_for("the table", |screen| is_done(screen, "check"));
    session.press("l");
    session.wait_for_text("printed ]0;title by check");
    session.wait_for_text("the run has ended: failed");
    session.press("qq");
    assert_eq!(session.end(), 0);
    drop((worker, hub));
}

#[test]
fn the_terminal_is_given_back_after_every_end() {
    let services = services();
    let run = services.upload();
    let command = services.project.command(&["top", "--every", "100ms"]);
    for (signal, columns) in [("TERM", 50), ("INT", 80)] {
        let session = Session::start(&command, columns);
        let screen = session.wait_for_text("read|parse|ch");
        assert!(screen[0].starts_with("1 open run"), "{screen:#?}");
        let header: Vec<&str> = screen[2].split_whitespace().collect();
        assert_eq!(header.contains(&"run"), columns == 80, "{screen:#?}");
        assert!(header.contains(&"done") && header.contains(&"failed"), "{screen:#?}");
        session.send_signal(signal);
        session.wait_for_text("bue: interrupted");
        assert_eq!(session.end(), 130);
    }
    let mut session = Session::start(&command, 80);
    session.wait_for_text("read|parse|ch");
    session.press("\u{3}");
    assert_eq!(session.end(), 130);
    // an error, after which the message is on the main screen
    let command = services.project.command(&["top", &run, "--every", "100ms"]);
    let session = Session::start(&command, 80);
    session.wait_for_text("read|parse|ch");
    services.bue(&["cancel", &run]).expect_code(0);
    services.bue(&["delete", &run]).expect_code(0);
    session.wait_for_text("no run");
    assert_eq!(session.end(), 1);
}

#[test]
fn lines_of_json_end_with_the_run_and_a_reporter_of_ten_lines_reads_them() {
    let services = services();
    let run = services.upload();
    let mut command = services.project.command(&["top", &run, "--json", "--every", "100ms"]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("bue");
    let lines = Lines::new(child.stdout.take().expect("stdout"));
    let parse = |line: &str| serde_json::from_str::<Value>(line).expect("JSON");
    let first = parse(&lines.next("the first line").expect("a line"));
    assert_eq!((&first["error"], &first["runs"][0]["state"]), (&Value::Null, &json!("running")));
    assert_eq!((&chain(&first)["done"], &chain(&first)["rate"]), (&json!(0), &Value::Null));
    let second = parse(&lines.next("the second line").expect("a line"));
    assert_eq!(chain(&second)["rate"], json!(0.0), "nothing has ended");
    let worker = services.worker("default");
    let rest = lines.remaining();
    let last = parse(rest.last().expect("a last line"));
    assert_eq!(exit_status("bue top exits", &mut child).code(), Some(1), "the run failed");
    let steps = last["steps"].as_array().expect("steps");
    // the stages are steps without jobs of their own
    let steps: Vec<&Value> = steps.iter().filter(|step| step["done"] != json!(0)).collect();
    let counts: Vec<_> = steps.iter().map(|step| (step["done"].as_u64(), step["failed"].as_u64())).collect();
    assert_eq!(counts, [(Some(1), Some(0)), (Some(1), Some(0)), (Some(1), Some(1))]);
    assert!(steps.iter().all(|step| step["usage"]["p95_ms"].is_u64() && step["run"] == json!(run)), "{last}");
    let rates = rest.iter().filter_map(|line| chain(&parse(line))["rate"].as_f64());
    assert!(rates.fold(0.0, f64::max) > 0.0, "{rest:#?}");
    drop(worker);

    let output = report(&services, &run);
    assert!(output.contains("read|parse|chunk2: 1 done, 0.0/s, p95 ") && output.contains(" ms, 1 failed"), "{output}");
}

/// The fused chain in a line.
fn chain(line: &Value) -> &Value {
    let steps = line["steps"].as_array().expect("steps");
    steps.iter().find(|step| step["name"] == "read|parse|chunk2").expect("the chain")
}

/// Runs the reporter of the documentation on the lines of a run.
fn report(services: &Services, run: &str) -> String {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/top.md")).expect("the page");
    let (_, code) = page.split_once("```python reporter.py\n").expect("the reporter");
    let code = code.split("```").next().expect("its code");
    assert!(code.lines().filter(|line| !line.trim().is_empty()).count() <= 10, "it has ten lines: {code}");
    let json = services.bue(&["top", run, "--json"]).expect_code(1).stdout;
    let mut python = Command::new("python3");
    let mut child = python
        .args(["-c", code])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python3");
    child.stdin.take().expect("stdin").write_all(json.as_bytes()).expect("the lines");
    let output = child_output("the reporter", child);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn lines_of_json_tell_that_the_hub_is_away_and_end_quietly_with_their_reader() {
    let mut services = services();
    services.upload();
    let mut command = services.project.command(&["top", "--json", "--every", "100ms"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("bue");
    let lines = Lines::new(child.stdout.take().expect("stdout"));
    assert!(lines.next("the first line").is_some_and(|line| line.contains("\"error\":null")));
    services.hub.kill();
    let line = lines.find("\"error\":\"hub unreachable");
    assert!(line.contains("\"steps\":[]"), "{line}");
    drop(lines);
    // the thread that reads notices only with the next line that it cannot pass on, and then closes the pipe
    let output = child_output("bue top", child);
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}

#[test]
fn mistakes_are_explained_before_anything_is_drawn() {
    let services = Services::new("");
    services.bue(&["top"]).expect_code(2).expect_stderr(&["needs a terminal", "bue top --json", "bue status -s"]);
    services.bue(&["top", "--json", "--every", "1ms"]).expect_code(2).expect_stderr(&["--every 1ms", "100ms to 1d"]);
    services.bue(&["top", "--json", "--every", "soon"]).expect_code(2).expect_stderr(&["--every", "not a duration"]);
    services.bue(&["top", "--json", "-b", "127.0.0.1:1"]).expect_code(3).expect_stderr(&["hub unreachable"]);
    services.bue(&["top", "last", "--json"]).expect_code(1).expect_stderr(&["no runs"]);
    let command = services.project.command(&["top", "-b", "127.0.0.1:1", "-k", "127.0.0.1:1"]);
    let mut session = Session::start(&command, 80);
    session.wait_for_text("restored");
    assert!(session.output().contains("hub unreachable") && !session.output().contains("\u{1b}[?1049h"));
    assert_eq!(exit_status("bue top exits", &mut session.child).code(), Some(3));
}
