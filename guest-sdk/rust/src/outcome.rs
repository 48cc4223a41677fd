//! Answers that are more than a value.

use core::time::Duration;

use bue_model::{Value, to_value};
use serde::Serialize;

use crate::error::Error;

/// What a step says. A function that always has a value gives that value alone.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome<T> {
    /// It has a result.
    Completed {
        /// The result.
        value: T,
        /// Priority of the steps after this one.
        priority: Option<i64>,
        /// A map they can read: [`env`](crate::env).
        env: Option<Value>,
    },
    /// Run it again later with the same inputs. Waiting costs nothing.
    Pending(Option<Duration>),
    /// Start its call again from the first step.
    Reset(Option<Duration>),
    /// Call off its call, and what depends on it.
    Cancelled,
}

impl<T> Outcome<T> {
    /// It has a result, and nothing else to say.
    pub const fn completed(value: T) -> Self {
        Self::Completed { value, priority: None, env: None }
    }

    /// Run it again when the script says so (`!every`).
    #[must_use]
    pub const fn pending() -> Self {
        Self::Pending(None)
    }

    /// Run it again after this time.
    #[must_use]
    pub const fn pending_for(time: Duration) -> Self {
        Self::Pending(Some(time))
    }

    /// Start its call again when the script says so.
    #[must_use]
    pub const fn reset() -> Self {
        Self::Reset(None)
    }
}

/// What becomes of anything a step may give. Not for others to implement.
pub trait Said {
    /// The same with its value encoded.
    #[doc(hidden)]
    fn said(self) -> Result<Outcome<Vec<u8>>, Error>;
}

impl<T: Serialize> Said for T {
    fn said(self) -> Result<Outcome<Vec<u8>>, Error> {
        Ok(Outcome::completed(encoded(&self)?))
    }
}

impl<T: Serialize> Said for Outcome<T> {
    fn said(self) -> Result<Outcome<Vec<u8>>, Error> {
        Ok(match self {
            Self::Completed { value, priority, env } => Outcome::Completed { value: encoded(&value)?, priority, env },
            Self::Pending(time) => Outcome::Pending(time),
            Self::Reset(time) => Outcome::Reset(time),
            Self::Cancelled => Outcome::Cancelled,
        })
    }
}

fn encoded<T: Serialize>(value: &T) -> Result<Vec<u8>, Error> {
    let value = to_value(value).map_err(|error| Error::msg(format!("The result cannot be written: {error}")))?;
    Ok(bue_model::cbor::encode(&value))
}
