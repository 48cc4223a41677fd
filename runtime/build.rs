//! Builds the guests, `guest-sdk/python` and `guest-sdk/sqlite`, and writes them compressed into `OUT_DIR` for the engine to
//! embed.
//!
//! The guests are a separate workspace with its own target, pins and profile, so a nested cargo builds them with its own lock
//! file and target directory: in a shared directory the two cargos would deadlock on its lock. Debug builds, release
//! builds, tests and clippy share that directory.
//!
//! Linking the Python guest takes minutes, so each guest is cached there under a hash of everything it is built from: another
//! clone, branch or worktree with the same sources reuses it.

use std::collections::BTreeSet;
use std::env;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{self, Command, ExitCode};
use std::time::{Instant, SystemTime};

#[path = "../guest-sdk/locked_package.rs"]
mod locked_package;
#[path = "../guest-sdk/patches.rs"]
mod patches;

use locked_package::variable;
use patches::{OMITTED, PATCHES};

const TARGET: &str = "wasm32-wasip1";
/// The variable that names the clang to use.
const CLANG: &str = "BUE_CLANG";
/// Levels of compression. Every change of a guest pays for compression, the first start for decompression, which takes the same
/// time for both: the quick level needs a second or two, the thorough one twenty, for a tenth less.
const QUICK_ZSTD_LEVEL: i32 = 9;
const THOROUGH_ZSTD_LEVEL: i32 = 19;
/// What all guests are built from, relative to the project, with the build scripts of both workspaces.
const SHARED_SOURCES: [&str; 12] = [
    "guest-sdk/.cargo",
    "guest-sdk/Cargo.toml",
    "guest-sdk/Cargo.lock",
    "guest-sdk/contract",
    "guest-sdk/locked_package.rs",
    "guest-sdk/patches",
    "guest-sdk/patches.rs",
    "guest-sdk/sqlite3",
    "model/src",
    "model/Cargo.toml",
    "rust-toolchain.toml",
    "runtime/build.rs",
];
const GUESTS: [Guest; 2] = [
    Guest {
        package: "bue-python-guest",
        file: "bue_python_guest.wasm",
        hash_variable: "BUE_PYTHON_GUEST_HASH",
        sources: &["guest-sdk/python"],
        time: "minutes",
    },
    Guest {
        package: "bue-sqlite-guest",
        file: "bue_sqlite_guest.wasm",
        hash_variable: "BUE_SQLITE_GUEST_HASH",
        sources: &["guest-sdk/sqlite", "sql/src", "sql/Cargo.toml"],
        time: "half a minute",
    },
];
/// Guests kept in the cache, of twelve megabytes at most: enough to switch between half as many branches without a rebuild.
const MAX_CACHED_GUESTS: usize = 32;
/// Prefixes of environment variables that configure the outer build and must not configure the nested one.
const OUTER_BUILD_PREFIXES: [&str; 4] = ["CARGO", "RUSTC", "RUSTFLAGS", "RUSTDOC"];
/// Prefixes of the exceptions: where cargo's files are and how it reaches the network.
const INHERITED_PREFIXES: [&str; 5] = ["CARGO_HOME", "CARGO_HTTP", "CARGO_NET", "CARGO_REGISTR", "CARGO_SOURCE"];

type Result<T> = core::result::Result<T, String>;

