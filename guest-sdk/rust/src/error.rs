//! What a step gives back when it fails.

use core::fmt;
use core::time::Duration;

/// What a step gives, or why it failed.
pub type Result<T, E = Error> = core::result::Result<T, E>;

/// Why an attempt failed: a message, made of any error by `?`, and perhaps how long to wait before the next.
#[derive(Debug)]
pub struct Error {
    pub(crate) message: String,
    pub(crate) retry_after: Option<Duration>,
}

impl Error {
    /// With a message, in sentences.
    pub fn msg(message: impl Into<String>) -> Self {
        Self { message: message.into(), retry_after: None }
    }

    /// The next attempt, if there is one (`!retries`), comes no sooner than this.
    #[must_use]
    pub fn retry_after(mut self, time: Duration) -> Self {
        self.retry_after = Some(time);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// The error and what caused it, one behind the other.
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
