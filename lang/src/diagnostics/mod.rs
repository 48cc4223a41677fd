//! Diagnostics of a script and their rendering: a message, labelled spans, and a hint with what to type.
//!
//! Depends on `source` only. `codes.rs` lists all codes, `explain.rs` has a page on each, `list.rs` collects the diagnostics of
//! one script.

pub(crate) mod builder;
pub(crate) mod codes;
pub(crate) mod diagnostic;
mod explain;
pub(crate) mod list;
mod render;
pub(crate) mod suggest;

pub use builder::CodeFile;
pub use codes::CODES;
pub use diagnostic::{Diagnostic, Label, Severity};
pub use explain::explain;
pub use list::MAX_DIAGNOSTICS;
pub use render::render;
pub use suggest::nearest;
