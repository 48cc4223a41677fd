//! Builds the guests of `tests/programs` once, with a separate cargo, in a folder of the target directory that the tests of the
//! command use too.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use bue_test_support::process;

/// Returns the component with the guests of the tests.
pub(crate) fn component() -> &'static [u8] {
    static BUILT: OnceLock<Vec<u8>> = OnceLock::new();
    BUILT.get_or_init(|| {
        build("guests", "wasm32-wasip2");
        read("wasm32-wasip2", "guests")
    })
}

/// Returns the component with all hostile guests.
pub(crate) fn evil() -> &'static [u8] {
    static BUILT: OnceLock<Vec<u8>> = OnceLock::new();
    BUILT.get_or_init(|| {
        build("evil/rust", "wasm32-wasip2");
        read("wasm32-wasip2", "evil_guests")
    })
}

/// Returns a plain command.
pub(crate) fn command(name: &str) -> Vec<u8> {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| build("commands", "wasm32-wasip1"));
    read("wasm32-wasip1", name)
}

fn target_dir() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache/build/rust")
}

fn build(package: &str, target: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/programs").join(package);
    add_target(target);
    let mut cargo = Command::new("cargo");
    for (name, _) in std::env::vars_os() {
        let is_of_outer_build =
            name.to_str().is_some_and(|name| name.starts_with("CARGO") || name.starts_with("RUSTFLAGS"));
        if is_of_outer_build && name != "CARGO_HOME" {
            cargo.env_remove(name);
        }
    }
    let cargo = cargo.args(["build", "--release", "--locked", "--quiet", "--target", target, "--target-dir"]);
    let status = cargo.arg(target_dir()).current_dir(&folder).status().expect("cargo");
    assert!(status.success(), "{} does not build", folder.display());
}

fn add_target(target: &str) {
    let output = process::output(Command::new("rustup").args(["target", "add", target]));
    assert!(output.is_ok_and(|output| output.status.success()), "type `rustup target add {target}`");
}

fn read(target: &str, name: &str) -> Vec<u8> {
    let path = target_dir().join(target).join("release").join(format!("{name}.wasm"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
