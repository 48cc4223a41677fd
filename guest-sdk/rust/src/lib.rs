//! The SDK for bue steps in Rust. Name the crate `bue` in `Cargo.toml`, and write functions:
//!
//! ```ignore
//! use bue::serde::{Deserialize, Serialize};
//!
//! #[derive(Deserialize, Serialize)]
//! #[serde(crate = "bue::serde")]
//! struct Row {
//!     city: String,
//!     amount: f64,
//! }
//!
//! #[bue::step]
//! fn large(rows: Vec<Row>) -> bue::Result<Vec<Row>> {
//!     bue::log!("{} rows", rows.len());
//!     Ok(rows.into_iter().filter(|row| row.amount > 100.0).collect())
//! }
//! ```
//!
//! The function line of the script names the function, so one package can contain many steps. Everything a step prints goes
//! to its log. A returned error is a failed attempt, and so is a panic. To wait, reset or cancel, return an [`Outcome`].

#[cfg(target_arch = "wasm32")]
mod bindings;
mod blob;
mod error;
#[cfg(target_arch = "wasm32")]
mod exports;
mod host;
mod http;
mod outcome;
mod values;

#[doc(hidden)]
pub mod __private;

pub use bue_model::{Decimal, Value, from_value, to_value};
pub use bue_step_macros::step;
pub use serde;

pub use blob::{get_blob, put_blob};
pub use error::{Error, Result};
pub use host::{env, log, progress, secret};
pub use http::{HttpError, Request, Response, get, post};
pub use outcome::Outcome;
pub use values::{Bytes, Date, DateTime, Row, Time, Uuid};

/// Adds a line to the step's log, with the arguments of `println!`. `println!` itself works too.
#[macro_export]
macro_rules! log {
    ($($text:tt)*) => {
        $crate::log(&::std::format!($($text)*))
    };
}
