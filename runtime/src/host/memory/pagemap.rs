//! Which pages of a private mapping were written to: the kernel knows, and tells (`PAGEMAP_SCAN`, Linux 6.7).
//!
//! A page of a private mapping belongs to its file until the first write to it makes a copy, which belongs to nobody's file;
//! that is how the kernel itself tells them apart. So what is in memory or swapped out and not the file's, is what was written.

use core::ffi::c_void;
use core::ops::Range;
use std::fs::File;
use std::io;
use std::sync::OnceLock;

use rustix::ioctl::{Ioctl, IoctlOutput, Opcode, ioctl, opcode};

use crate::host::memory::mapping::PAGE;

/// The kernel's words for what a page is (`linux/fs.h`).
const OF_FILE: u64 = 1 << 2;
const PRESENT: u64 = 1 << 3;
const SWAPPED: u64 = 1 << 4;

/// Pages in a row of which the same is true: `struct page_region`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct Region {
    start: u64,
    end: u64,
    categories: u64,
}

/// The question: `struct pm_scan_arg`.
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
    told: u64,
}

/// Parts of `len` bytes from the address `base` on that were written to since they were mapped, in whole pages and in order:
/// at most `most` pages of them. `None` where the system does not tell.
/// The answer is true as long as nobody writes there meanwhile.
pub(crate) fn written(base: usize, len: usize, most: usize) -> Option<Vec<Range<usize>>> {
    let mut regions = vec![Region::default(); most];
    let scan = Scan {
        size: size_of::<Scan>() as u64,
        flags: 0,
        start: base as u64,
        end: base.checked_add(len)? as u64,
        walk_end: 0,
        regions: regions.as_mut_ptr().expose_provenance() as u64,
        regions_len: most as u64,
        max_pages: most as u64,
        inverted: OF_FILE,
        all_of: OF_FILE,
        any_of: PRESENT | SWAPPED,
        told: PRESENT,
    };
    // SAFETY: the file is a page map, whose one ioctl this is, and the kernel writes no more than `regions_len` regions to the
    // address it is told, where as many are.
    let found = unsafe { ioctl(pagemap()?, ScanPages(scan)) }.ok()?;
    let part = |region: &Region| {
        let offset = |address: u64| usize::try_from(address).ok()?.checked_sub(base);
        Some(offset(region.start)?..offset(region.end)?)
    };
    regions.get(..found)?.iter().map(part).collect()
}

/// Pages in some parts.
pub(crate) fn pages(parts: &[Range<usize>]) -> usize {
    parts.iter().map(|part| part.len() / PAGE).sum()
}

/// This process's page map, opened once.
fn pagemap() -> Option<&'static File> {
    static PAGEMAP: OnceLock<io::Result<File>> = OnceLock::new();
    PAGEMAP.get_or_init(|| File::open("/proc/self/pagemap")).as_ref().ok()
}

struct ScanPages(Scan);

// SAFETY: number, direction and argument are those of `PAGEMAP_SCAN`, whose answer is the number of regions written.
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
