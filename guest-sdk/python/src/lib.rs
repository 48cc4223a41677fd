//! The Python guest: RustPython as a core module that a sandbox host starts once, loads a user's module into once, and
//! then calls from copies of its memory. The contract stands in [`bue_model::guest`].
//!
//! ```text
//! bue_init  interpreter.rs  start, import what steps commonly use
//! bue_load  load.rs         the user's bundle becomes a module        lib/bue_load.py
//! bue_call  call.rs         CBOR -> decode.rs -> function -> answer.rs -> encode.rs -> CBOR
//! ```
mod abi;
mod answer;
mod call;
mod decode;
mod encode;
mod failure;
mod interpreter;
mod load;