/// A guest.
struct Guest {
    package: &'static str,
    /// The file that cargo makes.
    file: &'static str,
    /// The variable in which the crate finds the hash of the module.
    hash_variable: &'static str,
    /// What it is built from beside [`SHARED_SOURCES`].
    sources: &'static [&'static str],
    /// How long the first build takes.
    time: &'static str,
}

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            for line in message.lines() {
                println!("cargo::error={line}");
            }
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<()> {
    let runtime = variable("CARGO_MANIFEST_DIR")?;
    let project = runtime.parent().ok_or("the crate is not inside the project")?;
    let target_dir = target_dir()?;
    let compilers = [rustc_output(&["-vV"])?, clang_version()?].concat();
    let level = zstd_level()?;
    for guest in &GUESTS {
        for source in guest.all_sources() {
            println!("cargo::rerun-if-changed={}", project.join(source).display());
        }
        let compressed = guest.compressed(project, &target_dir, &compilers, level)?;
        let out = variable("OUT_DIR")?.join(format!("{}.zst", guest.file));
        fs::write(&out, &compressed).map_err(|error| format!("cannot write {}: {error}", out.display()))?;
        let wasm = zstd::stream::decode_all(compressed.as_slice())
            .map_err(|error| format!("cannot decompress the guest: {error}"))?;
        println!("cargo::rustc-env={}={}", guest.hash_variable, blake3::hash(&wasm).to_hex());
    }
    Ok(())
}

impl Guest {
    fn all_sources(&self) -> impl Iterator<Item = &'static str> {
        SHARED_SOURCES.iter().chain(self.sources).copied()
    }

    /// Returns the compressed guest, from the cache if it is there.
    fn compressed(&self, project: &Path, target_dir: &Path, compilers: &[u8], level: i32) -> Result<Vec<u8>> {
        let cache = target_dir.join("by-content");
        let cached = cache.join(format!("{}.{level}.wasm.zst", self.sources_hash(project, compilers)?));
        if let Ok(compressed) = fs::read(&cached) {
            return Ok(compressed);
        }
        let wasm = self.compile(&project.join("guest-sdk"), target_dir)?;
        let wasm = fs::read(&wasm).map_err(|error| format!("cannot read {}: {error}", wasm.display()))?;
        let compressed =
            zstd::bulk::compress(&wasm, level).map_err(|error| format!("cannot compress the guest: {error}"))?;
        store(&cache, &cached, &compressed).map_err(|error| format!("cannot write {}: {error}", cached.display()))?;
        Ok(compressed)
    }

    /// Hashes the compilers' versions, and the path and content of every source file.
    fn sources_hash(&self, project: &Path, compilers: &[u8]) -> Result<String> {
        let mut files = Vec::new();
        for source in self.all_sources() {
            list_files(&project.join(source), &mut files).map_err(|error| format!("cannot read {source}: {error}"))?;
        }
        files.sort();
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.package.as_bytes()).update(compilers);
        for file in files {
            let content = fs::read(&file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
            let name = file.strip_prefix(project).unwrap_or(&file).to_string_lossy().into_owned();
            // lengths first, so that no two lists of files feed the hasher the same bytes
            hasher.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes());
            hasher.update(&(content.len() as u64).to_le_bytes()).update(&content);
        }
        Ok(hasher.finalize().to_hex().to_string())
    }

    fn compile(&self, guests: &Path, target_dir: &Path) -> Result<PathBuf> {
        add_target()?;
        let Self { package, file, time, .. } = self;
        print_to_terminal(&format!(
            "bue: building {package} in {} (the first time takes {time})",
            target_dir.display()
        ));
        let started = Instant::now();
        let mut cargo = without_outer_build(Command::new(variable("CARGO")?));
        // RustPython's crates declare a newer Rust than they need
        cargo.args(["build", "--release", "--locked", "--ignore-rust-version", "--target", TARGET, "-p", package]);
        cargo.args(["--config", &rename_registry()?, "--config", &patched_packages(guests, target_dir)?]);
        cargo.arg("--target-dir").arg(target_dir).current_dir(guests);
        let status = cargo.status().map_err(|error| format!("cannot run cargo: {error}"))?;
        if !status.success() {
            return Err(format!(
                "{package} does not build ({status}); cargo's error is above. To see it alone, type\n\
                 cd {} && cargo build --release --locked --ignore-rust-version --target {TARGET} -p {package}",
                guests.display()
            ));
        }
        print_to_terminal(&format!("bue: {package} is built ({:.0} s)", started.elapsed().as_secs_f32()));
        Ok(target_dir.join(TARGET).join("release").join(file))
    }
}

