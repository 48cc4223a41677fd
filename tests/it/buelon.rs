//! Buelon's own files, as its versions on PyPI have them. They are fetched once into the target directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::project::{CommandOutput, Project, prepare};

/// A version on PyPI, the options with which pip finds its wheel, and its script.
struct Version {
    version: &'static str,
    options: &'static [&'static str],
    script: &'static str,
}

/// The wheels of August 2024 are for macOS only. Nothing of them is executed but their templates, in the sandbox.
const MACOS: &[&str] =
    &["--platform=macosx_10_9_universal2", "--python-version=311", "--implementation=cp", "--abi=cp311"];

const AUGUST_2024: Version = Version { version: "1.0.9", options: MACOS, script: "example.bue" };
const V78: Version = Version { version: "1.0.78", options: &[], script: "example.bue" };
const V79: Version = Version { version: "1.0.79a21", options: &[], script: "example.boo" };

impl Version {
    /// The folder with the wheel's files.
    fn files(&self) -> PathBuf {
        let parent = Path::new(env!("CARGO_TARGET_TMPDIR")).join("buelon");
        let folder = parent.join(self.version);
        if !folder.is_dir() {
            fs::create_dir_all(&parent).expect("a folder");
            // made beside it, so that a folder is there only when it is complete
            let half = tempfile::tempdir_in(&parent).expect("a folder");
            self.download(half.path());
            assert!(fs::rename(half.path(), &folder).is_ok() || folder.is_dir(), "{}", folder.display());
        }
        folder
    }

    fn download(&self, folder: &Path) {
        let package = format!("buelon=={}", self.version);
        let pip = ["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", "."];
        python(folder, &[&pip[..], self.options, &[package.as_str()]].concat());
        let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
        let wheels: Vec<String> = entries.map(|path| path.display().to_string()).collect();
        let [wheel] = wheels.as_slice() else { panic!("{wheels:?}") };
        python(folder, &["-m", "zipfile", "-e", wheel, "."]);
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.files().join(path)).expect("a file of the wheel")
    }

    /// The folder that its `bue example` leaves: the script, and `example.py` without what is between the marks `# remove`.
    fn template(&self) -> Project {
        let module = self.read("buelon/examples/example.py");
        let (before, rest) = module.split_once("# remove start").expect("a mark");
        let (_, after) = rest.split_once("# remove end").expect("a mark");
        let script = self.read(&format!("buelon/examples/{}", self.script));
        Project::new(&[(self.script, script.as_str()), ("example.py", &format!("{before}{after}"))])
    }
}

#[track_caller]
fn python(folder: &Path, arguments: &[&str]) {
    let output = Command::new("python3").args(arguments).current_dir(folder).output().expect("python3");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "this test needs files of PyPI, through pip: python3 {arguments:?}\n{error}");
}

fn run(project: &Project, script: &str) -> CommandOutput {
    prepare();
    project.bue(&["run", script, "--json"])
}

/// Each template counts its polls with `counter`, which needs a file that all jobs share. Until that call, everything works:
/// the imports of `sqlite3`, `buelon.hub` and the others, the loop, and the step before.
#[test]
fn the_templates_are_imported_and_run_until_they_need_a_shared_file() {
    for version in [AUGUST_2024, V78, V79] {
        let project = version.template();
        assert_eq!(project.bue(&["check", version.script]).expect_code(0).stderr, "", "{}", version.version);
        let output = run(&project, version.script).expect_code(1);
        let json = output.json();
        let failed = json["failed"].as_array().expect("a list");
        assert!(!failed.is_empty(), "{json}");
        for failure in failed {
            let text = failure.to_string();
            assert!(text.contains("status"), "{text}");
            assert!(text.contains("`buelon.core.pipe_debug.counter` does not work in a step"), "{text}");
            assert!(text.contains("`!for 1h`"), "{text}");
        }
    }
}

