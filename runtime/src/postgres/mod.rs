//! Postgres steps: SQL on a database that the worker is configured with.
//!
//! ```text
//! inputs --copy_source.rs--> COPY --> temporary tables     text --statements.rs--> statements     last one's rows --output.rs--> CBOR
//!          columns.rs: which types     step.rs: all in one transaction     pool.rs: on one of a few connections
//!                                                                        role.rs: whose role is not too powerful
//! ```
//! They run in the parent and not in a sandbox host. A host runs hostile code and so may hold no credentials, while a postgres
//! step has no code but SQL, which the server executes as the role that the worker was given; what the parent does with the
//! rows is bounded by the step's limits. Waiting for the server takes no thread, so thousands of steps may wait.
//!
//! Depends on [`bue_sql`], [`step`](crate::step) and [`running`](crate::parent::running).

mod array;
mod columns;
mod connection;
mod copy;
mod copy_source;
pub(crate) mod database;
pub(crate) mod databases;
mod dial;
mod empty;
mod failure;
mod message_limit;
mod numeric;
mod output;
mod pool;
pub(crate) mod query;
mod role;
mod shadow;
mod statements;
mod step;
mod tls;
