//! Memory images: what a guest's memory looked like at a good moment, and the slots that begin from it.
//!
//! ```text
//! base image    data segments + started interpreter + common standard library     a file in the cache, made once
//! module image  base image + the user's module, imported                          a memory file, made once a module
//! slot          a private mapping of an image; used by one step, then restored     kept on its image's list
//! ```
//! A slot is restored by the kernel: every page that was written to is dropped, and the image shines through again. No
//! list of written pages has to be trusted.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{MemfdFlags, memfd_create};

use crate::mapping::{PAGE, Reservation};

/// Slots kept for the next steps of an image. More are unmapped: a peak of waiting steps shall not keep its addresses.
const KEPT: usize = 128;

/// A guest's memory at a good moment.
#[derive(Debug)]
pub(crate) struct Image {
    /// `None` where there is nothing yet: the memory is zero.
    file: Option<File>,
    /// Bytes, whole pages.
    len: usize,
    /// Values of the guest's globals, by their bits, in the order of [`GuestCode`](crate::guest::GuestCode).
    pub(crate) globals: Vec<u64>,
    free: Mutex<Vec<Reservation>>,
}

impl Image {
    /// No memory at all: what the base image is made in.
    pub(crate) fn blank() -> Self {
        Self { file: None, len: 0, globals: Vec::new(), free: Mutex::default() }
    }

    /// An image whose memory is the first `len` bytes of a file that nobody changes any more.
    pub(crate) fn from_file(file: File, len: usize, globals: Vec<u64>) -> Self {
        Self { file: Some(file), len, globals, free: Mutex::default() }
    }

    /// An image of this memory, held in memory.
    pub(crate) fn take(memory: &[u8], globals: Vec<u64>) -> io::Result<Self> {
        let file = anonymous_file()?;
        write_sparse(&file, memory)?;
        Ok(Self::from_file(file, memory.len(), globals))
    }

    /// Bytes of memory an instance has from the start.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Addresses whose first part shows this image, `total` bytes long.
    pub(crate) fn slot(&self, total: usize) -> io::Result<Reservation> {
        let used = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(slot) = used.filter(|slot| slot.len() >= total) {
            return Ok(slot);
        }
        let mut slot = Reservation::new(total)?;
        if let Some(file) = &self.file {
            slot.map_file(file, self.len)?;
        }
        Ok(slot)
    }

    /// Takes a slot back of which the first `accessible` bytes may have been written to.
    pub(crate) fn give_back(&self, mut slot: Reservation, accessible: usize) {
        let restored = slot.restore(0..self.len).and_then(|()| slot.decommit(self.len..accessible.max(self.len)));
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        // one that cannot be restored is unmapped
        if restored.is_ok() && free.len() < KEPT {
            free.push(slot);
        }
    }
}

/// A file without a name, in memory where the system has such files.
fn anonymous_file() -> io::Result<File> {
    Ok(File::from(memfd_create("bue-image", MemfdFlags::CLOEXEC)?))
}

/// Writes memory to an empty file, leaving holes where pages are zero.
pub(crate) fn write_sparse(file: &File, memory: &[u8]) -> io::Result<()> {
    file.set_len(memory.len() as u64)?;
    let mut at = 0;
    while at < memory.len() {
        let zeros = pages_while(memory.get(at..).unwrap_or_default(), is_zero);
        at += zeros;
        let rest = memory.get(at..).unwrap_or_default();
        let len = pages_while(rest, |page| !is_zero(page));
        file.write_all_at(rest.get(..len).unwrap_or_default(), at as u64)?;
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

/// An image that several slots use at once.
pub(crate) type SharedImage = Arc<Image>;

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
        write_sparse(path.as_file(), &memory).expect("written");
        let mut back = Vec::new();
        File::open(path.path()).expect("opened").read_to_end(&mut back).expect("read");
        assert_eq!(back, memory);
    }

    #[test]
    fn a_slot_used_again_shows_the_image() {
        let image = Image::take(&[7; 2 * PAGE], Vec::new()).expect("an image");
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
}
