//! The soft limit of a Python step. When it is reached, the host sets a flag in the guest's memory, which its interpreter looks at, and
//! ends the wait that the guest is in.

use std::time::Instant;

use wasmtime::{AsContextMut, Memory};

use crate::host::state::StepState;

/// What the flag is when it is set. The guest clears it.
const SET: u8 = 1;

/// The soft limit of one step.
pub(crate) struct SoftLimit {
    deadline: Instant,
    memory: Memory,
    /// The address of the flag, as the guest gave it.
    flag: usize,
    is_reached: bool,
}

impl SoftLimit {
    pub(crate) const fn new(deadline: Instant, memory: Memory, flag: usize) -> Self {
        Self { deadline, memory, flag, is_reached: false }
    }

    /// When it will be reached; `None` afterwards.
    pub(crate) fn next(&self) -> Option<Instant> {
        (!self.is_reached).then_some(self.deadline)
    }

    /// The flag, if the limit is reached for the first time.
    fn reach(&mut self, now: Instant) -> Option<(Memory, usize)> {
        if self.is_reached || now < self.deadline {
            return None;
        }
        self.is_reached = true;
        Some((self.memory, self.flag))
    }
}

/// Sets the flag once, when the limit is reached.
pub(crate) fn notify(mut store: impl AsContextMut<Data = StepState>) {
    let mut context = store.as_context_mut();
    let Some(limit) = context.data_mut().soft_limit.as_mut() else { return };
    let Some((memory, flag)) = limit.reach(Instant::now()) else { return };
    // a guest that gave an address outside its memory is not notified
    let _ = memory.write(&mut context, flag, &[SET]);
}

/// Has the limit been reached, and does the guest not know yet?
pub(crate) fn is_pending(mut store: impl AsContextMut<Data = StepState>) -> bool {
    notify(&mut store);
    let context = store.as_context();
    let Some(limit) = context.data().soft_limit.as_ref().filter(|limit| limit.is_reached) else { return false };
    limit.memory.data(&context).get(limit.flag) == Some(&SET)
}
