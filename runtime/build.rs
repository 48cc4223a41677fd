//! Builds the Python guest, `guest-sdk/python`, and leaves it packed in `OUT_DIR` for the engine to embed.
//!
//! The guest is a workspace of its own (its target, pins and profile are its own), so a cargo of its own builds it, with
//! its own lock file and in a target directory of its own: in a shared one the two would wait for each other's lock for
//! ever. Debug builds, release builds, tests and clippy share that directory.

use std::env;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

const TARGET: &str = "wasm32-wasip1";
const WASM: &str = "bue_python_guest.wasm";
/// Packing is paid for at every change of the guest, unpacking at the first start: this packs to a fifth in seconds.
const ZSTD_LEVEL: i32 = 9;
/// Variables beginning so steer the outer build and would steer the inner one the wrong way.
const OUTER: [&str; 4] = ["CARGO", "RUSTC", "RUSTFLAGS", "RUSTDOC"];
/// Variables that say where things are or how the network is reached.
const KEPT: [&str; 5] = ["CARGO_HOME", "CARGO_HTTP", "CARGO_NET", "CARGO_REGISTR", "CARGO_SOURCE"];

type Result<T> = core::result::Result<T, String>;

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
    let project = runtime.parent().ok_or("the crate stands in no project")?;
    let guest = project.join("guest-sdk/python");
    watch(project, &guest);
    let wasm = compile(&guest, &target_dir()?)?;
    let wasm = fs::read(&wasm).map_err(|error| format!("cannot read {}: {error}", wasm.display()))?;
    let packed = zstd::bulk::compress(&wasm, ZSTD_LEVEL).map_err(|error| format!("cannot pack the guest: {error}"))?;
    let out = variable("OUT_DIR")?.join("python_guest.wasm.zst");
    fs::write(&out, packed).map_err(|error| format!("cannot write {}: {error}", out.display()))?;
    println!("cargo::rustc-env=BUE_PYTHON_GUEST_HASH={}", blake3::hash(&wasm).to_hex());
    Ok(())
}

/// Everything the guest is made of.
fn watch(project: &Path, guest: &Path) {
    for part in ["src", "lib", "build.rs", "Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", guest.join(part).display());
    }
    for part in ["model/src", "model/Cargo.toml", "rust-toolchain.toml"] {
        println!("cargo::rerun-if-changed={}", project.join(part).display());
    }
    println!("cargo::rerun-if-changed=build.rs");
}

/// `python-guest` beside the profiles' directories: `OUT_DIR` is `<root>/<profile>/build/<package>/out`.
fn target_dir() -> Result<PathBuf> {
    let out = variable("OUT_DIR")?;
    let root = out.ancestors().nth(4).ok_or_else(|| format!("no target directory above {}", out.display()))?;
    Ok(root.join("python-guest"))
}

fn compile(guest: &Path, target_dir: &Path) -> Result<PathBuf> {
    add_target()?;
    say(&format!("bue: building the Python guest in {} (the first time takes minutes)", target_dir.display()));
    let started = Instant::now();
    let mut cargo = clean(Command::new(variable("CARGO")?));
    // RustPython's crates declare a newer Rust than they need
    cargo.args(["build", "--release", "--locked", "--ignore-rust-version", "--target", TARGET, "--target-dir"]);
    cargo.arg(target_dir).current_dir(guest);
    let status = cargo.status().map_err(|error| format!("cannot run cargo: {error}"))?;
    if !status.success() {
        return Err(format!(
            "the Python guest does not build ({status}); what cargo said stands above. To see it alone, type\n\
             cd {} && cargo build --release --locked --ignore-rust-version --target {TARGET}",
            guest.display()
        ));
    }
    say(&format!("bue: the Python guest is built ({:.0} s)", started.elapsed().as_secs_f32()));
    Ok(target_dir.join(TARGET).join("release").join(WASM))
}

/// The standard library for the guest's target, installed if it is not there.
fn add_target() -> Result<()> {
    if has_target()? {
        return Ok(());
    }
    say(&format!("bue: adding the Rust target {TARGET}"));
    let mut rustup = Command::new("rustup");
    rustup.args(["target", "add", TARGET]);
    if let Ok(toolchain) = env::var("RUSTUP_TOOLCHAIN") {
        rustup.args(["--toolchain", &toolchain]);
    }
    let added = rustup.status().is_ok_and(|status| status.success());
    match added && has_target()? {
        true => Ok(()),
        false => Err(format!(
            "the Python guest needs the Rust target {TARGET}, which is not installed and could not be added. Type\n\
             rustup target add {TARGET}\n\
             and build again. (Without rustup: install your distribution's standard library of Rust for {TARGET}.)"
        )),
    }
}

fn has_target() -> Result<bool> {
    let rustc = variable("RUSTC")?;
    let output = Command::new(&rustc).args(["--print", "sysroot"]).output();
    let output = output.map_err(|error| format!("cannot run {}: {error}", rustc.display()))?;
    let sysroot = String::from_utf8_lossy(&output.stdout);
    Ok(Path::new(sysroot.trim()).join("lib/rustlib").join(TARGET).join("lib").is_dir())
}

/// A command that knows nothing of the build around it.
fn clean(mut command: Command) -> Command {
    let begins = |name: &str, list: &[&str]| list.iter().any(|prefix| name.starts_with(prefix));
    for (name, _) in env::vars_os() {
        let Some(name) = name.to_str() else { continue };
        if begins(name, &OUTER) && !begins(name, &KEPT) {
            command.env_remove(name);
        }
    }
    command.env_remove("MAKEFLAGS").env_remove("TARGET").env_remove("HOST").env_remove("PROFILE");
    command
}

fn variable(name: &str) -> Result<PathBuf> {
    env::var_os(name).map(PathBuf::from).ok_or_else(|| format!("cargo did not set {name}"))
}

/// To the terminal itself: cargo hides what build scripts write. Where there is none, nobody waits in front of it.
fn say(line: &str) {
    if let Ok(mut terminal) = OpenOptions::new().write(true).open("/dev/tty") {
        let _ = writeln!(terminal, "{line}");
    }
}
