//! Counts the pages of a memory that are private copies. A figure for people; nothing depends on it.

use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::mapping::PAGE;

/// The kernel's words for a page: it is in memory; it belongs to a file.
const PRESENT: u64 = 1 << 63;
const OF_FILE: u64 = 1 << 61;

/// Pages of `memory` that were written to since they were mapped, or `None` where the system does not tell.
pub(crate) fn private_pages(memory: &[u8]) -> Option<u32> {
    let file = File::open("/proc/self/pagemap").ok()?;
    let mut entries = vec![0; memory.len() / PAGE * size_of::<u64>()];
    let first = memory.as_ptr().addr() / PAGE * size_of::<u64>();
    file.read_exact_at(&mut entries, first as u64).ok()?;
    let (entries, _) = entries.as_chunks::<8>();
    let private = entries.iter().filter(|entry| {
        let entry = u64::from_ne_bytes(**entry);
        entry & PRESENT != 0 && entry & OF_FILE == 0
    });
    u32::try_from(private.count()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Image;

    #[test]
    fn only_pages_that_were_written_to_count() {
        let image = Image::blank().with_changes(&[7; 64 * PAGE], Vec::new()).expect("an image");
        let slot = image.slot(64 * PAGE).expect("a slot");
        let count = || {
            // SAFETY: the slot is mapped as long as the image's bytes, and nobody writes while they are borrowed.
            let memory = unsafe { core::slice::from_raw_parts(slot.base(), 64 * PAGE) };
            let sum: u64 = memory.iter().step_by(PAGE).map(|byte| u64::from(*byte)).sum();
            assert!(sum > 0);
            private_pages(memory)
        };
        let before = count();
        // SAFETY: inside the mapped slot, which only this test has.
        unsafe { slot.base().add(3 * PAGE).write_volatile(1) };
        assert_eq!((before, count()), (Some(0), Some(1)));
    }
}
