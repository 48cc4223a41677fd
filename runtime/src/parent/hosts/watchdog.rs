//! Whether a child still answers.

use tokio::time::{Interval, MissedTickBehavior, interval};

use super::config::HostLifecycle;
use crate::error::RuntimeError;

/// Asks a child at intervals, and gives it up when it has not answered several times.
///
/// It counts intervals instead of measuring time: if this process was stopped itself, the child had no chance to answer.
pub(crate) struct Watchdog {
    interval: Interval,
    max_missed: u32,
    /// The number of the last question.
    number: u64,
    /// Intervals since that question, if it is open.
    missed: Option<u32>,
}

impl Watchdog {
    pub(crate) fn new(lifecycle: &HostLifecycle) -> Self {
        let mut interval = interval(lifecycle.ping_interval);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { interval, max_missed: lifecycle.max_missed_pings, number: 0, missed: None }
    }

    /// Returns at the end of an interval. Cancel safe.
    pub(crate) async fn tick(&mut self) {
        self.interval.tick().await;
    }

    /// Returns the number of the next question, if the last one was answered.
    ///
    /// # Errors
    /// The child has not answered for too long.
    pub(crate) fn check(&mut self) -> Result<Option<u64>, RuntimeError> {
        match self.missed {
            None => {
                self.number = self.number.wrapping_add(1);
                self.missed = Some(0);
                Ok(Some(self.number))
            }
            Some(missed) if missed + 1 < self.max_missed => {
                self.missed = Some(missed + 1);
                Ok(None)
            }
            Some(_) => {
                let time = self.interval.period().saturating_mul(self.max_missed);
                Err(RuntimeError::Refused(format!("it has not answered for {time:?}")))
            }
        }
    }

    /// The child answered a question. Other answers than that to the last one are ignored.
    pub(crate) fn answered(&mut self, number: u64) {
        if number == self.number {
            self.missed = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    fn watchdog() -> Watchdog {
        Watchdog::new(&HostLifecycle { ping_interval: Duration::from_secs(1), max_missed_pings: 3, steps: 1 })
    }

    #[tokio::test]
    async fn a_child_that_answers_is_asked_again() {
        let mut watchdog = watchdog();
        for question in 1..100 {
            assert_eq!(watchdog.check().expect("alive"), Some(question));
            assert_eq!(watchdog.check().expect("alive"), None);
            watchdog.answered(question);
        }
    }

    #[tokio::test]
    async fn a_child_that_answers_something_else_is_given_up() {
        let mut watchdog = watchdog();
        assert_eq!(watchdog.check().expect("alive"), Some(1));
        assert_eq!(watchdog.check().expect("alive"), None);
        watchdog.answered(0);
        assert_eq!(watchdog.check().expect("alive"), None);
        assert!(watchdog.check().expect_err("silent").to_string().contains("not answered for 3s"));
    }
}
