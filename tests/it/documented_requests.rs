//! The commands of docs/http-api.md, run in their order as they are printed, against `bue serve` with tokens.
//!
//! In a block `console`, a line that begins with `$` is a command, one that begins with `>` continues it, and the others are what it
//! prints. `…` stands for any text. White space does not count, so that long lines of JSON can be broken.

use std::fs;
use std::path::Path;
use std::process::Command;

use bue_test_support::process::output;
use bue_test_support::wait::wait_until;

use crate::project::{Project, bue, copy_environment, prepare};
use crate::services::Server;

/// Follows what each command prints.
const MARK: &str = "=== end of command ===";
/// The hub's address on the page.
const HUB: &str = "127.0.0.1:65432";

/// A command, and what the page says that it prints.
#[derive(Debug, Default)]
struct Example {
    command: String,
    shown: String,
}

/// Returns the text of each block after its fence, and what follows the fence.
fn blocks(page: &str) -> Vec<(&str, &str)> {
    page.split("```").skip(1).step_by(2).filter_map(|block| block.split_once('\n')).collect()
}

fn examples(blocks: &[(&str, &str)]) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    for line in blocks.iter().filter(|(info, _)| *info == "console").flat_map(|(_, text)| text.lines()) {
        match (line.strip_prefix("$ "), line.strip_prefix("> "), examples.last_mut()) {
            (Some(command), _, _) => examples.push(Example { command: command.to_owned(), ..Example::default() }),
            (None, Some(more), Some(example)) => example.command.push_str(&format!("\n{more}")),
            (None, None, Some(example)) => example.shown.push_str(&format!("{line}\n")),
            (None, _, None) => panic!("a block begins with {line:?} instead of a command"),
        }
    }
    examples
}

/// Runs commands in one shell, and returns what each has printed.
fn run(project: &Project, commands: &[String]) -> Vec<String> {
    let script: String = commands.iter().map(|command| format!("{command}\nprintf '%s' '{MARK}'\n")).collect();
    let mut shell = Command::new("bash");
    copy_environment(&project.command(&[]), &mut shell);
    let program = bue();
    let folder = Path::new(program.get_program()).parent().expect("a folder");
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default());
    shell.args(["-c", &script]).current_dir(project.folder().path()).env("PATH", path);
    let output = output(&mut shell).expect("bash");
    let stdout = String::from_utf8(output.stdout).expect("UTF-8");
    let printed: Vec<String> = stdout.split(MARK).map(str::to_owned).collect();
    assert_eq!(printed.len(), commands.len() + 1, "{stdout}\n{}", String::from_utf8_lossy(&output.stderr));
    printed
}

fn without_space(text: &str) -> String {
    text.chars().filter(|char| !char.is_whitespace()).collect()
}

/// Whether a text is as shown, where `…` is any text.
fn is_as_shown(shown: &str, text: &str) -> bool {
    let (shown, text) = (without_space(shown), without_space(text));
    let parts: Vec<&str> = shown.split('…').collect();
    let [first, middle @ .., last] = parts.as_slice() else { return shown == text };
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    for part in middle {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[test]
fn shown_texts_may_leave_parts_out() {
    for (shown, text, fits) in [
        ("a b", "ab\n", true),
        ("a…d", "abcd", true),
        ("a…c…", "abcd", true),
        ("a…d", "abc", false),
        ("…b…b", "xbyb", true),
        ("ab", "abc", false),
    ] {
        assert_eq!(is_as_shown(shown, text), fits, "{shown} {text}");
    }
}

#[test]
fn every_request_of_the_page_on_http_is_answered_as_it_is_printed() {
    prepare();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/http-api.md");
    let page = fs::read_to_string(page).expect("the page");
    let blocks = blocks(&page);
    let project = Project::new(&[]);
    for (info, text) in &blocks {
        if let Some((_, name)) = info.split_once(' ') {
            project.write(name, text);
        }
    }
    let examples = examples(&blocks);
    let start = examples.iter().position(|example| example.command.starts_with("bue serve ")).expect("a server");
    let commands: Vec<String> = examples.iter().map(|example| example.command.clone()).collect();
    run(&project, &commands[..start]);
    let words: Vec<&str> = commands[start].trim_end_matches(" &").split(' ').skip(1).collect();
    let addresses = ["-b", "127.0.0.1:0", "--bucket-bind", "127.0.0.1:0"];
    let server = Server::start(project.folder(), &[&words[..], &addresses].concat());
    wait_until("the worker serves", || server.stderr().contains(" serves "));
    let rest: Vec<String> = commands[start + 1..].iter().map(|command| command.replace(HUB, &server.address)).collect();
    assert!(rest.len() >= 20, "{} commands", rest.len());
    let mut wrong = Vec::new();
    for (example, printed) in examples[start + 1..].iter().zip(run(&project, &rest)) {
        let printed = printed.replace(&server.address, HUB);
        if !is_as_shown(&example.shown, &printed) {
            wrong.push(format!("$ {}\nshown:\n{}printed:\n{printed}", example.command, example.shown));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    server.stop();
}
