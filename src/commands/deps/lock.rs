//! `bue deps lock FILE`.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use bue_runtime::WallMode;
use bytes::Bytes;
use clap::Args;

use super::requirements::script_requirements;
use crate::config::settings::Settings;
use crate::deps::instead::{hint, instead};
use crate::deps::lock::{self, LockedSet, LockedWheel};
use crate::deps::locked::fetch_wheels;
use crate::deps::pip::{Pip, PipError};
use crate::deps::probe::{ModuleImport, Probe};
use crate::deps::requirements::{Requirements, package_name, requirements};
use crate::deps::wheel::{Contents, inspect};
use crate::deps::wheel_cache::WheelCache;
use crate::flags::wall::WallFlag;
use crate::process::command_error::CommandError;
use crate::process::event_loop::{block_on, interruptible};
use crate::process::output::{counted, eprint_line, program_failed};
use crate::script::check::compile_script;

/// Finds the packages that a script's steps require, and writes `bue.lock` beside the script.
///
/// The lock has names, versions and hashes of the newest matching versions that are pure Python, as pip finds them with your own
/// configuration (uv provides pip if you have no other). Where a package has native code in every version, its import is tried
/// without it. Each list of requirements is resolved by itself, so two steps may use two
/// versions of a package. Commit the file: runs use these versions until you lock again.
#[derive(Debug, Args)]
pub(crate) struct Lock {
    /// The script
    file: PathBuf,
}

impl Lock {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let lists = script_requirements(&self.file)?;
        let settings = Settings::load()?;
        let (cache_dir, wall) = (settings.cache_dir()?, WallFlag::default().mode(&settings)?);
        let cache = WheelCache::new(&cache_dir);
        let mut sets = self.sets_of_other_scripts(&lists);
        if lists.is_empty() && !lock::lock_path(&self.file).exists() {
            eprint_line(&format!("bue: no step of {} requires a package", self.file.display()));
            return Ok(());
        }
        if !lists.is_empty() {
            let pip = Pip::find()?;
            for requirements in lists {
                eprint_line(&format!("bue: resolving {}", requirements.join(", ")));
                let set = lock_set(&pip, requirements, &cache)?;
                expect_to_work_without_native_code(&set, &cache, &cache_dir, wall)?;
                sets.push(set);
            }
        }
        self.write(&lock::Lock { sets })
    }

    /// Returns the existing sets for other scripts of the folder, which stay as they are.
    fn sets_of_other_scripts(&self, own: &BTreeSet<Requirements>) -> Vec<LockedSet> {
        let Ok(Some(old)) = lock::Lock::read(&self.file) else { return Vec::new() };
        let others = requirements_of_other_scripts(&self.file);
        let is_needed = |set: &LockedSet| others.contains(&set.requirements) && !own.contains(&set.requirements);
        old.sets.into_iter().filter(is_needed).collect()
    }

    /// Writes the file atomically.
    fn write(&self, lock: &lock::Lock) -> Result<(), CommandError> {
        let path = lock::lock_path(&self.file);
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let failed = || format!("failed to write {}", path.display());
        let mut file = tempfile::NamedTempFile::new_in(folder).with_context(failed)?;
        file.write_all(lock.to_text().as_bytes()).with_context(failed)?;
        // only the user can read a temporary file, but everyone who can read the script must be able to read its lock
        file.as_file().set_permissions(fs::Permissions::from_mode(0o644)).with_context(failed)?;
        file.persist(&path).map_err(|error| error.error).with_context(failed)?;
        let wheels: BTreeSet<&str> =
            lock.sets.iter().flat_map(|set| &set.wheels).map(|wheel| wheel.file.as_str()).collect();
        let (packages, lists) = (counted(wheels.len(), "package"), counted(lock.sets.len(), "list"));
        eprint_line(&format!("bue: wrote {}: {packages} for {lists} of requirements", path.display()));
        Ok(())
    }
}

