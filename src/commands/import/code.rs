//! The Python files of the functions that a YAML file names: where they are, and what in them works differently.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use bue_lang::python::{Lookup, functions, scopes};
use bue_lang::{FileContents, Script, compile, nearest};
use bytes::Bytes;

use crate::pypeline::{Conversion, Handler, ImportedScript, Problems};
use crate::script::bundle::pack;
use crate::script::read::read_source;

/// How many folders above the YAML file the package may be: the file is beside it, inside it, or in a folder of it.
const FOLDERS: usize = 3;

/// What steps have instead of the library.
const INSTEAD_OF_LIBRARY: &str = "steps have no `pypeline`: use `event[\"chain_payload\"]` in place of \
     `PipelineRunWrapper.from_event(event).chain_payload`, and return what `PipelineResult` would save";

/// The code of all scripts.
#[derive(Debug, Default)]
pub(super) struct Code {
    /// The folder with the package, if one was found.
    pub(super) root: Option<PathBuf>,
    /// The files that the scripts import, by their paths from there.
    pub(super) files: BTreeMap<String, Bytes>,
}

/// Finds the files, and warns of functions that are not there and of what their code needs of PypeLine.
pub(super) fn find(yaml: &Path, conversion: &Conversion, problems: &mut Problems) -> Code {
    let handlers: Vec<&Handler> = conversion.scripts.iter().flat_map(|script| &script.handlers).collect();
    let Some(root) = root_of(yaml, &handlers) else {
        for handler in handlers {
            warn_of_missing_module(handler, problems);
        }
        return Code::default();
    };
    handlers.iter().for_each(|handler| check_handler(handler, &root, problems));
    let mut files = BTreeMap::new();
    for script in &conversion.scripts {
        files.extend(files_of(script, &root, problems));
    }
    files.iter().for_each(|(path, content)| check_file(path, content, &root, problems));
    Code { root: Some(root), files }
}

/// The folder that has the module of one of the functions, as `import` looks for it.
fn root_of(yaml: &Path, handlers: &[&Handler]) -> Option<PathBuf> {
    let yaml = yaml.canonicalize().ok()?;
    let folders = yaml.ancestors().skip(1).take(FOLDERS);
    let has_one = |folder: &&Path| handlers.iter().any(|handler| module_file(handler, folder).is_some());
    folders.into_iter().find(has_one).map(Path::to_owned)
}

fn module_file(handler: &Handler, root: &Path) -> Option<PathBuf> {
    let path = root.join(handler.module.replace('.', "/"));
    [path.join("__init__.py"), path.with_extension("py")].into_iter().find(|path| path.is_file())
}

fn check_handler(handler: &Handler, root: &Path, problems: &mut Problems) {
    let Some(path) = module_file(handler, root) else { return warn_of_missing_module(handler, problems) };
    let FileContents::Text(text) = read_source(&path) else { return };
    let shown = path.strip_prefix(root).unwrap_or(&path).display().to_string();
    match functions(&text) {
        Err(problem) => {
            let message = format!("{shown}:{}:{}: {}", problem.line, problem.column, problem.message);
            problems.warning(handler.place, message, "correct the file; no step runs before that");
        }
        Ok(module)
            if module.lookup(&handler.function) == Lookup::Missing && !module.opaque.contains(&handler.function) =>
        {
            let names = module.functions.iter().map(|function| function.name.as_str());
            let hint = nearest(&handler.function, names)
                .map_or_else(|| "define it, or name another one".to_owned(), |name| format!("did you mean `{name}`?"));
            problems.warning(handler.place, format!("{shown} defines no `{}`", handler.function), hint);
        }
        Ok(_) => {}
    }
}

fn warn_of_missing_module(handler: &Handler, problems: &mut Problems) {
    let file = handler.module.replace('.', "/");
    let message = format!("there is no {file}.py beside the YAML file or in the two folders above it");
    problems.warning(handler.place, message, "put it beside the scripts, or `bue check` will refuse them");
}

/// Packs the code of a script as if the script were beside the package.
fn files_of(script: &ImportedScript, root: &Path, problems: &mut Problems) -> BTreeMap<String, Bytes> {
    let path = root.join(format!("{}.bue", script.name));
    let name = path.display().to_string();
    let plan = compile(Script { path: &name, text: &script.text }).plan;
    // all steps of a script have the same code
    let step = plan.as_ref().and_then(|plan| plan.steps.first());
    match step.map(|step| pack(step, &[], &path)) {
        Some(Ok(bundle)) => {
            let entry = bundle.entry.clone();
            let files = bundle.files.into_iter().filter(|file| file.path != entry);
            files.map(|file| (file.path, file.content)).collect()
        }
        Some(Err(error)) => {
            problems.error_of_file(error.to_string(), "make the package smaller, or split it");
            BTreeMap::new()
        }
        None => BTreeMap::new(),
    }
}

/// Warns of code that needs PypeLine.
fn check_file(path: &str, content: &Bytes, root: &Path, problems: &mut Problems) {
    let text = String::from_utf8_lossy(content);
    let is_library = |module: &str| matches!(module.split('.').next(), Some("pypeline" | "sermos"));
    let has_its_own = root.join("pypeline").is_dir() || root.join("sermos").is_dir();
    let imports = scopes(&text).unwrap_or_default().into_iter().flat_map(|scope| scope.imports);
    let lines: BTreeSet<usize> = imports
        .filter(|import| import.level == 0 && is_library(&import.module) && !has_its_own)
        .map(|import| line_of(&text, import.range.start as usize))
        .collect();
    for line in lines {
        problems.warning_of_file(format!("{path}:{line} imports PypeLine"), INSTEAD_OF_LIBRARY);
    }
    if let Some(at) = text.find("execution_id") {
        let message =
            format!("{path}:{} uses `execution_id`, which events and settings do not have", line_of(&text, at));
        problems.warning_of_file(message, "use another key, such as a parameter of the script");
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}
