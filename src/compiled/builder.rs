//! Builds the steps of a script, each source once. One builder serves both the check and the packing of a script.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use bue_lang::{BuildProblem, Buildable};
use bue_model::plan::{Source, Step};
use bue_model::{Bundle, Language, SourceFile};
use bue_runtime::check_wasm;
use bytes::Bytes;

use super::problem::{problem, problem_with_hint};
use super::{c, cargo, go};
use crate::config::settings::Settings;
use crate::process::command_error::CommandError;

/// Builds steps and remembers the results.
#[derive(Debug)]
pub(crate) struct Builder {
    /// The folder for the output of compilers.
    cache: PathBuf,
    modules: HashMap<BuildKey, Result<Bytes, BuildProblem>>,
}

/// What is built. Different functions of one source may be different programs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct BuildKey {
    language: Language,
    path: PathBuf,
    function: String,
}

impl Builder {
    pub(crate) fn new(settings: &Settings) -> Result<Self, CommandError> {
        Ok(Self { cache: settings.cache_dir()?.join("build"), modules: HashMap::new() })
    }

    /// Checks that a step of a script in `folder` can be built. A missing source is not reported here: the check of sources
    /// does.
    pub(crate) fn check(&mut self, step: Buildable<'_>, folder: &Path) -> Result<(), BuildProblem> {
        let path = folder.join(step.path);
        if !path.exists() {
            return Ok(());
        }
        let key = BuildKey { language: step.language, path, function: step.function.to_owned() };
        self.build(key, step.step).as_ref().map(drop).map_err(Clone::clone)
    }

    /// Packs a step with its module; `None` if its language is not compiled.
    pub(crate) fn pack(&mut self, step: &Step, folder: &Path) -> Option<Result<Bundle, BuildProblem>> {
        if !step.language.is_compiled() {
            return None;
        }
        let Source::File(path) = &step.source else { return None };
        let key = BuildKey { language: step.language, path: folder.join(path), function: step.function.clone() };
        Some(self.build(key, &step.name).clone().map(|wasm| bundle(path, wasm)))
    }

    fn build(&mut self, key: BuildKey, step: &str) -> &Result<Bytes, BuildProblem> {
        let Self { cache, modules } = self;
        modules.entry(key).or_insert_with_key(|key| {
            let bytes = read(&module_path(key, step, cache)?)?;
            check_wasm(&bytes).map_err(|error| {
                let source = key.path.display();
                problem_with_hint(format!("`{source}` cannot be a step: {}", error.message), error.hint)
            })?;
            Ok(bytes)
        })
    }
}

/// Returns the file with the module of a step, and builds it if necessary.
fn module_path(key: &BuildKey, step: &str, cache: &Path) -> Result<PathBuf, BuildProblem> {
    let path = &key.path;
    if path.extension().is_some_and(|extension| extension == "wasm" || extension == "cwasm") {
        return Ok(path.clone());
    }
    match key.language {
        Language::Rust => cargo::build(path, &key.function, step, cache),
        Language::Go => go::build(path, step, cache),
        Language::C => c::build(path, step, cache, c::C),
        Language::Cpp => c::build(path, step, cache, c::CPP),
        // a file of WebAssembly, whatever its ending; the others are not compiled, and `pack` has returned
        Language::Wasm | Language::Python | Language::Sqlite3 | Language::Postgres | Language::Builtin => {
            Ok(path.clone())
        }
    }
}

fn read(path: &Path) -> Result<Bytes, BuildProblem> {
    let bytes = fs::read(path).map(Bytes::from);
    bytes.map_err(|error| problem(format!("failed to read {}: {error}", path.display())))
}

fn bundle(path: &str, wasm: Bytes) -> Bundle {
    let name = Path::new(path).file_stem().unwrap_or_default().to_string_lossy();
    let entry = format!("{name}.wasm");
    let file = SourceFile { path: entry.clone(), content: wasm };
    Bundle { entry, first_line: 1, files: vec![file], packages: Vec::new() }
}
