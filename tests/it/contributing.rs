//! CONTRIBUTING's recipes name every file that a change touches, and no file that does not exist.
//!
//! Each recipe is checked against an example of its kind: in its paths, `LANGUAGE` is replaced by `go` and `VERB` by
//! `completions`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::project::{bue, finish};

#[test]
fn the_recipe_for_a_language_names_every_file_that_decides_something_for_each() {
    let files = recipe("## Add a step language", ("LANGUAGE", "go"));
    assert_names_all(&files, &mentioning("Language::Go"));
    assert_names_all(&files, &mentioning("== Language::"));
    assert_names_all(&files, &mentioning("Engine::Sqlite"));
    assert_names_all(&files, &mentioning("Engine::Python"));
    assert_names_all(&files, &mentioning("Engine::Postgres"));
}

#[test]
fn the_recipe_for_a_verb_names_every_file_that_lists_verbs() {
    let files = recipe("## Add a verb", ("VERB", "completions"));
    assert_names_all(&files, &mentioning("completions::Completions"));
}

/// The list in `mod.rs` and the list in the README are those of the folder.
#[test]
fn every_verb_is_a_file_and_is_listed() {
    let read = |path: &str| fs::read_to_string(project().join(path)).expect("a file of ours");
    let entries: BTreeSet<String> = fs::read_dir(project().join("src/commands"))
        .expect("the verbs")
        .map(|entry| entry.expect("an entry").path().file_stem().expect("a name").to_string_lossy().into_owned())
        .collect();
    let source = read("src/commands/mod.rs");
    let (_, list) = source.split_once("\nverbs! {").expect("the list of verbs");
    let listed = list.lines().filter_map(|line| line.trim().split_once("::").map(|(module, _)| module.to_owned()));
    let listed: BTreeSet<String> = listed.chain(["mod".to_owned()]).collect();
    assert_eq!(listed, entries);

    let help = finish({
        let mut command = bue();
        command.arg("--help");
        command
    });
    let (_, commands) = help.stdout.split_once("Commands:\n").expect("a list of commands");
    let commands = commands.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.strip_prefix("  "));
    // a description that is continued on the next line is indented further
    let commands = commands.filter(|line| !line.starts_with(' ')).filter_map(|line| line.split_whitespace().next());
    let commands = commands.filter(|verb| *verb != "help");
    let (readme, mut number) = (read("README.md"), 0);
    for verb in commands {
        assert!(readme.contains(&format!("bue {verb}")), "the README does not list `bue {verb}`");
        number += 1;
    }
    assert_eq!(number + 2, entries.len(), "all but mod.rs and the hidden `sandbox-host`");
}

/// The paths in backticks of one section.
fn recipe(heading: &str, (placeholder, example): (&str, &str)) -> BTreeSet<PathBuf> {
    let text = fs::read_to_string(project().join("CONTRIBUTING.md")).expect("CONTRIBUTING.md");
    let (_, section) = text.split_once(heading).unwrap_or_else(|| panic!("CONTRIBUTING has no section {heading:?}"));
    let section = section.split("\n## ").next().unwrap_or_default();
    let quoted = section.split('`').skip(1).step_by(2).filter(|text| text.contains('/') || text.ends_with(".md"));
    let files: BTreeSet<PathBuf> = quoted.map(|path| PathBuf::from(path.replace(placeholder, example))).collect();
    assert!(!files.is_empty(), "{heading:?} names no files");
    for file in &files {
        assert!(project().join(file).exists(), "{heading:?} names {}, which does not exist", file.display());
    }
    files
}

fn assert_names_all(listed: &BTreeSet<PathBuf>, needed: &BTreeSet<PathBuf>) {
    assert!(!needed.is_empty(), "nothing in the source matches any more; name something else that was added so");
    let missing: Vec<_> = needed.iter().filter(|file| !listed.iter().any(|listed| file.starts_with(listed))).collect();
    assert!(missing.is_empty(), "the recipe does not name {missing:?}");
}

/// Source files, tests left out, that hold a text.
fn mentioning(text: &str) -> BTreeSet<PathBuf> {
    let mut files = Vec::new();
    for folder in ["src", "model/src", "lang/src", "runtime/src", "worker/src", "hub/src", "client/src"] {
        list(&project().join(folder), &mut files);
    }
    let holds = |file: &PathBuf| fs::read_to_string(file).is_ok_and(|content| content.contains(text));
    files
        .into_iter()
        .filter(holds)
        .map(|file| file.strip_prefix(project()).expect("a file of ours").to_owned())
        .collect()
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => list(&path, files),
            false => files.push(path),
        }
    }
}

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
