//! Memory images: snapshots of a guest's memory, and the slots that begin as copies of them.
//!
//! ```text
//! base image    data segments + started interpreter + common standard library     a file in the cache, made once
//! module image  the base image + the pages that importing the user's module changed   a memory file, once per module
//! zeros         the memory of a compiled step, into which wasmtime copies its data    no file
//! slot          a private mapping of an image, used by one step and then restored     kept on its image's free list
//! ```
//! When a slot is released, [`pagemap`] reports its dirty pages. Their bytes are copied back from the image and the pages stay
//! resident, so that the next step, which writes to the same pages, has no page faults: those were four fifths of the time of
//! a trivial step. Without `PAGEMAP_SCAN`, or with too many dirty pages, they are discarded with `MADV_DONTNEED`. How many slots stay
//! resident, and how many are kept at all, is decided in [`free_slots`](crate::host::memory::free_slots).

use core::ops::Range;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustix::fs::{MemfdFlags, memfd_create};

use crate::host::memory::free_slots::{FreeSlots, SlotBudget};
use crate::host::memory::mapping::{PAGE, Reservation, discard_pages};
use crate::host::memory::pagemap::{self, page_count};

/// Maximum number of dirty pages that stay resident in a free slot: four megabytes. A request with Python's libraries writes to fewer
/// than 300. For a step that writes to more than this, faults matter less.
const MAX_WARM_PAGES: usize = 1024;

/// Maximum number of parts in which an image differs from the one below it. Each is a mapping in every slot, and so is what lies
/// between two; a process may have about 65,000 mappings. Parts close to each other are merged, with what lies between them. Two are
/// enough: a module changes data of the interpreter, and what lies behind its image.
const MAX_PARTS: usize = 2;

/// Waits of steps for which the pages to give back are those of an earlier one. To ask the kernel which pages of a slot were written to
/// takes as long as a short step runs; functions of a module may write to different ones.
const MAX_USES: u32 = 63;

/// Bytes that are compared with the image below at a time.
const COMPARE_CHUNK: usize = 256 * PAGE;

/// A snapshot of a guest's memory.
#[derive(Debug)]
pub(crate) struct Image {
    /// Mapped one over the other. Where there is none, memory is zero.
    layers: Vec<Layer>,
    /// Length in bytes, a multiple of the page size.
    len: usize,
    /// The bits of the guest's globals, in the order of [`GuestCode`](crate::host::guest::code::GuestCode).
    pub(crate) globals: Vec<u64>,
    free_slots: FreeSlots,
    /// The image itself, mapped to copy from. It is never written to.
    view: OnceLock<Reservation>,
    unchanged: Mutex<UnchangedPages>,
}

/// The pages of an image that a waiting step had written to and that were equal to the image again.
#[derive(Debug, Default)]
struct UnchangedPages {
    pages: Arc<[Range<usize>]>,
    /// How often they are still used before they are determined again.
    uses: u32,
}

impl UnchangedPages {
    /// Returns the pages, or `None` if they are to be determined.
    fn recall(&mut self) -> Option<Arc<[Range<usize>]>> {
        match self.uses.checked_sub(1) {
            Some(uses) => {
                self.uses = uses;
                Some(Arc::clone(&self.pages))
            }
            None => {
                self.uses = MAX_USES;
                None
            }
        }
    }
}

/// Parts of an immutable file, each mapped at the same offset in memory.
#[derive(Clone, Debug)]
struct Layer {
    file: Arc<File>,
    parts: Vec<Range<usize>>,
}

/// An image that is shared by its slots.
pub(crate) type SharedImage = Arc<Image>;

impl Image {
    /// An image without memory, in which the base image is created.
    pub(crate) fn blank() -> Self {
        Self::zeros(0, &SlotBudget::default())
    }

    /// An image of `len` zeros, a multiple of the page size.
    pub(crate) fn zeros(len: usize, budget: &SlotBudget) -> Self {
        Self {
            layers: Vec::new(),
            len,
            globals: Vec::new(),
            free_slots: budget.list(),
            view: OnceLock::new(),
            unchanged: Mutex::default(),
        }
    }

