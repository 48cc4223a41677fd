//! Runs steps in sandboxes. Knows no job, no lease and no hub.
//!
//! ```text
//! parent process                                   sandbox host, one process a core, one thread each
//! Prepared  compile the guest, make its image      serve.rs    the loop: frames in, frames out
//! Hosts     start the hosts, hand tasks out  <-->  Sandbox     one fresh instance a task
//! Running   events of one task                     python.rs   guest.rs -> wasmtime, image.rs -> memory
//! egress/   the network of all steps           <-->  net.rs   what a step has under way
//! Databases  postgres steps, on connections        sqlite/     a fresh in-memory database
//! wasm/compiler.rs  a child for each compile       wasm/       compiled steps: components and plain commands
//! packages/  unpacks wheels                         packages/  shows them to the guest, to read
//! ```
//! A step may do nothing that [`Permissions`] does not say, and costs no more than [`Limits`] says. `unsafe` is in
//! `mapping.rs` (the kernel's memory calls) and where wasmtime asks for it: `memory.rs`, `stacks.rs`, loading compiled code.

mod blobs;
mod cache;
mod captured;
mod child;
mod clock;
mod egress;
pub mod engine;
mod error;
mod failure;
mod guest;
mod hosts;
mod image;
mod limits;
mod log;
mod mapping;
mod memory;
mod net;
mod packages;
mod pagemap;
mod permissions;
mod postgres;
mod prepared;
mod protocol;
mod python;
mod running;
pub mod sandbox;
mod serve;
mod split;
mod sql;
mod sqlite;
mod stacks;
mod state;
mod task;
mod turns;
mod values;
mod wasi;
mod wasm;

pub use blobs::{Blobs, Later};
pub use egress::{Allowed, Boxed, CaFileError, Egress, EgressConfig, Refusals, Resolve, Secret, SystemResolver};
pub use error::{HostLost, RuntimeError};
pub use hosts::{Hosts, HostsConfig};
pub use limits::Limits;
pub use net::NetPort;
pub use packages::{BadPackages, PackageProblem, Site, Sites, Wheel, is_native};
pub use permissions::Permissions;
pub use postgres::{BadDatabaseUrl, Database, DatabaseParts, Databases, DatabasesConfig, Query};
pub use prepared::{GuestBytes, GuestModule, Prepared};
pub use running::Running;
pub use serve::serve_sandbox_host;
pub use sqlite::{SqlProblem, check_sql};
pub use task::{Code, Event, Finished, Items, Placeholders, Task, Usage};
pub use wasm::{CompiledStep, StepCompiler, WasmKind, WasmProblem, check_wasm};
