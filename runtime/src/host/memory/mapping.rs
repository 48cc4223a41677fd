//! Address space: wraps the kernel's calls for memory mappings.
//!
//! A [`Reservation`] is a range of addresses that it owns. Parts of it are reserved (access traps), private zeroed memory, or
//! a private copy of a file (pages come from the file until they are written to). Everything here is bounds-checked; callers
//! must prove that their use of [`Reservation::base`] is sound.

use core::ffi::c_void;
use core::ops::Range;
use core::ptr::NonNull;
use std::io;
use std::os::fd::AsFd;

use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap, mmap_anonymous, mprotect, munmap};

/// Size of a page in bytes. Other processors have larger pages; [`Reservation::new`] fails on them.
pub(crate) const PAGE: usize = 4096;

/// An owned range of addresses. Unmapped when dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: the range is owned: no other value refers to it, and its methods that change it take `&mut self`.
unsafe impl Send for Reservation {}
// SAFETY: as above; `&self` methods only return addresses.
unsafe impl Sync for Reservation {}

impl Reservation {
    /// Reserves `len` bytes (rounded up to pages), none of which may be touched yet.
    pub(crate) fn new(len: usize) -> io::Result<Self> {
        if rustix::param::page_size() != PAGE {
            return Err(io::Error::other("memory pages are not 4 KiB here"));
        }
        let len = page_up(len)?;
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a null hint without FIXED: the kernel picks an unused range.
        let base = unsafe { mmap_anonymous(core::ptr::null_mut(), len, ProtFlags::empty(), flags)? };
        let base = NonNull::new(base.cast()).ok_or_else(|| io::Error::other("mapped at address zero"))?;
        Ok(Self { base, len })
    }

    /// Its first address. Valid until it is dropped.
    pub(crate) const fn base(&self) -> *mut u8 {
        self.base.as_ptr()
    }

    /// Its length in bytes.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Makes a part a private copy of the same part of a file.
    pub(crate) fn map_file(&mut self, file: impl AsFd, part: Range<usize>) -> io::Result<()> {
        let offset = part.start as u64;
        let (at, len) = self.part(part)?;
        if len == 0 {
            return Ok(());
        }
        let prot = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MapFlags::PRIVATE | MapFlags::FIXED | MapFlags::NORESERVE;
        // SAFETY: FIXED replaces mappings, and `part` has checked that the range is inside this reservation.
        unsafe { mmap(at, len, prot, flags, file, offset)? };
        Ok(())
    }

    /// Makes a reserved part readable and writable. It is zero, unless it was written to before it was protected.
    pub(crate) fn commit(&mut self, part: Range<usize>) -> io::Result<()> {
        let (at, len) = self.part(part)?;
        if len == 0 {
            return Ok(());
        }
        // SAFETY: the range is ours, and giving access to private memory invalidates nothing.
        unsafe { mprotect(at, len, MprotectFlags::READ | MprotectFlags::WRITE)? };
        Ok(())
    }

    /// Discards what was written to a part: it has the bytes of its file, or zeros, again.
    pub(crate) fn discard(&mut self, part: Range<usize>) -> io::Result<()> {
        let (at, len) = self.part(part)?;
        if len == 0 {
            return Ok(());
        }
        // SAFETY: the range is ours, and because of `&mut self` its bytes are not borrowed.
        unsafe { madvise(at, len, Advice::LinuxDontNeed)? };
        Ok(())
    }

    /// Makes a part reserved again: access traps, and its content stays.
    pub(crate) fn protect(&mut self, part: Range<usize>) -> io::Result<()> {
        let (at, len) = self.part(part)?;
        if len == 0 {
            return Ok(());
        }
        // SAFETY: the range is ours, and because of `&mut self` its bytes are not borrowed.
        unsafe { mprotect(at, len, MprotectFlags::empty())? };
        Ok(())
    }

    /// Fills a committed part with zeros.
    pub(crate) fn zero(&mut self, part: Range<usize>) -> io::Result<()> {
        let (at, len) = self.part(part)?;
        // SAFETY: the range is ours, and its callers zero only what they committed.
        unsafe { core::ptr::write_bytes(at.cast::<u8>(), 0, len) };
        Ok(())
    }

