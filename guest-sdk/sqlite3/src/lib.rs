//! SQLite, and the operating system that it sees in a guest.
//!
//! ```text
//! build.rs          compiles SQLite with clang and the headers of include/
//! src/vfs.rs        SQLite's operating system: clock and random numbers
//! src/files.rs      files, in a guest that has some (feature `files`)
//! src/locks.rs      their locks
//! src/no_files.rs   otherwise
//! ```

#[cfg(feature = "files")]
mod files;
#[cfg(feature = "files")]
mod locks;
#[cfg(not(feature = "files"))]
mod no_files;
mod vfs;

/// Makes SQLite draw a new seed before its next random number. Its generator is part of a memory image, so that all instances
/// of the image would draw the same numbers.
pub fn reset_randomness() {
    // SAFETY: with a length of 0, SQLite only forgets its seed; the buffer is not used.
    unsafe { libsqlite3_sys::sqlite3_randomness(0, core::ptr::null_mut()) };
}
