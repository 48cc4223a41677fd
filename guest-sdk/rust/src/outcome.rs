//! Outcomes other than a plain value.

use core::time::Duration;

use bue_model::{Value, to_value};
use serde::Serialize;

use crate::error::Error;

/// The outcome of a step. A function that always completes can return its value alone.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome<T> {
    /// The step completed.
    Completed {
        /// The result.
        value: T,
        /// The priority of the steps after this one.
        priority: Option<i64>,
        /// A map that those steps can read with [`env`](crate::env).
        env: Option<Value>,
    },
    /// Run the step again later with the same inputs, after this delay if there is one. Waiting occupies no worker.
    Pending(Option<Duration>),
    /// Run the pipe again from its first step, after this delay if there is one.
    Reset(Option<Duration>),
    /// Cancel the call and everything that depends on it.
    Cancelled,
}

impl<T> Outcome<T> {
    /// Returns [`Completed`](Self::Completed) with no priority and no env.
    pub const fn completed(value: T) -> Self {
        Self::Completed { value, priority: None, env: None }
    }

    /// Returns [`Pending`](Self::Pending) with the delay that the script sets (`!every`).
    #[must_use]
    pub const fn pending() -> Self {
        Self::Pending(None)
    }

    /// Returns [`Pending`](Self::Pending) with this delay.
    #[must_use]
    pub const fn pending_for(delay: Duration) -> Self {
        Self::Pending(Some(delay))
    }

    /// Returns [`Reset`](Self::Reset) with the delay that the script sets.
    #[must_use]
    pub const fn reset() -> Self {
        Self::Reset(None)
    }
}

/// The types that a step's function may return. Not for other crates to implement.
pub trait IntoOutcome {
    /// Returns the outcome with its value encoded.
    #[doc(hidden)]
    fn into_outcome(self) -> Result<Outcome<Vec<u8>>, Error>;
}

impl<T: Serialize> IntoOutcome for T {
    fn into_outcome(self) -> Result<Outcome<Vec<u8>>, Error> {
        Ok(Outcome::completed(encode(&self)?))
    }
}

impl<T: Serialize> IntoOutcome for Outcome<T> {
    fn into_outcome(self) -> Result<Outcome<Vec<u8>>, Error> {
        Ok(match self {
            Self::Completed { value, priority, env } => Outcome::Completed { value: encode(&value)?, priority, env },
            Self::Pending(delay) => Outcome::Pending(delay),
            Self::Reset(delay) => Outcome::Reset(delay),
            Self::Cancelled => Outcome::Cancelled,
        })
    }
}

fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, Error> {
    let value = to_value(value).map_err(|error| Error::msg(format!("The result cannot be written: {error}")))?;
    Ok(bue_model::cbor::encode(&value))
}
