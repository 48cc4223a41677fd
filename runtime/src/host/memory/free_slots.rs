//! [`FreeSlots`]: the released slots of an image, and [`SlotBudget`], what all images may keep of them.
//!
//! A slot consists of about ten mappings, of which a process may have some 65,000. A host has hundreds of images, and after a peak
//! each would keep dozens of slots, until the next step finds no place for its memory.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::host::memory::mapping::{PAGE, Reservation};

/// Maximum number of free slots of an image. More are unmapped, so that a peak of waiting steps does not keep its address
/// space, of which each slot has four gigabytes.
const MAX_FREE_SLOTS: usize = 64;

/// Maximum number of free slots of all images that share a budget: those of four images after a peak, or one for each image.
const MAX_ALL_FREE_SLOTS: usize = 256;

/// A released slot whose memory equals its image.
#[derive(Debug)]
struct FreeSlot {
    slot: Reservation,
    /// The number of its private pages that are resident.
    resident_pages: usize,
    /// Grows with every release under the budget.
    released: u64,
}

/// The free slots of one image, the one released last at the end.
#[derive(Debug)]
pub(crate) struct FreeSlots {
    slots: Arc<Slots>,
    budget: SlotBudget,
}

#[derive(Debug, Default)]
struct Slots(Mutex<Vec<FreeSlot>>);

impl Slots {
    fn lock(&self) -> MutexGuard<'_, Vec<FreeSlot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The free slots of all images. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct SlotBudget(Arc<Mutex<Lists>>);

#[derive(Debug, Default)]
struct Lists {
    images: Vec<Weak<Slots>>,
    releases: u64,
}

impl SlotBudget {
    /// Returns the list of a new image.
    pub(crate) fn list(&self) -> FreeSlots {
        let slots = Arc::new(Slots::default());
        let mut lists = self.lock();
        lists.images.retain(|image| image.strong_count() > 0);
        lists.images.push(Arc::downgrade(&slots));
        FreeSlots { slots, budget: self.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, Lists> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lists {
    /// Unmaps the slots that were released first, until the budget is kept.
    fn enforce(&self) {
        let images: Vec<Arc<Slots>> = self.images.iter().filter_map(Weak::upgrade).collect();
        let mut count: usize = images.iter().map(|image| image.lock().len()).sum();
        while count > MAX_ALL_FREE_SLOTS {
            let first = |image: &&Arc<Slots>| image.lock().first().map_or(u64::MAX, |slot| slot.released);
            let Some(oldest) = images.iter().min_by_key(first) else { return };
            oldest.lock().remove(0);
            count -= 1;
        }
    }
}

impl FreeSlots {
    /// Takes the slot that was released last.
    pub(crate) fn pop(&self) -> Option<Reservation> {
        self.slots.lock().pop().map(|free| free.slot)
    }

    /// Adds a slot, unless the image has enough of them. Those released first make room for it.
    pub(crate) fn push(&self, slot: Reservation, resident_pages: usize) {
        let mut lists = self.budget.lock();
        lists.releases += 1;
        let free = FreeSlot { slot, resident_pages, released: lists.releases };
        let mut slots = self.slots.lock();
        if slots.len() < MAX_FREE_SLOTS {
            slots.push(free);
        }
        drop(slots);
        lists.enforce();
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.lock().len()
    }

    /// Bytes of memory that the slots hold.
    pub(crate) fn resident_bytes(&self) -> usize {
        self.slots.lock().iter().map(|free| free.resident_pages * PAGE).sum()
    }

    /// The budget that the list is under.
    pub(crate) const fn budget(&self) -> &SlotBudget {
        &self.budget
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot() -> Reservation {
        Reservation::new(PAGE).expect("a reservation")
    }

    #[test]
    fn the_slots_released_first_are_dropped_whichever_image_has_them() {
        let budget = SlotBudget::default();
        let images: Vec<FreeSlots> = (0..128).map(|_| budget.list()).collect();
        for image in &images {
            (0..MAX_FREE_SLOTS + 1).for_each(|_| image.push(slot(), 0));
        }
        let kept: Vec<usize> = images.iter().map(FreeSlots::len).collect();
        assert_eq!(kept.iter().sum::<usize>(), MAX_ALL_FREE_SLOTS);
        let (dropped, last) = kept.split_at(128 - MAX_ALL_FREE_SLOTS / MAX_FREE_SLOTS);
        assert!(
            dropped.iter().all(|slots| *slots == 0) && last.iter().all(|slots| *slots == MAX_FREE_SLOTS),
            "{kept:?}"
        );
        // the slots of images that are gone do not count
        drop(images);
        let image = budget.list();
        image.push(slot(), 3);
        assert_eq!((image.len(), image.resident_bytes()), (1, 3 * PAGE));
        assert!(image.pop().is_some() && image.pop().is_none());
    }
}