fn lock_set(pip: &Pip, requirements: Requirements, cache: &WheelCache) -> Result<LockedSet, CommandError> {
    let wheels = pip.resolve(&requirements, cache).map_err(|error| report_pip_error(error, &requirements))?;
    Ok(LockedSet { requirements, wheels })
}

/// Imports the packages that contain native code, which a sandbox leaves out. A file name alone does not show which ones that are:
/// a wheel may be tagged as pure and contain native code all the same.
fn expect_to_work_without_native_code(
    set: &LockedSet,
    cache: &WheelCache,
    cache_dir: &Path,
    wall: WallMode,
) -> Result<(), CommandError> {
    let bytes = fetch_wheels(set, cache)?;
    let inspected =
        set.wheels.iter().zip(&bytes).map(|(wheel, bytes)| {
            inspect(bytes).map_err(|problem| program_failed(&format!("{} {problem}", wheel.file)))
        });
    let contents = inspected.collect::<Result<Vec<Contents>, CommandError>>()?;
    if contents.iter().all(|contents| contents.native.is_empty()) {
        return Ok(());
    }
    let has_native = |contents: &Contents| !contents.native.is_empty();
    let modules = contents.iter().map(|contents| match has_native(contents) {
        true => contents.modules.clone(),
        false => Vec::new(),
    });
    let modules: Vec<Vec<String>> = modules.collect();
    let wheels: Vec<(&str, Bytes)> = set.wheels.iter().map(|wheel| wheel.file.as_str()).zip(bytes).collect();
    let imports = block_on(interruptible(async {
        let probe = Probe::start(cache_dir.to_owned(), wall).await?;
        let imports = probe.try_set(&wheels, &modules).await;
        probe.stop().await;
        imports
    }))?;
    let imports = imports.map_err(|error| program_failed(&error.to_string()))?;
    let mut natives = set.wheels.iter().zip(&contents).zip(&imports).filter(|((_, contents), _)| has_native(contents));
    natives.try_for_each(|((wheel, contents), imports)| expect_import(wheel, contents, imports))
}

/// Returns an error for a package with native code of which nothing can be imported.
fn expect_import(wheel: &LockedWheel, contents: &Contents, imports: &[ModuleImport]) -> Result<(), CommandError> {
    if imports.iter().any(|import| import.error.is_none()) {
        return Ok(());
    }
    let file = contents.native.first().map_or("it", String::as_str);
    let error =
        imports.first().and_then(|import| Some(format!("; import {}: {}", import.module, import.error.as_ref()?)));
    let (name, error, hint) = (&wheel.name, error.unwrap_or_default(), hint(&wheel.name));
    Err(program_failed(&format!(
        "package `{name}` cannot work in a step: {file} is native code (E0061){error}; {hint}"
    )))
}

/// Prints pip's message, and hints for the packages that have a known replacement.
fn report_pip_error(error: PipError, requirements: &Requirements) -> CommandError {
    let PipError::NoMatch(message) = error else { return error.into() };
    eprint_line(&message);
    for name in requirements.iter().map(|requirement| package_name(requirement)).filter(|name| instead(name).is_some())
    {
        eprint_line(&format!("hint: `{name}` is native code; {}", hint(&name)));
    }
    program_failed(
        "pip found no matching pure Python packages; `bue deps check FILE` says which package is the problem",
    )
}

/// Returns the requirements of the other scripts in the folder, without those that cannot be read.
fn requirements_of_other_scripts(script: &Path) -> BTreeSet<Requirements> {
    let folder = script.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let scripts = entries.filter(|path| path.extension().is_some_and(|extension| extension == "bue"));
    let others = scripts.filter(|path| path.file_name() != script.file_name());
    let plans = others.filter_map(|path| Some((compile_script(&path).ok()?.plan?, path)));
    plans
        .flat_map(|(plan, path)| {
            plan.steps.iter().filter_map(|step| requirements(step, &path).ok()).collect::<Vec<_>>()
        })
        .collect()
}
