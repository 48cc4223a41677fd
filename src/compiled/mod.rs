//! Steps of compiled languages, built from their source on this machine, or taken as the `.wasm` they are.
//!
//! A builder knows what it has built: a script is checked and packed with one, and each source is built once.

mod c;
mod cargo;
mod go;
mod tool;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use bue_lang::{BuildProblem, Buildable};
use bue_model::plan::{Source, Step};
use bue_model::{Bundle, Language, SourceFile};
use bue_runtime::check_wasm;
use bytes::Bytes;

use crate::settings::Settings;
use crate::stop::Stop;

/// Builds steps, each once.
#[derive(Debug)]
pub(crate) struct Builder {
    /// Where compilers keep what they made.
    cache: PathBuf,
    built: HashMap<Wanted, Result<Bytes, BuildProblem>>,
}

/// What is built: of one source tree different functions may be different programs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Wanted {
    language: Language,
    path: PathBuf,
    function: String,
}

/// A problem with something to type.
fn problem(message: impl Into<String>, hint: impl Into<String>) -> BuildProblem {
    BuildProblem { message: message.into(), hint: Some(hint.into()) }
}

impl Builder {
    pub(crate) fn new(settings: &Settings) -> Result<Self, Stop> {
        Ok(Self { cache: settings.cache_dir()?.join("build"), built: HashMap::new() })
    }

    /// Can the step of a script in `folder` be built? What is not there is said elsewhere.
    pub(crate) fn check(&mut self, step: Buildable<'_>, folder: &Path) -> Result<(), BuildProblem> {
        let path = folder.join(step.path);
        if !path.exists() {
            return Ok(());
        }
        let wanted = Wanted { language: step.language, path, function: step.function.to_owned() };
        self.build(wanted, step.step).as_ref().map(drop).map_err(Clone::clone)
    }

    /// A step with its module, if it is one of a compiled language. Building has been tried by then.
    pub(crate) fn pack(&mut self, step: &Step, folder: &Path) -> Option<Result<Bundle, BuildProblem>> {
        if !step.language.is_compiled() {
            return None;
        }
        let Source::File(path) = &step.source else { return None };
        let wanted = Wanted { language: step.language, path: folder.join(path), function: step.function.clone() };
        Some(self.build(wanted, &step.name).clone().map(|wasm| bundle(path, wasm)))
    }

    fn build(&mut self, wanted: Wanted, step: &str) -> &Result<Bytes, BuildProblem> {
        let Self { cache, built } = self;
        built.entry(wanted).or_insert_with_key(|wanted| {
            let module = module(wanted, step, cache)?;
            let bytes = read(&module)?;
            check_wasm(&bytes).map_err(|wrong| {
                let shown = wanted.path.display();
                problem(format!("`{shown}` is no step: {}", wrong.message), wrong.hint)
            })?;
            Ok(bytes)
        })
    }
}

/// The file with the module of a step.
fn module(wanted: &Wanted, step: &str, cache: &Path) -> Result<PathBuf, BuildProblem> {
    let path = &wanted.path;
    if path.extension().is_some_and(|kind| kind == "wasm" || kind == "cwasm") {
        return Ok(path.clone());
    }
    match wanted.language {
        Language::Rust => cargo::build(path, &wanted.function, step, cache),
        Language::Go => go::build(path, step, cache),
        Language::C => c::build(path, step, cache, c::C),
        Language::Cpp => c::build(path, step, cache, c::CPP),
        // a file of WebAssembly, whatever its ending; the others are not compiled and do not come here
        Language::Wasm | Language::Python | Language::Sqlite3 | Language::Postgres => Ok(path.clone()),
    }
}

fn read(path: &Path) -> Result<Bytes, BuildProblem> {
    let read = fs::read(path).map(Bytes::from);
    read.map_err(|error| BuildProblem { message: format!("failed to read {}: {error}", path.display()), hint: None })
}

fn bundle(path: &str, wasm: Bytes) -> Bundle {
    let name = Path::new(path).file_stem().unwrap_or_default().to_string_lossy();
    let entry = format!("{name}.wasm");
    let file = SourceFile { path: entry.clone(), content: wasm };
    Bundle { entry, first_line: 1, files: vec![file], packages: Vec::new() }
}

/// The folder of a source tree: the path itself, or where the file stands.
fn folder_of(path: &Path) -> &Path {
    match path.is_dir() {
        true => path,
        false => path.parent().unwrap_or(Path::new("")),
    }
}

/// A place for what is built from a source, of its own: other sources may have the same name.
fn place(source: &Path, cache: &Path, language: &str) -> Result<PathBuf, BuildProblem> {
    let whole = fs::canonicalize(source).unwrap_or_else(|_| source.to_owned());
    let folder = cache.join(language).join(tool::name_of(&whole));
    let made = fs::create_dir_all(&folder);
    made.map_err(|error| BuildProblem {
        message: format!("failed to make {}: {error}", folder.display()),
        hint: None,
    })?;
    Ok(folder)
}
