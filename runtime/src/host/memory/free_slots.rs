//! [`FreeSlots`]: the released slots of an image, and [`SlotBudget`], what all images may keep of them.
//!
//! A slot consists of about seven mappings, of which a process may have some 65,000. A host has hundreds of images, and after a peak
//! each would keep all its slots, until the next step finds no place for its memory.
//!
//! A slot whose written pages stay resident is *warm*: its next step has no page faults, which are most of the cost of a short one.
//! An image keeps as many warm slots as its steps need to reach the number again that ran at once lately: one if they follow each
//! other, hundreds if hundreds wait for responses. What they hold together is limited.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::host::memory::mapping::{PAGE, Reservation};

/// Maximum number of free slots of an image that are not warm. More are unmapped, so that a peak of waiting steps does not keep its
/// address space, of which each slot has four gigabytes.
const MAX_COLD_SLOTS: usize = 64;

/// Minimum number of slots of an image that stay warm. The slot released last is used first, so a few are enough for steps that
/// follow each other.
const MIN_WARM_SLOTS: usize = 4;

/// Maximum number of slots of all images that share a budget, free or in use, if free ones are more than [`MIN_FREE_SLOTS`].
const MAX_SLOTS: usize = 1280;

/// Number of free slots of all images that there may be in any case: those of a few images after a peak, or two for each image.
const MIN_FREE_SLOTS: usize = 256;

/// Maximum number of pages that all these slots hold: 128 MiB, those of a thousand steps that write to 32 pages, or of three hundred
/// that send a request with a large library.
const MAX_ALL_RESIDENT_PAGES: usize = (128 << 20) / PAGE;

/// Releases after which the number of slots in use counts as that of another time.
const RELEASES_PER_TURN: usize = 256;

/// A released slot whose memory equals its image.
#[derive(Debug)]
struct FreeSlot {
    slot: Reservation,
    /// The number of its private pages that are resident.
    resident_pages: usize,
    /// Grows with every release under the budget.
    released: u64,
}

/// The free slots of one image. The warm ones are at the end, the one released last at the very end.
#[derive(Debug)]
pub(crate) struct FreeSlots {
    slots: Arc<Slots>,
    budget: SlotBudget,
}

#[derive(Debug, Default)]
struct Slots(Mutex<List>);

#[derive(Debug, Default)]
struct List {
    free: Vec<FreeSlot>,
    /// How many of them are warm, and the pages that these hold.
    warm: usize,
    resident_pages: usize,
    use_count: UseCount,
}

impl List {
    fn push(&mut self, slot: FreeSlot) {
        self.warm += usize::from(slot.resident_pages > 0);
        self.resident_pages += slot.resident_pages;
        let at = if slot.resident_pages > 0 { self.free.len() } else { 0 };
        self.free.insert(at, slot);
    }

    /// Takes the slot at the end.
    fn pop(&mut self) -> Option<FreeSlot> {
        let last = self.free.pop()?;
        self.removed(last.resident_pages);
        Some(last)
    }

    /// Takes the slot at the beginning.
    fn remove_first(&mut self) -> Option<FreeSlot> {
        let first = (!self.free.is_empty()).then(|| self.free.remove(0))?;
        self.removed(first.resident_pages);
        Some(first)
    }

    fn removed(&mut self, resident_pages: usize) {
        self.warm -= usize::from(resident_pages > 0);
        self.resident_pages -= resident_pages;
    }
}

/// How many slots of an image are in use, and were lately.
#[derive(Debug, Default)]
struct UseCount {
    now: usize,
    /// The maximum of this turn and of the one before.
    peak: usize,
    last_peak: usize,
    releases: usize,
}

impl UseCount {
    fn acquire(&mut self) {
        self.now += 1;
        self.peak = self.peak.max(self.now);
    }

