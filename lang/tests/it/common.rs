//! Reading and compiling programs.

use std::path::{Path, PathBuf};

use bue_lang::{Compiled, Script};

/// The folder of the crate.
pub(crate) fn here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The `.bue` files of a folder, sorted; none if there is no such folder.
pub(crate) fn programs(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut programs: Vec<_> = entries.filter(|path| path.extension().is_some_and(|end| end == "bue")).collect();
    programs.sort();
    programs
}

pub(crate) fn compile(text: &str) -> Compiled {
    bue_lang::compile(Script { path: "test.bue", text })
}

/// The codes of a script's diagnostics, in the order of the text.
pub(crate) fn codes(text: &str) -> Vec<&'static str> {
    compile(text).diagnostics.iter().map(|diagnostic| diagnostic.code).collect()
}
