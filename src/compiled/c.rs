//! Steps in C and C++: all source files of a folder, or one file, built to a plain command by the WASI SDK's clang or by a
//! clang that has a WASI library beside it.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use bue_lang::BuildProblem;

use super::tool::{Tool, command};
use super::{place, problem};

const INSTALL: &str = "install the WASI SDK and set WASI_SDK_PATH to its folder, or clang with a WASI library (Debian: \
                       `apt-get install clang lld wasi-libc libclang-rt-dev-wasm32`)";
const TARGET: &str = "--target=wasm32-wasi";

/// A language of this compiler.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    compiler: &'static str,
    ends: &'static [&'static str],
}

pub(super) const C: Kind = Kind { compiler: "clang", ends: &["c"] };
pub(super) const CPP: Kind = Kind { compiler: "clang++", ends: &["cpp", "cc", "cxx", "c"] };

/// Builds the sources; the file with the module.
pub(super) fn build(path: &Path, step: &str, cache: &Path, kind: Kind) -> Result<PathBuf, BuildProblem> {
    let sources = sources(path, kind)?;
    let made = place(path, cache, "c")?.join("step.wasm");
    let program = compiler(kind);
    let tool = Tool { program: &program, install: INSTALL, step, source: path };
    tool.announce();
    let mut clang = command(tool.program);
    clang.args([TARGET, "-O2", "-o"]).arg(&made).args(sources);
    tool.run(&mut clang)?;
    Ok(made)
}

fn compiler(kind: Kind) -> OsString {
    match std::env::var_os("WASI_SDK_PATH") {
        Some(sdk) => Path::new(&sdk).join("bin").join(kind.compiler).into(),
        None => kind.compiler.into(),
    }
}

fn sources(path: &Path, kind: Kind) -> Result<Vec<PathBuf>, BuildProblem> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_source =
        |file: &PathBuf| file.extension().and_then(OsStr::to_str).is_some_and(|end| kind.ends.contains(&end));
    let mut sources: Vec<PathBuf> = entries.filter(is_source).collect();
    sources.sort();
    if sources.is_empty() {
        let message = format!("`{}` has no source files", path.display());
        return Err(problem(message, format!("put one into it, its name ending in .{}", kind.ends[0])));
    }
    Ok(sources)
}