    /// An image whose memory is the first `len` bytes of an immutable file.
    pub(crate) fn from_file(file: File, len: usize, globals: Vec<u64>) -> Self {
        let layer = Layer { file: Arc::new(file), parts: core::iter::once(0..len).collect() };
        Self {
            layers: vec![layer],
            len,
            globals,
            free_slots: SlotBudget::default().list(),
            view: OnceLock::new(),
            unchanged: Mutex::default(),
        }
    }

    /// An image of `memory`, which began as a copy of this image. Only the differences are stored.
    pub(crate) fn with_changes(&self, memory: &[u8], globals: Vec<u64>) -> io::Result<Self> {
        let file = anonymous_file(memory.len())?;
        let parts = merge_parts(self.changed_pages(memory)?);
        for part in &parts {
            write_sparse(&file, part.start, memory.get(part.clone()).unwrap_or_default())?;
        }
        let mut layers = self.layers.clone();
        layers.push(Layer { file: Arc::new(file), parts });
        let free_slots = self.free_slots.budget().list();
        Ok(Self { layers, len: memory.len(), globals, free_slots, view: OnceLock::new(), unchanged: Mutex::default() })
    }

    /// Bytes of memory that an instance has from the start.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Bytes of memory that only this image and its free slots hold.
    pub(crate) fn own_bytes(&self) -> usize {
        self.free_slots.resident_bytes() + self.file_bytes()
    }

    /// Bytes of memory that only this image holds.
    pub(crate) fn file_bytes(&self) -> usize {
        self.layers.last().map_or(0, |layer| layer.parts.iter().map(Range::len).sum())
    }

    /// Returns a reservation of `total` bytes that begins with a private copy of this image.
    pub(crate) fn slot(&self, total: usize) -> io::Result<Reservation> {
        if let Some(slot) = self.free_slots.acquire().filter(|slot| slot.len() >= total) {
            return Ok(slot);
        }
        let mapped = self.map_slot(total).or_else(|_| {
            // what is free may be what is missing: a process may have so many mappings
            self.free_slots.budget().clear();
            self.map_slot(total)
        });
        mapped.inspect_err(|_| {
            self.free_slots.release();
        })
    }

    fn map_slot(&self, total: usize) -> io::Result<Reservation> {
        let mut slot = Reservation::new(total)?;
        slot.commit(0..self.len)?;
        for layer in &self.layers {
            for part in &layer.parts {
                slot.map_file(&layer.file, part.clone())?;
            }
        }
        Ok(slot)
    }

    /// Puts a slot whose first `accessible` bytes may have been written to on the free list.
    pub(crate) fn release(&self, mut slot: Reservation, accessible: usize) {
        let accessible = accessible.max(self.len);
        let restored = match self.free_slots.release() {
            true => self.restore(&mut slot, accessible),
            false => slot.discard(0..accessible).map(|()| 0),
        };
        let restored = restored.and_then(|pages| slot.protect(self.len..accessible).map(|()| pages));
        // a slot that cannot be restored is unmapped
        if let Ok(resident_pages) = restored {
            self.free_slots.push(slot, resident_pages);
        }
    }

    /// Makes the memory of a slot equal to the image, followed by zeros. If the dirty pages are few, they stay resident.
    /// Returns the number of resident pages.
    fn restore(&self, slot: &mut Reservation, accessible: usize) -> io::Result<usize> {
        // one more than the limit, to detect that there are too many
        let written = pagemap::written(slot.base().addr(), accessible, MAX_WARM_PAGES + 1);
        let Some(parts) = written.filter(|parts| page_count(parts) <= MAX_WARM_PAGES) else {
            return slot.discard(0..accessible).map(|()| 0);
        };
        let (view, pages) = (self.view()?, page_count(&parts));
        for part in parts {
            let (start, end, len) = (part.start, part.end, self.len);
            slot.copy_from(view, start.min(len)..end.min(len))?;
            slot.zero(start.max(len)..end.max(len))?;
        }
        Ok(pages)
    }

