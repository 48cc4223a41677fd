//! Copies the source of Python's `_sqlite3`. It is in the locked `rustpython-stdlib`, which compiles it for no WebAssembly
//! target.

use std::fs;
use std::process::{Command, ExitCode};

#[path = "../../locked_package.rs"]
mod locked_package;

use locked_package::variable;

fn main() -> ExitCode {
    for changed in ["build.rs", "../../locked_package.rs", "../../Cargo.lock"] {
        println!("cargo::rerun-if-changed={changed}");
    }
    match copy_module() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            println!("cargo::error={message}");
            ExitCode::FAILURE
        }
    }
}

fn copy_module() -> Result<(), String> {
    let target = variable("TARGET")?.display().to_string();
    let mut cargo = Command::new(variable("CARGO")?);
    cargo.arg("--offline");
    let module = locked_package::folder("rustpython-stdlib", &target, cargo)?.join("src/_sqlite3.rs");
    let copied = fs::copy(&module, variable("OUT_DIR")?.join("_sqlite3.rs"));
    copied.map(drop).map_err(|error| format!("cannot copy {}: {error}", module.display()))
}
