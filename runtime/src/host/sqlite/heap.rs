//! Counts the memory that SQLite takes, for each thread, because its own limit is one for the whole process and a step
//! must not starve its neighbours.
//!
//! A step runs on one thread from open to close, so a thread's count is the step's. SQLite's allocator is wrapped, not
//! replaced: the wrapper only counts and refuses.

use core::cell::Cell;
use core::ffi::{c_int, c_void};
use std::sync::OnceLock;

use bue_model::{Failure, FailureKind};
use rusqlite::ffi;

thread_local! {
    /// Bytes this thread may still take.
    static LEFT: Cell<i64> = const { Cell::new(i64::MAX) };
    /// Was a request refused?
    static REFUSED: Cell<bool> = const { Cell::new(false) };
}

/// The allocator that SQLite had.
static INNER: OnceLock<Inner> = OnceLock::new();
/// Could it be wrapped?
static INSTALLED: OnceLock<bool> = OnceLock::new();

struct Inner {
    malloc: unsafe extern "C" fn(c_int) -> *mut c_void,
    free: unsafe extern "C" fn(*mut c_void),
    realloc: unsafe extern "C" fn(*mut c_void, c_int) -> *mut c_void,
    size: unsafe extern "C" fn(*mut c_void) -> c_int,
}

/// SQLite's memory on this thread is limited while this lives.
pub(super) struct Budget;

impl Budget {
    /// Limits this thread to `bytes`.
    pub(super) fn of_this_thread(bytes: u64) -> Result<Self, Failure> {
        if !INSTALLED.get_or_init(install) {
            let why = "SQL steps need a process in which SQLite was not used before";
            return Err(Failure::new(FailureKind::Internal, why));
        }
        LEFT.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        REFUSED.set(false);
        Ok(Self)
    }

    /// Was a request of this thread refused?
    pub(super) fn was_exceeded() -> bool {
        REFUSED.get()
    }
}

impl Drop for Budget {
    fn drop(&mut self) {
        LEFT.set(i64::MAX);
    }
}

fn install() -> bool {
    let mut methods = core::mem::MaybeUninit::<ffi::sqlite3_mem_methods>::zeroed();
    // SAFETY: GETMALLOC writes one `sqlite3_mem_methods` to the pointer, which is what it points to; all-zero bytes are a
    // valid one (no functions), so it may be assumed initialised either way.
    let (got, methods) = unsafe {
        let got = ffi::sqlite3_config(ffi::SQLITE_CONFIG_GETMALLOC, methods.as_mut_ptr());
        (got, methods.assume_init())
    };
    let Some(inner) = Inner::of(&methods).filter(|_| got == ffi::SQLITE_OK) else { return false };
    INNER.get_or_init(|| inner);
    let counting =
        ffi::sqlite3_mem_methods { xMalloc: Some(malloc), xFree: Some(free), xRealloc: Some(realloc), ..methods };
    // SAFETY: MALLOC copies the struct it is given. It refuses, and changes nothing, once SQLite is in use.
    unsafe { ffi::sqlite3_config(ffi::SQLITE_CONFIG_MALLOC, &raw const counting) == ffi::SQLITE_OK }
}

impl Inner {
    fn of(methods: &ffi::sqlite3_mem_methods) -> Option<Self> {
        Some(Self { malloc: methods.xMalloc?, free: methods.xFree?, realloc: methods.xRealloc?, size: methods.xSize? })
    }

    fn size(&self, memory: *mut c_void) -> i64 {
        // SAFETY: SQLite hands over only what this allocator gave it.
        i64::from(unsafe { (self.size)(memory) })
    }
}

/// Takes `bytes` from this thread's budget (or gives them back, where negative).
fn take(bytes: i64) -> bool {
    let left = LEFT.get().saturating_sub(bytes);
    let granted = left >= 0 || bytes <= 0;
    match granted {
        true => LEFT.set(left),
        false => REFUSED.set(true),
    }
    granted
}

unsafe extern "C" fn malloc(bytes: c_int) -> *mut c_void {
    let Some(inner) = INNER.get().filter(|_| take(bytes.into())) else { return core::ptr::null_mut() };
    // SAFETY: SQLite asks for a positive number of bytes, and its own allocator answers.
    let memory = unsafe { (inner.malloc)(bytes) };
    let got = if memory.is_null() { 0 } else { inner.size(memory) };
    // what it rounds up is counted, and what it did not give is returned
    count(got - i64::from(bytes));
    memory
}

unsafe extern "C" fn free(memory: *mut c_void) {
    if let Some(inner) = INNER.get().filter(|_| !memory.is_null()) {
        count(-inner.size(memory));
        // SAFETY: SQLite frees once what this allocator gave it.
        unsafe { (inner.free)(memory) };
    }
}

unsafe extern "C" fn realloc(memory: *mut c_void, bytes: c_int) -> *mut c_void {
    let Some(inner) = INNER.get() else { return core::ptr::null_mut() };
    let before = inner.size(memory);
    if !take(i64::from(bytes) - before) {
        return core::ptr::null_mut();
    }
    // SAFETY: SQLite hands over only what this allocator gave it, and keeps the old memory where this gives none.
    let moved = unsafe { (inner.realloc)(memory, bytes) };
    let got = if moved.is_null() { before } else { inner.size(moved) };
    count(got - i64::from(bytes));
    moved
}

/// Counts without refusing.
fn count(bytes: i64) {
    LEFT.set(LEFT.get().saturating_sub(bytes));
}
