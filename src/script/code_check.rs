//! What the code of a step imports and calls that cannot work in a sandbox.
//!
//! Follows what is certainly executed: the top level of the step's file and of the modules that it imports, the step's
//! function, and every function of these files whose name is used there. A name stands for all functions that have it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bue_lang::python::{Import, Scope, ScopeName, SyntaxProblem, scopes};
use bue_lang::{CodeFile, CodeProblem, CodeProblemKind, FileContents, Span};
use bue_model::plan::{Capability, Source};
use bue_model::{NamePattern, Step};

use crate::deps::guest_modules::{LibraryModule, has_buelon_module, library_module};
use crate::deps::locked::StepModules;
use crate::deps::missing_module::{MissingModule, missing_in_buelon, missing_in_library, missing_module};
use crate::script::forbidden_calls::{FilePlace, forbidden_call, forbidden_value};
use crate::script::neighbours::{Neighbours, folder};
use crate::script::packed_files::{PackedFilesError, packed_files};
use crate::script::read::read_source;

/// Returns the problems of a step's code. `packages` are the modules of its packages.
pub(crate) fn code_problems(step: &Step, script: &Path, packages: &StepModules) -> Vec<CodeProblem> {
    let mut walk = Walk::new(step, script);
    walk.follow();
    let mut problems = core::mem::take(&mut walk.syntax_problems);
    problems.extend(walk.packed_problem.take().map(|error| CodeProblem {
        kind: CodeProblemKind::Packed,
        file: None,
        span: Span { start: 0, end: 0 },
        message: error.to_string(),
        hint: None,
    }));
    for (path, file) in &walk.files {
        for scope in file.scopes.iter().filter(|scope| walk.is_executed(scope)) {
            let imports = scope.imports.iter().filter(|import| import.is_certain);
            problems.extend(imports.filter_map(|import| walk.import_problem(import, path, packages)));
            let calls = scope.calls.iter().filter(|call| call.is_certain);
            problems.extend(calls.filter_map(|call| {
                let forbidden = forbidden_call(call, |path| walk.place(path));
                let (kind, MissingModule { message, hint }) =
                    forbidden.or_else(|| forbidden_value(call, &walk.allowed_values))?;
                Some(walk.problem(kind, path, (call.range.start, call.range.end), message, hint))
            }));
        }
    }
    problems
}

/// A file that is imported for certain.
struct ReadFile {
    text: String,
    scopes: Vec<Scope>,
}

struct Walk<'a> {
    script: &'a Path,
    neighbours: Neighbours,
    is_inline: bool,
    /// By their paths in the bundle.
    files: BTreeMap<String, ReadFile>,
    /// Names that executed code uses.
    names: BTreeSet<String>,
    syntax_problems: Vec<CodeProblem>,
    /// The files of `!files`, by their paths from the script's folder.
    packed: BTreeSet<String>,
    packed_problem: Option<PackedFilesError>,
    /// The values of the bucket that the script allows.
    allowed_values: Vec<NamePattern>,
}

impl<'a> Walk<'a> {
    fn new(step: &Step, script: &'a Path) -> Self {
        let (neighbours, inline) = match &step.source {
            Source::Inline { text, .. } => (Neighbours::for_inline_code(script), Some(text.as_str())),
            Source::File(path) => (Neighbours::for_file(script, path), None),
            // each of its stages is checked as a step
            Source::Fused(_) => (Neighbours::for_inline_code(script), Some("")),
        };
        let entry = neighbours.entry.clone();
        let mut walk = Self {
            script,
            neighbours,
            is_inline: inline.is_some(),
            files: BTreeMap::new(),
            names: step.function.split('.').map(str::to_owned).collect(),
            syntax_problems: Vec::new(),
            packed: BTreeSet::new(),
            packed_problem: None,
            allowed_values: step.settings.allow.iter().filter_map(allowed_values).collect(),
        };
        match packed_files(step, script) {
            Ok(files) => walk.packed = files.into_iter().map(|file| file.name).collect(),
            Err(error) => walk.packed_problem = Some(error),
        }
        match inline {
            Some(text) => drop(walk.add(entry, text.to_owned())),
            None => walk.read(&entry),
        }
        // the check of the step's own source has reported it
        walk.syntax_problems.clear();
        walk
    }

    fn read(&mut self, path: &str) {
        if self.files.contains_key(path) {
            return;
        }
        if let FileContents::Text(text) = read_source(&self.neighbours.root.join(path)) {
            let text = text.into_owned();
            if let Err(problem) = self.add(path.to_owned(), text.clone()) {
                let file = Some(self.code_file(path, &text));
                let at = offset(&text, &problem);
                let span = Span { start: at, end: at };
                let kind = CodeProblemKind::Syntax;
                self.syntax_problems.push(CodeProblem { kind, file, span, message: problem.message, hint: None });
            }
        }
    }

    fn add(&mut self, path: String, text: String) -> Result<(), SyntaxProblem> {
        let found = scopes(&text);
        let (scopes, outcome) = match found {
            Ok(scopes) => (scopes, Ok(())),
            Err(problem) => (Vec::new(), Err(problem)),
        };
        self.files.insert(path, ReadFile { text, scopes });
        outcome
    }

