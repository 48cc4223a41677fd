//! What a script's steps get of packages, as `bue.lock` says; or what keeps them from having it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bue_lang::{PackageProblem, PackageProblemKind};
use bue_model::{BlobHash, BlobRef, Package, Plan, Step};
use bytes::Bytes;

use super::instead;
use super::lock::{Lock, LockedSet, LockedWheel};
use super::needs::{Needs, needs};
use super::resolve::Pip;
use super::store::Store;
use super::wheel::{FileName, look};
use crate::stop::Stop;
use crate::talk::say;

/// Wheels by the hash they have in the bucket.
pub(crate) type Wheels = BTreeMap<BlobHash, Bytes>;

/// A script and the lock beside it.
pub(crate) struct Locked {
    script: PathBuf,
    lock: Result<Option<Lock>, String>,
}

impl Locked {
    /// Reads the lock of a script.
    pub(crate) fn of(script: &Path) -> Self {
        Self { script: script.to_owned(), lock: Lock::read(script) }
    }

    /// What keeps a step from having its packages, as far as names tell.
    pub(crate) fn troubles(&self, step: &Step) -> Vec<PackageProblem> {
        let needs = match needs(step, &self.script) {
            Ok(needs) if needs.is_empty() => return Vec::new(),
            Ok(needs) => needs,
            Err(message) => return vec![bad_list(message)],
        };
        match self.set(&needs) {
            Ok(set) => set.wheels.iter().filter_map(native_by_name).collect(),
            Err(why) => vec![self.not_locked(&step.name, &why)],
        }
    }

    fn set(&self, needs: &Needs) -> Result<&LockedSet, String> {
        let lock = self.lock.as_ref().map_err(Clone::clone)?;
        let lock = lock.as_ref().ok_or("there is no bue.lock beside the script")?;
        lock.set(needs).ok_or_else(|| format!("bue.lock has nothing for `{}`", needs.join(", ")))
    }

    fn not_locked(&self, step: &str, why: &str) -> PackageProblem {
        PackageProblem {
            kind: PackageProblemKind::NotLocked,
            message: format!("step `{step}` needs packages, and {why}"),
            hint: format!("type `bue deps lock {}`", self.script.display()),
        }
    }

    /// The packages of each step of a plan, and their wheels. Wheels that are in no cache of this machine are fetched.
    pub(crate) fn packages(&self, plan: &Plan, cache: &Path) -> Result<(Vec<Vec<Package>>, Wheels), Stop> {
        let store = Store::new(cache);
        let mut wheels = Wheels::new();
        let mut known: BTreeMap<Needs, Vec<Package>> = BTreeMap::new();
        let mut all = Vec::with_capacity(plan.steps.len());
        for step in &plan.steps {
            let needs = needs(step, &self.script).map_err(|message| refused(&message))?;
            if !known.contains_key(&needs) {
                let packages =
                    if needs.is_empty() { Vec::new() } else { self.set_packages(&needs, &store, &mut wheels)? };
                known.insert(needs.clone(), packages);
            }
            all.push(known.get(&needs).cloned().unwrap_or_default());
        }
        Ok((all, wheels))
    }

    fn set_packages(&self, needs: &Needs, store: &Store, wheels: &mut Wheels) -> Result<Vec<Package>, Stop> {
        let set = self.set(needs).map_err(|why| refused(&why))?;
        let mut packages = Vec::with_capacity(set.wheels.len());
        for (wheel, bytes) in set.wheels.iter().zip(wheels_of(set, store)?) {
            expect_pure(wheel, &bytes)?;
            let hash = BlobHash(*blake3::hash(&bytes).as_bytes());
            packages.push(Package { file: wheel.file.clone(), wheel: BlobRef { hash, len: bytes.len() as u64 } });
            wheels.insert(hash, bytes);
        }
        Ok(packages)
    }
}

/// The wheels of a set, from the cache or from wherever pip gets them.
pub(crate) fn wheels_of(set: &LockedSet, store: &Store) -> Result<Vec<Bytes>, Stop> {
    let mut found: Vec<Option<Bytes>> = set.wheels.iter().map(|wheel| store.get(&wheel.sha256)).collect();
    let missing = |(wheel, found): (&LockedWheel, &Option<Bytes>)| found.is_none().then(|| wheel.clone());
    let missing: Vec<LockedWheel> = set.wheels.iter().zip(&found).filter_map(missing).collect();
    if !missing.is_empty() {
        say(&format!("bue: fetching {} of bue.lock with pip", counted(missing.len(), "package")));
        Pip::find()?.fetch(&missing, store)?;
    }
    for (wheel, found) in set.wheels.iter().zip(&mut found).filter(|(_, found)| found.is_none()) {
        *found = store.get(&wheel.sha256);
    }
    let found: Option<Vec<Bytes>> = found.into_iter().collect();
    found.ok_or_else(|| Stop::Surroundings(anyhow::anyhow!("packages went away from the cache while they were read")))
}

/// `1 package`, `2 packages`.
pub(crate) fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn bad_list(message: String) -> PackageProblem {
    let hint = "write names and versions, `httpx>=0.27`, one to a line".to_owned();
    PackageProblem { kind: PackageProblemKind::BadList, message, hint }
}

fn native_by_name(wheel: &LockedWheel) -> Option<PackageProblem> {
    let pure = FileName::parse(&wheel.file).is_some_and(|file| file.is_pure());
    (!pure).then(|| PackageProblem {
        kind: PackageProblemKind::CannotWork,
        message: format!("{} is native code for one kind of machine, and a step runs on none", wheel.file),
        hint: instead::hint(&wheel.name),
    })
}

/// A wheel may say that it is pure and hold native code all the same.
pub(crate) fn expect_pure(wheel: &LockedWheel, bytes: &[u8]) -> Result<(), Stop> {
    let contents = look(bytes).map_err(|problem| refused(&format!("{} {problem}", wheel.file)))?;
    match contents.native.first() {
        None => Ok(()),
        Some(file) => Err(refused(&format!(
            "package `{}` cannot work in a step: {file} is native code (E0061); {}",
            wheel.name,
            instead::hint(&wheel.name)
        ))),
    }
}

fn refused(message: &str) -> Stop {
    say(&format!("error: {message}"));
    Stop::Program
}
