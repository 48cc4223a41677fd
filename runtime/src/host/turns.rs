//! How many steps of a sandbox wait, which is what a worker may take more of: a step that waits costs memory, one that
//! runs costs a core.

use core::cell::Cell;
use core::pin::pin;

use std::future::poll_fn;

use tokio::sync::Notify;

thread_local! {
    /// What this thread runs stopped for a while and has more to do.
    static GOES_ON: Cell<bool> = const { Cell::new(false) };
}

/// What runs here stops for fairness alone, or until something is computed: it still wants the core.
pub(crate) fn goes_on() {
    GOES_ON.set(true);
}

/// Does something whose waits are for others that compute.
pub(crate) async fn computing<T>(work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    poll_fn(|context| {
        let polled = work.as_mut().poll(context);
        goes_on();
        polled
    })
    .await
}

/// The turns that the steps of one thread take.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    waiting: Cell<u32>,
    changed: Notify,
}

impl Turns {
    /// Steps that wait for something from outside.
    pub(crate) const fn waiting(&self) -> u32 {
        self.waiting.get()
    }

    /// Returns when the number of waiting steps is another one than before.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }
}

/// One step's turns.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    turns: &'a Turns,
    waits: bool,
}

impl<'a> Turn<'a> {
    /// A step that has not begun: it does not wait for anything.
    pub(crate) const fn new(turns: &'a Turns) -> Self {
        Self { turns, waits: false }
    }

    /// It is about to run.
    pub(crate) fn begin(&mut self) {
        GOES_ON.set(false);
        self.set(false);
    }

    /// It stopped before its end: to wait, unless it just gave way.
    pub(crate) fn pause(&mut self) {
        self.set(!GOES_ON.get());
    }

    fn set(&mut self, waits: bool) {
        if waits == self.waits {
            return;
        }
        self.waits = waits;
        let waiting = self.turns.waiting.get();
        self.turns.waiting.set(if waits { waiting.saturating_add(1) } else { waiting.saturating_sub(1) });
        self.turns.changed.notify_one();
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.set(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_waits_unless_it_gave_way_and_stops_waiting_with_its_end() {
        let turns = Turns::default();
        let (mut first, mut second) = (Turn::new(&turns), Turn::new(&turns));
        first.begin();
        first.pause();
        second.begin();
        goes_on();
        second.pause();
        assert_eq!(turns.waiting(), 1);
        second.begin();
        second.pause();
        assert_eq!(turns.waiting(), 2);
        first.begin();
        assert_eq!(turns.waiting(), 1);
        drop((first, second));
        assert_eq!(turns.waiting(), 0);
    }
}
