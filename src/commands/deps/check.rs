//! `bue deps check FILE`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bue_runtime::WallMode;
use bytes::Bytes;
use clap::Args;
use serde_json::{Value, json};

use super::requirements::script_requirements;
use crate::config::settings::Settings;
use crate::deps::instead::instead;
use crate::deps::lock::{self, LockedSet, LockedWheel};
use crate::deps::locked::fetch_wheels;
use crate::deps::pip::{Pip, PipError, PublishedPackage};
use crate::deps::probe::{ModuleImport, Probe};
use crate::deps::requirements::{Requirements, package_name};
use crate::deps::wheel::{Contents, inspect};
use crate::deps::wheel_cache::WheelCache;
use crate::flags::wall::WallFlag;
use crate::process::command_error::CommandError;
use crate::process::event_loop::{block_on, interruptible};
use crate::process::output::{eprint_line, print_json, print_line};

/// Checks whether the packages that a script's steps require work in a step.
///
/// Searches each package for native code, which cannot work, and imports its modules in a sandbox. Packages in bue.lock are
/// taken from there; others are resolved with pip, without writing anything. The exit code is 1 if a package cannot work.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The script
    file: PathBuf,
    /// Print {"packages": [{name, version, file, works: yes|partly|no, why, instead, modules: [{name, error}]}]}
    #[arg(long)]
    json: bool,
}

/// Whether a package works in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Works {
    Yes,
    /// Some of its modules can be imported.
    Partly,
    No,
}

/// The result for one package.
#[derive(Debug)]
struct Verdict {
    name: String,
    version: Option<String>,
    file: Option<String>,
    works: Works,
    reasons: Vec<String>,
    modules: Vec<ModuleImport>,
}

/// Verdicts by name, and by name and version where both are known.
type Verdicts = BTreeMap<String, Verdict>;

impl Check {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let lists = script_requirements(&self.file)?;
        let settings = Settings::load()?;
        let (cache_dir, wall) = (settings.cache_dir()?, WallFlag::default().mode(&settings)?);
        let cache = WheelCache::new(&cache_dir);
        let lock = lock::Lock::read(&self.file).unwrap_or_else(|message| {
            eprint_line(&format!("bue: warning: {message}"));
            None
        });
        let mut verdicts = Verdicts::new();
        let mut sets: Vec<LockedSet> = Vec::new();
        for requirements in lists {
            match lock.as_ref().and_then(|lock| lock.set(&requirements)) {
                Some(set) => sets.push(set.clone()),
                None => resolve(&requirements, &cache, &mut sets, &mut verdicts)?,
            }
        }
        if !sets.is_empty() {
            try_sets(&sets, &cache, cache_dir, wall, &mut verdicts)?;
        }
        self.print(&verdicts.into_values().collect::<Vec<_>>())
    }

    fn print(&self, verdicts: &[Verdict]) -> Result<(), CommandError> {
        if self.json {
            let packages: Vec<Value> = verdicts.iter().map(verdict_json).collect();
            print_json(&json!({ "packages": packages }))?;
        } else if verdicts.is_empty() {
            eprint_line(&format!("bue: no step of {} requires a package", self.file.display()));
        } else {
            verdicts.iter().try_for_each(|verdict| print_line(&verdict_text(verdict)))?;
        }
        match verdicts.iter().any(|verdict| verdict.works == Works::No) {
            true => Err(CommandError::ProgramFailed),
            false => Ok(()),
        }
    }
}

/// Resolves requirements with pip into a set. If that is impossible, resolves each requirement alone, and adds a verdict for
/// each that is to blame.
fn resolve(
    requirements: &Requirements,
    cache: &WheelCache,
    sets: &mut Vec<LockedSet>,
    verdicts: &mut Verdicts,
) -> Result<(), CommandError> {
    let pip = Pip::find()?;
    eprint_line(&format!("bue: resolving {}", requirements.join(", ")));
    let message = match pip.resolve(requirements, cache) {
        Ok(wheels) => {
            sets.push(LockedSet { requirements: requirements.clone(), wheels });
            return Ok(());
        }
        Err(PipError::NoMatch(message)) => message,
        Err(error) => return Err(error.into()),
    };
    let mut found_culprit = false;
    for requirement in requirements {
        let alone = vec![requirement.clone()];
        match pip.resolve(&alone, cache) {
            Ok(wheels) => sets.push(LockedSet { requirements: alone, wheels }),
            Err(PipError::NoMatch(message)) => {
                found_culprit = true;
                let native = native_packages(&pip, requirement, &message)?;
                verdicts.extend(native.into_iter().map(|verdict| (verdict.name.clone(), verdict)));
            }
            Err(error) => return Err(error.into()),
        }
    }
    // each requirement can be satisfied alone, but not all of them together
    if found_culprit { Ok(()) } else { Err(PipError::NoMatch(message).into()) }
}

