//! Steps of compiled languages: built from their sources on this machine, or taken as the `.wasm` they are.
//!
//! May use `config` and `process`.

pub(crate) mod builder;
mod c;
mod cargo;
mod go;
mod paths;
mod problem;
mod tool;
