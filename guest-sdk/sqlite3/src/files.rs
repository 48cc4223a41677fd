//! Databases in the files of a guest. Only its own connections use them, so locks are kept here: `locks.rs`.
//!
//! SQLite calls the functions with pointers that are valid for the call, as <https://sqlite.org/c3ref/io_methods.html> and
//! <https://sqlite.org/c3ref/vfs.html> describe; each `unsafe` block relies on that.

use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr::null_mut;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use libsqlite3_sys::{
    SQLITE_CANTOPEN, SQLITE_FULL, SQLITE_IOERR_CLOSE, SQLITE_IOERR_DELETE, SQLITE_IOERR_DELETE_NOENT,
    SQLITE_IOERR_FSTAT, SQLITE_IOERR_READ, SQLITE_IOERR_SHORT_READ, SQLITE_IOERR_TRUNCATE, SQLITE_IOERR_WRITE,
    SQLITE_NOTFOUND, SQLITE_OK, SQLITE_OPEN_CREATE, SQLITE_OPEN_DELETEONCLOSE, SQLITE_OPEN_EXCLUSIVE,
    SQLITE_OPEN_READONLY, SQLITE_OPEN_READWRITE, sqlite3_file, sqlite3_filename, sqlite3_int64, sqlite3_io_methods,
    sqlite3_vfs,
};

use crate::locks::Lock;

/// Bytes of SQLite's structure for an open file.
pub(crate) const FILE_BYTES: usize = size_of::<VfsFile>();
/// Files are in memory: no part of a page is ever written alone.
const SECTOR_BYTES: c_int = 4096;

/// What SQLite makes room for: its own part, and ours.
#[repr(C)]
struct VfsFile {
    base: sqlite3_file,
    /// From a `Box`, as long as the file is open.
    open: *mut OpenFile,
}

struct OpenFile {
    file: File,
    path: PathBuf,
    lock: Lock,
    is_temporary: bool,
}

static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    // without memory that processes share, so that there is no write-ahead log
    iVersion: 1,
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
    xShmMap: None,
    xShmLock: None,
    xShmBarrier: None,
    xShmUnmap: None,
    xFetch: None,
    xUnfetch: None,
};

pub(crate) unsafe extern "C" fn open(
    _vfs: *mut sqlite3_vfs,
    name: sqlite3_filename,
    file: *mut sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    let file = file.cast::<VfsFile>();
    // SAFETY: there is room for the structure. Without methods, it is not closed.
    unsafe { (*file).base.pMethods = core::ptr::null() };
    // temporary files without a name are in memory, see SQLITE_TEMP_STORE
    if name.is_null() {
        return SQLITE_CANTOPEN;
    }
    // SAFETY: the name ends with a zero byte.
    let Some(path) = (unsafe { path(name) }) else { return SQLITE_CANTOPEN };
    let Some((opened, flags)) = open_file(&path, flags) else { return SQLITE_CANTOPEN };
    let is_temporary = flags & SQLITE_OPEN_DELETEONCLOSE != 0;
    let lock = Lock::new(&path);
    let open = Box::into_raw(Box::new(OpenFile { file: opened, path, lock, is_temporary }));
    // SAFETY: there is room for the structure, and for the flags unless that is null.
    unsafe {
        (*file).open = open;
        (*file).base.pMethods = &raw const METHODS;
        if !out_flags.is_null() {
            *out_flags = flags;
        }
    }
    SQLITE_OK
}

/// Opens a file to read and write, or else, if SQLite does not have to create it, to read. Returns how.
fn open_file(path: &Path, flags: c_int) -> Option<(File, c_int)> {
    let may_create = flags & SQLITE_OPEN_CREATE != 0;
    let mut options = OpenOptions::new();
    options.read(true).write(flags & SQLITE_OPEN_READWRITE != 0);
    options.create(may_create).create_new(may_create && flags & SQLITE_OPEN_EXCLUSIVE != 0);
    if let Ok(file) = options.open(path) {
        return Some((file, flags));
    }
    let file = File::open(path).ok()?;
    let read_only = (flags & !(SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE)) | SQLITE_OPEN_READONLY;
    Some((file, read_only))
}

/// # Safety
/// The name ends with a zero byte.
unsafe fn path(name: *const c_char) -> Option<PathBuf> {
    // SAFETY: the caller vouches for the name.
    let name = unsafe { CStr::from_ptr(name) };
    name.to_str().ok().map(PathBuf::from)
}

pub(crate) unsafe extern "C" fn delete(_vfs: *mut sqlite3_vfs, name: *const c_char, _sync: c_int) -> c_int {
    // SAFETY: the name ends with a zero byte.
    let Some(path) = (unsafe { path(name) }) else { return SQLITE_IOERR_DELETE };
    match fs::remove_file(path) {
        Ok(()) => SQLITE_OK,
        Err(error) if error.kind() == io::ErrorKind::NotFound => SQLITE_IOERR_DELETE_NOENT,
        Err(_) => SQLITE_IOERR_DELETE,
    }
}

pub(crate) unsafe extern "C" fn access(
    _vfs: *mut sqlite3_vfs,
    name: *const c_char,
    _flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: the name ends with a zero byte.
    let is_there = unsafe { path(name) }.is_some_and(|path| path.is_file());
    // SAFETY: there is room for an int.
    unsafe { *out = c_int::from(is_there) };
    SQLITE_OK
}

