//! [`Places`]: where jobs stand that this hub gave away, so that their reports need not look for them. All of it can be
//! lost at any moment.

use std::collections::HashMap;

use crate::instance::Slot;

/// Jobs that are remembered, some 60 bytes each.
const MAX_PLACES: usize = 200_000;

/// Slots and runs of jobs, which never change.
#[derive(Debug, Default)]
pub(super) struct Places(HashMap<i64, (Slot, i64)>);

impl Places {
    /// A job is in somebody's hands.
    pub(super) fn keep(&mut self, slot: Slot, run: i64) {
        if self.0.len() >= MAX_PLACES {
            self.0.clear();
        }
        self.0.insert(slot.id, (slot, run));
    }

    /// Where a job stands, and the key of its run.
    pub(super) fn get(&self, id: i64) -> Option<(Slot, i64)> {
        self.0.get(&id).copied()
    }

    /// Its report came.
    pub(super) fn forget(&mut self, id: i64) {
        self.0.remove(&id);
    }
}
