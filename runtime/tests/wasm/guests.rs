//! The guests of `tests/programs`, built once: by a cargo of its own, in the folder below the target directory that the tests
//! of the command use too.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The component with all cases.
pub(crate) fn component() -> &'static [u8] {
    static BUILT: OnceLock<Vec<u8>> = OnceLock::new();
    BUILT.get_or_init(|| {
        build("guests", "wasm32-wasip2");
        read("wasm32-wasip2", "guests")
    })
}

/// The component with all hostile guests.
pub(crate) fn evil() -> &'static [u8] {
    static BUILT: OnceLock<Vec<u8>> = OnceLock::new();
    BUILT.get_or_init(|| {
        build("evil/rust", "wasm32-wasip2");
        read("wasm32-wasip2", "evil_guests")
    })
}

/// A plain command.
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
        let outer = name.to_str().is_some_and(|name| name.starts_with("CARGO") || name.starts_with("RUSTFLAGS"));
        if outer && name != "CARGO_HOME" {
            cargo.env_remove(name);
        }
    }
    let cargo = cargo.args(["build", "--release", "--locked", "--quiet", "--target", target, "--target-dir"]);
    let built = cargo.arg(target_dir()).current_dir(&folder).status().expect("cargo");
    assert!(built.success(), "{} does not build", folder.display());
}

fn add_target(target: &str) {
    let added = Command::new("rustup").args(["target", "add", target]).output();
    assert!(added.is_ok_and(|added| added.status.success()), "type `rustup target add {target}`");
}

fn read(target: &str, name: &str) -> Vec<u8> {
    let path = target_dir().join(target).join("release").join(format!("{name}.wasm"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