    /// Reads all files that are certainly imported, and collects the names that are certainly used. Each round adds names or
    /// files, of which there are finitely many.
    fn follow(&mut self) {
        loop {
            let before = (self.files.len(), self.names.len());
            let mut imported = BTreeSet::new();
            let mut names = BTreeSet::new();
            for (path, file) in &self.files {
                for scope in file.scopes.iter().filter(|scope| self.is_executed(scope)) {
                    names.extend(scope.names.iter().cloned());
                    let imports = scope.imports.iter().filter(|import| import.is_certain);
                    imported.extend(imports.flat_map(|import| self.neighbours.imported_files(import, path)));
                }
            }
            self.names.append(&mut names);
            imported.iter().for_each(|path| self.read(path));
            if before == (self.files.len(), self.names.len()) {
                return;
            }
        }
    }

    /// Looks for a file by its path from the script's folder.
    fn place(&self, path: &str) -> FilePlace {
        if self.packed.contains(path) || self.files.contains_key(path) {
            FilePlace::Packed
        } else if folder(self.script).join(path).is_file() {
            FilePlace::BesideScript
        } else {
            FilePlace::Nowhere
        }
    }

    fn is_executed(&self, scope: &Scope) -> bool {
        match &scope.name {
            ScopeName::Module => true,
            ScopeName::Function(name) => self.names.contains(name),
            ScopeName::Method(class, name) => {
                self.names.contains(class) && (self.names.contains(name) || name == "__init__")
            }
        }
    }

    fn import_problem(&self, import: &Import, path: &str, packages: &StepModules) -> Option<CodeProblem> {
        let MissingModule { message, hint } = self.missing(import, path, packages)?;
        Some(self.problem(CodeProblemKind::Import, path, (import.range.start, import.range.end), message, hint))
    }

    /// Looks up a module as the guest does.
    fn missing(&self, import: &Import, path: &str, packages: &StepModules) -> Option<MissingModule> {
        let module = import.module.as_str();
        let top = module.split('.').next().unwrap_or_default();
        let top_import = Import { module: top.to_owned(), names: Vec::new(), ..import.clone() };
        if module.is_empty() || self.neighbours.has_module(import, path) {
            return None;
        }
        let missing = || missing_module(module, &self.neighbours.module_names(), self.script);
        if import.level > 0 {
            let message = format!("there is no module `{module}` in the package of {path}");
            let hint = "relative imports load files beside the one that contains them".to_owned();
            return Some(MissingModule { message, hint });
        }
        if self.neighbours.has_module(&top_import, path) {
            return library_module(top).is_none().then(missing);
        }
        match top {
            "bue" | "__main__" => return None,
            "buelon" => return missing_buelon_module(import).map(|module| missing_in_buelon(&module)),
            _ => {}
        }
        if let Some(name) =
            names_of(import).into_iter().find(|name| library_module(name) == Some(LibraryModule::CannotWork))
        {
            return (!packages.may_have(top)).then(|| missing_in_library(&name));
        }
        let is_found = library_module(top).is_some() || packages.may_have(top) || has_buelon_module(module);
        (!is_found).then(missing)
    }

    fn problem(
        &self,
        kind: CodeProblemKind,
        path: &str,
        (start, end): (u32, u32),
        message: String,
        hint: String,
    ) -> CodeProblem {
        let is_inline = self.is_inline && path == self.neighbours.entry;
        let text = self.files.get(path).map_or("", |file| file.text.as_str());
        let file = (!is_inline).then(|| self.code_file(path, text));
        CodeProblem { kind, file, span: Span { start, end }, message, hint: Some(hint) }
    }

    fn code_file(&self, path: &str, text: &str) -> CodeFile {
        CodeFile { path: self.neighbours.root.join(path).display().to_string(), text: text.into() }
    }
}

/// Returns the values of the bucket that a permission is for.
fn allowed_values(permission: &Capability) -> Option<NamePattern> {
    match permission {
        Capability::Bucket(pattern) => pattern.parse().ok(),
        _ => None,
    }
}

/// The module of an import and the modules that its names may be, from the outermost to the innermost.
fn names_of(import: &Import) -> Vec<String> {
    let inner = import.names.iter().map(|name| format!("{}.{name}", import.module));
    core::iter::once(import.module.clone()).chain(inner).collect()
}

/// Returns what an import wants of Buelon and a step does not have. Only packages have names that are modules; of the others,
/// the sandbox has every name, but for those of `buelon.core.step`.
fn missing_buelon_module(import: &Import) -> Option<String> {
    const PACKAGES: [&str; 3] = ["buelon", "buelon.core", "buelon.helpers"];
    const ANSWERS: [&str; 3] = ["Result", "StepStatus", "*"];
    let module = import.module.as_str();
    if !has_buelon_module(module) {
        return Some(module.to_owned());
    }
    if !PACKAGES.contains(&module) {
        return None;
    }
    let names = import.names.iter().filter(|name| !ANSWERS.contains(&name.as_str()));
    names.map(|name| format!("{module}.{name}")).find(|name| !has_buelon_module(name))
}

/// Returns the byte of a position.
fn offset(text: &str, problem: &SyntaxProblem) -> u32 {
    let lines = text.split_inclusive('\n').take((problem.line as usize).saturating_sub(1));
    let before: usize = lines.map(str::len).sum();
    let line = text.get(before..).unwrap_or_default();
    let column = line.char_indices().nth((problem.column as usize).saturating_sub(1)).map_or(0, |(at, _)| at);
    u32::try_from(before + column).unwrap_or_default()
}
