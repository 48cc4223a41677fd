//! The Python client: its own tests, in `clients/python/tests`, run against this binary.

use std::path::Path;
use std::process::{Command, Stdio};

use bue_test_support::process;

use crate::project::{bue, copy_environment, prepare};

/// Returns `python3`, with the cache of the tests and without the settings of the user who runs them.
fn python() -> Command {
    let mut command = Command::new("python3");
    copy_environment(&bue(), &mut command);
    command.env("BUE_BIN", env!("CARGO_BIN_EXE_bue")).env("PYTHONDONTWRITEBYTECODE", "1").stdin(Stdio::null());
    command
}

#[test]
fn the_tests_of_the_python_client_pass() {
    prepare();
    let mut command = python();
    command.args(["-m", "unittest"]).current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/python"));
    let output = process::output(&mut command).expect("python3 3.9 or later; Debian: apt-get install python3");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    let number = text.lines().find_map(|line| line.strip_prefix("Ran ")?.split(' ').next()?.parse::<u32>().ok());
    assert!(number.is_some_and(|number| number >= 70), "{text}");
}

/// A file of steps does the same in a test as in the sandbox.
#[test]
fn streams_are_the_same_file_as_in_the_sandbox() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(root.join(path)).expect("a file");
    assert_eq!(read("clients/python/bue/streams.py"), read("guest-sdk/python/lib/streams.py"));
}
