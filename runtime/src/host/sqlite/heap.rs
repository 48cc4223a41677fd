//! Limits the memory that SQLite allocates, per thread. SQLite's own limit is for the whole process, and one step must not
//! use up the memory of others.
//!
//! A step opens, uses and closes its database on one thread, so the thread's allocations are the step's. SQLite's allocator is
//! wrapped, not replaced: the wrapper only counts, and fails allocations over the limit.

use core::cell::Cell;
use core::ffi::{c_int, c_void};
use std::sync::OnceLock;

use bue_model::{Failure, FailureKind};
use rusqlite::ffi;

thread_local! {
    /// Bytes that this thread may still allocate.
    static REMAINING: Cell<i64> = const { Cell::new(i64::MAX) };
    /// Did an allocation fail because of the limit?
    static EXCEEDED: Cell<bool> = const { Cell::new(false) };
}

/// SQLite's own allocator.
static ALLOCATOR: OnceLock<Allocator> = OnceLock::new();
/// Is the wrapper installed?
static IS_INSTALLED: OnceLock<bool> = OnceLock::new();

struct Allocator {
    malloc: unsafe extern "C" fn(c_int) -> *mut c_void,
    free: unsafe extern "C" fn(*mut c_void),
    realloc: unsafe extern "C" fn(*mut c_void, c_int) -> *mut c_void,
    size: unsafe extern "C" fn(*mut c_void) -> c_int,
}

/// Limits SQLite's memory on this thread until it is dropped.
pub(super) struct Budget;

impl Budget {
    /// Limits this thread to `bytes`.
    pub(super) fn for_this_thread(bytes: u64) -> Result<Self, Failure> {
        if !IS_INSTALLED.get_or_init(install) {
            let message = "SQL steps need a process in which SQLite was not used before";
            return Err(Failure::new(FailureKind::Internal, message));
        }
        REMAINING.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        EXCEEDED.set(false);
        Ok(Self)
    }

    /// Did an allocation of this thread fail because of the limit?
    pub(super) fn was_exceeded() -> bool {
        EXCEEDED.get()
    }
}

impl Drop for Budget {
    fn drop(&mut self) {
        REMAINING.set(i64::MAX);
    }
}

fn install() -> bool {
    let mut methods = core::mem::MaybeUninit::<ffi::sqlite3_mem_methods>::zeroed();
    // SAFETY: GETMALLOC writes a `sqlite3_mem_methods` to the pointer, which points to one; all-zero bytes are a valid value
    // (no functions), so it is initialised either way.
    let (result, methods) = unsafe {
        let result = ffi::sqlite3_config(ffi::SQLITE_CONFIG_GETMALLOC, methods.as_mut_ptr());
        (result, methods.assume_init())
    };
    let Some(allocator) = Allocator::from_methods(&methods).filter(|_| result == ffi::SQLITE_OK) else { return false };
    ALLOCATOR.get_or_init(|| allocator);
    let wrapper =
        ffi::sqlite3_mem_methods { xMalloc: Some(malloc), xFree: Some(free), xRealloc: Some(realloc), ..methods };
    // SAFETY: MALLOC copies the struct it is given. Once SQLite is in use it fails and changes nothing.
    unsafe { ffi::sqlite3_config(ffi::SQLITE_CONFIG_MALLOC, &raw const wrapper) == ffi::SQLITE_OK }
}

impl Allocator {
    fn from_methods(methods: &ffi::sqlite3_mem_methods) -> Option<Self> {
        Some(Self { malloc: methods.xMalloc?, free: methods.xFree?, realloc: methods.xRealloc?, size: methods.xSize? })
    }

    fn size(&self, memory: *mut c_void) -> i64 {
        // SAFETY: SQLite passes only what this allocator returned.
        i64::from(unsafe { (self.size)(memory) })
    }
}

/// Charges `bytes` to this thread's budget, or returns them if negative. Returns false if that exceeds the budget.
fn charge(bytes: i64) -> bool {
    let remaining = REMAINING.get().saturating_sub(bytes);
    let is_granted = remaining >= 0 || bytes <= 0;
    match is_granted {
        true => REMAINING.set(remaining),
        false => EXCEEDED.set(true),
    }
    is_granted
}

unsafe extern "C" fn malloc(bytes: c_int) -> *mut c_void {
    let Some(allocator) = ALLOCATOR.get().filter(|_| charge(bytes.into())) else { return core::ptr::null_mut() };
    // SAFETY: SQLite passes a positive number of bytes, as its own allocator expects.
    let memory = unsafe { (allocator.malloc)(bytes) };
    let allocated = if memory.is_null() { 0 } else { allocator.size(memory) };
    // also charge what it rounded up; return the bytes if it failed
    charge_unchecked(allocated - i64::from(bytes));
    memory
}

unsafe extern "C" fn free(memory: *mut c_void) {
    if let Some(allocator) = ALLOCATOR.get().filter(|_| !memory.is_null()) {
        charge_unchecked(-allocator.size(memory));
        // SAFETY: SQLite frees once what this allocator returned.
        unsafe { (allocator.free)(memory) };
    }
}

unsafe extern "C" fn realloc(memory: *mut c_void, bytes: c_int) -> *mut c_void {
    let Some(allocator) = ALLOCATOR.get() else { return core::ptr::null_mut() };
    let before = allocator.size(memory);
    if !charge(i64::from(bytes) - before) {
        return core::ptr::null_mut();
    }
    // SAFETY: SQLite passes only what this allocator returned, and keeps the old memory if this returns null.
    let moved = unsafe { (allocator.realloc)(memory, bytes) };
    let allocated = if moved.is_null() { before } else { allocator.size(moved) };
    charge_unchecked(allocated - i64::from(bytes));
    moved
}

/// Charges bytes without a check.
fn charge_unchecked(bytes: i64) {
    REMAINING.set(REMAINING.get().saturating_sub(bytes));
}
