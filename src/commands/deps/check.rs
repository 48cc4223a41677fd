//! `bue deps check FILE`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bytes::Bytes;
use clap::Args;
use serde_json::{Value, json};

use super::needs_of;
use crate::deps::instead::instead;
use crate::deps::lock::{self, LockedSet, LockedWheel};
use crate::deps::locked::wheels_of;
use crate::deps::needs::{Needs, name_of};
use crate::deps::probe::{Probe, Tried};
use crate::deps::resolve::{NoWheels, Pip, Published};
use crate::deps::store::Store;
use crate::deps::wheel::{Contents, FileName, look};
use crate::reactor::{block_on, interruptible};
use crate::settings::Settings;
use crate::stop::Stop;
use crate::talk::{print, say};

/// Says of every package that a script's steps need whether it works in a step, and why not.
///
/// Looks for native code in it, which cannot work, and imports its modules in a sandbox. What bue.lock has is taken from there; the
/// rest is looked for with pip, and nothing is written. The exit code is 1 if a package cannot work.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The script
    file: PathBuf,
    /// Print {"packages": [{name, version, file, works: yes|partly|no, why, instead, modules: [{name, error}]}]}
    #[arg(long)]
    json: bool,
}

/// Whether a package works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Works {
    Yes,
    Partly,
    No,
}

/// What was found of a package.
#[derive(Debug)]
struct Verdict {
    name: String,
    version: Option<String>,
    file: Option<String>,
    works: Works,
    why: Vec<String>,
    modules: Vec<Tried>,
}

impl Check {
    pub(crate) fn execute(self) -> Result<(), Stop> {
        let all = needs_of(&self.file)?;
        let cache = Settings::load()?.cache_dir()?;
        let store = Store::new(&cache);
        let lock = lock::Lock::read(&self.file).unwrap_or_else(|why| {
            say(&format!("bue: warning: {why}"));
            None
        });
        let mut verdicts: BTreeMap<String, Verdict> = BTreeMap::new();
        let mut sets: Vec<LockedSet> = Vec::new();
        for needs in all {
            match lock.as_ref().and_then(|lock| lock.set(&needs)) {
                Some(set) => sets.push(set.clone()),
                None => found(&needs, &store, &mut sets, &mut verdicts)?,
            }
        }
        if !sets.is_empty() {
            try_all(&sets, &store, cache, &mut verdicts)?;
        }
        self.tell(&verdicts.into_values().collect::<Vec<_>>())
    }

    fn tell(&self, verdicts: &[Verdict]) -> Result<(), Stop> {
        if self.json {
            let packages: Vec<Value> = verdicts.iter().map(entry).collect();
            print(&json!({ "packages": packages }).to_string())?;
        } else if verdicts.is_empty() {
            say(&format!("bue: no step of {} needs a package", self.file.display()));
        } else {
            verdicts.iter().try_for_each(|verdict| print(&lines(verdict)))?;
        }
        match verdicts.iter().any(|verdict| verdict.works == Works::No) {
            true => Err(Stop::Program),
            false => Ok(()),
        }
    }
}

/// Looks for wheels; where there are none, for the requirement that is in the way.
fn found(
    needs: &Needs,
    store: &Store,
    sets: &mut Vec<LockedSet>,
    verdicts: &mut BTreeMap<String, Verdict>,
) -> Result<(), Stop> {
    let pip = Pip::find()?;
    say(&format!("bue: looking for {}", needs.join(", ")));
    let said = match pip.resolve(needs, store) {
        Ok(wheels) => {
            sets.push(LockedSet { needs: needs.clone(), wheels });
            return Ok(());
        }
        Err(NoWheels::Unsolved(said)) => said,
        Err(error) => return Err(error.into()),
    };
    let mut in_the_way = false;
    for need in needs {
        let alone = vec![need.clone()];
        match pip.resolve(&alone, store) {
            Ok(wheels) => sets.push(LockedSet { needs: alone, wheels }),
            Err(NoWheels::Unsolved(said)) => {
                in_the_way = true;
                let native = native_of(&pip, need, &said)?;
                verdicts.extend(native.into_iter().map(|verdict| (verdict.name.clone(), verdict)));
            }
            Err(error) => return Err(error.into()),
        }
    }
    // each can be had, and all of them cannot
    if in_the_way { Ok(()) } else { Err(NoWheels::Unsolved(said).into()) }
}

