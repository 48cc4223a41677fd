//! Steps compiled to WebAssembly by their authors: components, and plain commands.
//!
//! ```text
//! contract.rs   what a step must be; checked when it is uploaded, and again before it is compiled
//! compile.rs    the child process that compiles one step, started by the parent (step_compiler.rs)
//! steps.rs      code is mapped once, each step gets a fresh instance
//! command.rs    JSON in, JSON out
//! component.rs  the contract of guest-sdk/wit/step.wit
//! calls.rs      operations of a component in the parent
//! http.rs       wasi:http on top of calls.rs
//! ```
//! Depends on what all guests share (`engine.rs`, `state.rs`, `wasi.rs`) and on [`memory`](crate::host::memory).

pub(crate) mod calls;
pub(crate) mod command;
pub(crate) mod compile;
pub(crate) mod component;
pub(crate) mod contract;
pub(crate) mod engine;
pub(crate) mod http;
pub(crate) mod step;
pub(crate) mod steps;
