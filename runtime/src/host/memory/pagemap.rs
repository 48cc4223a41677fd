//! Finds the pages of a private mapping that were written to, with `PAGEMAP_SCAN` (Linux 6.7).
//!
//! A page of a private mapping belongs to its file until the first write makes an anonymous copy of it. So the written pages
//! are those that are present or swapped out and do not belong to a file.

use core::ffi::c_void;
use core::ops::Range;
use std::fs::File;
use std::io;
use std::sync::OnceLock;

use rustix::ioctl::{Ioctl, IoctlOutput, Opcode, ioctl, opcode};

use crate::host::memory::mapping::PAGE;

/// Categories of pages (`linux/fs.h`).
const FILE: u64 = 1 << 2;
const PRESENT: u64 = 1 << 3;
const SWAPPED: u64 = 1 << 4;

/// A run of pages of the same category: `struct page_region`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct Region {
    start: u64,
    end: u64,
    categories: u64,
}

/// The argument: `struct pm_scan_arg`.
#[repr(C)]
#[derive(Debug)]
struct Scan {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    regions: u64,
    regions_len: u64,
    max_pages: u64,
    inverted: u64,
    all_of: u64,
    any_of: u64,
    returned: u64,
}

/// Returns the ranges of `len` bytes from the address `base` that were written to since they were mapped, as offsets of whole
/// pages in order; at most `max_pages` pages. `None` if the kernel does not support it. Concurrent writes may be missed.
pub(crate) fn written(base: usize, len: usize, max_pages: usize) -> Option<Vec<Range<usize>>> {
    let mut regions = vec![Region::default(); max_pages];
    let scan = Scan {
        size: size_of::<Scan>() as u64,
        flags: 0,
        start: base as u64,
        end: base.checked_add(len)? as u64,
        walk_end: 0,
        regions: regions.as_mut_ptr().expose_provenance() as u64,
        regions_len: max_pages as u64,
        max_pages: max_pages as u64,
        inverted: FILE,
        all_of: FILE,
        any_of: PRESENT | SWAPPED,
        returned: PRESENT,
    };
    // SAFETY: the file is a pagemap, whose only ioctl this is, and the kernel writes at most `regions_len` regions to
    // `regions`, which has room for them.
    let count = unsafe { ioctl(pagemap()?, ScanPages(scan)) }.ok()?;
    let to_range = |region: &Region| {
        let offset = |address: u64| usize::try_from(address).ok()?.checked_sub(base);
        Some(offset(region.start)?..offset(region.end)?)
    };
    regions.get(..count)?.iter().map(to_range).collect()
}

/// The number of pages in some ranges.
pub(crate) fn page_count(ranges: &[Range<usize>]) -> usize {
    ranges.iter().map(|range| range.len() / PAGE).sum()
}

/// Opens the pagemap of this process now, because later it may not open files.
pub(crate) fn open() {
    pagemap();
}

/// The pagemap of this process, opened once.
fn pagemap() -> Option<&'static File> {
    static PAGEMAP: OnceLock<io::Result<File>> = OnceLock::new();
    PAGEMAP.get_or_init(|| File::open("/proc/self/pagemap")).as_ref().ok()
}

struct ScanPages(Scan);

// SAFETY: number, direction and argument are those of `PAGEMAP_SCAN`, which returns the number of regions written.
unsafe impl Ioctl for ScanPages {
    type Output = usize;

    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        opcode::read_write::<Scan>(b'f', 16)
    }

    fn as_ptr(&mut self) -> *mut c_void {
        core::ptr::from_mut(&mut self.0).cast()
    }

    unsafe fn output_from_ptr(out: IoctlOutput, _: *mut c_void) -> rustix::io::Result<usize> {
        usize::try_from(out).map_err(|_| rustix::io::Errno::INVAL)
    }
}
