//! Steps in Rust: a package is built by cargo in the user's tree, with its own lock file and toolchain, into a folder of the
//! user's cache. A library (`cdylib`) becomes a component, a program a plain command.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use bue_lang::BuildProblem;
use serde_json::Value;

use super::tool::{Tool, colour, command};
use super::{folder_of, problem};
use crate::talk::say;

const INSTALL: &str = "install Rust as rust-lang.org says, with rustup; cargo comes with it";
/// What components and plain commands are built for.
const COMPONENT: &str = "wasm32-wasip2";
const COMMAND: &str = "wasm32-wasip1";

/// What of a package is built.
struct Target {
    triple: &'static str,
    name: String,
    /// It is one program of perhaps several.
    program: bool,
}

/// Builds a package; the file with the module.
pub(super) fn build(path: &Path, function: &str, step: &str, cache: &Path) -> Result<PathBuf, BuildProblem> {
    let manifest = manifest(path)?;
    let tool = Tool { program: OsStr::new("cargo"), install: INSTALL, step, source: path };
    let target = target(&tool, &manifest, function)?;
    add_target(&tool, &manifest, target.triple)?;
    tool.announce();
    let folder = cache.join("rust");
    let _turn = turn(&folder)?;
    let mut cargo = command(tool.program);
    cargo.args(["build", "--release", "--target", target.triple, "--color", colour()]);
    cargo.arg("--manifest-path").arg(&manifest).arg("--target-dir").arg(&folder).current_dir(folder_of(&manifest));
    if target.program {
        cargo.args(["--bin", &target.name]);
    }
    tool.run(&mut cargo)?;
    let made = folder.join(target.triple).join("release").join(format!("{}.wasm", target.name));
    keep(&made, path, cache)
}

/// Packages of one name give files of one name: what was made is copied while nobody else builds.
fn keep(made: &Path, source: &Path, cache: &Path) -> Result<PathBuf, BuildProblem> {
    let kept = super::place(source, cache, "rust-steps")?.join(made.file_name().unwrap_or_default());
    let copied = fs::copy(made, &kept);
    copied
        .map_err(|error| BuildProblem { message: format!("failed to copy {}: {error}", made.display()), hint: None })?;
    Ok(kept)
}

/// The package that a path belongs to: its folder, or the nearest one above that has a manifest.
fn manifest(path: &Path) -> Result<PathBuf, BuildProblem> {
    let whole = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let found = folder_of(&whole).ancestors().map(|folder| folder.join("Cargo.toml")).find(|file| file.is_file());
    found.ok_or_else(|| {
        let message = format!("`{}` belongs to no package: there is no Cargo.toml beside it or above", path.display());
        problem(message, "`bue new step --lang rust NAME` writes a package to begin with")
    })
}

fn target(tool: &Tool<'_>, manifest: &Path, function: &str) -> Result<Target, BuildProblem> {
    let mut cargo = command(tool.program);
    cargo.args(["metadata", "--no-deps", "--format-version", "1", "--color", colour(), "--manifest-path"]);
    let said = tool.run(cargo.arg(manifest).current_dir(folder_of(manifest)))?;
    let said: Value = serde_json::from_slice(&said).unwrap_or_default();
    let mut packages = said["packages"].as_array().into_iter().flatten();
    let package = packages.find(|package| package["manifest_path"].as_str().map(Path::new) == Some(manifest));
    let targets: Vec<&Value> =
        package.and_then(|package| package["targets"].as_array()).into_iter().flatten().collect();
    let of_kind = |kind: &str| -> Vec<String> {
        let wanted = targets.iter().filter(|target| has_kind(target, kind));
        wanted.filter_map(|target| target["name"].as_str().map(str::to_owned)).collect()
    };
    if let Some(name) = of_kind("cdylib").pop() {
        return Ok(Target { triple: COMPONENT, name: name.replace('-', "_"), program: false });
    }
    let programs = of_kind("bin");
    let named = programs.iter().find(|name| *name == function);
    match (programs.as_slice(), named) {
        ([name], _) | (_, Some(name)) => Ok(Target { triple: COMMAND, name: name.clone(), program: true }),
        _ => Err(not_a_step(manifest, &programs)),
    }
}

fn has_kind(target: &Value, kind: &str) -> bool {
    target["kind"].as_array().into_iter().flatten().any(|one| one == kind)
}

fn not_a_step(manifest: &Path, programs: &[String]) -> BuildProblem {
    let shown = manifest.display();
    if programs.is_empty() {
        let hint =
            "write `[lib]` and `crate-type = [\"cdylib\"]` into it for a component, or add src/main.rs for a command";
        return problem(format!("{shown} has neither a library of type cdylib nor a program"), hint);
    }
    let names = programs.join("`, `");
    problem(format!("{shown} has several programs"), format!("name one on the step's function line: `{names}`"))
}

/// The standard library for the target, installed if it is not there.
fn add_target(tool: &Tool<'_>, manifest: &Path, triple: &str) -> Result<(), BuildProblem> {
    if has_target(tool, manifest, triple)? {
        return Ok(());
    }
    say(&format!("bue: adding the Rust target {triple}"));
    let added = command("rustup").args(["target", "add", triple]).current_dir(folder_of(manifest)).output();
    if added.is_ok_and(|added| added.status.success()) && has_target(tool, manifest, triple)? {
        return Ok(());
    }
    let message = format!("step `{}` needs the Rust target {triple}, which could not be added", tool.step);
    Err(problem(message, format!("type `rustup target add {triple}` in {}", folder_of(manifest).display())))
}

fn has_target(tool: &Tool<'_>, manifest: &Path, triple: &str) -> Result<bool, BuildProblem> {
    let rustc = Tool { program: OsStr::new("rustc"), ..*tool };
    let said = rustc.run(command("rustc").args(["--print", "sysroot"]).current_dir(folder_of(manifest)))?;
    let sysroot = String::from_utf8_lossy(&said).trim().to_owned();
    Ok(Path::new(&sysroot).join("lib/rustlib").join(triple).join("lib").is_dir())
}

/// One build at a time in a folder that all share.
fn turn(folder: &Path) -> Result<File, BuildProblem> {
    let locked = fs::create_dir_all(folder).and_then(|()| {
        let file = File::create(folder.join("bue.lock"))?;
        file.lock()?;
        Ok(file)
    });
    locked.map_err(|error| BuildProblem { message: format!("failed to use {}: {error}", folder.display()), hint: None })
}
