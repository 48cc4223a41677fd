//! Runs steps in sandboxes. Knows no job, no lease and no hub.
//!
//! ```text
//! parent/: the worker's process                    host/: a sandbox host, one process per core, one thread each
//! Prepared      compiles the guests, makes their images serve.rs   the loop: frames in, frames out
//! Hosts         starts hosts, hands out tasks     <-->  sandbox.rs one fresh instance per task
//! Running       the events of one task                  python/, sqlite/   guest/ -> wasmtime, memory/ -> its image
//! egress/       the network of all steps          <-->  net.rs     the operations that a step has in flight
//! StepCompiler  one child process per compilation       wasm/      compiled steps: components and plain commands
//! postgres/     postgres steps, on its connections
//! packages/     unpacks wheels                          packages/  a read-only folder in the guest
//!
//! both: step/ (tasks, limits, permissions), protocol.rs (frames between them), descriptors.rs (open files beside frames),
//! wall/ (what a host gives up before it touches a guest)
//! ```
//! A step can do only what [`Permissions`] allows, and uses at most what [`Limits`] allows.
//!
//! `unsafe` is in these files only:
//! - `host/memory/{mapping,pagemap}.rs`: calls to the kernel; `host/memory/{pool,stacks}.rs`: wasmtime's memories and stacks;
//!   the tests of `host/memory/image.rs` and `mapping.rs`, which touch mapped memory;
//! - `wall/{privileges,probe}.rs`: user ids, inherited descriptors, and a system call that must be refused;
//! - `wall/escape/attempt.rs`: the system calls of the tests of the wall;
//! - `host/guest/code.rs`, `host/{python,sqlite}/steps.rs`, `host/wasm/{command,component,steps}.rs`, `parent/prepare.rs`:
//!   loading compiled code.
#![deny(clippy::indexing_slicing)]

mod background_runtime;
mod descriptors;
mod error;
#[cfg(any(test, fuzzing))]
pub mod frame_claims;
mod host;
mod packages;
mod parent;
mod postgres;
mod prepared;
mod protocol;
mod step;
mod wall;

pub use background_runtime::BackgroundRuntime;
pub use bue_sql::placeholders::Placeholders;
pub use bue_sql::sqlite::{SqlProblem, check_sql};
pub use error::{HostLost, RuntimeError};
pub use host::serve::{ChildRole, serve_as_if_escaped, serve_sandbox_host, serve_sandbox_host_after};
pub use host::wasm::contract::{WasmProblem, check_wasm};
pub use host::{engine, sandbox};
pub use packages::problem::{BadPackages, PackageProblem};
pub use packages::sites::{Site, Sites};
pub use packages::wheel::{Wheel, is_native};
pub use parent::bucket::{Bucket, BucketFuture, ValuePart};
pub use parent::egress::connect::Resolve;
pub use parent::egress::gate::{NetPolicy, must_be_named};
pub use parent::egress::refusals::Refusals;
pub use parent::egress::resolve::SystemResolver;
pub use parent::egress::secrets::Secret;
pub use parent::egress::tls::CaFileError;
pub use parent::egress::{Egress, EgressConfig};
pub use parent::hosts::Hosts;
pub use parent::hosts::bundle_cache::MAX_BUNDLE_BYTES;
pub use parent::hosts::config::{HostLifecycle, HostsConfig};
pub use parent::prepare::{GuestBytes, GuestModule};
pub use parent::running::Running;
pub use parent::simulated_time::SimulatedTime;
pub use parent::step_compiler::{CompileError, StepCompiler};
pub use parent::wall::try_wall;
pub use postgres::database::{BadDatabaseUrl, Database, DatabaseParts};
pub use postgres::databases::{Databases, DatabasesConfig};
pub use postgres::query::Query;
pub use prepared::Prepared;
pub use step::box_future::BoxFuture;
pub use step::compiled_step::{CompiledStep, WasmKind};
pub use step::failure::{too_much_code, too_much_input};
pub use step::limits::Limits;
pub use step::net_port::NetPort;
pub use step::permissions::Permissions;
pub use step::task::{Code, Event, Finished, Items, Task, Usage};
pub use wall::escape::attempt::EscapeTarget;
pub use wall::parent::protect as protect_process;
pub use wall::report::{MissingPart, Wall};
pub use wall::spec::WallMode;
