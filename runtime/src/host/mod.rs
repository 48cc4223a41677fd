//! A sandbox host: the process that runs guests. It holds no token and one connection, the socket to its parent.
//!
//! Depends on [`step`](crate::step) and [`protocol`](crate::protocol). Nothing here opens a network connection.

pub(crate) mod abort;
pub(crate) mod captured_output;
pub(crate) mod clock;
pub mod engine;
pub(crate) mod guest;
pub(crate) mod guest_failure;
pub(crate) mod host_call_hook;
pub(crate) mod memory;
pub(crate) mod net;
pub(crate) mod output_stream;
pub(crate) mod python;
pub(crate) mod row_list;
pub mod sandbox;
pub(crate) mod serve;
pub(crate) mod simulated_limit;
pub(crate) mod soft_limit;
pub(crate) mod sqlite;
pub(crate) mod state;
pub(crate) mod step_context;
pub(crate) mod step_run;
pub(crate) mod values;
pub(crate) mod waiting_steps;
pub(crate) mod wasi;
pub(crate) mod wasm;
