//! Printed forms of a plan. Depends on `model` and `text.rs` only.

mod capability;
mod json;
mod literal;
mod mermaid;
mod table;
mod text;

pub use json::plan_json;
pub use mermaid::plan_mermaid;
pub use text::plan_text;
