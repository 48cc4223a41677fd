//! A compiled script against the files its steps name. The caller reads the files; here they are only looked at.

mod compiled;
mod inputs;
mod packages;
mod scopes;
mod sql;

use std::borrow::Cow;
use std::collections::HashMap;

use bue_model::Language;
use bue_model::language::Engine;

use crate::Compiled;
use crate::code;
use crate::diagnostic::{Diagnostic, DiagnosticBuilder, Diagnostics};
use crate::language;
use crate::origin::{CodeOrigin, CodeOriginKind, StepOrigin};
use crate::python::{self, Lookup, Module, SyntaxProblem};
use crate::source::{Script, Span};
use crate::suggest::Suggester;

pub use compiled::{BuildProblem, Buildable, check_compiled};
pub use packages::{PackageProblem, PackageProblemKind, check_packages};
pub use scopes::check_scopes;
pub use sql::check_sql;

/// What the caller found at a path.
#[derive(Clone, Debug)]
pub enum FileContents<'a> {
    /// Nothing.
    Missing,
    /// A text.
    Text(Cow<'a, str>),
    /// A folder, or a file that is not UTF-8. Steps of compiled languages name such; Python and SQL cannot use them.
    Opaque,
}

/// What the answer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// `bue check`: a file may still come, or become Python, so that it is missing or unfinished is a warning.
    Check,
    /// `bue run`, `bue upload`: a file must be there.
    Run,
}

/// Diagnostics about files that are missing, functions that are not in them, Python that is none, and numbers of inputs that
/// do not fit. Every path is asked for once. `script` is what `compiled` was made from.
pub fn check_sources<'f>(
    script: Script<'_>,
    compiled: &Compiled,
    purpose: Purpose,
    get: impl Fn(&str) -> FileContents<'f>,
) -> Vec<Diagnostic> {
    let mut check = Check::new(script, purpose);
    let origins = &compiled.origins;
    let modules: Vec<Option<Module>> = origins
        .codes
        .iter()
        .zip(languages(compiled))
        .map(|(code, language)| check.code(code, language, &get))
        .collect();
    for step in &origins.steps {
        if let Some(Some(module)) = modules.get(step.code) {
            check.function(step, module);
        }
    }
    if let Some(plan) = &compiled.plan {
        inputs::check(plan, origins, &modules, &mut check.diagnostics);
    }
    check.diagnostics.finish()
}

/// The language of the steps that use each code: one, as an import has one language.
fn languages(compiled: &Compiled) -> Vec<Option<Language>> {
    let mut languages = vec![None; compiled.origins.codes.len()];
    for step in &compiled.origins.steps {
        if let Some(language) = languages.get_mut(step.code) {
            *language = Some(step.language);
        }
    }
    languages
}

/// Whether the code is Python, whose functions can be looked up.
fn has_python(language: Option<Language>) -> bool {
    language.is_some_and(|language| language.engine() == Engine::Python)
}

struct Check<'a> {
    diagnostics: Diagnostics<'a>,
    purpose: Purpose,
    suggester: Suggester,
    /// What was found at each path, so that a file that many steps name is read and reported once.
    paths: HashMap<String, Option<Module>>,
}

impl<'a> Check<'a> {
    fn new(script: Script<'a>, purpose: Purpose) -> Self {
        let (diagnostics, suggester) = (Diagnostics::new(script), Suggester::default());
        Self { diagnostics, purpose, suggester, paths: HashMap::new() }
    }

    /// The names a code defines; `None` if they are not known.
    fn code<'f>(
        &mut self,
        code: &CodeOrigin,
        language: Option<Language>,
        get: &impl Fn(&str) -> FileContents<'f>,
    ) -> Option<Module> {
        match &code.kind {
            CodeOriginKind::Inline { text, line, margin } if has_python(language) => {
                python::functions(text).map_err(|problem| self.inline_syntax(*line, *margin, problem)).ok()
            }
            CodeOriginKind::Inline { .. } => None,
            CodeOriginKind::Path(path) => {
                if let Some(known) = self.paths.get(path) {
                    return known.clone();
                }
                let module = self.file(path, code.span, language, get(path));
                self.paths.insert(path.clone(), module.clone());
                module
            }
        }
    }

    fn file(&mut self, path: &str, span: Span, language: Option<Language>, found: FileContents<'_>) -> Option<Module> {
        let is_text = language.is_some_and(|language| !language.is_compiled());
        match found {
            FileContents::Missing => self.missing(path, span),
            FileContents::Opaque if is_text => {
                let message = format!("`{path}` is not a text file");
                self.diagnostics.add(
                    DiagnosticBuilder::new(code::NOT_TEXT, span, message)
                        .hint("a step's file is UTF-8 text; a folder is none"),
                );
            }
            FileContents::Text(text) if has_python(language) => {
                return python::functions(&text).map_err(|problem| self.file_syntax(path, span, &problem)).ok();
            }
            FileContents::Opaque | FileContents::Text(_) => {}
        }
        None
    }

    fn missing(&mut self, path: &str, span: Span) {
        let code = if self.purpose == Purpose::Check { code::NO_FILE_YET } else { code::NO_FILE };
        let message = format!("there is no file `{path}`");
        self.diagnostics
            .add(DiagnosticBuilder::new(code, span, message).hint("paths are relative to the script's folder"));
    }

    /// What a step's code says is none of the script's grammar: a script is right although its code is unfinished.
    fn syntax_code(&self) -> &'static str {
        if self.purpose == Purpose::Check { code::PYTHON_SYNTAX_YET } else { code::PYTHON_SYNTAX }
    }

    fn file_syntax(&mut self, path: &str, span: Span, problem: &SyntaxProblem) {
        let message = format!("{path}:{}:{}: {}", problem.line, problem.column, problem.message);
        self.diagnostics
            .add(DiagnosticBuilder::new(self.syntax_code(), span, message).label("this file is not Python"));
    }

    fn inline_syntax(&mut self, first_line: u32, margin: usize, problem: SyntaxProblem) {
        let span = self.place_in_code(first_line, margin, &problem);
        self.diagnostics
            .add(DiagnosticBuilder::new(self.syntax_code(), span, problem.message).label("this code is not Python"));
    }

    /// Points into the script itself: the text's lines are lines of the script, behind a margin.
    fn place_in_code(&self, first_line: u32, margin: usize, problem: &SyntaxProblem) -> Span {
        let line = first_line + problem.line - 1;
        let start = self.diagnostics.lines.start(line) as usize;
        let text = self.diagnostics.lines.text(self.diagnostics.script.text, line);
        let column = (problem.column as usize).saturating_sub(1);
        let shifted =
            text.get(margin..).unwrap_or_default().char_indices().nth(column).map_or(text.len(), |(at, _)| at + margin);
        let end =
            text.get(shifted..).and_then(|rest| rest.chars().next()).map_or(shifted, |char| shifted + char.len_utf8());
        Span::new(start + shifted, start + end)
    }

    fn function(&mut self, step: &StepOrigin, module: &Module) {
        // a name that can be none has been reported
        let may_be = language::may_name(step.language, &step.function);
        if !may_be || module.lookup(&step.function) != Lookup::Missing {
            return;
        }
        let message = format!("there is no function `{}` for step `{}`", step.function, step.name);
        let nearest =
            self.suggester.nearest(&step.function, module.functions.iter().map(|function| function.name.as_str()));
        let hint = match nearest {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("define it: `def {}(…):`", step.function),
        };
        self.diagnostics.add(DiagnosticBuilder::new(code::NO_FUNCTION, step.function_span, message).hint(hint));
    }
}
