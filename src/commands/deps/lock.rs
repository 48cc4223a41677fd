//! `bue deps lock FILE`.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use super::{needs_of, stop};
use crate::deps::instead::{hint, instead};
use crate::deps::lock::{self, LockedSet};
use crate::deps::locked::{counted, expect_pure};
use crate::deps::needs::{Needs, name_of, needs};
use crate::deps::resolve::{NoWheels, Pip};
use crate::deps::store::Store;
use crate::script::examine;
use crate::settings::Settings;
use crate::stop::Stop;
use crate::talk::say;

/// Finds the packages that a script's steps need, and writes `bue.lock` beside the script.
///
/// The newest versions that fit and are pure Python, found by pip (or by uv, which brings pip) with your own configuration of it:
/// names, versions and hashes. Each list of needs has packages of its own, so two steps may have two versions of one. Commit the
/// file: runs use what it says, until it is written again.
#[derive(Debug, Args)]
pub(crate) struct Lock {
    /// The script
    file: PathBuf,
}

impl Lock {
    pub(crate) fn execute(self) -> Result<(), Stop> {
        let all = needs_of(&self.file)?;
        let store = Store::new(&Settings::load()?.cache_dir()?);
        let mut sets = self.sets_of_others(&all);
        if all.is_empty() && !lock::path_of(&self.file).exists() {
            say(&format!("bue: no step of {} needs a package", self.file.display()));
            return Ok(());
        }
        if !all.is_empty() {
            let pip = Pip::find()?;
            for needs in all {
                say(&format!("bue: looking for {}", needs.join(", ")));
                sets.push(locked(&pip, needs, &store)?);
            }
        }
        self.write(&lock::Lock { sets })
    }

    /// What the lock has for other scripts of the folder stays as it is.
    fn sets_of_others(&self, ours: &BTreeSet<Needs>) -> Vec<LockedSet> {
        let Ok(Some(old)) = lock::Lock::read(&self.file) else { return Vec::new() };
        let others = needs_of_others(&self.file);
        old.sets.into_iter().filter(|set| others.contains(&set.needs) && !ours.contains(&set.needs)).collect()
    }

    /// Writes it whole or not at all.
    fn write(&self, lock: &lock::Lock) -> Result<(), Stop> {
        let path = lock::path_of(&self.file);
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let failed = || format!("failed to write {}", path.display());
        let mut file = tempfile::NamedTempFile::new_in(folder).with_context(failed)?;
        file.write_all(lock.text().as_bytes()).with_context(failed)?;
        // a temporary file is the user's alone, and this one is for everybody who reads the script
        file.as_file().set_permissions(fs::Permissions::from_mode(0o644)).with_context(failed)?;
        file.persist(&path).map_err(|error| error.error).with_context(failed)?;
        let wheels: BTreeSet<&str> =
            lock.sets.iter().flat_map(|set| &set.wheels).map(|wheel| wheel.file.as_str()).collect();
        let sets = counted(lock.sets.len(), "list");
        say(&format!("bue: wrote {}: {} for {sets} of needs", path.display(), counted(wheels.len(), "package")));
        Ok(())
    }
}

fn locked(pip: &Pip, needs: Needs, store: &Store) -> Result<LockedSet, Stop> {
    let wheels = pip.resolve(&needs, store).map_err(|error| unsolved(error, &needs))?;
    for wheel in &wheels {
        let bytes = store.get(&wheel.sha256).with_context(|| format!("{} went away from the cache", wheel.file))?;
        expect_pure(wheel, &bytes)?;
    }
    Ok(LockedSet { needs, wheels })
}

/// Says what pip said, and of which package it is known what to use instead.
fn unsolved(error: NoWheels, needs: &Needs) -> Stop {
    let NoWheels::Unsolved(said) = error else { return error.into() };
    say(&said);
    for name in needs.iter().map(|need| name_of(need)).filter(|name| instead(name).is_some()) {
        say(&format!("hint: `{name}` is native code; {}", hint(&name)));
    }
    stop("pip found no packages in pure Python that fit; `bue deps check FILE` says which one is in the way")
}

/// What scripts beside this one need; of those that cannot be read, nothing.
fn needs_of_others(script: &Path) -> BTreeSet<Needs> {
    let folder = script.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let scripts = entries.filter(|path| path.extension().is_some_and(|kind| kind == "bue"));
    let others = scripts.filter(|path| path.file_name() != script.file_name());
    let plans = others.filter_map(|path| Some((examine(&path, None, None).ok()?.plan?, path)));
    plans
        .flat_map(|(plan, path)| plan.steps.iter().filter_map(|step| needs(step, &path).ok()).collect::<Vec<_>>())
        .collect()
}
