//! `bue` on a terminal: `script` (Debian: bsdutils, which is always installed) makes one.

use std::io::Write as _;
use std::process::{Command, Stdio};

use bue_test_support::process::child_output;

use crate::project::{Project, prepare, step};
use crate::verbs::Services;

/// What a command printed on its terminal, and its exit code.
struct Session {
    code: i32,
    /// With the escape sequences, and `\r\n` at the ends of lines.
    screen: String,
}

/// Runs a command on a terminal of so many columns, on which `input` is typed.
fn in_terminal(command: &Command, columns: u32, input: &str) -> Session {
    let words = [command.get_program()].into_iter().chain(command.get_args());
    let words: Vec<&str> = words.map(|word| word.to_str().expect("UTF-8")).collect();
    let shell = format!("stty cols {columns} rows 24 -echo; exec {}", words.join(" "));
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &shell, "/dev/null"]);
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => script.env(name, value),
            None => script.env_remove(name),
        };
    }
    script.env("TERM", "xterm").env_remove("COLUMNS").env_remove("NO_COLOR");
    script.current_dir(command.get_current_dir().expect("a folder"));
    script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = script.spawn().expect("`script` of util-linux; Debian: apt-get install bsdutils");
    child.stdin.take().expect("stdin").write_all(input.as_bytes()).expect("typed");
    let output = child_output(&shell, child);
    let screen = String::from_utf8(output.stdout).expect("UTF-8");
    Session { code: output.status.code().expect("an exit code"), screen }
}

impl Session {
    /// The lines as they were written, also those that were overwritten later, with their colours.
    fn lines(&self) -> impl Iterator<Item = &str> {
        self.screen.split(['\r', '\n']).filter(|line| !line.is_empty())
    }
}

/// The text of a line, without escape sequences.
fn plain(line: &str) -> String {
    let mut pieces = line.split("\u{1b}[");
    let first = pieces.next().unwrap_or_default().to_owned();
    let is_end = |char: char| char.is_ascii_alphabetic();
    pieces.fold(first, |text, piece| text + piece.split_once(is_end).map_or("", |(_, after)| after))
}

const GREEN: &str = "\u{1b}[32m";
const RED: &str = "\u{1b}[31m";

/// A loop in which some rounds fail, in a step with a long name.
fn failing_loop() -> String {
    let name = "a_step_with_a_name_that_is_longer_than_fifty_columns";
    let code = format!(
        "import time\ndef {name}(n):\n    time.sleep(0.05)\n    if n % 3 == 0:\n        raise ValueError('bad')\n    return n"
    );
    let numbers = step("numbers", "def numbers():\n    return range(30)");
    [numbers, step(name, &code), format!("for n in numbers():\n    {name}(n)\n")].concat()
}

#[test]
fn progress_fits_into_the_terminal_and_a_row_with_failures_is_not_green() {
    prepare();
    let project = Project::script(&failing_loop());
    for columns in [50, 100] {
        let session = in_terminal(&project.command(&["run", "x.bue"]), columns, "");
        assert_eq!(session.code, 1, "{:?}", session.screen);
        let is_row = |line: &&str| {
            let plain = plain(line);
            ["  numbers", "  a_step_with_a"].iter().any(|name| plain.starts_with(name)) && plain.contains('/')
        };
        let rows: Vec<&str> = session.lines().filter(is_row).collect();
        let width = |line: &&str| plain(line).chars().count();
        let widest = rows.iter().map(width).max().expect("rows");
        assert!(widest <= columns as usize, "{widest} columns of {columns}: {:?}", session.screen);
        let failed: Vec<&&str> = rows.iter().filter(|row| row.contains("failed")).collect();
        assert!(!failed.is_empty(), "{:?}", session.screen);
        assert!(failed.iter().all(|row| row.contains(RED) && !row.contains(GREEN)), "{failed:?}");
        assert!(rows.iter().any(|row| row.contains("numbers") && row.contains(GREEN)), "{rows:?}");
    }
}

#[test]
fn tables_fit_into_the_terminal_that_shows_them() {
    let services = Services::new(&failing_loop());
    let run = services.upload();
    let _worker = services.worker("default");
    services.bue(&["wait", &run]).expect_code(1);
    for arguments in [&["status"][..], &["status", &run], &["status", &run, "--jobs"]] {
        let session = in_terminal(&services.project.command(arguments), 50, "");
        assert_eq!(session.code, 0, "{}", session.screen);
        let lines: Vec<String> = session.lines().map(plain).collect();
        assert!(lines.iter().all(|line| line.chars().count() <= 50), "{lines:#?}");
        assert!(lines.iter().any(|line| line.contains("failed")), "{lines:#?}");
    }
    // the ids of the list are shortened on a terminal, and name the run
    let list = in_terminal(&services.project.command(&["status"]), 50, "");
    let id = list.lines().nth(1).and_then(|line| line.split_whitespace().next()).expect("an id").to_owned();
    assert!(id.len() < run.len() && run.starts_with(&id), "{}", list.screen);
}

#[test]
fn a_reset_of_all_runs_is_confirmed_on_the_terminal() {
    let bad = step("bad", "def bad():\n    raise ValueError('x')");
    let services = Services::new(&[bad, "bad()\n".to_owned()].concat());
    let run = services.upload();
    let worker = services.worker("default");
    services.bue(&["wait", &run]).expect_code(1);
    // so that nothing runs what is reset
    drop(worker);
    let reset = |typed: &str| in_terminal(&services.project.command(&["reset"]), 80, typed);
    let state = || services.bue(&["status", &run, "--json"]).expect_code(0).json()["state"].clone();
    for typed in ["n\n", "\n", "yesterday\n", ""] {
        let session = reset(typed);
        assert_eq!(session.code, 2, "{}", session.screen);
        assert!(session.screen.contains("bue: reset 1 failed job of 1 run? [y/N] "), "{}", session.screen);
        assert!(session.screen.contains("nothing was reset"), "{}", session.screen);
        assert_eq!(state(), "failed");
    }
    let session = reset("y\n");
    assert!(session.code == 0 && session.screen.contains("jobs reset: 1"), "{}", session.screen);
    assert_eq!(state(), "running");
}
