//! How many steps of a sandbox wait, which is what a worker may take more of: a step that waits costs memory, one that
//! runs costs a core.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use tokio::sync::Notify;

/// The turns that the steps of one thread take.
///
/// Everything is touched by that thread alone; the atomics are for wasmtime, which wants what its stores hold to be `Send`.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    /// The step that runs gave way but has more to do.
    goes_on: AtomicBool,
    waiting: AtomicU32,
    changed: Notify,
}

impl Turns {
    /// The step that runs was interrupted for fairness alone.
    pub(crate) fn goes_on(&self) {
        self.goes_on.store(true, Ordering::Relaxed);
    }

    /// Steps that wait for something from outside.
    pub(crate) fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Relaxed)
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
        self.turns.goes_on.store(false, Ordering::Relaxed);
        self.set(false);
    }

    /// It stopped before its end: to wait, unless it just gave way.
    pub(crate) fn pause(&mut self) {
        self.set(!self.turns.goes_on.load(Ordering::Relaxed));
    }

    fn set(&mut self, waits: bool) {
        if waits == self.waits {
            return;
        }
        self.waits = waits;
        match waits {
            true => self.turns.waiting.fetch_add(1, Ordering::Relaxed),
            false => self.turns.waiting.fetch_sub(1, Ordering::Relaxed),
        };
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
        turns.goes_on();
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
