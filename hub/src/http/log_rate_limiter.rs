//! [`LogRateLimiter`]: keeps clients from filling the log. A few lines per second are written, the others are counted.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Lines per window: enough to see what is going on, too few to fill a disk.
const MAX_LINES: u32 = 10;
/// The length of a window.
const WINDOW: Duration = Duration::from_secs(1);

/// A limiter for lines of one kind.
#[derive(Debug, Default)]
pub(crate) struct LogRateLimiter(Mutex<Window>);

#[derive(Debug, Default)]
struct Window {
    started_at: Option<Instant>,
    lines: u32,
    suppressed: u64,
}

impl LogRateLimiter {
    /// Returns `Some` if a line may be written now, with the number of lines that were suppressed since the last one.
    pub(crate) fn try_acquire(&self) -> Option<u64> {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if window.started_at.is_none_or(|started_at| started_at.elapsed() >= WINDOW) {
            (window.started_at, window.lines) = (Some(Instant::now()), 0);
        }
        if window.lines >= MAX_LINES {
            window.suppressed = window.suppressed.saturating_add(1);
            return None;
        }
        window.lines += 1;
        Some(std::mem::take(&mut window.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_counted_and_reported_with_the_next_line() {
        let limiter = LogRateLimiter::default();
        let written = (0..1_000).filter(|_| limiter.try_acquire().is_some()).count();
        assert_eq!(written, MAX_LINES as usize);
        tokio::time::advance(WINDOW).await;
        assert_eq!(limiter.try_acquire(), Some(1_000 - u64::from(MAX_LINES)));
        assert_eq!(limiter.try_acquire(), Some(0));
    }
}
