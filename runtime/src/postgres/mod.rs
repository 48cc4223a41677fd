//! postgres steps: SQL on a database that the worker is configured with.
//!
//! ```text
//! inputs --feed.rs--> COPY --> temporary tables     text --statements.rs--> statements     last one's rows --output.rs--> CBOR
//!          columns.rs: which types     step.rs: all in one transaction     pool.rs: on one of a few connections
//! ```
//! They run in the parent and not in a sandbox host. A host runs hostile code and so may hold no credentials, while a postgres
//! step has no code of its own: its SQL runs in the server, as the role that the worker was given, and what the parent does
//! with its rows is bounded like all else. It waits for the server without a thread, so thousands may wait.

mod array;
mod columns;
mod connection;
mod copy;
pub(crate) mod database;
pub(crate) mod databases;
mod failure;
mod feed;
mod numeric;
mod output;
mod pool;
pub(crate) mod query;
mod statements;
mod step;
mod time;
mod tls;
