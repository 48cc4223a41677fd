//! Counts the steps of a sandbox that wait for something outside. A worker may lease more steps for each: a waiting step
//! costs memory, a running one costs a core.

use core::cell::Cell;
use core::pin::pin;
use core::time::Duration;

use std::future::poll_fn;
use std::time::Instant;

use tokio::sync::Notify;

/// Waiting steps of a thread from which on each gives back memory that it can do without until it goes on. With fewer, the memory
/// is worth less than the time.
const MANY_STEPS: u32 = 64;

thread_local! {
    /// Steps of this thread that wait for something outside.
    static WAITING: Cell<u32> = const { Cell::new(0) };
    /// The step polled in this thread was suspended although it could go on.
    static IS_RUNNABLE: Cell<bool> = const { Cell::new(false) };
    /// Since when the step of this thread is polled.
    static POLLED_SINCE: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Returns for how long the step that is polled now has had the thread.
pub(crate) fn running_for() -> Duration {
    POLLED_SINCE.get().map_or(Duration::ZERO, |since| since.elapsed())
}

/// Do many steps of this thread wait?
pub(crate) fn many_steps_wait() -> bool {
    WAITING.get() >= MANY_STEPS
}

/// The step that is polled now will be suspended only to let others run, or until a computation is done: it still needs
/// the core.
pub(crate) fn mark_runnable() {
    IS_RUNNABLE.set(true);
}

/// Runs a future that waits for computations of other steps. Its step counts as running.
pub(crate) async fn count_as_running<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    poll_fn(|context| {
        let polled = future.as_mut().poll(context);
        // once it is ready, the step goes on in the same poll, and may then wait for something outside
        if polled.is_pending() {
            mark_runnable();
        }
        polled
    })
    .await
}

/// The number of waiting steps of one thread.
#[derive(Debug, Default)]
pub(crate) struct WaitingSteps {
    count: Cell<u32>,
    changed: Notify,
}

impl WaitingSteps {
    /// Steps that wait for something outside.
    pub(crate) const fn count(&self) -> u32 {
        self.count.get()
    }

    /// Returns when the count has changed.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }
}

/// Whether one step runs or waits. Dropping it counts as the end of the step.
#[derive(Debug)]
pub(crate) struct StepActivity<'a> {
    steps: &'a WaitingSteps,
    is_waiting: bool,
}

impl<'a> StepActivity<'a> {
    /// A step that has not started: it does not wait.
    pub(crate) const fn new(steps: &'a WaitingSteps) -> Self {
        Self { steps, is_waiting: false }
    }

    /// The step is about to be polled.
    pub(crate) fn resume(&mut self) {
        IS_RUNNABLE.set(false);
        POLLED_SINCE.set(Some(Instant::now()));
        self.set_waiting(false);
    }

    /// The step was polled and is pending: it waits, unless [`mark_runnable`] was called meanwhile.
    pub(crate) fn suspend(&mut self) {
        self.set_waiting(!IS_RUNNABLE.get());
    }

    fn set_waiting(&mut self, is_waiting: bool) {
        if is_waiting == self.is_waiting {
            return;
        }
        self.is_waiting = is_waiting;
        let count = self.steps.count.get();
        self.steps.count.set(if is_waiting { count.saturating_add(1) } else { count.saturating_sub(1) });
        let all = WAITING.get();
        WAITING.set(if is_waiting { all.saturating_add(1) } else { all.saturating_sub(1) });
        self.steps.changed.notify_one();
    }
}

impl Drop for StepActivity<'_> {
    fn drop(&mut self) {
        self.set_waiting(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suspended_step_waits_until_it_ends_unless_it_is_runnable() {
        let steps = WaitingSteps::default();
        let (mut first, mut second) = (StepActivity::new(&steps), StepActivity::new(&steps));
        first.resume();
        first.suspend();
        second.resume();
        mark_runnable();
        second.suspend();
        assert_eq!(steps.count(), 1);
        second.resume();
        second.suspend();
        assert_eq!(steps.count(), 2);
        first.resume();
        assert_eq!(steps.count(), 1);
        drop((first, second));
        assert_eq!(steps.count(), 0);
    }

    /// The module of most steps is loaded already: what they wait for afterwards is outside.
    #[test]
    fn a_step_that_waits_after_a_computation_of_others_counts_as_waiting() {
        let steps = WaitingSteps::default();
        let mut activity = StepActivity::new(&steps);
        let mut context = core::task::Context::from_waker(core::task::Waker::noop());
        activity.resume();
        assert!(pin!(count_as_running(core::future::pending::<()>())).poll(&mut context).is_pending());
        activity.suspend();
        assert_eq!(steps.count(), 0, "it waits for a core");
        activity.resume();
        assert!(pin!(count_as_running(core::future::ready(()))).poll(&mut context).is_ready());
        activity.suspend();
        assert_eq!(steps.count(), 1);
    }
}
