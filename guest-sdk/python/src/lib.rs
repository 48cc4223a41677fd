//! The Python guest: RustPython as a core module that a sandbox host starts once, loads a user's module into once, and
//! then calls from copies of its memory. The contract stands in [`bue_model::guest`].
//!
//! ```text
//! bue_init  interpreter.rs  start, import what steps commonly use     lib/_prelude.py
//! bue_load  load.rs         the user's bundle becomes a module        lib/_loader.py, lib/_fresh.py
//! bue_call  call.rs         CBOR -> decode.rs -> the function -> answer.rs -> encode.rs or stream.rs -> CBOR
//! ```
//! HTTP is net.rs; what Python's libraries expect is made of it in lib/_wire.py (a connection), lib/_sockets.py,
//! lib/_transport.py (asyncio) and lib/_libraries.py. What goes wrong becomes a `Failure` in failure.rs, or in refusal.rs
//! where a value cannot travel, with the words of lib/_trace.py and lib/_explain.py. The ordinary call stays in Rust:
//! every page of memory it writes is a page the host must give back.

mod abi;
mod answer;
mod call;
mod decode;
mod encode;
mod failure;
mod heap;
mod interpreter;
mod load;
mod net;
mod python;
mod refusal;
mod stream;

#[global_allocator]
static HEAP: heap::Heap = heap::Heap::new();
