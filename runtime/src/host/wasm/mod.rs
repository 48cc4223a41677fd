//! Steps that were compiled to WebAssembly before they came here: components, and plain commands.
//!
//! ```text
//! contract.rs   what a step must be; asked by uploaders and again here, before anything runs
//! compile.rs    that child
//! steps.rs      sandbox host: code mapped once, a fresh instance a step
//! command.rs    JSON in, JSON out              component.rs   the contract of guest-sdk/wit/step.wit
//!                                              calls.rs       what a component has under way in the parent
//!                                              http.rs        wasi:http, made of that
//! ```

pub(crate) mod calls;
pub(crate) mod command;
pub(crate) mod compile;
pub(crate) mod component;
pub(crate) mod contract;
pub(crate) mod engine;
pub(crate) mod http;
pub(crate) mod step;
pub(crate) mod steps;
