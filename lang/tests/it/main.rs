//! The language from outside: programs with their diagnostics beside them, hostile bytes, and what is promised of each.
#![expect(clippy::expect_used, reason = "a test says what it expects, in its helpers too")]

mod cases;
mod common;
mod grammar;
mod limits;
mod pages;
mod robust;
mod sources;
mod suite;
