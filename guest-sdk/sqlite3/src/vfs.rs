//! SQLite's operating system interface in the guest: a clock, random numbers, and no files. Databases in memory do not use
//! files; temporary tables are in memory too (`SQLITE_TEMP_STORE=3`).

use core::ffi::{c_char, c_int};
use core::ptr::null_mut;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use libsqlite3_sys::{
    SQLITE_CANTOPEN, SQLITE_IOERR_DELETE, SQLITE_OK, sqlite3_file, sqlite3_filename, sqlite3_vfs, sqlite3_vfs_register,
};

const MAX_PATH: c_int = 512;
/// The time of 1970-01-01 in SQLite's clock: milliseconds since noon of 24 November 4714 BC.
const UNIX_EPOCH_MS: i64 = 210_866_760_000_000;

struct Registered(sqlite3_vfs);

// SAFETY: the guest has one thread, and SQLite is the only one that writes to the structure.
unsafe impl Sync for Registered {}

static mut VFS: Registered = Registered(sqlite3_vfs {
    iVersion: 2,
    szOsFile: size_of::<sqlite3_file>() as c_int,
    mxPathname: MAX_PATH,
    pNext: null_mut(),
    zName: c"none".as_ptr(),
    pAppData: null_mut(),
    xOpen: Some(open),
    xDelete: Some(delete),
    xAccess: Some(access),
    xFullPathname: Some(full_pathname),
    xDlOpen: None,
    xDlError: None,
    xDlSym: None,
    xDlClose: None,
    xRandomness: Some(randomness),
    xSleep: Some(sleep),
    xCurrentTime: Some(current_time),
    xGetLastError: None,
    xCurrentTimeInt64: Some(current_time_ms),
    xSetSystemCall: None,
    xGetSystemCall: None,
    xNextSystemCall: None,
});

/// Called by `sqlite3_initialize`.
#[unsafe(no_mangle)]
extern "C" fn sqlite3_os_init() -> c_int {
    // SAFETY: the structure lives as long as the program, and nothing here refers to it again.
    unsafe { sqlite3_vfs_register(&raw mut VFS.0, 1) }
}

/// Called by `sqlite3_shutdown`.
#[unsafe(no_mangle)]
extern "C" fn sqlite3_os_end() -> c_int {
    SQLITE_OK
}

unsafe extern "C" fn open(
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

unsafe extern "C" fn delete(_vfs: *mut sqlite3_vfs, _name: *const c_char, _sync: c_int) -> c_int {
    SQLITE_IOERR_DELETE
}

unsafe extern "C" fn access(_vfs: *mut sqlite3_vfs, _name: *const c_char, _flags: c_int, out: *mut c_int) -> c_int {
    // SAFETY: SQLite passes room for an int.
    unsafe { *out = 0 };
    SQLITE_OK
}

unsafe extern "C" fn full_pathname(_vfs: *mut sqlite3_vfs, name: *const c_char, len: c_int, out: *mut c_char) -> c_int {
    // SAFETY: the name ends with a zero byte.
    let bytes = unsafe { core::ffi::CStr::from_ptr(name) }.to_bytes_with_nul();
    if usize::try_from(len).is_ok_and(|len| bytes.len() <= len) {
        // SAFETY: there is room for `len` bytes, which are not those of the name.
        unsafe { core::ptr::copy_nonoverlapping(name, out, bytes.len()) };
        return SQLITE_OK;
    }
    SQLITE_CANTOPEN
}

/// Returns how many bytes of the buffer are random.
unsafe extern "C" fn randomness(_vfs: *mut sqlite3_vfs, len: c_int, out: *mut c_char) -> c_int {
    let Ok(size) = usize::try_from(len) else { return 0 };
    // SAFETY: there is room for `len` bytes, and any bytes are valid; SQLite has set them to zero.
    let bytes = unsafe { core::slice::from_raw_parts_mut(out.cast::<u8>(), size) };
    if getrandom::fill(bytes).is_ok() { len } else { 0 }
}

unsafe extern "C" fn sleep(_vfs: *mut sqlite3_vfs, micros: c_int) -> c_int {
    std::thread::sleep(Duration::from_micros(u64::try_from(micros).unwrap_or(0)));
    micros
}

unsafe extern "C" fn current_time(_vfs: *mut sqlite3_vfs, days: *mut f64) -> c_int {
    // SAFETY: SQLite passes room for a number.
    unsafe { *days = now_ms() as f64 / 86_400_000.0 };
    SQLITE_OK
}

unsafe extern "C" fn current_time_ms(_vfs: *mut sqlite3_vfs, ms: *mut i64) -> c_int {
    // SAFETY: SQLite passes room for a number.
    unsafe { *ms = now_ms() };
    SQLITE_OK
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UNIX_EPOCH_MS + i64::try_from(since.as_millis()).unwrap_or(0)
}
