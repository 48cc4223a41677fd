//! [`Disk`] as SQLite sees it: a virtual file system called [`NAME`], for all disks of the process.
//!
//! A database is opened as `file:/DISK/BOOT/FILE?vfs=NAME`. Nothing is decided here: every call is passed to its disk.
//! Only one program at a time uses a disk; its connections share what [`Sharing`] has.

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem::size_of;
use std::ptr;
use std::sync::{Arc, Mutex, Once, PoisonError, Weak};

use rusqlite::ffi;
use rusqlite::ffi::{sqlite3_file, sqlite3_int64, sqlite3_vfs};

use super::sharing::Sharing;
use super::{Answer, Disk, Handle};

/// Its name in URIs.
pub(super) const NAME: &str = "bue-disk";
const C_NAME: &CStr = c"bue-disk";

/// Disks by number, as long as they are in use.
static DISKS: Mutex<BTreeMap<u64, Weak<Disk>>> = Mutex::new(BTreeMap::new());

/// Registers a disk with SQLite.
pub(super) fn add_disk(disk: &Arc<Disk>) {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(register);
    let mut disks = DISKS.lock().unwrap_or_else(PoisonError::into_inner);
    disks.retain(|_, disk| disk.strong_count() > 0);
    disks.insert(disk.number, Arc::downgrade(disk));
}

fn register() {
    // never freed: SQLite keeps the pointer for the life of the process
    let vfs = Box::leak(Box::new(sqlite3_vfs {
        iVersion: 1,
        szOsFile: size_of::<Open>() as c_int,
        mxPathname: 512,
        pNext: ptr::null_mut(),
        zName: C_NAME.as_ptr(),
        pAppData: ptr::null_mut(),
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
        xCurrentTimeInt64: None,
        xSetSystemCall: None,
        xGetSystemCall: None,
        xNextSystemCall: None,
    }));
    // SAFETY: the structure is complete and `'static`, and so is the name in it.
    let code = unsafe { ffi::sqlite3_vfs_register(vfs, 0) };
    assert_eq!(code, ffi::SQLITE_OK, "SQLite takes another file system");
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    // no mapping
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(map_index),
    xShmLock: Some(lock_index),
    xShmBarrier: Some(index_barrier),
    xShmUnmap: Some(unmap_index),
    xFetch: None,
    xUnfetch: None,
};

/// An open file: first SQLite's part, as its interface demands, then ours.
#[repr(C)]
struct Open {
    base: sqlite3_file,
    disk: Arc<Disk>,
    handle: Handle,
    sharing: Arc<Sharing>,
    /// Its number in `sharing`.
    connection: u64,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.sharing.disconnect(self.connection);
    }
}

fn code<T>(answer: Answer<T>) -> c_int {
    answer.err().unwrap_or(ffi::SQLITE_OK)
}

/// Returns the disk, the boot and the file of a path.
fn find(path: &str) -> Option<(Arc<Disk>, u64, &str)> {
    let mut parts = path.trim_start_matches('/').splitn(3, '/');
    let (number, boot, file) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?);
    let disks = DISKS.lock().unwrap_or_else(PoisonError::into_inner);
    Some((disks.get(&number)?.upgrade()?, boot, file))
}

/// # Safety
/// `path` is a string that ends with a zero, and lives for `'a`.
unsafe fn text<'a>(path: *const c_char) -> Option<&'a str> {
    // SAFETY: the caller guarantees it.
    unsafe { CStr::from_ptr(path) }.to_str().ok()
}

/// # Safety
/// `file` was opened by [`open`] and is not closed.
unsafe fn opened<'a>(file: *mut sqlite3_file) -> &'a Open {
    // SAFETY: `open` wrote an `Open` there, whose first part the pointer is to; nothing writes to it until `close`.
    unsafe { &*file.cast::<Open>() }
}

/// The last path that was opened is not known for files without a name; they need a disk too, so theirs is the one of the
/// process's own memory: a disk whose power is never cut.
fn scratch() -> Arc<Disk> {
    static SCRATCH: Mutex<Option<Arc<Disk>>> = Mutex::new(None);
    let mut scratch = SCRATCH.lock().unwrap_or_else(PoisonError::into_inner);
    scratch.get_or_insert_with(|| Disk::new(0)).clone()
}

