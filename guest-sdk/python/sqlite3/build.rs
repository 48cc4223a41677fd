//! Compiles SQLite for the guest, and copies the source of Python's `_sqlite3`. Both are in locked packages: SQLite in
//! `libsqlite3-sys`, which needs a WASI SDK to compile it, the module in `rustpython-stdlib`, which compiles it for no
//! WebAssembly target.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// The variable that names the clang to use.
const CLANG: &str = "BUE_CLANG";

/// How SQLite is compiled: without an operating system (`src/vfs.rs`) and threads, with what Python's users expect.
const DEFINES: [&str; 13] = [
    "SQLITE_OS_OTHER=1",
    "SQLITE_THREADSAFE=0",
    "SQLITE_TEMP_STORE=3",
    "SQLITE_MAX_MMAP_SIZE=0",
    "SQLITE_OMIT_LOAD_EXTENSION",
    "SQLITE_ENABLE_API_ARMOR",
    "SQLITE_ENABLE_COLUMN_METADATA",
    "SQLITE_ENABLE_FTS5",
    "SQLITE_ENABLE_MATH_FUNCTIONS",
    "SQLITE_ENABLE_RTREE",
    "SQLITE_SOUNDEX",
    "HAVE_ISNAN",
    "HAVE_LOCALTIME_R",
];

type Result<T> = core::result::Result<T, String>;

fn main() -> ExitCode {
    for changed in ["build.rs", "include", "../Cargo.lock"] {
        println!("cargo::rerun-if-changed={changed}");
    }
    println!("cargo::rerun-if-env-changed={CLANG}");
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            println!("cargo::error={message}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<()> {
    let metadata = metadata()?;
    let out = variable("OUT_DIR")?;
    let module = package(&metadata, "rustpython-stdlib")?.join("src/_sqlite3.rs");
    fs::copy(&module, out.join("_sqlite3.rs")).map_err(|error| format!("cannot copy {}: {error}", module.display()))?;
    compile(&package(&metadata, "libsqlite3-sys")?.join("sqlite3/sqlite3.c"), &out)
}

/// Needs neither a C library nor a linker for WebAssembly: Rust's target brings both. The headers declare what SQLite uses.
fn compile(source: &Path, out: &Path) -> Result<()> {
    let (object, archive) = (out.join("sqlite3.o"), out.join("libsqlite3.a"));
    let mut clang = Command::new(env::var(CLANG).unwrap_or_else(|_| "clang".to_owned()));
    clang.args(["--target=wasm32-wasip1", "-O3", "-w", "-Werror=implicit-function-declaration", "-nostdlibinc"]);
    clang.arg("-isystem").arg(variable("CARGO_MANIFEST_DIR")?.join("include"));
    clang.args(DEFINES.map(|define| format!("-D{define}")));
    run(clang.arg("-c").arg(source).arg("-o").arg(&object))?;
    // an archive of WebAssembly needs no index, so that binutils' `ar` is enough
    let _ = fs::remove_file(&archive);
    run(Command::new("ar").arg("crSD").arg(&archive).arg(&object))?;
    println!("cargo::rustc-link-search=native={}", out.display());
    println!("cargo::rustc-link-lib=static=sqlite3");
    Ok(())
}

fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| {
        format!(
            "`{program}` cannot be run ({error}); it builds SQLite for the Python guest. Debian: apt-get install clang"
        )
    })?;
    let text = String::from_utf8_lossy(&output.stderr).replace('\n', " ");
    if output.status.success() { Ok(()) } else { Err(format!("{program} failed ({}): {text}", output.status)) }
}

/// What cargo knows of the locked packages.
fn metadata() -> Result<String> {
    let target = variable("TARGET")?.display().to_string();
    let mut cargo = Command::new(variable("CARGO")?);
    cargo.args(["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", &target]);
    let output = cargo.output().map_err(|error| format!("cannot run cargo metadata: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The folder of a locked package.
fn package(metadata: &str, name: &str) -> Result<PathBuf> {
    let manifests = metadata.split("\"manifest_path\":\"").skip(1).filter_map(|rest| rest.split('"').next());
    let mut folders = manifests.filter_map(|manifest| Path::new(manifest).parent());
    let found = folders.find(|folder| {
        let folder = folder.file_name().map(|folder| folder.to_string_lossy().into_owned()).unwrap_or_default();
        // with the version in cargo's registry, without it in a folder of vendored packages
        folder.strip_prefix(name).is_some_and(|rest| rest.is_empty() || is_version(rest))
    });
    found.map(Path::to_path_buf).ok_or_else(|| format!("cargo metadata does not list {name}"))
}

fn is_version(rest: &str) -> bool {
    rest.strip_prefix('-').is_some_and(|version| version.starts_with(|first: char| first.is_ascii_digit()))
}

fn variable(name: &str) -> Result<PathBuf> {
    env::var_os(name).map(PathBuf::from).ok_or_else(|| format!("cargo did not set {name}"))
}
