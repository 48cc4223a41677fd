//! Memory images: what a guest's memory looked like at a good moment, and the slots that begin from it.
//!
//! ```text
//! base image    data segments + started interpreter + common standard library     a file in the cache, made once
//! module image  base image, and over it what importing the user's module changed  a memory file, made once a module
//! zeros         what a compiled step's memory begins as; wasmtime copies its data in   nothing
//! slot          a private mapping of an image; used by one step, then restored     kept on its image's list
//! ```
//! A slot is restored by the kernel's own account of what was written to ([`pagemap`]): those pages are given their bytes back
//! and stay, so that the next step, which writes to the same ones, finds them there. A fault for each of them, and for each
//! page read, was four fifths of a trivial step. Where the kernel does not tell, or it is too many pages to keep, it drops
//! them all, and the image shines through again.

use core::ops::Range;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use rustix::fs::{MemfdFlags, memfd_create};

use crate::host::memory::mapping::{PAGE, Reservation};
use crate::host::memory::pagemap::{self, written};

/// Slots kept for the next steps of an image. More are unmapped: a peak of waiting steps shall not keep its addresses, of
/// which each slot has four gigabytes.
const KEPT: usize = 64;

/// Slots of an image that keep the pages they wrote to. The one given back last is used first, so a few are enough for steps
/// that follow each other; the others would hold memory for nothing.
const WARM: usize = 4;

/// Pages that such a slot keeps at most: four megabytes. A request with Python's libraries writes to some 300 pages, and one that
/// finds them there takes a third of the time; a step that wrote to more than this spends its time elsewhere.
const WARM_PAGES: usize = 1024;

/// Parts in which an image may differ from the one below it. Each is a mapping of every slot, and a process may have some
/// 65,000 of those; what lies between two parts close to each other is copied with them.
const PARTS: usize = 4;

/// Bytes of the image below that are compared at a time.
const COMPARED: usize = 256 * PAGE;

/// A guest's memory at a good moment.
#[derive(Debug)]
pub(crate) struct Image {
    /// Mapped one over the other; where there is none, memory is zero.
    layers: Vec<Layer>,
    /// Bytes, whole pages.
    len: usize,
    /// Values of the guest's globals, by their bits, in the order of [`GuestCode`](crate::host::python::guest::GuestCode).
    pub(crate) globals: Vec<u64>,
    free: Mutex<Vec<Free>>,
    /// The image itself, mapped for copying from. Nobody writes to it.
    view: OnceLock<Reservation>,
}

/// A slot that shows its image again.
#[derive(Debug)]
struct Free {
    slot: Reservation,
    /// Pages of its own that it kept.
    pages: usize,
}

/// Parts of a file that nobody changes any more, each at its own place in memory.
#[derive(Clone, Debug)]
struct Layer {
    file: Arc<File>,
    parts: Vec<Range<usize>>,
}

/// An image that several slots use at once.
pub(crate) type SharedImage = Arc<Image>;

impl Image {
    /// No memory at all: what the base image is made in.
    pub(crate) fn blank() -> Self {
        Self { layers: Vec::new(), len: 0, globals: Vec::new(), free: Mutex::default(), view: OnceLock::new() }
    }

    /// `len` zeros, whole pages.
    pub(crate) fn zeros(len: usize) -> Self {
        Self { len, ..Self::blank() }
    }

    /// An image whose memory is the first `len` bytes of a file that nobody changes any more.
    pub(crate) fn from_file(file: File, len: usize, globals: Vec<u64>) -> Self {
        let layer = Layer { file: Arc::new(file), parts: core::iter::once(0..len).collect() };
        Self { layers: vec![layer], len, globals, free: Mutex::default(), view: OnceLock::new() }
    }

    /// An image of this memory, which began as a copy of this image. Only what differs is held in memory.
    pub(crate) fn with_changes(&self, memory: &[u8], globals: Vec<u64>) -> io::Result<Self> {
        let file = anonymous_file(memory.len())?;
        let parts = merged(self.changes(memory)?);
        for part in &parts {
            write_sparse(&file, part.start, memory.get(part.clone()).unwrap_or_default())?;
        }
        let mut layers = self.layers.clone();
        layers.push(Layer { file: Arc::new(file), parts });
        Ok(Self { layers, len: memory.len(), globals, free: Mutex::default(), view: OnceLock::new() })
    }

