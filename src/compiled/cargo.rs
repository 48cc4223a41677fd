//! Steps in Rust: a package is built by cargo in the user's tree, with its own lock file and toolchain, into a folder of the
//! user's cache. A library (`cdylib`) becomes a component, a program becomes a WASI command.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use bue_lang::BuildProblem;
use serde_json::Value;

use super::paths::{create_output_folder, source_folder};
use super::problem::{problem, problem_with_hint};
use super::tool::{Tool, command};
use crate::process::output::{eprint_line, use_colour};

const INSTALL_HINT: &str = "install Rust with rustup, as rust-lang.org says; cargo comes with it";
/// The target of components.
const COMPONENT_TARGET: &str = "wasm32-wasip2";
/// The target of WASI commands.
const COMMAND_TARGET: &str = "wasm32-wasip1";

/// What is built of a package.
struct Target {
    triple: &'static str,
    name: String,
    /// It is a program, possibly one of several.
    is_program: bool,
}

/// Builds a package and returns the file of the module.
pub(super) fn build(path: &Path, function: &str, step: &str, cache: &Path) -> Result<PathBuf, BuildProblem> {
    let manifest = find_manifest(path)?;
    let tool = Tool { program: OsStr::new("cargo"), install_hint: INSTALL_HINT, step, source: path };
    let target = choose_target(&tool, &manifest, function)?;
    ensure_target_installed(&tool, &manifest, target.triple)?;
    tool.announce();
    let folder = cache.join("rust");
    let _lock = lock_folder(&folder)?;
    let mut cargo = command(tool.program);
    cargo.args(["build", "--release", "--target", target.triple, "--color", colour_choice()]);
    cargo.arg("--manifest-path").arg(&manifest).arg("--target-dir").arg(&folder).current_dir(source_folder(&manifest));
    if target.is_program {
        cargo.args(["--bin", &target.name]);
    }
    tool.run(&mut cargo)?;
    let module = folder.join(target.triple).join("release").join(format!("{}.wasm", target.name));
    copy_module(&module, path, cache)
}

/// Copies a module out of the shared target folder while that is locked, because packages of the same name overwrite each
/// other's files.
fn copy_module(module: &Path, source: &Path, cache: &Path) -> Result<PathBuf, BuildProblem> {
    let copy = create_output_folder(source, cache, "rust-steps")?.join(module.file_name().unwrap_or_default());
    fs::copy(module, &copy).map_err(|error| problem(format!("failed to copy {}: {error}", module.display())))?;
    Ok(copy)
}

/// Finds the manifest of the package that a path belongs to: in its folder, or in the nearest one above.
fn find_manifest(path: &Path) -> Result<PathBuf, BuildProblem> {
    let absolute = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut manifests = source_folder(&absolute).ancestors().map(|folder| folder.join("Cargo.toml"));
    manifests.find(|file| file.is_file()).ok_or_else(|| {
        let message = format!("`{}` is not in a package: there is no Cargo.toml beside it or above", path.display());
        problem_with_hint(message, "`bue new step --lang rust NAME` writes a package to start from")
    })
}

fn choose_target(tool: &Tool<'_>, manifest: &Path, function: &str) -> Result<Target, BuildProblem> {
    let mut cargo = command(tool.program);
    cargo.args(["metadata", "--no-deps", "--format-version", "1", "--color", colour_choice(), "--manifest-path"]);
    let metadata = tool.run(cargo.arg(manifest).current_dir(source_folder(manifest)))?;
    let metadata: Value = serde_json::from_slice(&metadata).unwrap_or_default();
    let mut packages = metadata["packages"].as_array().into_iter().flatten();
    let package = packages.find(|package| package["manifest_path"].as_str().map(Path::new) == Some(manifest));
    let targets: Vec<&Value> =
        package.and_then(|package| package["targets"].as_array()).into_iter().flatten().collect();
    let names_of_kind = |kind: &str| -> Vec<String> {
        let targets = targets.iter().filter(|target| has_kind(target, kind));
        targets.filter_map(|target| target["name"].as_str().map(str::to_owned)).collect()
    };
    if let Some(name) = names_of_kind("cdylib").pop() {
        return Ok(Target { triple: COMPONENT_TARGET, name: name.replace('-', "_"), is_program: false });
    }
    let programs = names_of_kind("bin");
    let named = programs.iter().find(|name| *name == function);
    match (programs.as_slice(), named) {
        ([name], _) | (_, Some(name)) => Ok(Target { triple: COMMAND_TARGET, name: name.clone(), is_program: true }),
        _ => Err(no_target(manifest, &programs)),
    }
}

fn has_kind(target: &Value, kind: &str) -> bool {
    target["kind"].as_array().into_iter().flatten().any(|one| one == kind)
}

fn no_target(manifest: &Path, programs: &[String]) -> BuildProblem {
    let manifest = manifest.display();
    if programs.is_empty() {
        let hint =
            "add `[lib]` with `crate-type = [\"cdylib\"]` to it for a component, or add src/main.rs for a command";
        return problem_with_hint(format!("{manifest} has neither a library of type cdylib nor a program"), hint);
    }
    let names = programs.join("`, `");
    let hint = format!("name one of them on the step's function line: `{names}`");
    problem_with_hint(format!("{manifest} has several programs"), hint)
}

/// Installs the standard library for a target, if it is missing.
fn ensure_target_installed(tool: &Tool<'_>, manifest: &Path, triple: &str) -> Result<(), BuildProblem> {
    if is_target_installed(tool, manifest, triple)? {
        return Ok(());
    }
    eprint_line(&format!("bue: adding the Rust target {triple}"));
    let folder = source_folder(manifest);
    let output = command("rustup").args(["target", "add", triple]).current_dir(folder).output();
    if output.is_ok_and(|output| output.status.success()) && is_target_installed(tool, manifest, triple)? {
        return Ok(());
    }
    let message = format!("step `{}` needs the Rust target {triple}, which could not be installed", tool.step);
    Err(problem_with_hint(message, format!("type `rustup target add {triple}` in {}", folder.display())))
}

fn is_target_installed(tool: &Tool<'_>, manifest: &Path, triple: &str) -> Result<bool, BuildProblem> {
    let rustc = Tool { program: OsStr::new("rustc"), ..*tool };
    let stdout = rustc.run(command("rustc").args(["--print", "sysroot"]).current_dir(source_folder(manifest)))?;
    let sysroot = String::from_utf8_lossy(&stdout).trim().to_owned();
    Ok(Path::new(&sysroot).join("lib/rustlib").join(triple).join("lib").is_dir())
}

/// Returns the value of cargo's `--color`, whose output goes to our stderr.
fn colour_choice() -> &'static str {
    if use_colour() { "always" } else { "never" }
}

/// Locks the target folder that all builds share. Dropping the file releases the lock.
fn lock_folder(folder: &Path) -> Result<File, BuildProblem> {
    let lock = fs::create_dir_all(folder).and_then(|()| {
        let file = File::create(folder.join("bue.lock"))?;
        file.lock()?;
        Ok(file)
    });
    lock.map_err(|error| problem(format!("failed to lock {}: {error}", folder.display())))
}
