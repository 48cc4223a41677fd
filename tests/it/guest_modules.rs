//! `src/deps/guest_modules.txt` lists what a step can import from the standard library, and `src/deps/guest_buelon.txt` which
//! modules of Buelon it can import. The guest itself says whether it is true.
//!
//! `BUE_BLESS=1 cargo test -p bue --test it guest_modules` rewrites the lists; read the difference before you commit it.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::project::Project;

/// Each module is imported in a sandbox of its own, because a failed import may leave others half initialized.
const SCRIPT: &str = "\
import python (modules, line, collect) probe.py
lines = [line(name) for name in modules()]
collect(lines)
";

const BUELON_SCRIPT: &str = "import python (buelon) probe.py\nbuelon()\n";

const PROBE: &str = r#"
import _imp
import importlib
import sys

# programs and tests, whose modules nobody imports
SKIPPED = ("idlelib", "lib2to3", "test", "turtledemo", "venv", "_pyrepl", "__hello", "__phello", "encodings.")

def modules():
    names = set(_imp._frozen_module_names()) | set(sys.builtin_module_names) | set(sys.stdlib_module_names)
    return sorted(name for name in names if not name.startswith(SKIPPED) and not name.endswith("__main__"))

def line(name):
    try:
        importlib.import_module(name)
    except BaseException:
        return "-" + name
    return name

def collect(lines):
    return lines

def buelon():
    from bue import _buelon
    names = {name for name in sys.modules if name.startswith("buelon")} | set(_buelon._OLD_NAMES)
    for name in names:
        importlib.import_module(name)
    return sorted(names)
"#;

const HEADER: &str = "\
# The modules of Python's standard library, as the guest has them. A step cannot import those behind a `-`.
# Of modules inside packages only these are listed. `BUE_BLESS=1 cargo test -p bue --test it guest_modules` rewrites the file.
";

const BUELON_HEADER: &str = "\
# The modules of Buelon and, without a package, of its predecessor, as the guest has them.
# `BUE_BLESS=1 cargo test -p bue --test it guest_modules` rewrites the file.
";

#[test]
fn the_list_of_modules_is_that_of_the_guest() {
    let project = Project::new(&[("x.bue", SCRIPT), ("probe.py", PROBE)]);
    let output = project.run().expect_code(0);
    let lines = output.last();
    let lines: Vec<&str> = lines.as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    expect_list("guest_modules.txt", &format!("{HEADER}{}\n", listed(&lines).join("\n")));
}

#[test]
fn the_list_of_buelons_modules_is_that_of_the_guest() {
    let project = Project::new(&[("x.bue", BUELON_SCRIPT), ("probe.py", PROBE)]);
    let names = project.run().expect_code(0).last();
    let names: Vec<&str> = names.as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    expect_list("guest_buelon.txt", &format!("{BUELON_HEADER}{}\n", names.join("\n")));
}

#[track_caller]
fn expect_list(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/deps").join(file);
    if std::env::var_os("BUE_BLESS").is_some() {
        fs::write(&path, text).expect("to write");
    }
    assert_eq!(fs::read_to_string(&path).expect("the list"), text);
}

/// Top-level modules, and modules of importable packages that cannot be imported themselves.
fn listed<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    let is_below_failed = |name: &str| {
        let parents = name.match_indices('.').filter_map(|(at, _)| name.get(..at));
        parents.into_iter().any(|parent| lines.iter().any(|line| line.strip_prefix('-') == Some(parent)))
    };
    let is_listed = |line: &&&str| match line.strip_prefix('-') {
        Some(name) => !is_below_failed(name),
        None => !line.contains('.'),
    };
    lines.iter().filter(is_listed).copied().collect()
}
