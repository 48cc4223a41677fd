//! A folder with files, in which `bue` runs.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Once;

use bue_test_support::process;
use serde_json::Value;
use tempfile::TempDir;

/// A folder that is deleted after the test.
pub(crate) struct Project {
    folder: TempDir,
}

/// The exit code and output of a command.
#[derive(Debug)]
pub(crate) struct CommandOutput {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Project {
    /// Creates a folder with these files.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let project = Self { folder: TempDir::new().expect("a folder") };
        for (path, text) in files {
            project.write(path, text);
        }
        project
    }

    /// Creates a folder with a script called `x.bue`.
    pub(crate) fn script(text: &str) -> Self {
        Self::new(&[("x.bue", text)])
    }

    /// Copies a folder of examples/ to a place outside the project.
    pub(crate) fn example(name: &str) -> Self {
        let project = Self::new(&[]);
        project.add_example(name);
        project
    }

    /// Copies a folder of examples/ to here.
    pub(crate) fn add_example(&self, name: &str) {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
        for path in files_of_example(&example) {
            let text = fs::read_to_string(example.join(&path)).expect("a text file");
            self.write(path.to_str().expect("UTF-8"), &text);
        }
    }

    pub(crate) fn folder(&self) -> &TempDir {
        &self.folder
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// Writes a file. The user of the tests trusts the settings that they write.
    pub(crate) fn write(&self, path: &str, text: &str) {
        self.write_untrusted(path, text);
        if [".env", "bue.toml"].contains(&path) {
            // a file that cannot be parsed is not trusted, and every command says so
            finish(self.command(&["trust"]));
        }
    }

    /// Writes a file, as somebody else would.
    pub(crate) fn write_untrusted(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        fs::write(path, text).expect("a file");
    }

    /// Returns the command without running it.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = bue();
        command.args(arguments).current_dir(self.folder.path());
        command
    }

    /// Runs `bue` here. It must not panic or leave files behind.
    pub(crate) fn bue(&self, arguments: &[&str]) -> CommandOutput {
        let before = self.files();
        let output = finish(self.command(arguments));
        assert_eq!(self.files(), before, "stray files after bue {arguments:?}");
        output
    }

    /// Runs `bue` here; it may write files.
    pub(crate) fn bue_writes(&self, arguments: &[&str]) -> CommandOutput {
        finish(self.command(arguments))
    }

    /// Runs `bue run x.bue --json`, with the sandbox prepared before.
    pub(crate) fn run(&self) -> CommandOutput {
        prepare();
        self.bue(&["run", "x.bue", "--json"])
    }

    /// Returns the paths of all files and folders here.
    pub(crate) fn files(&self) -> BTreeSet<PathBuf> {
        let mut files = BTreeSet::new();
        collect_files(self.folder.path(), &mut files);
        files
    }
}

impl CommandOutput {
    /// Checks the exit code.
    #[track_caller]
    pub(crate) fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Parses stdout as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}\nstdout:\n{}\nstderr:\n{}", self.stdout, self.stderr))
    }

    /// Returns the values of the call statements, in order, from the output of `--json`.
    #[track_caller]
    pub(crate) fn values(&self) -> Vec<Value> {
        let results = self.json()["results"].as_array().expect("a list").clone();
        results.into_iter().map(|result| result["value"].clone()).collect()
    }

    /// Returns the value of the last call statement, from the output of `--json`.
    #[track_caller]
    pub(crate) fn last(&self) -> Value {
        self.values().pop().expect("a result")
    }

    /// Returns the id of the run that `bue upload --wait` has printed.
    #[track_caller]
    pub(crate) fn run_id(&self) -> String {
        let id = self.stderr.lines().find_map(|line| line.strip_prefix("bue: run "));
        id.unwrap_or_else(|| panic!("no id of a run:\n{}", self.stderr)).to_owned()
    }

    /// Checks that stderr contains all of these.
    #[track_caller]
    pub(crate) fn expect_stderr(&self, parts: &[&str]) {
        for part in parts {
            assert!(self.stderr.contains(part), "no `{part}` in stderr:\n{}\nstdout:\n{}", self.stderr, self.stdout);
        }
    }
}

/// Returns the command `bue`, with a cache that all tests share and without the settings of the user who runs the tests.
pub(crate) fn bue() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bue"));
    for (name, _) in std::env::vars_os() {
        let is_setting = name.to_str().is_some_and(|name| {
            ["BUE_", "PIPE_", "PIPELINE_", "BUCKET_", "POSTGRES_", "WORKER_", "USING_", "BUELON_", "AWS_", "OTEL_"]
                .iter()
                .any(|prefix| name.starts_with(prefix))
        });
        if is_setting {
            command.env_remove(name);
        }
    }
    command.env("BUE_CACHE_DIR", cache_dir()).env("BUE_STATE_DIR", state_dir());
    // no settings of the user who runs the tests
    command.env("BUE_CONFIG_DIR", cache_dir().with_file_name("config"));
    command.env_remove("ENV_PATH").stdin(Stdio::null());
    command
}

/// Gives a command the changes that another one makes to the environment.
pub(crate) fn copy_environment(from: &Command, to: &mut Command) {
    for (name, value) in from.get_envs() {
        match value {
            Some(value) => to.env(name, value),
            None => to.env_remove(name),
        };
    }
}

/// Prepares the Python sandbox once, so that no test waits for it at a point where it expects to be quick.
pub(crate) fn prepare() {
    static PREPARED: Once = Once::new();
    PREPARED.call_once(|| {
        let project = Project::script(&python("one", "def one():\n    return 1", "one()"));
        project.bue(&["run", "x.bue", "--json"]).expect_code(0);
    });
}

/// A script with one inline Python step and its calls.
pub(crate) fn python(name: &str, code: &str, calls: &str) -> String {
    format!("{}\n{calls}\n", step(name, code))
}

/// An inline Python step whose function has the step's name.
pub(crate) fn step(name: &str, code: &str) -> String {
    format!("{name}:\n    python\n    {name}\n    `\n{code}\n`\n")
}

/// The folder of the key of that cache.
pub(crate) fn state_dir() -> PathBuf {
    cache_dir().with_file_name("state")
}

/// The cache of prepared sandboxes and packages.
pub(crate) fn cache_dir() -> &'static Path {
    Path::new(concat!(env!("CARGO_TARGET_TMPDIR"), "/cache"))
}

pub(crate) fn finish(mut command: Command) -> CommandOutput {
    finish_command(&mut command)
}

pub(crate) fn finish_command(command: &mut Command) -> CommandOutput {
    let output = process::output(command).expect("bue starts");
    let result = CommandOutput {
        code: output.status.code().expect("an exit code, not a signal"),
        stdout: String::from_utf8(output.stdout).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8"),
    };
    for word in ["panicked", "RUST_BACKTRACE", "a bug in bue"] {
        assert!(!result.stderr.contains(word), "a panic reached the user:\n{}", result.stderr);
    }
    result
}

/// Returns the paths of an example's files, relative to its folder, without what was built there.
fn files_of_example(example: &Path) -> Vec<PathBuf> {
    let mut files = BTreeSet::new();
    collect_files(example, &mut files);
    let relative = files.iter().filter(|path| path.is_file()).filter_map(|path| path.strip_prefix(example).ok());
    let is_built = |path: &Path| path.iter().any(|part| part == "target" || part == "bue-sdk" || part == "__pycache__");
    relative.filter(|path| !is_built(path)).map(Path::to_owned).collect()
}

fn collect_files(folder: &Path, files: &mut BTreeSet<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect_files(&path, files);
        }
        files.insert(path);
    }
}