unsafe extern "C" fn open(
    _: *mut sqlite3_vfs,
    name: *const c_char,
    file: *mut sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: `file` is memory of `szOsFile` bytes that SQLite lends; without methods it counts as not opened.
    unsafe { (*file).pMethods = ptr::null() };
    // SAFETY: a name that is not null ends with a zero and outlives the call.
    let name = if name.is_null() { None } else { unsafe { text(name) } };
    let (disk, boot, name) = match name.map(find) {
        None => (scratch(), 0, None),
        Some(None) => return ffi::SQLITE_CANTOPEN,
        Some(Some((disk, boot, name))) => (disk, boot, Some(name)),
    };
    let (handle, is_read_only) = match disk.open(name, boot, flags) {
        Ok(opened) => opened,
        Err(code) => return code,
    };
    let sharing = disk.sharing(handle);
    let connection = sharing.connect();
    let open = Open { base: sqlite3_file { pMethods: &raw const METHODS }, disk, handle, sharing, connection };
    // SAFETY: the memory has the size we asked for, is aligned to eight bytes, and holds nothing that must be dropped.
    unsafe { ptr::write(file.cast::<Open>(), open) };
    if !out.is_null() {
        let read_only = (flags & !ffi::SQLITE_OPEN_READWRITE) | ffi::SQLITE_OPEN_READONLY;
        // SAFETY: SQLite lends an integer there.
        unsafe { *out = if is_read_only { read_only } else { flags } };
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: `open` wrote an `Open` there, and SQLite closes a file once.
    unsafe { ptr::drop_in_place(file.cast::<Open>()) };
    ffi::SQLITE_OK
}

unsafe extern "C" fn read(file: *mut sqlite3_file, buffer: *mut c_void, count: c_int, at: sqlite3_int64) -> c_int {
    let (Ok(count), Ok(at)) = (usize::try_from(count), usize::try_from(at)) else { return ffi::SQLITE_IOERR_READ };
    // SAFETY: the file is open.
    let open = unsafe { opened(file) };
    // SAFETY: SQLite lends that many bytes, initialised, and to nothing else meanwhile.
    let buffer = unsafe { std::slice::from_raw_parts_mut(buffer.cast::<u8>(), count) };
    match open.disk.read(open.handle, at, buffer) {
        Ok(there) if there < count => ffi::SQLITE_IOERR_SHORT_READ,
        answer => code(answer),
    }
}

unsafe extern "C" fn write(file: *mut sqlite3_file, bytes: *const c_void, count: c_int, at: sqlite3_int64) -> c_int {
    let (Ok(count), Ok(at)) = (usize::try_from(count), usize::try_from(at)) else { return ffi::SQLITE_IOERR_WRITE };
    // SAFETY: the file is open.
    let open = unsafe { opened(file) };
    // SAFETY: SQLite lends that many bytes for the length of the call.
    let bytes = unsafe { std::slice::from_raw_parts(bytes.cast::<u8>(), count) };
    code(open.disk.write(open.handle, at, bytes))
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, size: sqlite3_int64) -> c_int {
    let Ok(size) = usize::try_from(size) else { return ffi::SQLITE_IOERR_TRUNCATE };
    // SAFETY: the file is open.
    let open = unsafe { opened(file) };
    code(open.disk.resize(open.handle, size))
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, _: c_int) -> c_int {
    // SAFETY: the file is open.
    let open = unsafe { opened(file) };
    code(open.disk.sync(open.handle))
}

unsafe extern "C" fn file_size(file: *mut sqlite3_file, out: *mut sqlite3_int64) -> c_int {
    // SAFETY: the file is open.
    let open = unsafe { opened(file) };
    match open.disk.size(open.handle) {
        Ok(size) => {
            // SAFETY: SQLite lends an integer there.
            unsafe { *out = size as sqlite3_int64 };
            ffi::SQLITE_OK
        }
        Err(code) => code,
    }
}

unsafe extern "C" fn lock(file: *mut sqlite3_file, level: c_int) -> c_int {
    // SAFETY: the file is open.
    let open = unsafe { opened(file) };
    code(open.sharing.lock_file(open.connection, level))
}

unsafe extern "C" fn unlock(file: *mut sqlite3_file, level: c_int) -> c_int {
    // SAFETY: the file is open.
    let open = unsafe { opened(file) };
    open.sharing.unlock_file(open.connection, level);
    ffi::SQLITE_OK
}

unsafe extern "C" fn check_reserved_lock(file: *mut sqlite3_file, out: *mut c_int) -> c_int {
    // SAFETY: the file is open.
    let open = unsafe { opened(file) };
    // SAFETY: SQLite lends an integer there.
    unsafe { *out = c_int::from(open.sharing.is_reserved()) };
    ffi::SQLITE_OK
}

unsafe extern "C" fn map_index(
    file: *mut sqlite3_file,
    part: c_int,
    bytes: c_int,
    is_made: c_int,
    out: *mut *mut c_void,
) -> c_int {
    let (Ok(part), Ok(bytes)) = (usize::try_from(part), usize::try_from(bytes)) else { return ffi::SQLITE_MISUSE };
    // SAFETY: the file is open.
    let open = unsafe { opened(file) };
    let address = open.sharing.index_part(part, bytes, is_made != 0);
    // SAFETY: SQLite lends a pointer there. The part has as many bytes as SQLite asks for, aligned to eight, in numbers that may be
    // changed while they are shared; it lives as long as `sharing`, which the open file keeps.
    unsafe { *out = address.map_or(ptr::null_mut(), <*mut u8>::cast) };
    ffi::SQLITE_OK
}

unsafe extern "C" fn lock_index(file: *mut sqlite3_file, first: c_int, count: c_int, flags: c_int) -> c_int {
    let (Ok(first), Ok(count)) = (usize::try_from(first), usize::try_from(count)) else { return ffi::SQLITE_MISUSE };
    // SAFETY: the file is open.
    let open = unsafe { opened(file) };
    code(open.sharing.lock_index(first, count, flags))
}

unsafe extern "C" fn index_barrier(_: *mut sqlite3_file) {
    std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
}

/// The index goes with the last connection.
unsafe extern "C" fn unmap_index(_: *mut sqlite3_file, _: c_int) -> c_int {
    ffi::SQLITE_OK
}

unsafe extern "C" fn file_control(_: *mut sqlite3_file, _: c_int, _: *mut c_void) -> c_int {
    ffi::SQLITE_NOTFOUND
}

unsafe extern "C" fn sector_size(_: *mut sqlite3_file) -> c_int {
    4096
}

/// As SQLite's layer for Unix reports: bytes beside those of a write stay as they are.
unsafe extern "C" fn device_characteristics(_: *mut sqlite3_file) -> c_int {
    ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE
}

unsafe extern "C" fn delete(_: *mut sqlite3_vfs, name: *const c_char, syncs_folder: c_int) -> c_int {
    // SAFETY: the name ends with a zero and outlives the call.
    match unsafe { text(name) }.and_then(find) {
        Some((disk, boot, name)) => code(disk.delete(name, boot, syncs_folder != 0)),
        None => ffi::SQLITE_IOERR_DELETE,
    }
}

unsafe extern "C" fn access(_: *mut sqlite3_vfs, name: *const c_char, _: c_int, out: *mut c_int) -> c_int {
    // SAFETY: the name ends with a zero and outlives the call.
    let found = unsafe { text(name) }.and_then(find);
    match found.map(|(disk, boot, name)| disk.exists(name, boot)) {
        Some(Ok(exists)) => {
            // SAFETY: SQLite lends an integer there.
            unsafe { *out = c_int::from(exists) };
            ffi::SQLITE_OK
        }
        Some(Err(code)) => code,
        None => ffi::SQLITE_IOERR_ACCESS,
    }
}

/// Paths are absolute already.
unsafe extern "C" fn full_pathname(_: *mut sqlite3_vfs, name: *const c_char, room: c_int, out: *mut c_char) -> c_int {
    // SAFETY: the name ends with a zero and outlives the call.
    let bytes = unsafe { CStr::from_ptr(name) }.to_bytes_with_nul();
    match usize::try_from(room) {
        Ok(room) if bytes.len() <= room => {
            // SAFETY: SQLite lends `room` bytes at `out`, which are not those of the name.
            unsafe { ptr::copy_nonoverlapping(bytes.as_ptr().cast(), out, bytes.len()) };
            ffi::SQLITE_OK
        }
        _ => ffi::SQLITE_CANTOPEN,
    }
}

/// SQLite gets randomness from its default file system, never from this one.
unsafe extern "C" fn randomness(_: *mut sqlite3_vfs, _: c_int, _: *mut c_char) -> c_int {
    0
}

unsafe extern "C" fn sleep(_: *mut sqlite3_vfs, _: c_int) -> c_int {
    0
}

/// The store never reads SQLite's clock; this is 1970.
unsafe extern "C" fn current_time(_: *mut sqlite3_vfs, out: *mut f64) -> c_int {
    // SAFETY: SQLite lends a number there.
    unsafe { *out = 2_440_587.5 };
    ffi::SQLITE_OK
}
