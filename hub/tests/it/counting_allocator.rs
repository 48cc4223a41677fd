//! A global allocator that measures the peak memory of each thread. In tests of memory, the servers run on the test's thread.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static CURRENT: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

/// The system's allocator with a counter.
pub(crate) struct CountingAllocator;

fn record(bytes: isize) {
    // fails while a thread ends, when nothing is measured any more
    let _ = CURRENT.try_with(|current| {
        current.set(current.get().saturating_add(bytes));
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(current.get())));
    });
}

// SAFETY: every call is passed on to the system's allocator unchanged; the counters do not allocate.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        record(layout.size() as isize);
        // SAFETY: the caller upholds the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        record(-(layout.size() as isize));
        // SAFETY: the caller upholds the contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// Starts to measure this thread. The returned function gives the peak in bytes above the memory in use at the start.
pub(crate) fn measure_peak() -> impl Fn() -> isize {
    let start = CURRENT.get();
    PEAK.set(start);
    move || PEAK.get() - start
}
