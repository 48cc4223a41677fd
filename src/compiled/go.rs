//! Steps in Go: a package with `main`, built to a plain command by the ordinary compiler, which knows WASI.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use bue_lang::BuildProblem;

use super::tool::{Tool, command};
use super::{folder_of, place};

const INSTALL: &str = "install Go 1.21 or later as go.dev says (Debian: `apt-get install golang`)";

/// Builds a package; the file with the module.
pub(super) fn build(path: &Path, step: &str, cache: &Path) -> Result<PathBuf, BuildProblem> {
    let made = place(path, cache, "go")?.join("step.wasm");
    let tool = Tool { program: OsStr::new("go"), install: INSTALL, step, source: path };
    tool.announce();
    let mut go = command(tool.program);
    go.args(["build", "-trimpath", "-ldflags=-s -w", "-o"]).arg(&made).arg(".");
    tool.run(go.env("GOOS", "wasip1").env("GOARCH", "wasm").current_dir(folder_of(path)))?;
    Ok(made)
}
