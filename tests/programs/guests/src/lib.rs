//! All Rust steps of `tests/programs` in one component; calls select them by name.

#[path = "../../blob/step.rs"]
mod blob;
#[path = "../../http/step.rs"]
mod http;
#[path = "../../limits/step.rs"]
mod limits;
#[path = "../../outcomes/step.rs"]
mod outcomes;
#[path = "../../values/step.rs"]
mod values;
