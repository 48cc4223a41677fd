//! Steps that were compiled to WebAssembly before they came here: components, and plain commands.
//!
//! ```text
//! contract.rs   what a step must be; asked by uploaders and again here, before anything runs
//! compiler.rs   parent: machine code from the cache, or from a child that does nothing else
//! compile.rs    that child
//! steps.rs      sandbox host: code mapped once, a fresh instance a step
//! command.rs    JSON in, JSON out              component.rs   the contract of guest-sdk/wit/step.wit
//!                                              calls.rs       what a component has under way in the parent
//!                                              http.rs        wasi:http, made of that
//! ```

mod calls;
mod command;
mod compile;
mod compiler;
mod component;
mod contract;
mod engine;
mod http;
mod steps;

pub use compiler::{CompiledStep, StepCompiler};
pub use contract::{WasmKind, WasmProblem, check_wasm};

pub(crate) use compile::compile;
pub(crate) use steps::{WasmStep, WasmSteps};