fn list_files(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if !path.is_dir() {
        files.push(path.to_path_buf());
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        let entry = entry?.path();
        // written by Python when it imports the files beside it
        if entry.file_name().is_none_or(|name| name != "__pycache__") {
            list_files(&entry, files)?;
        }
    }
    Ok(())
}

/// Writes the file atomically, because builds of other profiles may be reading it, and removes the oldest files.
fn store(cache: &Path, cached: &Path, compressed: &[u8]) -> io::Result<()> {
    fs::create_dir_all(cache)?;
    let unfinished = cache.join(format!("{}.unfinished", process::id()));
    fs::write(&unfinished, compressed)?;
    fs::rename(&unfinished, cached)?;
    let mut by_age = Vec::new();
    for entry in fs::read_dir(cache)? {
        let entry = entry?;
        by_age.push((entry.metadata()?.modified().unwrap_or(SystemTime::UNIX_EPOCH), entry.path()));
    }
    by_age.sort();
    for (_, oldest) in by_age.iter().take(by_age.len().saturating_sub(MAX_CACHED_GUESTS)) {
        fs::remove_file(oldest)?;
    }
    Ok(())
}

/// Only what users install has to be small.
fn zstd_level() -> Result<i32> {
    let profile = variable("PROFILE")?;
    Ok(if profile.as_os_str() == "release" { THOROUGH_ZSTD_LEVEL } else { QUICK_ZSTD_LEVEL })
}

/// `guests` beside the profiles' directories: `OUT_DIR` is `<root>/<profile>/build/<package>/out`.
fn target_dir() -> Result<PathBuf> {
    let out = variable("OUT_DIR")?;
    let root = out.ancestors().nth(4).ok_or_else(|| format!("no target directory above {}", out.display()))?;
    Ok(root.join("guests"))
}

/// Installs the standard library for the guests' target if it is missing.
fn add_target() -> Result<()> {
    if has_target()? {
        return Ok(());
    }
    print_to_terminal(&format!("bue: adding the Rust target {TARGET}"));
    let mut rustup = Command::new("rustup");
    rustup.args(["target", "add", TARGET]);
    if let Ok(toolchain) = env::var("RUSTUP_TOOLCHAIN") {
        rustup.args(["--toolchain", &toolchain]);
    }
    let added = rustup.status().is_ok_and(|status| status.success());
    match added && has_target()? {
        true => Ok(()),
        false => Err(format!(
            "the guests need the Rust target {TARGET}, which is not installed and could not be added. Type\n\
             rustup target add {TARGET}\n\
             and build again. (Without rustup: install your distribution's standard library of Rust for {TARGET}.)"
        )),
    }
}

fn has_target() -> Result<bool> {
    let sysroot = rustc_output(&["--print", "sysroot"])?;
    let sysroot = String::from_utf8_lossy(&sysroot);
    Ok(Path::new(sysroot.trim()).join("lib/rustlib").join(TARGET).join("lib").is_dir())
}

/// Returns what clang says about itself. It compiles SQLite, which is part of both guests.
fn clang_version() -> Result<Vec<u8>> {
    println!("cargo::rerun-if-env-changed={CLANG}");
    let clang = env::var(CLANG).unwrap_or_else(|_| "clang".to_owned());
    let output = Command::new(&clang).arg("--version").output();
    let output = output.ok().filter(|output| output.status.success()).ok_or_else(|| {
        format!(
            "the guests contain SQLite, which clang compiles, and `{clang}` cannot be run. Type\n\
             sudo apt-get install -y clang\n\
             and build again. ({CLANG}=clang-19 names another clang; version 14 or later works.)"
        )
    })?;
    Ok(output.stdout)
}

fn rustc_output(args: &[&str]) -> Result<Vec<u8>> {
    let rustc = variable("RUSTC")?;
    let output = Command::new(&rustc).args(args).output();
    Ok(output.map_err(|error| format!("cannot run {}: {error}", rustc.display()))?.stdout)
}

