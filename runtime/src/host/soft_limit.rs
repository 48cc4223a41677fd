//! The soft limit of a Python step. When it is reached, the host sets a flag in the guest's memory, which its interpreter looks at, and
//! ends the wait that the guest is in.

use std::time::Instant;

use wasmtime::{AsContext, AsContextMut, Memory};

/// What the flag is when it is set. The guest clears it.
const SET: u8 = 1;

/// The soft limit of one step.
pub(crate) struct SoftLimit {
    deadline: Instant,
    flag: Flag,
    is_reached: bool,
}

/// The flag in a guest's memory, at the address that the guest gave.
#[derive(Clone, Copy)]
pub(crate) struct Flag {
    memory: Memory,
    address: usize,
}

impl SoftLimit {
    pub(crate) const fn new(deadline: Instant, flag: Flag) -> Self {
        Self { deadline, flag, is_reached: false }
    }

    /// When it will be reached; `None` afterwards.
    pub(crate) fn next(&self) -> Option<Instant> {
        (!self.is_reached).then_some(self.deadline)
    }

    /// Returns it if it is reached for the first time: then its flag has to be set.
    pub(crate) fn reach(&mut self, now: Instant) -> Option<Flag> {
        if self.is_reached || now < self.deadline {
            return None;
        }
        self.is_reached = true;
        Some(self.flag)
    }

    /// The flag, if the limit was reached.
    pub(crate) fn reached(&self) -> Option<Flag> {
        self.is_reached.then_some(self.flag)
    }
}

impl Flag {
    pub(crate) const fn new(memory: Memory, address: usize) -> Self {
        Self { memory, address }
    }

    /// Sets it. A guest that gave an address outside its memory is not notified.
    pub(crate) fn set(self, store: impl AsContextMut) {
        let _ = self.memory.write(store, self.address, &[SET]);
    }

    /// Whether it is set: the guest has not looked at it.
    pub(crate) fn is_set(self, store: impl AsContext) -> bool {
        let mut byte = [0];
        self.memory.read(store, self.address, &mut byte).is_ok() && byte == [SET]
    }
}