    /// Gives back the pages of a slot in use that have been written to and equal the image: those of locks that are free again, of
    /// objects that are dropped. `memory` are the slot's accessible bytes. Returns the number of pages.
    ///
    /// Most steps of a module write to the same pages, so most calls look only at those that were equal last time.
    pub(crate) fn release_unchanged(&self, memory: &mut [u8]) -> io::Result<usize> {
        let known = self.unchanged.lock().unwrap_or_else(PoisonError::into_inner).recall();
        let (is_known, pages) = (known.is_some(), known.unwrap_or_else(|| all_written(memory)));
        let equal = self.equal_pages(memory, &pages)?;
        for part in &equal {
            // they have the same bytes afterwards, also if they were not written to
            discard_pages(memory.get_mut(part.clone()).unwrap_or_default())?;
        }
        let count = page_count(&equal);
        if !is_known {
            self.unchanged.lock().unwrap_or_else(PoisonError::into_inner).pages = equal.into();
        }
        Ok(count)
    }

    /// Returns those of the pages whose bytes equal the image.
    fn equal_pages(&self, memory: &[u8], pages: &[Range<usize>]) -> io::Result<Vec<Range<usize>>> {
        // SAFETY: the view shows the whole image, and nothing writes to it.
        let image = unsafe { self.view()?.bytes(self.len) };
        let mut parts = Vec::new();
        for pages in pages {
            let mut at = pages.start;
            while at < pages.end {
                let rest = memory.get(at..pages.end).unwrap_or_default();
                let equal = pages_equal(rest, image.get(at..).unwrap_or_default());
                if equal > 0 {
                    parts.push(at..at + equal);
                }
                at += equal + PAGE;
            }
        }
        Ok(parts)
    }

    fn view(&self) -> io::Result<&Reservation> {
        if let Some(view) = self.view.get() {
            return Ok(view);
        }
        let view = self.map_slot(self.len)?;
        Ok(self.view.get_or_init(|| view))
    }

    /// The pages of `memory` that differ from this image.
    fn changed_pages(&self, memory: &[u8]) -> io::Result<Vec<Range<usize>>> {
        let mut changed = Vec::new();
        let mut below = vec![0; COMPARE_CHUNK];
        for (index, chunk) in memory.chunks(COMPARE_CHUNK).enumerate() {
            let start = index * COMPARE_CHUNK;
            below.fill(0);
            self.read(start, below.get_mut(..chunk.len()).unwrap_or_default())?;
            for (index, (new, old)) in chunk.chunks(PAGE).zip(below.chunks(PAGE)).enumerate() {
                if new != old {
                    let page = start + index * PAGE;
                    changed.push(page..page + new.len());
                }
            }
        }
        Ok(changed)
    }

    /// Fills a buffer of zeros with the image's bytes.
    fn read(&self, start: usize, buffer: &mut [u8]) -> io::Result<()> {
        let range = start..start + buffer.len();
        for layer in &self.layers {
            for part in &layer.parts {
                let (from, to) = (part.start.max(range.start), part.end.min(range.end));
                if let Some(target) = buffer.get_mut(from.saturating_sub(start)..to.saturating_sub(start)) {
                    layer.file.read_exact_at(target, from as u64)?;
                }
            }
        }
        Ok(())
    }
}

/// Merges pages into at most [`MAX_PARTS`] parts, including what lies between them: the widest gaps are kept.
fn merge_parts(pages: Vec<Range<usize>>) -> Vec<Range<usize>> {
    let mut gaps: Vec<usize> = pages.windows(2).map(gap).collect();
    gaps.sort_unstable_by(|a, b| b.cmp(a));
    // a gap is merged unless it is wider than this; adjacent pages (a gap of zero) are always merged
    let widest_merged = gaps.get(MAX_PARTS - 1).copied().unwrap_or_default();
    let mut parts: Vec<Range<usize>> = Vec::new();
    for page in pages {
        match parts.last_mut() {
            Some(part) if page.start - part.end <= widest_merged => part.end = page.end,
            _ => parts.push(page),
        }
    }
    parts
}

