//! Everything from the outside: the real `bue` binary, real servers, real sandboxes.
//!
//! ```text
//! project        a folder with files in it, and `bue` run there; every run is checked for panics and stray files
//! run            values, loops, pending, reset, tracebacks, exit codes
//! bad_input      what goes wrong, and that it is said once and clearly
//! check          complaints before anything runs
//! compiled       steps in Rust and WebAssembly, from their source to a result
//! examples       what examples/ shows
//! cli            usage, help, settings, pipes, Ctrl-C
//! bucket         large values, values that end, what old runs leave
//! services       hub, bucket and worker as processes of their own
//! tokens         the production recipe, and who is not let in
//! tls            the same over TLS, with certificates of clients
//! verbs          what people ask of running services
//! postgres       several hubs on one database, and one of them is killed
//! postgres_steps steps on a real server, from the settings to the result
//! network        what steps reach, and what they do not
//! packages       what steps import, from `!requires` to a worker
//! reliability    services that are killed, paused, stopped and cut off
//! boundaries     which crate may use which
//! docs           what the documentation shows
//! ```
#![expect(clippy::expect_used, clippy::panic, reason = "a test says what it expects")]
#![expect(clippy::print_stdout, reason = "a test that tries something many times says what it saw")]

mod admission;
mod bad_input;
mod boundaries;
mod bucket;
mod check;
mod cli;
mod compiled;
mod docs;
mod examples;
mod network;
mod packages;
mod postgres;
mod postgres_steps;
mod project;
mod reliability;
mod run;
mod services;
mod tls;
mod tokens;
mod verbs;