/// Returns verdicts for the packages with native code behind a requirement, according to what is published for this machine, and
/// for the requirement itself. `message` is pip's.
fn native_packages(pip: &Pip, requirement: &str, message: &str) -> Result<Vec<Verdict>, CommandError> {
    let published = match pip.published(&vec![requirement.to_owned()]) {
        Ok(published) => published,
        Err(PipError::NoMatch(_)) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let mut native = Vec::new();
    for package in published.iter().filter(|package| package.is_native()) {
        // some packages are published in both forms, and pip chooses the native one for this machine
        if !pip.has_pure(&package.name)? {
            native.push(native_verdict(package));
        }
    }
    let name = package_name(requirement);
    if !native.iter().any(|verdict| verdict.name == name) {
        native.push(dependent_verdict(&name, &native, message));
    }
    Ok(native)
}

fn native_verdict(package: &PublishedPackage) -> Verdict {
    Verdict {
        name: package.name.clone(),
        version: Some(package.version.clone()),
        file: Some(package.file.clone()),
        works: Works::No,
        reasons: vec![native_reason(&package.file)],
        modules: Vec::new(),
    }
}

fn native_reason(file: &str) -> String {
    format!("{file} is native code for one platform")
}

/// The verdict for a package that is pure itself but requires packages with native code, or that has no wheel at all.
fn dependent_verdict(name: &str, native: &[Verdict], message: &str) -> Verdict {
    let names: Vec<&str> = native.iter().map(|verdict| verdict.name.as_str()).collect();
    let reason = match names.is_empty() {
        false => format!("it needs {}", names.join(", ")),
        true => {
            let error = message.lines().rfind(|line| line.starts_with("ERROR: ")).unwrap_or("pip found no wheel");
            format!("no wheel, at most source code: {}", error.trim_start_matches("ERROR: "))
        }
    };
    Verdict {
        name: name.to_owned(),
        version: None,
        file: None,
        works: Works::No,
        reasons: vec![reason],
        modules: Vec::new(),
    }
}

fn try_sets(
    sets: &[LockedSet],
    cache: &WheelCache,
    cache_dir: PathBuf,
    wall: WallMode,
    verdicts: &mut Verdicts,
) -> Result<(), CommandError> {
    let mut wheels = Vec::with_capacity(sets.len());
    for set in sets {
        wheels.push(fetch_wheels(set, cache)?);
    }
    block_on(interruptible(async {
        let probe = Probe::start(cache_dir, wall).await?;
        for (set, bytes) in sets.iter().zip(wheels) {
            for verdict in try_set(&probe, set, bytes).await? {
                let key = format!("{} {}", verdict.name, verdict.version.as_deref().unwrap_or_default());
                verdicts.insert(key, verdict);
            }
        }
        probe.stop().await;
        Ok(())
    }))
}

async fn try_set(probe: &Probe, set: &LockedSet, bytes: Vec<Bytes>) -> Result<Vec<Verdict>, CommandError> {
    let contents: Vec<Result<Contents, String>> =
        bytes.iter().map(|bytes| inspect(bytes).map_err(|problem| problem.to_string())).collect();
    let modules: Vec<Vec<String>> = contents
        .iter()
        .map(|contents| contents.as_ref().map(|contents| contents.modules.clone()).unwrap_or_default())
        .collect();
    let wheels: Vec<(&str, Bytes)> = set.wheels.iter().map(|wheel| wheel.file.as_str()).zip(bytes).collect();
    let (imports, unpack_error) = match probe.try_set(&wheels, &modules).await? {
        Ok(imports) => (imports, None),
        Err(error) => (vec![Vec::new(); modules.len()], Some(error.to_string())),
    };
    let results = contents.into_iter().zip(imports);
    Ok(set
        .wheels
        .iter()
        .zip(results)
        .map(|(wheel, (contents, imports))| verdict(wheel, contents, imports, unpack_error.as_deref()))
        .collect())
}

fn verdict(
    wheel: &LockedWheel,
    contents: Result<Contents, String>,
    imports: Vec<ModuleImport>,
    unpack_error: Option<&str>,
) -> Verdict {
    let mut reasons: Vec<String> = Vec::new();
    let native = match contents {
        Ok(contents) => contents.native,
        Err(problem) => {
            reasons.push(format!("{} {problem}", wheel.file));
            Vec::new()
        }
    };
    reasons.extend(unpack_error.map(str::to_owned));
    let is_impossible = !reasons.is_empty();
    let failures: Vec<String> = imports.iter().filter_map(import_failure).collect();
    let works = match failures.len() {
        _ if is_impossible => Works::No,
        // nothing but native code
        0 if imports.is_empty() && !native.is_empty() => Works::No,
        0 => Works::Yes,
        failed if failed == imports.len() => Works::No,
        _ => Works::Partly,
    };
    if works != Works::Yes {
        // a sandbox leaves these files out, and that may be the cause
        reasons.extend(native.first().map(|file| format!("{file} is native code")));
    }
    reasons.extend(failures);
    let LockedWheel { name, version, file, .. } = wheel.clone();
    Verdict { name, version: Some(version), file: Some(file), works, reasons, modules: imports }
}

fn import_failure(import: &ModuleImport) -> Option<String> {
    import.error.as_ref().map(|error| format!("import {}: {error}", import.module))
}

impl Works {
    const fn name(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::Partly => "partly",
            Self::No => "no",
        }
    }
}

/// Returns what to use in place of a package that does not work.
fn replacement(verdict: &Verdict) -> Option<String> {
    instead(&verdict.name).filter(|_| verdict.works == Works::No)
}

fn verdict_text(verdict: &Verdict) -> String {
    let version = verdict.version.as_deref().unwrap_or("");
    let mut lines = vec![format!("{:<7} {} {version}", verdict.works.name(), verdict.name).trim_end().to_owned()];
    lines.extend(verdict.reasons.iter().map(|reason| format!("        {reason}")));
    lines.extend(replacement(verdict).map(|text| format!("        instead: {text}")));
    lines.join("\n")
}

fn verdict_json(verdict: &Verdict) -> Value {
    let module = |import: &ModuleImport| json!({ "name": import.module, "error": import.error });
    let modules: Vec<Value> = verdict.modules.iter().map(module).collect();
    json!({
        "name": verdict.name,
        "version": verdict.version,
        "file": verdict.file,
        "works": verdict.works.name(),
        "why": verdict.reasons,
        "instead": replacement(verdict),
        "modules": modules,
    })
}