    fn release(&mut self) {
        self.now = self.now.saturating_sub(1);
        self.releases += 1;
        // a turn is long enough for all slots to be released and taken again
        if self.releases >= RELEASES_PER_TURN.max(self.peak) {
            (self.last_peak, self.peak, self.releases) = (self.peak, self.now, 0);
        }
    }

    /// How many more slots were in use lately than are now.
    fn missing(&self) -> usize {
        self.peak.max(self.last_peak).saturating_sub(self.now)
    }
}

impl Slots {
    fn lock(&self) -> MutexGuard<'_, List> {
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

    /// Unmaps all of them.
    pub(crate) fn clear(&self) {
        for image in self.lock().images.iter().filter_map(Weak::upgrade) {
            while image.lock().pop().is_some() {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, Lists> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lists {
    /// The number of pages that the slots of all images hold.
    fn resident_pages(&self) -> usize {
        self.images.iter().filter_map(Weak::upgrade).map(|image| image.lock().resident_pages).sum()
    }

    /// Unmaps the slots that were released first, until the budget is kept.
    fn enforce(&self) {
        let images: Vec<Arc<Slots>> = self.images.iter().filter_map(Weak::upgrade).collect();
        let (mut count, mut in_use, mut pages) = (0, 0, 0);
        for image in &images {
            let list = image.lock();
            count += list.free.len();
            in_use += list.use_count.now;
            pages += list.resident_pages;
        }
        let max_count = MAX_SLOTS.saturating_sub(in_use).max(MIN_FREE_SLOTS);
        while count > max_count || pages > MAX_ALL_RESIDENT_PAGES {
            let first = |image: &&Arc<Slots>| image.lock().free.first().map_or(u64::MAX, |slot| slot.released);
            // of an image, those that are not warm go first
            let oldest = images.iter().min_by_key(first).and_then(|image| image.lock().remove_first());
            let Some(oldest) = oldest else { return };
            count -= 1;
            pages -= oldest.resident_pages;
        }
    }
}

impl FreeSlots {
    /// One more slot is in use. Takes it from the free ones, the one released last, if there are any.
    pub(crate) fn acquire(&self) -> Option<Reservation> {
        let mut list = self.slots.lock();
        list.use_count.acquire();
        let free = list.pop();
        drop(list);
        if free.is_none() {
            // those of other images make room for it
            self.budget.lock().enforce();
        }
        free.map(|free| free.slot)
    }

    /// One slot less is in use. Returns whether it is to stay warm.
    pub(crate) fn release(&self) -> bool {
        let mut list = self.slots.lock();
        list.use_count.release();
        let is_needed = list.warm < list.use_count.missing().max(MIN_WARM_SLOTS);
        drop(list);
        is_needed && self.has_room()
    }

    /// Is there room for one more warm slot, or does another image hold what can make room? To restore a slot takes as long as a short
    /// step, which is a waste if it only takes the place of another slot of the same image: when thousands of steps end at once.
    fn has_room(&self) -> bool {
        let lists = self.budget.lock();
        let list = self.slots.lock();
        let (own_pages, warm) = (list.resident_pages, list.warm);
        drop(list);
        let all_pages = lists.resident_pages();
        all_pages > own_pages || own_pages + own_pages / warm.max(1) <= MAX_ALL_RESIDENT_PAGES
    }

    /// Adds a released slot, unless the image has enough of them. Those released first make room for it.
    pub(crate) fn push(&self, slot: Reservation, resident_pages: usize) {
        let mut lists = self.budget.lock();
        lists.releases += 1;
        let free = FreeSlot { slot, resident_pages, released: lists.releases };
        let mut list = self.slots.lock();
        if resident_pages > 0 || list.free.len() - list.warm < MAX_COLD_SLOTS {
            list.push(free);
        }
        drop(list);
        lists.enforce();
    }

    /// Bytes of memory that the slots hold.
    pub(crate) fn resident_bytes(&self) -> usize {
        self.slots.lock().resident_pages * PAGE
    }

    /// The budget that the list is under.
    pub(crate) const fn budget(&self) -> &SlotBudget {
        &self.budget
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.slots.lock().free.len()
    }

    #[cfg(test)]
    pub(crate) fn warm(&self) -> usize {
        self.slots.lock().warm
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
            (0..MAX_COLD_SLOTS + 1).for_each(|_| image.push(slot(), 0));
        }
        let kept = || images.iter().map(FreeSlots::len).collect::<Vec<usize>>();
        let full = MAX_SLOTS / MAX_COLD_SLOTS;
        let (dropped, last) = (vec![0; 128 - full], vec![MAX_COLD_SLOTS; full]);
        assert_eq!(kept(), [dropped, last].concat());
        // those in use leave less room
        let busy = budget.list();
        (0..MAX_SLOTS).for_each(|_| assert!(busy.acquire().is_none()));
        let full = MIN_FREE_SLOTS / MAX_COLD_SLOTS;
        let (dropped, last) = (vec![0; 128 - full], vec![MAX_COLD_SLOTS; full]);
        assert_eq!(kept(), [dropped, last].concat());
        // the slots of images that are gone do not count
        drop((images, busy));
        let image = budget.list();
        image.push(slot(), 3);
        assert_eq!((image.len(), image.resident_bytes()), (1, 3 * PAGE));
        assert!(image.acquire().is_some() && image.acquire().is_none());
    }

    #[test]
    fn the_pages_of_all_slots_are_limited() {
        let budget = SlotBudget::default();
        let (first, second) = (budget.list(), budget.list());
        let large = MAX_ALL_RESIDENT_PAGES / 8;
        (0..8).for_each(|_| first.push(slot(), large));
        second.push(slot(), large);
        second.push(slot(), 1);
        assert_eq!((first.warm(), second.warm()), (6, 2), "the oldest made room");
        assert!(first.resident_bytes() + second.resident_bytes() <= MAX_ALL_RESIDENT_PAGES * PAGE);
    }

    #[test]
    fn a_slot_is_not_kept_warm_in_the_place_of_another_one_of_its_image() {
        let budget = SlotBudget::default();
        let (first, second) = (budget.list(), budget.list());
        let large = MAX_ALL_RESIDENT_PAGES / 8;
        let release_all = |image: &FreeSlots| {
            let kept = (0..20).filter(|_| {
                let is_kept = image.release();
                image.push(slot(), if is_kept { large } else { 0 });
                is_kept
            });
            kept.count()
        };
        (0..20).for_each(|_| drop(first.acquire()));
        assert_eq!((release_all(&first), first.warm()), (8, 8));
        // the slots of the other image are older
        (0..20).for_each(|_| drop(second.acquire()));
        assert_eq!((release_all(&second), first.warm(), second.warm()), (8, 0, 8));
    }

    /// Takes so many slots at once, then releases them, and returns how many stay warm.
    fn use_at_once(image: &FreeSlots, count: usize) -> usize {
        let slots: Vec<Reservation> = (0..count).map(|_| image.acquire().unwrap_or_else(slot)).collect();
        for slot in slots {
            let pages = if image.release() { 10 } else { 0 };
            image.push(slot, pages);
        }
        image.warm()
    }

    #[test]
    fn as_many_slots_stay_warm_as_were_in_use_at_once_lately() {
        let image = SlotBudget::default().list();
        assert_eq!(use_at_once(&image, 1), 1);
        assert_eq!(use_at_once(&image, 300), 300);
        assert_eq!(use_at_once(&image, 300), 300);
        // of steps that follow each other, each finds a warm slot
        for _ in 0..3 * RELEASES_PER_TURN.max(300) {
            assert!(use_at_once(&image, 1) >= 1);
        }
        assert_eq!(image.warm(), MIN_WARM_SLOTS);
        image.budget().clear();
        assert_eq!(use_at_once(&image, 20), 20);
    }
}
