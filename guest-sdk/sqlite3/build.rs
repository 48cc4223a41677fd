//! Compiles SQLite for the guests. The source is in the locked `libsqlite3-sys`, which needs a WASI SDK to compile it.

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

#[path = "../locked_package.rs"]
mod locked_package;

use locked_package::variable;

/// The variable that names the clang to use.
const CLANG: &str = "BUE_CLANG";

/// How SQLite is compiled: without an operating system (`src/vfs.rs`) and threads, with what users of Python's `sqlite3` and of
/// SQL steps expect.
const DEFINES: [&str; 15] = [
    "SQLITE_OS_OTHER=1",
    "SQLITE_THREADSAFE=0",
    "SQLITE_TEMP_STORE=3",
    "SQLITE_MAX_MMAP_SIZE=0",
    "SQLITE_DEFAULT_MEMSTATUS=0",
    "SQLITE_OMIT_LOAD_EXTENSION",
    "SQLITE_ENABLE_API_ARMOR",
    "SQLITE_ENABLE_COLUMN_METADATA",
    "SQLITE_ENABLE_FTS5",
    "SQLITE_ENABLE_MATH_FUNCTIONS",
    "SQLITE_ENABLE_RTREE",
    "SQLITE_ENABLE_STAT4",
    "SQLITE_SOUNDEX",
    "HAVE_ISNAN",
    "HAVE_LOCALTIME_R",
];

type Result<T> = core::result::Result<T, String>;

fn main() -> ExitCode {
    for changed in ["build.rs", "include", "../locked_package.rs", "../Cargo.lock"] {
        println!("cargo::rerun-if-changed={changed}");
    }
    println!("cargo::rerun-if-env-changed={CLANG}");
    match compile() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            println!("cargo::error={message}");
            ExitCode::FAILURE
        }
    }
}

/// Needs neither a C library nor a linker for WebAssembly: Rust's target brings both. The headers declare what SQLite uses.
fn compile() -> Result<()> {
    let target = variable("TARGET")?.display().to_string();
    let mut cargo = Command::new(variable("CARGO")?);
    cargo.arg("--offline");
    let source = locked_package::folder("libsqlite3-sys", &target, cargo)?.join("sqlite3/sqlite3.c");
    let out = variable("OUT_DIR")?;
    let (object, archive) = (out.join("sqlite3.o"), out.join("libsqlite3.a"));
    let mut clang = Command::new(env::var(CLANG).unwrap_or_else(|_| "clang".to_owned()));
    clang.args(["--target=wasm32-wasip1", "-O3", "-w", "-Werror=implicit-function-declaration", "-nostdlibinc"]);
    clang.arg("-isystem").arg(variable("CARGO_MANIFEST_DIR")?.join("include"));
    clang.args(DEFINES.map(|define| format!("-D{define}")));
    run(clang.arg("-c").arg(source).arg("-o").arg(&object))?;
    archive_object(&object, &archive)?;
    println!("cargo::rustc-link-search=native={}", out.display());
    println!("cargo::rustc-link-lib=static=sqlite3");
    Ok(())
}

/// An archive of WebAssembly needs no index, so that binutils' `ar` is enough.
fn archive_object(object: &Path, archive: &Path) -> Result<()> {
    // one of an earlier build would be added to
    let _ = fs::remove_file(archive);
    run(Command::new("ar").arg("crSD").arg(archive).arg(object))
}

fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| {
        format!("`{program}` cannot be run ({error}); it builds SQLite for the guests. Debian: apt-get install clang")
    })?;
    let text = String::from_utf8_lossy(&output.stderr).replace('\n', " ");
    if output.status.success() { Ok(()) } else { Err(format!("{program} failed ({}): {text}", output.status)) }
}
