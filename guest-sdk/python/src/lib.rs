//! The Python guest: RustPython as a core module. A sandbox host starts the interpreter once, imports the user's module
//! once, and then calls its functions in copies of that memory. The contract with the host is in [`bue_model::guest`].
//!
//! ```text
//! exports.rs   bue_init  interpreter.rs  starts Python, imports the common library   lib/_prelude.py
//!              bue_load  load.rs         imports the user's bundle as a module       lib/_loader.py, lib/_randomness.py
//!              bue_call  call.rs         decodes the inputs, calls the function, encodes the answer   value/
//! files/       what was packed with the step, and a private `/tmp`
//! net.rs       the module `_bue_net`: HTTP, TCP connections, secrets and values of the bucket through the host
//! threads.rs   the module `_bue_threads`: one thread on top of another   lib/_scheduler.py, lib/_threads.py
//! rows.rs      the module `_bue_rows`: the elements of the input of fused steps   lib/_fused.py, lib/streams.py
//! interrupt.rs the soft limit of a call   lib/_soft_limit.py
//! guest.rs     state shared by the exports; python.rs holds the classes and helper functions it needs of Python
//! image.rs     prepares the memory to become an image
//! error.rs     why a call returns no value; failure.rs turns exceptions into a `Failure`, with lib/_traceback.py
//! heap.rs      the allocator
//! ```
//! On top of `_bue_net`, Python's libraries get connections (lib/_connection.py for HTTP, lib/_tcp.py for the rest), sockets
//! (lib/_sockets.py) and asyncio transports (lib/_transport.py), and steps `bue.bucket` (lib/bucket.py); lib/_library_patches.py adapts single libraries.
//!
//! An ordinary call stays in Rust: the host has to restore every page of memory that a call writes to.

mod call;
mod error;
mod exports;
mod failure;
mod files;
mod guest;
mod heap;
mod image;
mod interpreter;
mod interrupt;
mod load;
mod net;
mod python;
mod request_head;
mod rows;
mod stdio;
mod threads;
mod value;

#[global_allocator]
static HEAP: heap::Heap = heap::Heap::new();