    /// Bytes of memory an instance has from the start.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Bytes that this image alone holds, and its free slots.
    pub(crate) fn own_bytes(&self) -> usize {
        let kept: usize = self.free().iter().map(|free| free.pages * PAGE).sum();
        kept + self.layers.last().map_or(0, |layer| layer.parts.iter().map(Range::len).sum())
    }

    fn free(&self) -> MutexGuard<'_, Vec<Free>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Addresses whose first part shows this image, `total` bytes long.
    pub(crate) fn slot(&self, total: usize) -> io::Result<Reservation> {
        let used = self.free().pop();
        if let Some(free) = used.filter(|free| free.slot.len() >= total) {
            return Ok(free.slot);
        }
        self.mapped(total)
    }

    fn mapped(&self, total: usize) -> io::Result<Reservation> {
        let mut slot = Reservation::new(total)?;
        slot.commit(0..self.len)?;
        for layer in &self.layers {
            for part in &layer.parts {
                slot.map_file(&layer.file, part.clone())?;
            }
        }
        Ok(slot)
    }

    /// Takes a slot back of which the first `accessible` bytes may have been written to.
    pub(crate) fn give_back(&self, mut slot: Reservation, accessible: usize) {
        let accessible = accessible.max(self.len);
        let restored = match self.free().len() {
            ..WARM => self.restore(&mut slot, accessible),
            _ => slot.restore(0..accessible).map(|()| 0),
        };
        let restored = restored.and_then(|pages| slot.protect(self.len..accessible).map(|()| pages));
        let mut free = self.free();
        // one that cannot be restored is unmapped
        if let (Ok(pages), true) = (restored, free.len() < KEPT) {
            free.push(Free { slot, pages });
        }
    }

    /// Makes a slot show the image again, and zeros behind it. The pages that were written to stay in memory, if they are few.
    /// Gives their number.
    fn restore(&self, slot: &mut Reservation, accessible: usize) -> io::Result<usize> {
        // one more than may stay shows that there are too many
        let written = written(slot.base().addr(), accessible, WARM_PAGES + 1);
        let Some(parts) = written.filter(|parts| pagemap::pages(parts) <= WARM_PAGES) else {
            return slot.restore(0..accessible).map(|()| 0);
        };
        let (view, pages) = (self.view()?, pagemap::pages(&parts));
        for part in parts {
            let (start, end, len) = (part.start, part.end, self.len);
            slot.copy(view, start.min(len)..end.min(len))?;
            slot.zero(start.max(len)..end.max(len))?;
        }
        Ok(pages)
    }

    fn view(&self) -> io::Result<&Reservation> {
        if let Some(view) = self.view.get() {
            return Ok(view);
        }
        let view = self.mapped(self.len)?;
        Ok(self.view.get_or_init(|| view))
    }