fn gap(pair: &[Range<usize>]) -> usize {
    match pair {
        [a, b] => b.start.saturating_sub(a.end),
        _ => 0,
    }
}

/// An anonymous file in memory, all zeros.
fn anonymous_file(len: usize) -> io::Result<File> {
    let file = File::from(memfd_create("bue-image", MemfdFlags::CLOEXEC)?);
    file.set_len(len as u64)?;
    Ok(file)
}

/// Writes memory to an offset of a file of zeros, leaving holes where pages are zero.
pub(crate) fn write_sparse(file: &File, start: usize, memory: &[u8]) -> io::Result<()> {
    let mut at = 0;
    while at < memory.len() {
        let zeros = pages_while(memory.get(at..).unwrap_or_default(), is_zero);
        at += zeros;
        let rest = memory.get(at..).unwrap_or_default();
        let len = pages_while(rest, |page| !is_zero(page));
        file.write_all_at(rest.get(..len).unwrap_or_default(), (start + at) as u64)?;
        at += len;
    }
    Ok(())
}

/// The length in bytes of the first pages for which the predicate holds.
fn pages_while(memory: &[u8], predicate: impl Fn(&[u8]) -> bool) -> usize {
    memory.chunks(PAGE).take_while(|page| predicate(page)).map(<[u8]>::len).sum()
}

/// The length in bytes of the first pages that equal those of the image, behind which there are zeros.
fn pages_equal(memory: &[u8], image: &[u8]) -> usize {
    let below = image.chunks(PAGE).map(Some).chain(core::iter::repeat(None));
    let equal = memory.chunks_exact(PAGE).zip(below).take_while(|(page, below)| match below {
        Some(below) => page == below,
        None => is_zero(page),
    });
    equal.count() * PAGE
}

/// The pages of a slot that were written to, as far as there are few enough to be worth a look.
fn all_written(memory: &[u8]) -> Arc<[Range<usize>]> {
    pagemap::written(memory.as_ptr().addr(), memory.len(), MAX_WARM_PAGES).unwrap_or_default().into()
}

