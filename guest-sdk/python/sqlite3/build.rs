//! Copies the source of Python's `_sqlite3`. It is in the locked `rustpython-stdlib`, which compiles it for no WebAssembly
//! target.

use std::fs;
use std::process::ExitCode;

#[path = "../../locked_package.rs"]
mod locked_package;

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
    let module = locked_package::folder("rustpython-stdlib")?.join("src/_sqlite3.rs");
    let copied = fs::copy(&module, locked_package::variable("OUT_DIR")?.join("_sqlite3.rs"));
    copied.map(drop).map_err(|error| format!("cannot copy {}: {error}", module.display()))
}
