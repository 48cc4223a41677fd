//! CONTRIBUTING's recipes name every file that a change touches, and no file that does not exist.
//!
//! Each recipe is checked against an example of its kind: in its paths, `LANGUAGE` is replaced by `go` and `VERB` by
//! `completions`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn the_recipe_for_a_language_names_every_file_that_decides_something_for_each() {
    let files = recipe("## Add a step language", ("LANGUAGE", "go"));
    assert_names_all(&files, &mentioning("Language::Go"));
}

#[test]
fn the_recipe_for_a_verb_names_every_file_that_lists_verbs() {
    let files = recipe("## Add a verb", ("VERB", "completions"));
    assert_names_all(&files, &mentioning("completions::Completions"));
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