fn is_zero(page: &[u8]) -> bool {
    let (words, rest) = page.as_chunks::<16>();
    words.iter().all(|word| *word == [0; 16]) && rest.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn holes_read_as_the_zeros_they_were() {
        let mut memory = vec![0_u8; 5 * PAGE];
        memory[PAGE + 3] = 1;
        memory[4 * PAGE] = 2;
        let path = tempfile::NamedTempFile::new().expect("a file");
        path.as_file().set_len(memory.len() as u64).expect("a length");
        write_sparse(path.as_file(), 0, &memory).expect("written");
        let mut back = Vec::new();
        File::open(path.path()).expect("opened").read_to_end(&mut back).expect("read");
        assert_eq!(back, memory);
    }

    #[test]
    fn a_reused_slot_equals_the_image() {
        let image = Image::blank().with_changes(&[7; 2 * PAGE], Vec::new()).expect("an image");
        for _ in 0..3 {
            let mut slot = image.slot(16 * PAGE).expect("a slot");
            slot.commit(2 * PAGE..4 * PAGE).expect("grown");
            for at in [0, PAGE + 1, 3 * PAGE] {
                let byte = slot.base().wrapping_add(at);
                // SAFETY: mapped or committed above, and only this test has the slot.
                unsafe {
                    assert_eq!(byte.read_volatile(), if at < 2 * PAGE { 7 } else { 0 });
                    byte.write_volatile(9);
                }
            }
            image.release(slot, 4 * PAGE);
        }
        assert_eq!(image.free_slots.len(), 1);
    }

    #[test]
    fn resident_pages_are_restored_like_discarded_ones() {
        const LEN: usize = 2 * MAX_WARM_PAGES;
        let image = Image::blank().with_changes(&[7; LEN * PAGE], Vec::new()).expect("an image");
        let mut memory = image.slot(2 * LEN * PAGE).expect("a slot");
        for written in [0, 1, 40, MAX_WARM_PAGES, MAX_WARM_PAGES + 1, LEN, 2 * LEN, 3] {
            memory.commit(LEN * PAGE..2 * LEN * PAGE).expect("grown");
            // from the end, so that few of them are in the part that grew
            for page in (0..2 * LEN).rev().step_by(3).chain(0..2 * LEN).take(written) {
                // SAFETY: mapped or committed above, and only this test has the slot.
                unsafe { memory.base().add(page * PAGE + page % PAGE).write_volatile(9) };
            }
            image.release(memory, 2 * LEN * PAGE);
            memory = image.slot(2 * LEN * PAGE).expect("the same slot");
            memory.commit(LEN * PAGE..2 * LEN * PAGE).expect("grown again");
            // SAFETY: as above; nothing writes while the bytes are borrowed.
            let bytes = unsafe { core::slice::from_raw_parts(memory.base(), 2 * LEN * PAGE) };
            let (shown, grown) = bytes.split_at(LEN * PAGE);
            assert!(shown.iter().all(|byte| *byte == 7) && grown.iter().all(|byte| *byte == 0), "{written}");
            memory.protect(LEN * PAGE..2 * LEN * PAGE).expect("protected");
        }
    }

    #[test]
    fn pages_that_equal_the_image_again_are_given_back() {
        const LEN: usize = 12;
        let image = Image::blank().with_changes(&[7; LEN * PAGE], Vec::new()).expect("an image");
        let mut slot = image.slot(16 * PAGE).expect("a slot");
        slot.commit(LEN * PAGE..14 * PAGE).expect("grown");
        // SAFETY: mapped or committed above, and only this test has the slot.
        let memory = unsafe { core::slice::from_raw_parts_mut(slot.base(), 14 * PAGE) };
        for (page, byte) in [(1, 7), (2, 7), (3, 9), (4, 7), (11, 7), (12, 0), (13, 1)] {
            // SAFETY: as above. Volatile, because some of these bytes are there already.
            unsafe { memory.as_mut_ptr().add(page * PAGE + 5).write_volatile(byte) };
        }
        assert_eq!(image.release_unchanged(memory).expect("released"), 5);
        let written = pagemap::written(memory.as_ptr().addr(), memory.len(), 14).expect("PAGEMAP_SCAN");
        assert_eq!(written, [3 * PAGE..4 * PAGE, 13 * PAGE..14 * PAGE]);
        let shown: Vec<u8> = memory.iter().skip(5).step_by(PAGE).copied().collect();
        assert_eq!(shown, [7, 7, 7, 9, 7, 7, 7, 7, 7, 7, 7, 7, 0, 1]);
    }

    #[test]
    fn most_waiting_steps_give_back_only_pages_that_were_equal_for_an_earlier_one() {
        const LEN: usize = 4;
        let image = Image::blank().with_changes(&[7; LEN * PAGE], Vec::new()).expect("an image");
        // what a step writes to each page, and the pages that are still its own when it waits
        let steps = [
            (vec![(0, 7), (1, 9), (3, 7)], vec![1]),
            (vec![(0, 9), (2, 7), (3, 7)], vec![0, 2]),
            (vec![(3, 9)], vec![3]),
            (Vec::new(), Vec::new()),
        ];
        for (written, kept) in steps {
            let slot = image.slot(8 * PAGE).expect("a slot");
            // SAFETY: mapped, and only this test has the slot.
            let memory = unsafe { core::slice::from_raw_parts_mut(slot.base(), LEN * PAGE) };
            for (page, byte) in &written {
                // SAFETY: as above. Volatile, because some of these bytes are there already.
                unsafe { memory.as_mut_ptr().add(page * PAGE).write_volatile(*byte) };
            }
            image.release_unchanged(memory).expect("released");
            let still_written = pagemap::written(memory.as_ptr().addr(), memory.len(), LEN).expect("PAGEMAP_SCAN");
            let still_written: Vec<usize> = still_written.into_iter().flat_map(|part| part.step_by(PAGE)).collect();
            assert_eq!(still_written, kept.iter().map(|page| page * PAGE).collect::<Vec<_>>(), "{written:?}");
            for page in 0..LEN {
                let byte = written.iter().find(|(at, _)| *at == page).map_or(7, |(_, byte)| *byte);
                assert_eq!(memory[page * PAGE], byte, "{written:?}");
            }
        }
        image.unchanged.lock().expect("not poisoned").uses = 0;
        let slot = image.slot(8 * PAGE).expect("a slot");
        // SAFETY: as above.
        let memory = unsafe { core::slice::from_raw_parts_mut(slot.base(), LEN * PAGE) };
        // SAFETY: as above.
        unsafe { memory.as_mut_ptr().add(2 * PAGE).write_volatile(7) };
        assert_eq!(image.release_unchanged(memory).expect("released"), 1, "they are determined again");
    }

    #[test]
    fn zeros_are_an_image_too() {
        let image = Image::zeros(3 * PAGE, &SlotBudget::default());
        for _ in 0..3 {
            assert_eq!(shown(&image, 3), [0; 3]);
            let slot = image.slot(3 * PAGE).expect("a slot");
            // SAFETY: inside the slot, which only this test has.
            unsafe { slot.base().add(PAGE).write_volatile(1) };
            image.release(slot, 0);
        }
    }

    /// The bytes at the starts of some pages, as a fresh slot shows them.
    fn shown(image: &Image, pages: usize) -> Vec<u8> {
        let slot = image.slot(pages * PAGE).expect("a slot");
        // SAFETY: the callers ask for no more pages than the image has, all of which a slot shows.
        (0..pages).map(|page| unsafe { slot.base().add(page * PAGE).read_volatile() }).collect()
    }

    #[test]
    fn an_image_over_another_shows_both() {
        let base = Image::blank().with_changes(&[7; 40 * PAGE], Vec::new()).expect("a base");
        let mut memory = vec![7; 48 * PAGE];
        memory[40 * PAGE..].fill(0);
        // more parts than may be, growth, and a page that became zero
        for (page, byte) in [(0, 1), (2, 2), (9, 3), (20, 0), (30, 4), (39, 5), (47, 6)] {
            memory[page * PAGE..(page + 1) * PAGE].fill(byte);
        }
        let image = base.with_changes(&memory, Vec::new()).expect("an image");
        let expected: Vec<u8> = memory.iter().step_by(PAGE).copied().collect();
        assert_eq!(shown(&image, 48), expected);
        assert!(image.layers.last().is_some_and(|layer| layer.parts.len() <= MAX_PARTS), "{image:?}");
        assert!(image.own_bytes() < 40 * PAGE, "{image:?}");
    }

    #[test]
    fn an_image_without_changes_holds_nothing() {
        let base = Image::blank().with_changes(&[7; 4 * PAGE], Vec::new()).expect("a base");
        let same = base.with_changes(&[7; 4 * PAGE], Vec::new()).expect("an image");
        assert_eq!((same.own_bytes(), shown(&same, 4)), (0, vec![7; 4]));
    }

    #[test]
    fn only_pages_that_were_written_to_are_reported() {
        let image = Image::blank().with_changes(&[7; 64 * PAGE], Vec::new()).expect("an image");
        let slot = image.slot(64 * PAGE).expect("a slot");
        let written_pages = |max_pages| {
            for page in 0..64 {
                // SAFETY: inside the mapped slot, which only this test has.
                assert_eq!(unsafe { slot.base().add(page * PAGE + 1).read_volatile() }, 7);
            }
            pagemap::written(slot.base().addr(), 64 * PAGE, max_pages).expect("PAGEMAP_SCAN")
        };
        assert_eq!(written_pages(64), []);
        for page in [3, 4, 40] {
            // SAFETY: as above.
            unsafe { slot.base().add(page * PAGE).write_volatile(1) };
        }
        let parts = written_pages(64);
        assert_eq!(parts, [3 * PAGE..5 * PAGE, 40 * PAGE..41 * PAGE]);
        assert_eq!(page_count(&parts), 3);
        assert_eq!(page_count(&written_pages(2)), 2);
    }
}
