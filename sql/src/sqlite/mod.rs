//! `sqlite3` steps: each is executed on a fresh in-memory database, inside a guest. [`check_sql`] is for the author of a script
//! and executes nothing.
//!
//! ```text
//! inputs --chunks.rs, rows.rs, column.rs--> tables     text --script.rs--> statements     last one's rows --output.rs--> CBOR
//! database.rs   the database of a step                 authorizer.rs   what the statements may do
//! exact/        decimals                               empty.rs        columns of empty inputs
//! storage.rs    types of columns                       error.rs, failure.rs   what went wrong
//! ```
//! Nothing here looks at the clock or at the size of the memory: the sandbox of the guest stops a step that computes for too
//! long, and refuses memory, of which SQLite then reports that there is no more.

mod authorizer;
mod chunks;
mod column;
mod database;
mod empty;
mod error;
mod exact;
mod failure;
mod host;
mod output;
mod rows;
mod script;
mod step;
mod storage;
mod syntax;

pub use database::Database;
pub use failure::memory_message;
pub use host::Host;
pub use step::StepRequest;
pub use syntax::{SqlProblem, check_sql};