    /// Copies the same part of another reservation into a part.
    pub(crate) fn copy_from(&mut self, from: &Self, part: Range<usize>) -> io::Result<()> {
        let (source, _) = from.part(part.clone())?;
        let (at, len) = self.part(part)?;
        // SAFETY: two reservations do not overlap; callers copy only parts that both have mapped.
        unsafe { core::ptr::copy_nonoverlapping(source.cast::<u8>(), at.cast::<u8>(), len) };
        Ok(())
    }

    /// The first `len` bytes.
    ///
    /// # Safety
    /// They are mapped, and nothing writes to them while they are borrowed.
    pub(crate) unsafe fn bytes(&self, len: usize) -> &[u8] {
        // SAFETY: inside the reservation; the rest is the caller's promise.
        unsafe { core::slice::from_raw_parts(self.base(), len.min(self.len)) }
    }

    /// Returns address and length of a part, which must be within this range and on page boundaries.
    fn part(&self, part: Range<usize>) -> io::Result<(*mut c_void, usize)> {
        let is_inside = part.start <= part.end && part.end <= self.len;
        if !is_inside || !part.start.is_multiple_of(PAGE) || !part.end.is_multiple_of(PAGE) {
            return Err(io::Error::other("a part of a mapping is outside of it"));
        }
        Ok((self.base.as_ptr().wrapping_add(part.start).cast(), part.end - part.start))
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // SAFETY: the range is ours, and borrows of its base have ended. A failure would only leak addresses.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), self.len) };
    }
}

/// Discards what was written to whole pages of private memory: they have the bytes of their file, or zeros, again.
pub(crate) fn discard_pages(memory: &mut [u8]) -> io::Result<()> {
    let at = memory.as_mut_ptr();
    if !at.addr().is_multiple_of(PAGE) || !memory.len().is_multiple_of(PAGE) {
        return Err(io::Error::other("these are not whole pages"));
    }
    // SAFETY: the bytes are borrowed exclusively, and any are valid.
    unsafe { madvise(at.cast(), memory.len(), Advice::LinuxDontNeed)? };
    Ok(())
}

/// Returns freed memory of this process to the system. A failed step may have made the host copy as much as the result limit,
/// in small pieces; the allocator would keep all of it because of one piece that is still used.
pub(crate) fn trim_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it touches free memory only, and takes the allocator's locks.
    let _ = unsafe { libc::malloc_trim(0) };
}

/// `len` rounded up to whole pages.
pub(crate) fn page_up(len: usize) -> io::Result<usize> {
    len.checked_next_multiple_of(PAGE).ok_or_else(|| io::Error::other("the length exceeds the address space"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn read(reservation: &Reservation, at: usize) -> u8 {
        assert!(at < reservation.len());
        // SAFETY: the tests read only what they committed or mapped.
        unsafe { reservation.base().add(at).read_volatile() }
    }

    fn write(reservation: &mut Reservation, at: usize, byte: u8) {
        assert!(at < reservation.len());
        // SAFETY: as in `read`.
        unsafe { reservation.base().add(at).write_volatile(byte) };
    }

    #[test]
    fn a_discarded_part_has_the_bytes_of_its_file_again() {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(&[7; 2 * PAGE]).expect("written");
        let mut reservation = Reservation::new(8 * PAGE).expect("addresses");
        reservation.map_file(&file, 0..2 * PAGE).expect("mapped");
        reservation.commit(2 * PAGE..3 * PAGE).expect("committed");
        write(&mut reservation, 5, 9);
        write(&mut reservation, 2 * PAGE, 9);
        reservation.discard(0..3 * PAGE).expect("discarded");
        assert_eq!((read(&reservation, 5), read(&reservation, 2 * PAGE)), (7, 0));
    }

    #[test]
    fn parts_outside_a_reservation_are_refused() {
        let mut reservation = Reservation::new(2 * PAGE).expect("addresses");
        assert!(reservation.commit(0..3 * PAGE).is_err());
        assert!(reservation.discard(1..PAGE).is_err());
        assert!(Reservation::new(usize::MAX).is_err());
    }
}
