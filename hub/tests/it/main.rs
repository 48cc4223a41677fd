//! What the hub and the bucket promise, tested on the real things: SQLite in memory or in a file, HTTP on port 0.
//!
//! The contract of a [`bue_hub::JobStore`] is written once, over any store, with time moved by hand.

mod bucket;
mod contract;
mod files;
mod http;
mod random;
mod script;
mod sqlite;
mod world;
