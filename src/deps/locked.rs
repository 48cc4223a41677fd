//! The packages of a script's steps according to `bue.lock`, or what is wrong with them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use bue_lang::{PackageProblem, PackageProblemKind};
use bue_model::{BlobHash, BlobRef, Package, Plan, Step};
use bytes::Bytes;

use super::instead;
use super::lock::{Lock, LockedSet, LockedWheel};
use super::pip::Pip;
use super::requirements::{Requirements, requirements};
use super::wheel::{WheelName, top_level_names};
use super::wheel_cache::WheelCache;
use crate::process::command_error::CommandError;
use crate::process::output::{counted, eprint_line, program_failed};

/// Wheels by their hashes in the bucket.
pub(crate) type Wheels = BTreeMap<BlobHash, Bytes>;

/// The modules of a step's packages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StepModules {
    /// The names of files and folders at the top of the packages.
    Known(BTreeSet<String>),
    /// The packages are not locked, or not on this machine yet.
    Unknown,
}

impl StepModules {
    /// Returns whether a module at the top level may be in the packages.
    pub(crate) fn may_have(&self, module: &str) -> bool {
        match self {
            Self::Known(names) => names.contains(module),
            Self::Unknown => true,
        }
    }
}

/// A script and the lock beside it.
pub(crate) struct LockedPackages {
    script: PathBuf,
    lock: Result<Option<Lock>, String>,
}

impl LockedPackages {
    /// Reads the lock of a script.
    pub(crate) fn for_script(script: &Path) -> Self {
        Self { script: script.to_owned(), lock: Lock::read(script) }
    }

    /// Returns what prevents a step from having its packages, as far as file names show.
    pub(crate) fn problems(&self, step: &Step) -> Vec<PackageProblem> {
        let requirements = match requirements(step, &self.script) {
            Ok(requirements) if requirements.is_empty() => return Vec::new(),
            Ok(requirements) => requirements,
            Err(message) => return vec![bad_list(message)],
        };
        match self.set(&requirements) {
            Ok(set) => set.wheels.iter().filter_map(native_by_name).collect(),
            Err(reason) => vec![self.not_locked(&step.name, &reason)],
        }
    }

    /// Returns the modules of a step's packages, as far as the cache has the wheels.
    pub(crate) fn modules(&self, step: &Step, cache: &Path) -> StepModules {
        let Ok(requirements) = requirements(step, &self.script) else { return StepModules::Unknown };
        if requirements.is_empty() {
            return StepModules::Known(BTreeSet::new());
        }
        let Ok(set) = self.set(&requirements) else { return StepModules::Unknown };
        let cache = WheelCache::new(cache);
        let names = |wheel: &LockedWheel| top_level_names(&cache.get(&wheel.sha256)?).ok();
        let names: Option<Vec<BTreeSet<String>>> = set.wheels.iter().map(names).collect();
        names.map_or(StepModules::Unknown, |names| StepModules::Known(names.into_iter().flatten().collect()))
    }

    fn set(&self, requirements: &Requirements) -> Result<&LockedSet, String> {
        let lock = self.lock.as_ref().map_err(Clone::clone)?;
        let lock = lock.as_ref().ok_or("there is no bue.lock beside the script")?;
        lock.set(requirements).ok_or_else(|| format!("bue.lock has no entry for `{}`", requirements.join(", ")))
    }

    fn not_locked(&self, step: &str, reason: &str) -> PackageProblem {
        PackageProblem {
            kind: PackageProblemKind::NotLocked,
            message: format!("step `{step}` requires packages, but {reason}"),
            hint: format!("type `bue deps lock {}`", self.script.display()),
        }
    }

    /// Returns the packages of each step of a plan, and their wheels. Downloads wheels that this machine's cache does not have.
    pub(crate) fn for_plan(&self, plan: &Plan, cache: &Path) -> Result<(Vec<Vec<Package>>, Wheels), CommandError> {
        let cache = WheelCache::new(cache);
        let mut wheels = Wheels::new();
        let mut packages_by_requirements: BTreeMap<Requirements, Vec<Package>> = BTreeMap::new();
        let mut packages_of_steps = Vec::with_capacity(plan.steps.len());
        for step in &plan.steps {
            // all stages of a fused step have the same packages
            let code = plan.stages(step).next().unwrap_or(step);
            let requirements = requirements(code, &self.script).map_err(|message| program_failed(&message))?;
            if !packages_by_requirements.contains_key(&requirements) {
                let packages = match requirements.is_empty() {
                    true => Vec::new(),
                    false => self.packages(&requirements, &cache, &mut wheels)?,
                };
                packages_by_requirements.insert(requirements.clone(), packages);
            }
            packages_of_steps.push(packages_by_requirements.get(&requirements).cloned().unwrap_or_default());
        }
        Ok((packages_of_steps, wheels))
    }

    fn packages(
        &self,
        requirements: &Requirements,
        cache: &WheelCache,
        wheels: &mut Wheels,
    ) -> Result<Vec<Package>, CommandError> {
        let set = self.set(requirements).map_err(|reason| program_failed(&reason))?;
        let mut packages = Vec::with_capacity(set.wheels.len());
        for (wheel, bytes) in set.wheels.iter().zip(fetch_wheels(set, cache)?) {
            let hash = BlobHash(*blake3::hash(&bytes).as_bytes());
            packages.push(Package { file: wheel.file.clone(), wheel: BlobRef { hash, len: bytes.len() as u64 } });
            wheels.insert(hash, bytes);
        }
        Ok(packages)
    }
}

/// Returns the wheels of a set in its order, from the cache or else from pip.
pub(crate) fn fetch_wheels(set: &LockedSet, cache: &WheelCache) -> Result<Vec<Bytes>, CommandError> {
    let mut wheels: Vec<Option<Bytes>> = set.wheels.iter().map(|wheel| cache.get(&wheel.sha256)).collect();
    let is_missing = |(wheel, bytes): (&LockedWheel, &Option<Bytes>)| bytes.is_none().then(|| wheel.clone());
    let missing: Vec<LockedWheel> = set.wheels.iter().zip(&wheels).filter_map(is_missing).collect();
    if !missing.is_empty() {
        eprint_line(&format!("bue: downloading {} of bue.lock with pip", counted(missing.len(), "package")));
        Pip::find()?.fetch(&missing, cache)?;
    }
    for (wheel, bytes) in set.wheels.iter().zip(&mut wheels).filter(|(_, bytes)| bytes.is_none()) {
        *bytes = cache.get(&wheel.sha256);
    }
    let wheels: Option<Vec<Bytes>> = wheels.into_iter().collect();
    wheels.ok_or_else(|| CommandError::Environment(anyhow!("packages disappeared from the cache while they were read")))
}

fn bad_list(message: String) -> PackageProblem {
    let hint = "write names and versions, such as `httpx>=0.27`, one per line".to_owned();
    PackageProblem { kind: PackageProblemKind::InvalidRequirements, message, hint }
}

/// Returns the problem of a wheel with native code that is known not to work without it.
fn native_by_name(wheel: &LockedWheel) -> Option<PackageProblem> {
    let is_pure = WheelName::parse(&wheel.file).is_some_and(|name| name.is_pure());
    (!is_pure && instead::instead(&wheel.name).is_some()).then(|| PackageProblem {
        kind: PackageProblemKind::CannotRun,
        message: format!("{} is native code for one platform, which cannot run in a sandbox", wheel.file),
        hint: instead::hint(&wheel.name),
    })
}
