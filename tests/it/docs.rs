//! The documentation is correct: its commands and scripts are valid, its links resolve, and the tests it names exist.

use std::fs;
use std::path::{Path, PathBuf};

use crate::project::Project;

/// A code block of a page.
struct Block {
    page: PathBuf,
    language: String,
    text: String,
}

/// Returns every page of documentation.
fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = Vec::new();
    for folder in [root.to_owned(), root.join("docs"), root.join("src/commands/example")] {
        pages.extend(markdown(&folder));
    }
    for example in fs::read_dir(root.join("examples")).expect("examples") {
        pages.extend(markdown(&example.expect("an entry").path()));
    }
    pages
}

fn markdown(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|kind| kind == "md")).collect()
}

fn blocks() -> Vec<Block> {
    pages().iter().flat_map(|page| blocks_of(page)).collect()
}

fn blocks_of(page: &Path) -> Vec<Block> {
    let text = fs::read_to_string(page).expect("a page");
    let parts: Vec<&str> = text.split("```").collect();
    assert!(parts.len() % 2 == 1, "{}: a block of code is not closed", page.display());
    let inside = parts.iter().skip(1).step_by(2);
    inside
        .map(|part| {
            let (language, text) = part.split_once('\n').unwrap_or((part, ""));
            Block { page: page.to_owned(), language: language.trim().to_owned(), text: text.to_owned() }
        })
        .collect()
}

/// Returns the `bue` commands of a block, without prompt and comment.
fn commands(block: &Block) -> Vec<Vec<String>> {
    let lines = block.text.lines().map(|line| line.trim().trim_start_matches("$ "));
    // two spaces separate a command from its description
    let lines = lines.map(|line| line.split(" #").next().unwrap_or_default().split("  ").next().unwrap_or_default());
    lines
        .filter(|line| line.starts_with("bue "))
        .map(|line| words(line).iter().skip(1).take_while(|word| !is_shell(word)).map(|word| plain(word)).collect())
        .collect()
}

/// Splits a command into words as a shell does: quotes keep blanks together.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for char in line.chars() {
        match (quote, char) {
            (Some(open), char) if char == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(char);
                word.get_or_insert_default();
            }
            (None, char) if char.is_whitespace() => words.extend(word.take()),
            (_, char) => word.get_or_insert_default().push(char),
        }
    }
    words.extend(word);
    words
}

/// With `--help` at the end, clap parses the flags before it and nothing is executed.
#[test]
fn every_documented_command_is_valid() {
    let project = Project::new(&[]);
    let mut seen = 0;
    for block in blocks() {
        for command in commands(&block) {
            let words: Vec<&str> = command.iter().map(String::as_str).chain(["--help"]).collect();
            let output = project.bue(&words);
            assert_eq!(output.code, 0, "{}: bue {}\n{}", block.page.display(), words.join(" "), output.stderr);
            assert!(!output.stdout.is_empty());
            seen += 1;
        }
    }
    assert!(seen >= 8, "only {seen} commands are shown");
}

/// Turns a word of a synopsis (`[--json]`, `FILE...`, `text|json`) into an argument.
fn plain(word: &str) -> String {
    let word = word.trim_matches(['[', ']']).trim_end_matches("...");
    match word.split('|').next().unwrap_or_default() {
        "RUN" | "RUN1" | "RUN2" => "01900000-0000-7000-8000-000000000000",
        "JOB" | "N" => "1",
        "SHELL" => "bash",
        "CODE" => "E0001",
        word => word,
    }
    .to_owned()
}

fn is_shell(word: &str) -> bool {
    ["|", ">", "&&", "&", ";"].contains(&word)
}

/// Errors about files that stand beside a documented script, but not on the page.
const BESIDE_THE_SCRIPT: [&str; 2] = ["E0050", "E0060"];

#[test]
fn every_documented_script_is_valid() {
    for block in blocks().iter().filter(|block| block.language == "bue") {
        let project = Project::script(&block.text);
        let json = project.bue(&["check", "--json", "x.bue"]).json();
        let errors: Vec<_> = json["complaints"]
            .as_array()
            .expect("a list")
            .iter()
            .filter(|one| {
                one["severity"] == "error" && !BESIDE_THE_SCRIPT.contains(&one["code"].as_str().unwrap_or(""))
            })
            .collect();
        assert!(errors.is_empty(), "{}:\n{}\n{errors:?}", block.page.display(), block.text);
    }
}

#[test]
fn every_link_into_the_project_resolves() {
    for page in pages() {
        let text = fs::read_to_string(&page).expect("a page");
        let folder = page.parent().expect("a folder");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = link.split('#').next().unwrap_or_default();
            if path.is_empty() || path.contains("://") {
                continue;
            }
            assert!(folder.join(path).exists(), "{}: {link} does not resolve", page.display());
        }
    }
}

/// The page promises it.
#[test]
fn the_scripts_of_the_page_on_buelon_run() {
    let is_script = |block: &Block| block.page.ends_with("docs/buelon.md") && block.language == "bue";
    let scripts: Vec<Block> = blocks().into_iter().filter(is_script).collect();
    assert!(!scripts.is_empty());
    for block in scripts {
        let output = Project::script(&block.text).bue(&["run", "x.bue"]);
        assert_eq!(output.code, 0, "{}\n{}", block.text, output.stderr);
        assert!(!output.stdout.is_empty(), "{}", block.text);
    }
}

#[test]
fn the_architecture_names_real_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let quoted = text.split('`').skip(1).step_by(2);
    let files: Vec<&str> = quoted.filter(|word| word.contains('/') && word.ends_with(".rs")).collect();
    assert!(files.len() >= 10, "only {files:?}");
    for file in files {
        assert!(root.join(file).is_file(), "ARCHITECTURE.md names {file}, which does not exist");
    }
}

/// A promise names the test that can disprove it: a function, or a hostile guest.
#[test]
fn every_test_named_in_the_docs_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["hub", "runtime", "worker", "client", "lang", "model", "src", "tests"];
    let paths: Vec<PathBuf> = folders.iter().flat_map(|folder| sources(&root.join(folder))).collect();
    let tests: String = paths.iter().map(|path| fs::read_to_string(path).expect("a source")).collect();
    for page in ["docs/sandbox.md", "docs/reliability.md"] {
        let text = fs::read_to_string(root.join(page)).expect("a page");
        let named: Vec<&str> = text.split('`').skip(1).step_by(2).filter(|word| is_test(word)).collect();
        assert!(named.len() >= 15, "{page} names only {named:?}");
        for name in named {
            let is_guest = ["python", "sql", "wat"]
                .iter()
                .any(|kind| root.join("tests/programs/evil").join(kind).join(name).is_file());
            let is_source = paths.iter().any(|path| path.ends_with(name));
            assert!(
                is_guest || is_source || tests.contains(&format!("fn {name}(")),
                "{page} names {name}, which does not exist"
            );
        }
    }
}

fn is_test(word: &str) -> bool {
    let is_name =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    match word.rsplit_once('.') {
        Some((name, "py" | "sql" | "wat" | "rs")) => is_name(name),
        _ => is_name(word) && word.matches('_').count() >= 3,
    }
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries
        .flat_map(|path| match path.is_dir() {
            true => sources(&path),
            false if path.extension().is_some_and(|kind| kind == "rs") => vec![path],
            false => Vec::new(),
        })
        .collect()
}