/// What of a requirement is native code, by what is published for machines like this one.
fn native_of(pip: &Pip, need: &str, said: &str) -> Result<Vec<Verdict>, Stop> {
    let published = match pip.published(&vec![need.to_owned()]) {
        Ok(published) => published,
        Err(NoWheels::Unsolved(_)) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let mut native = Vec::new();
    for package in published.iter().filter(|package| is_native(package)) {
        // some are published in both ways, and this machine takes the native one
        if !pip.has_pure(&package.name)? {
            native.push(native_verdict(package));
        }
    }
    let name = name_of(need);
    if !native.iter().any(|verdict| verdict.name == name) {
        native.push(needing_verdict(&name, &native, said));
    }
    Ok(native)
}

fn is_native(package: &Published) -> bool {
    FileName::parse(&package.file).is_some_and(|file| !file.is_pure())
}

fn native_verdict(package: &Published) -> Verdict {
    Verdict {
        name: package.name.clone(),
        version: Some(package.version.clone()),
        file: Some(package.file.clone()),
        works: Works::No,
        why: vec![format!("{} is native code for one kind of machine", package.file)],
        modules: Vec::new(),
    }
}

/// What is pure itself and needs native code; or has no wheel at all.
fn needing_verdict(name: &str, native: &[Verdict], said: &str) -> Verdict {
    let names: Vec<&str> = native.iter().map(|verdict| verdict.name.as_str()).collect();
    let why = match names.is_empty() {
        false => format!("it needs {}", names.join(", ")),
        true => {
            let last = said.lines().rfind(|line| line.starts_with("ERROR: ")).unwrap_or("pip found no wheel of it");
            format!("no wheel, at most source code: {}", last.trim_start_matches("ERROR: "))
        }
    };
    Verdict { name: name.to_owned(), version: None, file: None, works: Works::No, why: vec![why], modules: Vec::new() }
}

fn try_all(
    sets: &[LockedSet],
    store: &Store,
    cache: PathBuf,
    verdicts: &mut BTreeMap<String, Verdict>,
) -> Result<(), Stop> {
    let mut wheels = Vec::with_capacity(sets.len());
    for set in sets {
        wheels.push(wheels_of(set, store)?);
    }
    block_on(interruptible(async {
        let probe = Probe::start(cache).await?;
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

async fn try_set(probe: &Probe, set: &LockedSet, bytes: Vec<Bytes>) -> Result<Vec<Verdict>, Stop> {
    let contents: Vec<Result<Contents, String>> =
        bytes.iter().map(|bytes| look(bytes).map_err(|problem| problem.to_string())).collect();
    let modules: Vec<Vec<String>> = contents
        .iter()
        .map(|contents| contents.as_ref().map(|found| found.modules.clone()).unwrap_or_default())
        .collect();
    let wheels: Vec<(&str, Bytes)> = set.wheels.iter().map(|wheel| wheel.file.as_str()).zip(bytes).collect();
    let (tried, bad) = match probe.try_set(&wheels, &modules).await? {
        Ok(tried) => (tried, None),
        Err(bad) => (vec![Vec::new(); modules.len()], Some(bad.to_string())),
    };
    let both = contents.into_iter().zip(tried);
    Ok(set
        .wheels
        .iter()
        .zip(both)
        .map(|(wheel, (contents, tried))| verdict(wheel, contents, tried, bad.as_deref()))
        .collect())
}

fn verdict(wheel: &LockedWheel, contents: Result<Contents, String>, tried: Vec<Tried>, bad: Option<&str>) -> Verdict {
    let mut why: Vec<String> = Vec::new();
    let native = match contents {
        Ok(contents) => contents.native,
        Err(problem) => {
            why.push(format!("{} {problem}", wheel.file));
            Vec::new()
        }
    };
    why.extend(bad.map(str::to_owned));
    if !FileName::parse(&wheel.file).is_some_and(|file| file.is_pure()) {
        why.push(format!("{} is native code for one kind of machine", wheel.file));
    }
    why.extend(native.iter().map(|file| format!("{file} is native code")));
    let cannot = !why.is_empty();
    let failed = tried.iter().filter(|(_, error)| error.is_some()).count();
    why.extend(tried.iter().filter_map(|(module, error)| Some(format!("import {module}: {}", error.as_ref()?))));
    let works = match failed {
        _ if cannot => Works::No,
        0 => Works::Yes,
        _ if failed == tried.len() => Works::No,
        _ => Works::Partly,
    };
    let LockedWheel { name, version, file, .. } = wheel.clone();
    Verdict { name, version: Some(version), file: Some(file), works, why, modules: tried }
}

impl Works {
    const fn word(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::Partly => "partly",
            Self::No => "no",
        }
    }
}

fn advice(verdict: &Verdict) -> Option<String> {
    instead(&verdict.name).filter(|_| verdict.works == Works::No)
}

fn lines(verdict: &Verdict) -> String {
    let version = verdict.version.as_deref().unwrap_or("");
    let mut lines = vec![format!("{:<7} {} {version}", verdict.works.word(), verdict.name).trim_end().to_owned()];
    lines.extend(verdict.why.iter().map(|why| format!("        {why}")));
    lines.extend(advice(verdict).map(|text| format!("        instead: {text}")));
    lines.join("\n")
}

fn entry(verdict: &Verdict) -> Value {
    let modules: Vec<Value> =
        verdict.modules.iter().map(|(name, error)| json!({ "name": name, "error": error })).collect();
    json!({
        "name": verdict.name,
        "version": verdict.version,
        "file": verdict.file,
        "works": verdict.works.word(),
        "why": verdict.why,
        "instead": advice(verdict),
        "modules": modules,
    })
}
