//! Steps in C and C++: all source files of a folder, or one file, built to a WASI command by the WASI SDK's clang, or by a clang
//! with a WASI library.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use bue_lang::BuildProblem;

use super::paths::create_output_folder;
use super::problem::problem_with_hint;
use super::tool::{Tool, command};

const INSTALL_HINT: &str = "install the WASI SDK and set WASI_SDK_PATH to its folder, or install clang with a WASI library \
                            (Debian: `apt-get install clang lld wasi-libc libclang-rt-dev-wasm32`, and for C++ \
                            `libc++-dev-wasm32 libc++abi-14-dev-wasm32`)";
const TARGET: &str = "--target=wasm32-wasi";

/// The compiler and source files of C or C++.
#[derive(Clone, Copy)]
pub(super) struct Dialect {
    compiler: &'static str,
    extensions: &'static [&'static str],
    flags: &'static [&'static str],
}

pub(super) const C: Dialect = Dialect { compiler: "clang", extensions: &["c"], flags: &[] };
/// WASI has no unwinder, so the C++ library is built without exceptions, and a program that throws does not link. C++17 is what
/// clang 14 and later all have whole.
pub(super) const CPP: Dialect =
    Dialect { compiler: "clang++", extensions: &["cpp", "cc", "cxx"], flags: &["-std=c++17", "-fno-exceptions"] };

/// Builds the sources and returns the file of the module.
pub(super) fn build(path: &Path, step: &str, cache: &Path, dialect: Dialect) -> Result<PathBuf, BuildProblem> {
    let sources = sources(path, dialect)?;
    let module = create_output_folder(path, cache, "c")?.join("step.wasm");
    let program = compiler(dialect);
    let tool = Tool { program: &program, install_hint: INSTALL_HINT, step, source: path };
    tool.announce();
    let mut clang = command(tool.program);
    clang.args([TARGET, "-O2"]).args(dialect.flags).arg("-o").arg(&module).args(sources.into_iter().map(as_argument));
    tool.run(&mut clang)?;
    Ok(module)
}

/// A file whose name begins with `-` would be an option, and one with `@` a file of options, such as one that loads a plugin into the
/// compiler.
fn as_argument(source: PathBuf) -> PathBuf {
    if source.is_relative() { Path::new(".").join(source) } else { source }
}

fn compiler(dialect: Dialect) -> OsString {
    match std::env::var_os("WASI_SDK_PATH") {
        Some(sdk) => Path::new(&sdk).join("bin").join(dialect.compiler).into(),
        None => dialect.compiler.into(),
    }
}

fn sources(path: &Path, dialect: Dialect) -> Result<Vec<PathBuf>, BuildProblem> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let files = fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_source = |file: &PathBuf| {
        let extension = file.extension().and_then(OsStr::to_str);
        extension.is_some_and(|extension| dialect.extensions.contains(&extension))
    };
    let mut sources: Vec<PathBuf> = files.filter(is_source).collect();
    sources.sort();
    if sources.is_empty() {
        let message = format!("`{}` has no source files", path.display());
        return Err(problem_with_hint(message, format!("add a file with the extension .{}", dialect.extensions[0])));
    }
    Ok(sources)
}
