//! `bue` on a terminal: `script` (Debian: bsdutils, which is always installed) makes one.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Child, Command, Stdio};

use bue_test_support::process::child_output;

use crate::project::{Project, copy_environment, prepare, step};
use crate::verbs::Services;

/// What a command printed on its terminal, and its exit code.
struct Session {
    code: i32,
    /// With the escape sequences, and `\r\n` at the ends of lines.
    screen: String,
}

/// Runs a command on a terminal of so many columns, on which `input` is typed.
fn in_terminal(command: &Command, columns: usize, input: &str) -> Session {
    let shell = format!("stty cols {columns} rows 24 -echo; exec {}", command_line(command));
    let mut child = spawn_script(command, &shell);
    child.stdin.take().expect("stdin").write_all(input.as_bytes()).expect("typed");
    let output = child_output(&shell, child);
    let screen = String::from_utf8(output.stdout).expect("UTF-8");
    Session { code: output.status.code().expect("an exit code"), screen }
}

/// Returns a command as it is typed into a shell. Its words need no quotes.
pub(crate) fn command_line(command: &Command) -> String {
    let words = [command.get_program()].into_iter().chain(command.get_args());
    let words: Vec<&str> = words.map(|word| word.to_str().expect("UTF-8")).collect();
    words.join(" ")
}

/// Runs a line of shell on a terminal, in the folder and with the environment of a command.
pub(crate) fn spawn_script(command: &Command, shell: &str) -> Child {
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", shell, "/dev/null"]);
    copy_environment(command, &mut script);
    script.env("TERM", "xterm").env("SHELL", "/bin/sh").env_remove("COLUMNS").env_remove("NO_COLOR");
    script.current_dir(command.get_current_dir().expect("a folder"));
    script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    script.spawn().expect("`script` of util-linux; Debian: apt-get install bsdutils")
}

/// A row of the terminal as it was drawn, perhaps not for the last time.
struct DrawnRow {
    text: String,
    /// The escape sequences that coloured its characters.
    colours: BTreeSet<String>,
}

impl Session {
    /// Everything that was drawn, row by row. What is longer than a row continues in the next one, as on a terminal.
    fn rows(&self, columns: usize) -> Vec<DrawnRow> {
        let (mut rows, mut cells, mut colour) = (Vec::new(), Vec::new(), String::new());
        let mut remaining = self.screen.as_str();
        while let Some(char) = remaining.chars().next() {
            let (symbol, after) = remaining.split_at(sequence_length(remaining));
            remaining = after;
            match char {
                '\u{1b}' if symbol.ends_with('m') => symbol.clone_into(&mut colour),
                '\u{1b}' | '\r' | '\n' => rows.append(&mut drawn_rows(&std::mem::take(&mut cells), columns)),
                char => cells.push((char, colour.clone())),
            }
        }
        rows.append(&mut drawn_rows(&cells, columns));
        rows
    }
}

/// The bytes of the character or the escape sequence at the beginning of a text.
pub(crate) fn sequence_length(text: &str) -> usize {
    match text.strip_prefix("\u{1b}[").and_then(|rest| rest.find(|char: char| char.is_ascii_alphabetic())) {
        Some(end) => "\u{1b}[".len() + end + 1,
        None => text.chars().next().map_or(0, char::len_utf8),
    }
}

fn drawn_rows(cells: &[(char, String)], columns: usize) -> Vec<DrawnRow> {
    let row = |cells: &[(char, String)]| DrawnRow {
        text: cells.iter().map(|(char, _)| char).collect::<String>().trim_end().to_owned(),
        colours: cells.iter().map(|(_, colour)| colour.clone()).collect(),
    };
    cells.chunks(columns).map(row).filter(|row| !row.text.is_empty()).collect()
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
    for columns in [50, 80, 120] {
        let session = in_terminal(&project.command(&["run", "x.bue"]), columns, "");
        assert_eq!(session.code, 1, "{:?}", session.screen);
        let rows = session.rows(columns);
        // the failures follow below the progress
        let end = rows.iter().position(|row| row.text.starts_with("failed:")).expect("failures");
        let progress = &rows[..end];
        // a row that is too long would continue in the next one, which then begins with something else
        let is_row = |row: &DrawnRow| row.text.starts_with("  ") && row.text.chars().count() <= columns;
        assert!(progress.iter().all(is_row), "{:?}", progress.iter().map(|row| &row.text).collect::<Vec<_>>());
        let colours = |name: &str, word: &str| -> BTreeSet<&str> {
            let named = progress.iter().filter(|row| row.text.contains(name) && row.text.contains(word));
            named.flat_map(|row| &row.colours).map(String::as_str).collect()
        };
        let failed = colours("a_step_with_a", " failed");
        assert!(failed.contains(RED) && !failed.contains(GREEN), "{failed:?}: {:?}", session.screen);
        let others = colours("numbers", "1/1");
        assert!(others.contains(GREEN) && !others.contains(RED), "{others:?}: {:?}", session.screen);
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
        let lines: Vec<&str> = session.screen.lines().collect();
        assert!(lines.iter().all(|line| line.chars().count() <= 50 && !line.contains('\u{1b}')), "{lines:#?}");
        assert!(lines.iter().any(|line| line.contains("failed")), "{lines:#?}");
    }
    // the ids of the list are shortened on a terminal, and name the run
    let list = in_terminal(&services.project.command(&["status"]), 50, "");
    let id = list.screen.lines().nth(1).and_then(|line| line.split_whitespace().next()).expect("an id").to_owned();
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
