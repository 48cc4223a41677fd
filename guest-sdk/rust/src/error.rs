//! The error that a failed step returns.

use core::fmt;
use core::time::Duration;

/// A step's result, or why the attempt failed.
pub type Result<T, E = Error> = core::result::Result<T, E>;

/// Why an attempt failed. `?` converts any error into it.
#[derive(Debug)]
pub struct Error {
    pub(crate) message: String,
    pub(crate) retry_after: Option<Duration>,
}

impl Error {
    /// Creates an error with a message, written as sentences.
    pub fn msg(message: impl Into<String>) -> Self {
        Self { message: message.into(), retry_after: None }
    }

    /// Sets the shortest delay before the next attempt, if there is one (`!retries`).
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// The message is the error, followed by its causes.
impl<E: core::error::Error> From<E> for Error {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            message.push_str(": ");
            message.push_str(&error.to_string());
            cause = error.source();
        }
        Self::msg(message)
    }
}
