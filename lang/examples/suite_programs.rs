//! Writes each program of `lang/suite` to a separate file, byte for byte: seeds for the fuzzer.
//! `cargo run -p bue-lang --example suite_programs -- FOLDER`
#![expect(clippy::expect_used, reason = "a tool for developers: it stops at the first thing that is wrong")]

use std::path::{Path, PathBuf};

// The test that reads the suite and this tool share its parser, and nothing else does: no reason for a crate.
#[expect(dead_code, reason = "the test uses the rest")]
#[path = "../tests/it/suite/case.rs"]
mod case;

fn main() {
    let folder = PathBuf::from(std::env::args_os().nth(1).expect("the folder to write to"));
    std::fs::create_dir_all(&folder).expect("to make the folder");
    let files = case::suite_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("suite"));
    for case in files.iter().flat_map(|file| &file.cases) {
        std::fs::write(folder.join(&case.name).with_extension("bue"), case.program()).expect("to write a program");
    }
}