/// Removes the outer build's settings from the command's environment.
fn without_outer_build(mut command: Command) -> Command {
    let has_prefix = |name: &str, list: &[&str]| list.iter().any(|prefix| name.starts_with(prefix));
    for (name, _) in env::vars_os() {
        let Some(name) = name.to_str() else { continue };
        if has_prefix(name, &OUTER_BUILD_PREFIXES) && !has_prefix(name, &INHERITED_PREFIXES) {
            command.env_remove(name);
        }
    }
    command.env_remove("MAKEFLAGS").env_remove("TARGET").env_remove("HOST").env_remove("PROFILE");
    command
}

/// Makes the patched copies of packages. Returns the setting that uses them in place of the originals. The copies have the same
/// versions, so that the lock file applies.
fn patched_packages(guests: &Path, target_dir: &Path) -> Result<String> {
    let patched = PATCHES.iter().map(|patch| patch.package);
    let packages: BTreeSet<&str> = patched.chain(OMITTED.iter().map(|(package, _)| *package)).collect();
    let mut copies = Vec::new();
    for package in packages {
        let mut cargo = without_outer_build(Command::new(variable("CARGO")?));
        cargo.current_dir(guests);
        let original = locked_package::folder(package, TARGET, cargo)?;
        let copy = target_dir.join("patched").join(package);
        copy_patched(package, &original, &copy)?;
        copies.push(format!("{:?}", copy.display().to_string()));
    }
    Ok(format!("paths=[{}]", copies.join(",")))
}

/// Copies a package, without what the guests leave out. A file that has not changed is left alone, so that cargo does not compile it
/// again.
fn copy_patched(package: &str, original: &Path, copy: &Path) -> Result<()> {
    let mut files = Vec::new();
    list_files(original, &mut files).map_err(|error| format!("cannot read {}: {error}", original.display()))?;
    for file in files {
        let name = file.strip_prefix(original).unwrap_or(&file);
        let target = copy.join(name);
        if is_omitted(package, name) {
            // in a copy that was made before
            let removed = if target.exists() { fs::remove_file(&target) } else { Ok(()) };
            removed.map_err(|error| format!("cannot remove {}: {error}", target.display()))?;
            continue;
        }
        let content = fs::read(&file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
        let content = patched(package, name, content)?;
        if fs::read(&target).is_ok_and(|existing| existing == content) {
            continue;
        }
        let written = target.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&target, content));
        written.map_err(|error| format!("cannot write {}: {error}", target.display()))?;
    }
    Ok(())
}

fn is_omitted(package: &str, name: &Path) -> bool {
    OMITTED.iter().any(|(of, path)| *of == package && name.starts_with(path))
}

/// Applies the patches of a file.
fn patched(package: &str, name: &Path, content: Vec<u8>) -> Result<Vec<u8>> {
    let mut patches =
        PATCHES.iter().filter(|patch| patch.package == package && Path::new(patch.file) == name).peekable();
    if patches.peek().is_none() {
        return Ok(content);
    }
    let mut text = String::from_utf8(content).map_err(|error| format!("{}: {error}", name.display()))?;
    for patch in patches {
        if text.matches(patch.from).count() != 1 {
            return Err(format!("a patch of {package} in guest-sdk/patches.rs does not fit {}", name.display()));
        }
        text = text.replacen(patch.from, patch.to, 1);
    }
    Ok(text.into_bytes())
}

/// Returns the setting that names the sources of dependencies without the folder of this user's cargo: the messages of panics name
/// them, and so every user of the binary would see it. It is added to the flags in `guest-sdk/.cargo`.
fn rename_registry() -> Result<String> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")));
    let home = home.ok_or("neither CARGO_HOME nor HOME is set")?;
    let flag = format!("--remap-path-prefix={}=cargo", home.display());
    Ok(format!("target.{TARGET}.rustflags=[{flag:?}]"))
}

/// Prints to the terminal itself, because cargo hides the output of build scripts. Does nothing without a terminal.
fn print_to_terminal(line: &str) {
    if let Ok(mut terminal) = OpenOptions::new().write(true).open("/dev/tty") {
        let _ = writeln!(terminal, "{line}");
    }
}