pub(crate) unsafe extern "C" fn full_pathname(
    _vfs: *mut sqlite3_vfs,
    name: *const c_char,
    len: c_int,
    out: *mut c_char,
) -> c_int {
    // SAFETY: the name ends with a zero byte.
    let Some(name) = (unsafe { path(name) }) else { return SQLITE_CANTOPEN };
    let full = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")).join(name);
    let bytes = full.as_os_str().as_encoded_bytes();
    if usize::try_from(len).is_ok_and(|len| bytes.len() < len) {
        // SAFETY: there is room for `len` bytes, which are not those of the path, and this is at most as many.
        unsafe {
            core::ptr::copy_nonoverlapping(bytes.as_ptr().cast(), out, bytes.len());
            *out.add(bytes.len()) = 0;
        }
        return SQLITE_OK;
    }
    SQLITE_CANTOPEN
}

/// # Safety
/// `open` has succeeded for the file, and it was not closed. The reference is used in this call only.
unsafe fn opened<'a>(file: *mut sqlite3_file) -> &'a mut OpenFile {
    // SAFETY: the caller vouches for the file; there is one thread, and SQLite's functions are not called in between.
    unsafe { &mut *(*file.cast::<VfsFile>()).open }
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    let file = file.cast::<VfsFile>();
    // SAFETY: the file is open, so the pointer is from a box; it is not used again.
    let open = unsafe { Box::from_raw(core::mem::replace(&mut (*file).open, null_mut())) };
    match open.is_temporary && fs::remove_file(&open.path).is_err() {
        true => SQLITE_IOERR_CLOSE,
        false => SQLITE_OK,
    }
}

unsafe extern "C" fn read(file: *mut sqlite3_file, buffer: *mut c_void, len: c_int, offset: sqlite3_int64) -> c_int {
    // SAFETY: the file is open, and there is room for `len` bytes, any of which are valid.
    let (open, buffer) = unsafe { (opened(file), core::slice::from_raw_parts_mut(buffer.cast::<u8>(), size(len))) };
    let Ok(count) = read_at(&mut open.file, buffer, offset) else { return SQLITE_IOERR_READ };
    let missing = buffer.get_mut(count..).unwrap_or_default();
    missing.fill(0);
    if missing.is_empty() { SQLITE_OK } else { SQLITE_IOERR_SHORT_READ }
}

fn read_at(file: &mut File, buffer: &mut [u8], offset: sqlite3_int64) -> io::Result<usize> {
    seek(file, offset)?;
    let mut count = 0;
    while let Some(rest) = buffer.get_mut(count..).filter(|rest| !rest.is_empty()) {
        match file.read(rest)? {
            0 => break,
            more => count += more,
        }
    }
    Ok(count)
}

fn seek(file: &mut File, offset: sqlite3_int64) -> io::Result<u64> {
    file.seek(SeekFrom::Start(u64::try_from(offset).map_err(io::Error::other)?))
}

unsafe extern "C" fn write(file: *mut sqlite3_file, data: *const c_void, len: c_int, offset: sqlite3_int64) -> c_int {
    // SAFETY: the file is open, and there are `len` bytes.
    let (open, data) = unsafe { (opened(file), core::slice::from_raw_parts(data.cast::<u8>(), size(len))) };
    let written = seek(&mut open.file, offset).and_then(|_| open.file.write_all(data));
    match written {
        Ok(()) => SQLITE_OK,
        Err(error) if error.kind() == io::ErrorKind::StorageFull => SQLITE_FULL,
        Err(_) => SQLITE_IOERR_WRITE,
    }
}

/// SQLite passes no negative lengths.
fn size(len: c_int) -> usize {
    usize::try_from(len).unwrap_or(0)
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, len: sqlite3_int64) -> c_int {
    // SAFETY: the file is open.
    let open = unsafe { opened(file) };
    let done = u64::try_from(len).is_ok_and(|len| open.file.set_len(len).is_ok());
    if done { SQLITE_OK } else { SQLITE_IOERR_TRUNCATE }
}

/// Files are in memory.
unsafe extern "C" fn sync(_file: *mut sqlite3_file, _flags: c_int) -> c_int {
    SQLITE_OK
}

unsafe extern "C" fn file_size(file: *mut sqlite3_file, out: *mut sqlite3_int64) -> c_int {
    // SAFETY: the file is open.
    let len = unsafe { opened(file) }.file.metadata().map(|metadata| metadata.len());
    let Some(len) = len.ok().and_then(|len| sqlite3_int64::try_from(len).ok()) else { return SQLITE_IOERR_FSTAT };
    // SAFETY: there is room for a number.
    unsafe { *out = len };
    SQLITE_OK
}

unsafe extern "C" fn lock(file: *mut sqlite3_file, level: c_int) -> c_int {
    // SAFETY: the file is open.
    unsafe { opened(file) }.lock.raise(level)
}

unsafe extern "C" fn unlock(file: *mut sqlite3_file, level: c_int) -> c_int {
    // SAFETY: the file is open.
    unsafe { opened(file) }.lock.lower(level);
    SQLITE_OK
}

unsafe extern "C" fn check_reserved_lock(file: *mut sqlite3_file, out: *mut c_int) -> c_int {
    // SAFETY: the file is open, and there is room for an int.
    unsafe { *out = c_int::from(opened(file).lock.is_reserved()) };
    SQLITE_OK
}

unsafe extern "C" fn file_control(_file: *mut sqlite3_file, _operation: c_int, _argument: *mut c_void) -> c_int {
    SQLITE_NOTFOUND
}

unsafe extern "C" fn sector_size(_file: *mut sqlite3_file) -> c_int {
    SECTOR_BYTES
}

unsafe extern "C" fn device_characteristics(_file: *mut sqlite3_file) -> c_int {
    0
}
