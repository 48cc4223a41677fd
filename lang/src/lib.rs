//! Script text to a [`Plan`], with diagnostics.
//!
//! ```text
//! text --lexer--> tokens --parse--> tree --build--> Plan
//!            \________\________________\____ diagnostics --render--> what a person reads
//! ```
//!
//! Nothing here touches disk, network, clock or environment. Whatever the text, there is an answer: a plan, or diagnostics,
//! or both if these are warnings only. All work is linear in the text's length and bounded. The grammar is in `GRAMMAR.md`.
#![forbid(unsafe_code)]

mod build;
mod code;
mod definition;
mod diagnostic;
mod duration;
mod explain;
mod expr;
mod format;
mod inline;
mod language;
mod lexer;
mod names;
mod origin;
mod parse;
mod plan_json;
mod plan_mermaid;
mod plan_text;
pub mod python;
mod render;
mod setting;
mod settings;
mod source;
mod sources;
mod suggest;
mod tree;

use bue_model::Plan;

pub use build::{MAX_NODES, MAX_PLAN_BYTES};
pub use code::CODES;
pub use diagnostic::{Diagnostic, Label, MAX_DIAGNOSTICS, Severity};
pub use explain::explain;
pub use format::format;
pub use plan_json::plan_json;
pub use plan_mermaid::plan_mermaid;
pub use plan_text::plan_text;
pub use render::render;
pub use source::{MAX_SCRIPT, Position, Script, Span};
pub use sources::{
    BuildProblem, Buildable, FileContents, PackageProblem, PackageProblemKind, Purpose, check_compiled, check_packages,
    check_scopes, check_sources, check_sql,
};

use build::Built;
use diagnostic::{DiagnosticBuilder, Diagnostics};
use lexer::{Kind, Tokens};
use origin::Origins;
use parse::Tree;

/// What a script came to.
#[derive(Debug)]
pub struct Compiled {
    /// `Some` if no diagnostic is an error.
    pub plan: Option<Plan>,
    /// In the order of the text. What files say comes from [`check_sources`].
    pub diagnostics: Vec<Diagnostic>,
    /// Where steps and calls stand in the text.
    origins: Origins,
}

/// Reads a script. Never fails: what is wrong is in the diagnostics.
#[must_use]
pub fn compile(script: Script<'_>) -> Compiled {
    if script.text.len() > MAX_SCRIPT {
        return too_large(script);
    }
    read(script, |_, _, built, diagnostics| {
        let plan = (!diagnostics.has_errors()).then_some(built.plan);
        let origins = Origins::new(&built.steps, built.calls, &diagnostics.lines);
        Compiled { plan, diagnostics: diagnostics.finish(), origins }
    })
}

/// One reading of a script, for those who want its plan and those who want its text.
fn read<'a, R>(script: Script<'a>, finish: impl FnOnce(&Tokens, &Tree<'a>, Built<'_>, Diagnostics<'a>) -> R) -> R {
    let mut diagnostics = Diagnostics::new(script);
    let tokens = lexer::tokens(&mut diagnostics);
    let tree = parse::parse(&tokens.list, &mut diagnostics);
    let cut = tokens.list.iter().any(|token| token.kind == Kind::OpenCode);
    let built = build::build(&tree, cut, &mut diagnostics);
    finish(&tokens, &tree, built, diagnostics)
}

fn too_large(script: Script<'_>) -> Compiled {
    let mut diagnostics = Diagnostics::new(Script { path: script.path, text: "" });
    let message = format!("this script is longer than {MAX_SCRIPT} bytes");
    diagnostics.add(DiagnosticBuilder::new(code::TOO_LARGE, Span { start: 0, end: 0 }, message).hint("split it"));
    Compiled { plan: None, diagnostics: diagnostics.finish(), origins: Origins::default() }
}
