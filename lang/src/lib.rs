//! Compiles script text to a [`Plan`](bue_model::Plan), with diagnostics.
//!
//! ```text
//! text --syntax/lexer--> tokens --parse--> tree --build--> Plan ---> plan, check, format
//!            \______________\_________________\____ diagnostics --render--> what a person reads
//! ```
//!
//! Nothing here accesses disk, network, clock or environment. Every text gets an answer: a plan, diagnostics, or both if all
//! diagnostics are warnings. All work is bounded and linear in the length of the text. The grammar is in `GRAMMAR.md`.
//!
//! A file imports from the file that defines a type, not through a `mod.rs`, so that the files form no import cycle.
#![forbid(unsafe_code)]

mod build;
mod check;
mod compile;
mod diagnostics;
mod format;
mod language;
mod parse;
mod plan;
pub mod python;
mod settings;
mod source;
mod syntax;
mod text;

pub use build::{MAX_NODES, MAX_PLAN_BYTES};
pub use check::{
    BuildProblem, Buildable, CodeProblem, CodeProblemKind, FileContents, PackageProblem, PackageProblemKind,
    bind_params, check_code, check_compiled, check_packages, check_scopes, check_sources, check_sql,
};
pub use compile::{Compiled, compile};
pub use diagnostics::{CODES, CodeFile, Diagnostic, Label, MAX_DIAGNOSTICS, Severity, explain, nearest, render};
pub use format::format;
pub use plan::{plan_json, plan_mermaid, plan_text};
pub use source::{MAX_SCRIPT, Position, Script, Span};
