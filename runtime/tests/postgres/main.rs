//! postgres steps on a real server: what comes out of what goes in, and what hostile or unlucky ones get.
#![expect(clippy::expect_used, clippy::panic, reason = "a test says what it expects")]

mod common;
mod connections;
mod names;
mod rows;
mod statements;
mod stops;
