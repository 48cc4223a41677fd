//! The public interface of the language: programs with their expected diagnostics, limits, and hostile texts.
#![expect(clippy::expect_used, reason = "a failed expectation fails the test, in helpers too")]

mod cases;
mod common;
mod grammar;
mod limits;
mod pages;
mod params;
mod render;
mod robust;
mod sources;
mod suite;