#[test]
fn the_functions_of_the_templates_work_in_a_script_of_ones_own() {
    const SCRIPT: &str = "\
import python (accounts, request_report, get_report) example.py
rows:
    sqlite3
    some_table
    `SELECT name, count(*) AS n, sum(sales) AS sales FROM some_table GROUP BY name`
all = request_report | get_report | rows
for account in accounts():
    all(account)
";
    for version in [AUGUST_2024, V78, V79] {
        let project = version.template();
        project.write("x.bue", SCRIPT);
        let rows = rows(project.run().expect_code(0).last());
        let names: Vec<&str> = rows.iter().filter_map(|row| row["name"].as_str()).collect();
        assert_eq!(names, ["mr. business", "mrs. business", "sr. business"], "{rows:?}");
        assert!(rows.iter().all(|row| row["n"] == 49), "{rows:?}");
    }
}

/// The rows in a value, however deep in lists.
fn rows(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items.into_iter().flat_map(rows).collect(),
        row => vec![row],
    }
}

#[test]
fn what_a_template_stores_in_a_file_is_an_error_that_says_what_to_use() {
    let project = V78.template();
    project.write("x.bue", "import python (accounts, upload_to_db) example.py\nx = accounts | upload_to_db\nx()\n");
    let text = project.run().expect_code(1).json().to_string();
    assert!(text.contains("unable to open database file 'test.db': a step can write in /tmp only"), "{text}");
}

#[test]
fn the_example_of_the_readme_runs_to_its_end() {
    let readme = V79.read("buelon-1.0.79a21.dist-info/METADATA");
    let block = |heading: &str| {
        let (_, rest) = readme.split_once(&format!("#### {heading}\n")).expect("a heading");
        let (_, rest) = rest.split_once("```").expect("a block");
        let (_, rest) = rest.split_once('\n').expect("a line");
        rest.split_once("\n```").expect("an end").0.to_owned() + "\n"
    };
    let project =
        Project::new(&[("example.boo", &block("example.boo")), ("example.py", &block("example.py")), ("x.txt", "")]);
    let json = run(&project, "example.boo").expect_code(0).json();
    assert_eq!(json["state"], "completed", "{json}");
}

#[test]
fn the_predecessors_imports_work() {
    const CODE: &str = "\
import time
import sqlite3
import pipeline
import sqlite3_helper
import postgres
import step
import pipe_debug
counter = pipe_debug.counter

def get_status(data: dict) -> tuple[step.StepStatus, dict] | dict:
    if data.get('status') == 'failed':
        return step.StepStatus.cancel, data
    return data

def accounts(*args):
    return {'status': 'success', 'id': 123}
";
    let script = "import python (accounts, get_status) example.py\nx = accounts | get_status\nx()\n";
    let project = Project::new(&[("x.bue", script), ("example.py", CODE)]);
    assert_eq!(project.bue(&["check", "x.bue"]).expect_code(0).stderr, "");
    assert_eq!(project.run().expect_code(0).last()["id"], 123);
}

/// Every setting that a script of the newest version may have is accepted, or refused with what to write instead.
#[test]
fn every_setting_of_the_newest_version_is_known() {
    let interpreter = V79.read("buelon/core/pipe_interpreter.py");
    let (_, rest) = interpreter.split_once("'job args': {").expect("the settings");
    let (settings, _) = rest.split_once("\n    }").expect("an end");
    let names: Vec<&str> =
        settings.lines().filter_map(|line| line.trim().strip_prefix('\'')?.split('\'').next()).collect();
    assert!(names.contains(&"timeout") && names.contains(&"max_reroutes"), "{names:?}");
    for name in names {
        let value = if name == "scope" { "default" } else { "5" };
        let project = Project::new(&[
            ("x.bue", &format!("!{name} {value}\nimport python (f) s.py\nf()\n")),
            ("s.py", "def f(): pass\n"),
        ]);
        let output = project.bue(&["check", "x.bue"]);
        if output.code != 0 {
            output.expect_stderr(&[&format!("`!{name}`"), "help: "]);
        }
    }
}
