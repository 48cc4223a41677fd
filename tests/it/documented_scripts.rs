//! Every script of README.md and docs/ runs as it is printed, from an empty folder.
//!
//! A block whose language is followed by a name, such as "python report.py", is a file of its page. A script that cannot run
//! here has a comment in the line above it: `<!-- not run: REASON -->`.

use std::fs;
use std::path::{Path, PathBuf};

use crate::project::{Project, prepare};

/// Pages whose scripts other tests run (`docs.rs`), or whose scripts are only checked, below.
const OTHER_PAGES: [&str; 2] = ["buelon.md", "errors.md"];

/// The comment above a script that cannot run here.
const MARK: &str = "<!-- not run: ";

/// Errors of examples that are about files of other kinds than Python: a lock file, a module, a package.
const BESIDE_THE_SCRIPT: [&str; 5] = ["E0050", "E0056", "E0060", "E0061", "E0062"];

struct Block {
    /// What follows the fence: the language, and possibly the name of a file.
    info: String,
    text: String,
    /// Why it is not run.
    reason: Option<String>,
}

impl Block {
    fn is_script(&self) -> bool {
        self.info.split(' ').next() == Some("bue")
    }

    fn file_name(&self) -> Option<&str> {
        self.info.split_once(' ').map(|(_, name)| name)
    }
}

fn blocks(page: &Path) -> Vec<Block> {
    let text = fs::read_to_string(page).expect("a page");
    let (mut blocks, mut open, mut previous) = (Vec::new(), None::<Block>, "");
    for line in text.lines() {
        match (line.strip_prefix("```"), open.take()) {
            (Some(_), Some(block)) => blocks.push(block),
            (Some(info), None) => {
                let reason = previous.strip_prefix(MARK).and_then(|rest| rest.strip_suffix(" -->"));
                open = Some(Block { info: info.to_owned(), text: String::new(), reason: reason.map(str::to_owned) });
            }
            (None, Some(mut block)) => {
                block.text.push_str(line);
                block.text.push('\n');
                open = Some(block);
            }
            (None, None) => previous = line,
        }
    }
    blocks
}

fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = fs::read_dir(root.join("docs")).expect("docs").map(|entry| entry.expect("an entry").path());
    let is_page = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "md");
    docs.filter(is_page).chain([root.join("README.md")]).collect()
}

/// A folder with the files that a page prints.
fn folder_of(blocks: &[Block]) -> Project {
    let project = Project::new(&[]);
    for block in blocks.iter().filter(|block| !["right", "wrong"].contains(&block.file_name().unwrap_or_default())) {
        if let Some(name) = block.file_name() {
            project.write(name, &block.text);
        }
    }
    project
}

#[test]
fn every_documented_script_runs_from_an_empty_folder() {
    prepare();
    let (mut run, mut not_run) = (0, 0);
    for page in pages().iter().filter(|page| !OTHER_PAGES.iter().any(|other| page.ends_with(other))) {
        let blocks = blocks(page);
        let project = folder_of(&blocks);
        for block in blocks.iter().filter(|block| block.is_script()) {
            if let Some(reason) = &block.reason {
                println!("not run: {}: {reason}", page.display());
                not_run += 1;
                continue;
            }
            let name = block.file_name().unwrap_or("x.bue");
            project.write(name, &block.text);
            let output = project.bue(&["run", name]);
            assert_eq!(output.code, 0, "{}: {name}:\n{}\n{}", page.display(), block.text, output.stderr);
            assert!(!output.stdout.is_empty(), "{}: {name} prints nothing", page.display());
            if page.ends_with("README.md") {
                let shown = fs::read_to_string(page).expect("a page").contains(output.stdout.trim());
                assert!(shown, "README.md does not show the result:\n{}", output.stdout);
            }
            run += 1;
        }
    }
    assert!(run >= 2 && not_run <= 8, "{run} scripts were run, {not_run} were not");
}

/// The examples of corrected mistakes are fragments: many only set something, and print nothing.
#[test]
fn every_corrected_example_of_the_page_on_errors_is_accepted() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/errors.md");
    let blocks = blocks(&page);
    let project = folder_of(&blocks);
    let right: Vec<&Block> = blocks.iter().filter(|block| block.info == "bue right").collect();
    assert!(right.len() >= 50, "only {} examples", right.len());
    for block in right {
        project.write("x.bue", &block.text);
        let json = project.bue(&["check", "--json", "x.bue"]).json();
        let complaints = json["complaints"].as_array().expect("a list");
        let is_unexpected = |one: &&serde_json::Value| {
            one["severity"] == "error" && !BESIDE_THE_SCRIPT.contains(&one["code"].as_str().unwrap_or_default())
        };
        let errors: Vec<_> = complaints.iter().filter(is_unexpected).collect();
        assert!(errors.is_empty(), "{}\n{errors:?}", block.text);
    }
}
