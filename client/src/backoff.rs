//! [`Backoff`]: the pauses between attempts to reach a server that is away.

use std::time::Duration;

/// The first pause: a server that restarts is often back at once.
const FIRST_DELAY: Duration = Duration::from_millis(100);

/// The longest pause: how late a server that was away for long is noticed.
const MAX_DELAY: Duration = Duration::from_secs(5);

/// Exponential backoff, the same for everything that waits for a hub or bucket: 100 ms at first, then twice as long each time, up to
/// 5 s. Each request already retries for about two seconds by itself, so this paces what comes after.
#[derive(Clone, Debug)]
pub struct Backoff {
    next_delay: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next_delay: FIRST_DELAY }
    }
}

impl Backoff {
    /// Returns the pause before the next attempt, and doubles the one after it.
    pub fn next_delay(&mut self) -> Duration {
        let delay = self.next_delay;
        self.next_delay = (delay * 2).min(MAX_DELAY);
        delay
    }

    /// Sleeps until the next attempt.
    pub async fn wait(&mut self) {
        tokio::time::sleep(self.next_delay()).await;
    }

    /// Starts again with the first pause, after an attempt that succeeded.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_start_again() {
        let mut backoff = Backoff::default();
        let delays: Vec<u128> = (0..8).map(|_| backoff.next_delay().as_millis()).collect();
        assert_eq!(delays, [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
        backoff.reset();
        assert_eq!(backoff.next_delay(), FIRST_DELAY);
    }
}
