//! [`Seldom`]: keeps strangers from filling the log. What they cause is said a few times a second, and counted beyond that.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Lines of one kind in one second: enough to see what goes on, too few to fill a disk.
const LINES: u32 = 10;
/// That second.
const WINDOW: Duration = Duration::from_secs(1);

/// Lines of one kind.
#[derive(Debug, Default)]
pub(crate) struct Seldom(Mutex<Window>);

#[derive(Debug, Default)]
struct Window {
    began: Option<Instant>,
    lines: u32,
    unsaid: u64,
}

impl Seldom {
    /// Whether a line may be written now; how many were not since the last one.
    pub(crate) fn may_say(&self) -> Option<u64> {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if window.began.is_none_or(|began| began.elapsed() >= WINDOW) {
            (window.began, window.lines) = (Some(Instant::now()), 0);
        }
        if window.lines >= LINES {
            window.unsaid = window.unsaid.saturating_add(1);
            return None;
        }
        window.lines += 1;
        Some(std::mem::take(&mut window.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_counted_and_told_with_the_next_line() {
        let seldom = Seldom::default();
        let said = (0..1_000).filter(|_| seldom.may_say().is_some()).count();
        assert_eq!(said, LINES as usize);
        tokio::time::advance(WINDOW).await;
        assert_eq!(seldom.may_say(), Some(1_000 - u64::from(LINES)));
        assert_eq!(seldom.may_say(), Some(0));
    }
}
