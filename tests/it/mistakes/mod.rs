//! Mistakes that users make: what is typed, the exit code, and the essential lines of the message, in order.
//!
//! ```text
//! mistake    a row of the tables, and how it is checked
//! scripts    refused before anything runs
//! steps      found while steps run
//! settings   settings, flags, files that cannot be used
//! services   hub, bucket and worker: absent, mistaken for each other, without a token
//! elsewhere  mistakes that have separate tests, in other files
//! ```

mod elsewhere;
mod mistake;
mod scripts;
mod services;
mod settings;
mod steps;