    /// The pages of `memory` that differ from this image, whose one layer is a whole file.
    fn changes(&self, memory: &[u8]) -> io::Result<Vec<Range<usize>>> {
        let mut changes = Vec::new();
        let mut below = vec![0; COMPARED];
        for (index, chunk) in memory.chunks(COMPARED).enumerate() {
            let start = index * COMPARED;
            below.fill(0);
            self.read(start, below.get_mut(..chunk.len()).unwrap_or_default())?;
            for (index, (new, old)) in chunk.chunks(PAGE).zip(below.chunks(PAGE)).enumerate() {
                if new != old {
                    let page = start + index * PAGE;
                    changes.push(page..page + new.len());
                }
            }
        }
        Ok(changes)
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

/// The same parts and what lies between some of them, so that few are left: the widest gaps stay.
fn merged(pages: Vec<Range<usize>>) -> Vec<Range<usize>> {
    let mut gaps: Vec<usize> = pages.windows(2).map(gap).collect();
    gaps.sort_unstable_by(|a, b| b.cmp(a));
    // gaps that are as wide as the narrowest one that stays are merged, but for zero, which is no gap
    let widest = gaps.get(PARTS - 1).copied().unwrap_or_default();
    let mut parts: Vec<Range<usize>> = Vec::new();
    for page in pages {
        match parts.last_mut() {
            Some(part) if page.start - part.end <= widest => part.end = page.end,
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

/// A file without a name, in memory, all zeros.
fn anonymous_file(len: usize) -> io::Result<File> {
    let file = File::from(memfd_create("bue-image", MemfdFlags::CLOEXEC)?);
    file.set_len(len as u64)?;
    Ok(file)
}

/// Writes memory to a place in a file of zeros, leaving holes where pages are zero.
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

/// Bytes of the first pages that have a property.
fn pages_while(memory: &[u8], property: impl Fn(&[u8]) -> bool) -> usize {
    memory.chunks(PAGE).take_while(|page| property(page)).map(<[u8]>::len).sum()
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
    fn a_slot_used_again_shows_the_image() {
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
            image.give_back(slot, 4 * PAGE);
        }
        assert_eq!(image.free.lock().expect("not poisoned").len(), 1);
    }

    #[test]
    fn pages_that_stay_are_restored_like_those_that_are_dropped() {
        const LEN: usize = 2 * WARM_PAGES;
        let image = Image::blank().with_changes(&[7; LEN * PAGE], Vec::new()).expect("an image");
        let mut memory = image.slot(2 * LEN * PAGE).expect("a slot");
        for written in [0, 1, 40, WARM_PAGES, WARM_PAGES + 1, LEN, 2 * LEN, 3] {
            memory.commit(LEN * PAGE..2 * LEN * PAGE).expect("grown");
            // from behind, so that few of them are in the part that grew
            for page in (0..2 * LEN).rev().step_by(3).chain(0..2 * LEN).take(written) {
                // SAFETY: mapped or committed above, and only this test has the slot.
                unsafe { memory.base().add(page * PAGE + page % PAGE).write_volatile(9) };
            }
            image.give_back(memory, 2 * LEN * PAGE);
            memory = image.slot(2 * LEN * PAGE).expect("the same slot");
            memory.commit(LEN * PAGE..2 * LEN * PAGE).expect("grown again");
            // SAFETY: as above; nobody writes while the bytes are borrowed.
            let bytes = unsafe { core::slice::from_raw_parts(memory.base(), 2 * LEN * PAGE) };
            let (shown, grown) = bytes.split_at(LEN * PAGE);
            assert!(shown.iter().all(|byte| *byte == 7) && grown.iter().all(|byte| *byte == 0), "{written}");
            memory.protect(LEN * PAGE..2 * LEN * PAGE).expect("protected");
        }
    }

    #[test]
    fn zeros_are_an_image_too() {
        let image = Image::zeros(3 * PAGE);
        for _ in 0..3 {
            assert_eq!(shown(&image, 3), [0; 3]);
            let slot = image.slot(3 * PAGE).expect("a slot");
            // SAFETY: inside the slot, which only this test has.
            unsafe { slot.base().add(PAGE).write_volatile(1) };
            image.give_back(slot, 0);
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
        assert!(image.layers.last().is_some_and(|layer| layer.parts.len() <= PARTS), "{image:?}");
        assert!(image.own_bytes() < 40 * PAGE, "{image:?}");
    }

    #[test]
    fn an_image_without_changes_holds_nothing() {
        let base = Image::blank().with_changes(&[7; 4 * PAGE], Vec::new()).expect("a base");
        let same = base.with_changes(&[7; 4 * PAGE], Vec::new()).expect("an image");
        assert_eq!((same.own_bytes(), shown(&same, 4)), (0, vec![7; 4]));
    }

    #[test]
    fn only_pages_that_were_written_to_are_told() {
        let image = Image::blank().with_changes(&[7; 64 * PAGE], Vec::new()).expect("an image");
        let slot = image.slot(64 * PAGE).expect("a slot");
        let written_pages = |most| {
            for page in 0..64 {
                // SAFETY: inside the mapped slot, which only this test has.
                assert_eq!(unsafe { slot.base().add(page * PAGE + 1).read_volatile() }, 7);
            }
            written(slot.base().addr(), 64 * PAGE, most).expect("this system tells")
        };
        assert_eq!(written_pages(64), []);
        for page in [3, 4, 40] {
            // SAFETY: as above.
            unsafe { slot.base().add(page * PAGE).write_volatile(1) };
        }
        let parts = written_pages(64);
        assert_eq!(parts, [3 * PAGE..5 * PAGE, 40 * PAGE..41 * PAGE]);
        assert_eq!(pagemap::pages(&parts), 3);
        assert_eq!(pagemap::pages(&written_pages(2)), 2);
    }
}
