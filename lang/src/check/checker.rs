//! What the checks of files share: diagnostics, suggestions, and the files read so far.

use std::collections::HashMap;
use std::path::Path;

use bue_model::Language;
use bue_model::language::Engine;

use super::file_contents::FileContents;
use crate::build::source_map::{CodeLocation, CodeLocationKind, StepLocation};
use crate::compile::Compiled;
use crate::diagnostics::builder::{CodeFile, DiagnosticBuilder};
use crate::diagnostics::codes;
use crate::diagnostics::list::Diagnostics;
use crate::diagnostics::suggest::Suggester;
use crate::language;
use crate::python;
use crate::python::module::{Lookup, Module, SyntaxProblem};
use crate::source::{LineIndex, Position, Script, Span};

/// The language of the steps that use each code. It is one language, because an import has one.
pub(super) fn languages(compiled: &Compiled) -> Vec<Option<Language>> {
    let mut languages = vec![None; compiled.source_map.codes.len()];
    for step in &compiled.source_map.steps {
        if let Some(language) = languages.get_mut(step.code) {
            *language = Some(step.language);
        }
    }
    languages
}

/// Returns whether the code is Python, whose functions can be looked up.
fn has_python(language: Option<Language>) -> bool {
    language.is_some_and(|language| language.engine() == Engine::Python)
}

pub(super) struct Checker<'a> {
    pub(super) diagnostics: Diagnostics<'a>,
    suggester: Suggester,
    /// The module at each path, so that a file that many steps name is read and reported once.
    paths: HashMap<String, Option<Module>>,
}

impl<'a> Checker<'a> {
    pub(super) fn new(script: Script<'a>) -> Self {
        let (diagnostics, suggester) = (Diagnostics::new(script), Suggester::default());
        Self { diagnostics, suggester, paths: HashMap::new() }
    }

    /// The names that a code defines; `None` if they are unknown.
    pub(super) fn code<'f>(
        &mut self,
        code: &CodeLocation,
        language: Option<Language>,
        get: &impl Fn(&str) -> FileContents<'f>,
    ) -> Option<Module> {
        match &code.kind {
            CodeLocationKind::Inline { text, line, margin } if has_python(language) => {
                python::functions(text).map_err(|problem| self.inline_syntax(*line, *margin, problem)).ok()
            }
            CodeLocationKind::Inline { .. } => None,
            CodeLocationKind::Path(path) => {
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
                    DiagnosticBuilder::new(codes::NOT_TEXT, span, message)
                        .hint("steps in Python and SQL name a file of UTF-8 text"),
                );
            }
            FileContents::Text(text) if has_python(language) => {
                return python::functions(&text).map_err(|problem| self.file_syntax(path, &text, span, problem)).ok();
            }
            FileContents::Unreadable(reason) => {
                let message = format!("failed to read `{path}`: {reason}");
                self.diagnostics.add(
                    DiagnosticBuilder::new(codes::NOT_TEXT, span, message)
                        .hint("check that the file can be read by this user"),
                );
            }
            FileContents::Opaque | FileContents::Text(_) => {}
        }
        None
    }

    fn missing(&mut self, path: &str, span: Span) {
        let message = format!("there is no file `{path}`");
        self.diagnostics.add(
            DiagnosticBuilder::new(codes::FILE_NOT_FOUND, span, message)
                .hint("paths are relative to the folder of the script"),
        );
    }

    fn file_syntax(&mut self, path: &str, text: &str, used_at: Span, problem: SyntaxProblem) {
        let diagnostic = self.in_file(codes::INVALID_PYTHON, path, text, used_at, problem);
        self.diagnostics.add(diagnostic.label("this file is not valid Python"));
    }

    /// A mistake in a file that the script names at `used_at`.
    pub(super) fn in_file(
        &self,
        code: &'static str,
        path: &str,
        text: &str,
        used_at: Span,
        problem: SyntaxProblem,
    ) -> DiagnosticBuilder {
        let span = LineIndex::new(text).char_at(text, Position { line: problem.line, column: problem.column });
        let path = Path::new(self.diagnostics.script.path).with_file_name(path).display().to_string();
        DiagnosticBuilder::in_file(code, CodeFile { path, text: text.into() }, span, used_at, problem.message)
    }

    fn inline_syntax(&mut self, first_line: u32, margin: usize, problem: SyntaxProblem) {
        let span = self.span_in_code(first_line, margin, &problem);
        self.diagnostics.add(
            DiagnosticBuilder::new(codes::INVALID_PYTHON, span, problem.message).label("this code is not valid Python"),
        );
    }

    /// A span of the script: the lines of the code are lines of the script, after a margin.
    pub(super) fn span_in_code(&self, first_line: u32, margin: usize, problem: &SyntaxProblem) -> Span {
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

    pub(super) fn function(&mut self, step: &StepLocation, module: &Module) {
        // an invalid name has been reported
        let is_valid = language::may_name(step.language, &step.function);
        if !is_valid || module.lookup(&step.function) != Lookup::Missing {
            return;
        }
        let message = format!("there is no function `{}` for step `{}`", step.function, step.name);
        let nearest =
            self.suggester.nearest(&step.function, module.functions.iter().map(|function| function.name.as_str()));
        let hint = match nearest {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("define it: `def {}(…):`{}", step.function, defined(module)),
        };
        self.diagnostics.add(DiagnosticBuilder::new(codes::FUNCTION_NOT_FOUND, step.function_span, message).hint(hint));
    }
}

/// The first functions of a module, as the end of a hint.
fn defined(module: &Module) -> String {
    const MOST: usize = 5;
    let functions = module.functions.iter().filter(|function| function.at > 0 && !function.name.contains('.'));
    let names: Vec<String> = functions.map(|function| format!("`{}`", function.name)).take(MOST).collect();
    if names.is_empty() { String::new() } else { format!("; the code defines {}", names.join(", ")) }
}
