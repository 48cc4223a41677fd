//! SQLite's operating system interface in the guest: a clock, random numbers, and files, if the guest has any.

use core::ffi::{c_char, c_int};
use core::ptr::null_mut;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use libsqlite3_sys::{SQLITE_OK, sqlite3_vfs, sqlite3_vfs_register};

#[cfg(feature = "files")]
use crate::files::{FILE_BYTES, access, delete, full_pathname, open};
#[cfg(not(feature = "files"))]
use crate::no_files::{FILE_BYTES, access, delete, full_pathname, open};

const MAX_PATH: c_int = 512;
/// The time of 1970-01-01 in SQLite's clock: milliseconds since noon of 24 November 4714 BC.
const UNIX_EPOCH_MS: i64 = 210_866_760_000_000;

struct Registered(sqlite3_vfs);

// SAFETY: the guest has one thread, and SQLite is the only one that writes to the structure.
unsafe impl Sync for Registered {}

static mut VFS: Registered = Registered(sqlite3_vfs {
    iVersion: 2,
    szOsFile: FILE_BYTES as c_int,
    mxPathname: MAX_PATH,
    pNext: null_mut(),
    zName: c"guest".as_ptr(),
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
