//! The files of a guest that has none. Databases in memory do not use files; temporary tables are in memory too
//! (`SQLITE_TEMP_STORE=3`).

use core::ffi::{c_char, c_int};

use libsqlite3_sys::{SQLITE_CANTOPEN, SQLITE_IOERR_DELETE, SQLITE_OK, sqlite3_file, sqlite3_filename, sqlite3_vfs};

/// Bytes of SQLite's structure for an open file.
pub(crate) const FILE_BYTES: usize = size_of::<sqlite3_file>();

pub(crate) unsafe extern "C" fn open(
    _vfs: *mut sqlite3_vfs,
    _name: sqlite3_filename,
    file: *mut sqlite3_file,
    _flags: c_int,
    _out_flags: *mut c_int,
) -> c_int {
    // SAFETY: SQLite passes room for a file. Without methods, it is not closed.
    unsafe { (*file).pMethods = core::ptr::null() };
    SQLITE_CANTOPEN
}

pub(crate) unsafe extern "C" fn delete(_vfs: *mut sqlite3_vfs, _name: *const c_char, _sync: c_int) -> c_int {
    SQLITE_IOERR_DELETE
}

pub(crate) unsafe extern "C" fn access(
    _vfs: *mut sqlite3_vfs,
    _name: *const c_char,
    _flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: SQLite passes room for an int.
    unsafe { *out = 0 };
    SQLITE_OK
}

pub(crate) unsafe extern "C" fn full_pathname(
    _vfs: *mut sqlite3_vfs,
    name: *const c_char,
    len: c_int,
    out: *mut c_char,
) -> c_int {
    // SAFETY: the name ends with a zero byte.
    let bytes = unsafe { core::ffi::CStr::from_ptr(name) }.to_bytes_with_nul();
    if usize::try_from(len).is_ok_and(|len| bytes.len() <= len) {
        // SAFETY: there is room for `len` bytes, which are not those of the name.
        unsafe { core::ptr::copy_nonoverlapping(name, out, bytes.len()) };
        return SQLITE_OK;
    }
    SQLITE_CANTOPEN
}
