//! WASI's functions for files, as exports. The host redirects the guest's own calls of the functions of these names to them, and
//! those of the module `bue_host_wasi` to itself. The C library and Rust's standard library know nothing of it.
//!
//! # Safety
//! All of them are called with the arguments of WASI preview 1: pointers to memory that is as long as the argument after them says.
#![expect(unsafe_code, reason = "the signatures of WASI have raw pointers; each block relies on the contract above")]

use core::slice;
use std::borrow::Cow;
use std::time::{SystemTime, UNIX_EPOCH};

use super::descriptors::{OpenFile, ROOT_FOLDER, Target};
use super::errno::Errno;
use super::tree::{Content, NodeId, Place};
use super::{FILES, Files};

const OFLAG_CREATE: u16 = 1;
const OFLAG_FOLDER: u16 = 2;
const OFLAG_EXCLUSIVE: u16 = 4;
const OFLAG_TRUNCATE: u16 = 8;
const FDFLAG_APPEND: u16 = 1;
const RIGHT_READ: u64 = 1 << 1;
const RIGHT_WRITE: u64 = 1 << 6;
const ALL_RIGHTS: u64 = (1 << 30) - 1;
const TYPE_FOLDER: u8 = 3;
const TYPE_FILE: u8 = 4;
/// `fstflags`: the modification time is the argument, or the time now.
const SET_MODIFIED: u16 = 4;
const SET_MODIFIED_NOW: u16 = 8;

/// A part of memory to read into or to write from.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Part {
    start: *mut u8,
    len: usize,
}

impl Part {
    /// # Safety
    /// The part is memory that nothing else refers to as long as the result is used. Without a length, it may be anywhere.
    unsafe fn bytes_mut<'a>(self) -> &'a mut [u8] {
        match self.len {
            0 => &mut [],
            // SAFETY: the caller's.
            len => unsafe { slice::from_raw_parts_mut(self.start, len) },
        }
    }
}

/// What WASI calls `filestat`.
#[repr(C)]
pub struct FileStat {
    device: u64,
    node: u64,
    kind: u8,
    links: u64,
    size: u64,
    accessed: u64,
    modified: u64,
    changed: u64,
}

/// What WASI calls `fdstat`.
#[repr(C)]
pub struct DescriptorStat {
    kind: u8,
    flags: u16,
    rights: u64,
    inherited_rights: u64,
}

/// What WASI calls `prestat`, of a folder.
#[repr(C)]
pub struct Preopened {
    tag: u8,
    name_len: usize,
}

/// The head of an entry of a folder; its name follows.
#[repr(C)]
struct EntryHead {
    next: u64,
    node: u64,
    name_len: u32,
    kind: u8,
}

const ENTRY_HEAD: usize = size_of::<EntryHead>();

mod host {
    use super::{DescriptorStat, FileStat, Part, Preopened};

    #[link(wasm_import_module = "bue_host_wasi")]
    unsafe extern "C" {
        pub(super) fn fd_close(fd: u32) -> u16;
        pub(super) fn fd_fdstat_get(fd: u32, stat: *mut DescriptorStat) -> u16;
        pub(super) fn fd_fdstat_set_flags(fd: u32, flags: u16) -> u16;
        pub(super) fn fd_filestat_get(fd: u32, stat: *mut FileStat) -> u16;
        pub(super) fn fd_filestat_set_size(fd: u32, size: u64) -> u16;
        pub(super) fn fd_prestat_get(fd: u32, stat: *mut Preopened) -> u16;
        pub(super) fn fd_prestat_dir_name(fd: u32, name: *mut u8, len: usize) -> u16;
        pub(super) fn fd_read(fd: u32, parts: *const Part, count: usize, read: *mut usize) -> u16;
        pub(super) fn fd_readdir(fd: u32, buffer: *mut u8, len: usize, cookie: u64, used: *mut usize) -> u16;
        pub(super) fn fd_seek(fd: u32, offset: i64, whence: u8, position: *mut u64) -> u16;
        pub(super) fn fd_sync(fd: u32) -> u16;
        pub(super) fn fd_write(fd: u32, parts: *const Part, count: usize, written: *mut usize) -> u16;
        pub(super) fn path_filestat_get(fd: u32, flags: u32, path: *const u8, len: usize, stat: *mut FileStat) -> u16;
        #[expect(clippy::too_many_arguments, reason = "as WASI has them")]
        pub(super) fn path_open(
            fd: u32,
            lookup: u32,
            path: *const u8,
            len: usize,
            oflags: u16,
            rights: u64,
            inherited: u64,
            fdflags: u16,
            opened: *mut u32,
        ) -> u16;
        pub(super) fn path_readlink(
            fd: u32,
            path: *const u8,
            len: usize,
            buffer: *mut u8,
            buffer_len: usize,
            used: *mut usize,
        ) -> u16;
    }
}

/// Executes a function on the files, and returns WASI's number of its error; 0 if there is none.
fn with_files(body: impl FnOnce(&mut Files) -> Result<(), Errno>) -> u16 {
    match FILES.with_borrow_mut(body) {
        Ok(()) => 0,
        Err(error) => error as u16,
    }
}

/// Returns the host's descriptor behind a number, if there is one.
fn host_descriptor(fd: u32) -> Option<u32> {
    FILES.with_borrow(|files| match files.descriptors.get(fd) {
        Ok(Target::Host(fd)) => Some(fd),
        _ => None,
    })
}

#[expect(clippy::disallowed_methods, reason = "the time of a change, as programs see it")]
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}

/// # Safety
/// The pointer is to memory of this length.
unsafe fn text<'a>(start: *const u8, len: usize) -> Result<&'a str, Errno> {
    // SAFETY: the caller's.
    let bytes = unsafe { slice::from_raw_parts(start, len) };
    core::str::from_utf8(bytes).map_err(|_| Errno::Invalid)
}

/// # Safety
/// The pointer is to memory for a value of this type, or to none of alignment: it is written unaligned.
unsafe fn store<T>(to: *mut T, value: T) {
    // SAFETY: the caller's.
    unsafe { to.write_unaligned(value) };
}

impl Files {
    fn folder(&self, fd: u32) -> Result<NodeId, Errno> {
        match self.descriptors.get(fd)? {
            Target::Folder(node) => Ok(node),
            Target::File(_) => Err(Errno::NotFolder),
            Target::Host(_) => Err(Errno::ReadOnly),
        }
    }

    fn node_of(&self, fd: u32) -> Result<NodeId, Errno> {
        match self.descriptors.get(fd)? {
            Target::Folder(node) | Target::File(OpenFile { node, .. }) => Ok(node),
            Target::Host(_) => Err(Errno::BadDescriptor),
        }
    }

    fn place(&self, fd: u32, path: &str) -> Result<Place, Errno> {
        self.tree.find(self.folder(fd)?, path)
    }

    fn stat(&self, node: NodeId) -> Result<FileStat, Errno> {
        let found = self.tree.node(node).ok_or(Errno::BadDescriptor)?;
        let kind = if matches!(found.content, Content::Folder(_)) { TYPE_FOLDER } else { TYPE_FILE };
        let time = found.modified;
        Ok(FileStat {
            device: 1,
            node: node as u64 + 1,
            kind,
            links: found.links().into(),
            size: found.len(),
            accessed: time,
            modified: time,
            changed: time,
        })
    }

    fn open(&mut self, fd: u32, path: &str, flags: (u16, u16), rights: u64) -> Result<u32, Errno> {
        let (oflags, fdflags) = flags;
        let place = self.place(fd, path)?;
        let can_write = rights & RIGHT_WRITE != 0;
        let node = match place.node {
            Some(_) if oflags & OFLAG_CREATE != 0 && oflags & OFLAG_EXCLUSIVE != 0 => return Err(Errno::Exists),
            Some(node) => node,
            None if oflags & OFLAG_CREATE != 0 && oflags & OFLAG_FOLDER == 0 => {
                self.tree.create(&place, Content::File(Cow::Owned(Vec::new())), now())?
            }
            None => return Err(Errno::NotFound),
        };
        if self.tree.entries(node).is_ok() {
            if can_write || oflags & OFLAG_TRUNCATE != 0 {
                return Err(Errno::IsFolder);
            }
            return self.insert(node, Target::Folder(node));
        }
        if oflags & OFLAG_FOLDER != 0 {
            return Err(Errno::NotFolder);
        }
        if can_write || oflags & OFLAG_TRUNCATE != 0 {
            self.tree.expect_writable(node)?;
        }
        if oflags & OFLAG_TRUNCATE != 0 {
            self.tree.node_mut(node).ok_or(Errno::BadDescriptor)?.set_len(0, now())?;
        }
        let can_read = rights & RIGHT_READ != 0;
        let file = OpenFile { node, position: 0, can_read, can_write, flags: fdflags };
        self.insert(node, Target::File(file))
    }

    fn insert(&mut self, node: NodeId, target: Target) -> Result<u32, Errno> {
        let fd = self.descriptors.insert(target)?;
        self.tree.open(node);
        Ok(fd)
    }

    fn close(&mut self, fd: u32) -> Result<(), Errno> {
        if fd == ROOT_FOLDER {
            return Err(Errno::NotPermitted);
        }
        if let Target::Folder(node) | Target::File(OpenFile { node, .. }) = self.descriptors.remove(fd)? {
            self.tree.close(node);
        }
        Ok(())
    }

    fn read(&mut self, fd: u32, parts: &[Part]) -> Result<usize, Errno> {
        let file = *self.descriptors.file_mut(fd)?;
        if !file.can_read {
            return Err(Errno::BadDescriptor);
        }
        let node = self.tree.node(file.node).ok_or(Errno::BadDescriptor)?;
        let mut read = 0;
        for part in parts {
            // SAFETY: see the module.
            let buffer = unsafe { part.bytes_mut() };
            let len = node.read(file.position + read as u64, buffer)?;
            read += len;
            if len < part.len {
                break;
            }
        }
        self.descriptors.file_mut(fd)?.position += read as u64;
        Ok(read)
    }

    fn write(&mut self, fd: u32, parts: &[Part]) -> Result<usize, Errno> {
        let file = *self.descriptors.file_mut(fd)?;
        if !file.can_write {
            return Err(Errno::BadDescriptor);
        }
        let node = self.tree.node_mut(file.node).ok_or(Errno::BadDescriptor)?;
        let start = if file.flags & FDFLAG_APPEND != 0 { node.len() } else { file.position };
        let (mut written, now) = (0, now());
        for part in parts {
            // SAFETY: see the module.
            let data = unsafe { part.bytes_mut() };
            node.write(start + written as u64, data, now)?;
            written += part.len;
        }
        self.descriptors.file_mut(fd)?.position = start + written as u64;
        Ok(written)
    }

    fn seek(&mut self, fd: u32, offset: i64, whence: u8) -> Result<u64, Errno> {
        let file = *self.descriptors.file_mut(fd)?;
        let len = self.tree.node(file.node).ok_or(Errno::BadDescriptor)?.len();
        let from = match whence {
            0 => 0,
            1 => file.position,
            2 => len,
            _ => return Err(Errno::Invalid),
        };
        let position = from.checked_add_signed(offset).ok_or(Errno::Invalid)?;
        self.descriptors.file_mut(fd)?.position = position;
        Ok(position)
    }

    /// Writes entries from the position `cookie` on into a buffer, the last one cut if there is no room, and returns their length.
    fn read_folder(&self, fd: u32, buffer: &mut [u8], cookie: u64) -> Result<usize, Errno> {
        let folder = self.folder(fd)?;
        let mut used = 0;
        let names = [(".", folder), ("..", self.tree.parent(folder)?)].into_iter();
        let entries = self.tree.entries(folder)?.iter().map(|(name, node)| (name.as_str(), *node));
        let skipped = usize::try_from(cookie).unwrap_or(usize::MAX);
        for (position, (name, node)) in (1_u64..).zip(names.chain(entries)).skip(skipped) {
            let kind = if self.tree.entries(node).is_ok() { TYPE_FOLDER } else { TYPE_FILE };
            let head = EntryHead {
                next: position,
                node: node as u64 + 1,
                name_len: u32::try_from(name.len()).unwrap_or(u32::MAX),
                kind,
            };
            for bytes in [&head.bytes()[..], name.as_bytes()] {
                let room = &mut buffer[used..];
                let len = bytes.len().min(room.len());
                room[..len].copy_from_slice(&bytes[..len]);
                used += len;
            }
            if used == buffer.len() {
                break;
            }
        }
        Ok(used)
    }
}

impl EntryHead {
    fn bytes(&self) -> [u8; ENTRY_HEAD] {
        let mut bytes = [0; ENTRY_HEAD];
        bytes[..8].copy_from_slice(&self.next.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.node.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.name_len.to_le_bytes());
        bytes[20] = self.kind;
        bytes
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn bue_wasi_fd_close(fd: u32) -> u16 {
    let host = host_descriptor(fd);
    let closed = with_files(|files| files.close(fd));
    match host {
        // SAFETY: see the module.
        Some(fd) => unsafe { host::fd_close(fd) },
        None => closed,
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn bue_wasi_fd_fdstat_get(fd: u32, stat: *mut DescriptorStat) -> u16 {
    if let Some(fd) = host_descriptor(fd) {
        // SAFETY: see the module.
        return unsafe { host::fd_fdstat_get(fd, stat) };
    }
    with_files(|files| {
        let (kind, flags) = match files.descriptors.get(fd)? {
            Target::File(file) => (TYPE_FILE, file.flags),
            _ => (TYPE_FOLDER, 0),
        };
        // SAFETY: see the module.
        unsafe { store(stat, DescriptorStat { kind, flags, rights: ALL_RIGHTS, inherited_rights: ALL_RIGHTS }) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn bue_wasi_fd_fdstat_set_flags(fd: u32, flags: u16) -> u16 {
    if let Some(fd) = host_descriptor(fd) {
        // SAFETY: see the module.
        return unsafe { host::fd_fdstat_set_flags(fd, flags) };
    }
    with_files(|files| {
        files.descriptors.file_mut(fd)?.flags = flags;
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn bue_wasi_fd_filestat_get(fd: u32, stat: *mut FileStat) -> u16 {
    if let Some(fd) = host_descriptor(fd) {
        // SAFETY: see the module.
        return unsafe { host::fd_filestat_get(fd, stat) };
    }
    with_files(|files| {
        let found = files.stat(files.node_of(fd)?)?;
        // SAFETY: see the module.
        unsafe { store(stat, found) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn bue_wasi_fd_filestat_set_size(fd: u32, size: u64) -> u16 {
    if let Some(fd) = host_descriptor(fd) {
        // SAFETY: see the module.
        return unsafe { host::fd_filestat_set_size(fd, size) };
    }
    with_files(|files| {
        let file = *files.descriptors.file_mut(fd)?;
        if !file.can_write {
            return Err(Errno::Invalid);
        }
        files.tree.node_mut(file.node).ok_or(Errno::BadDescriptor)?.set_len(size, now())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn bue_wasi_fd_prestat_get(fd: u32, stat: *mut Preopened) -> u16 {
    if fd == ROOT_FOLDER {
        // SAFETY: see the module.
        unsafe { store(stat, Preopened { tag: 0, name_len: 1 }) };
        return 0;
    }
    match host_descriptor(fd) {
        // SAFETY: see the module.
        Some(fd) => unsafe { host::fd_prestat_get(fd, stat) },
        None => Errno::BadDescriptor as u16,
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn bue_wasi_fd_prestat_dir_name(fd: u32, name: *mut u8, len: usize) -> u16 {
    if fd == ROOT_FOLDER && len > 0 {
        // SAFETY: see the module.
        unsafe { store(name, b'/') };
        return 0;
    }
    match host_descriptor(fd) {
        // SAFETY: see the module.
        Some(fd) => unsafe { host::fd_prestat_dir_name(fd, name, len) },
        None => Errno::BadDescriptor as u16,
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn bue_wasi_fd_read(fd: u32, parts: *const Part, count: usize, read: *mut usize) -> u16 {
    if let Some(fd) = host_descriptor(fd) {
        // SAFETY: see the module.
        return unsafe { host::fd_read(fd, parts, count, read) };
    }
    with_files(|files| {
        // SAFETY: see the module.
        unsafe { store(read, files.read(fd, slice::from_raw_parts(parts, count))?) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn bue_wasi_fd_write(fd: u32, parts: *const Part, count: usize, written: *mut usize) -> u16 {
    if let Some(fd) = host_descriptor(fd) {
        // SAFETY: see the module.
        return unsafe { host::fd_write(fd, parts, count, written) };
    }
    with_files(|files| {
        // SAFETY: see the module.
        unsafe { store(written, files.write(fd, slice::from_raw_parts(parts, count))?) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn bue_wasi_fd_readdir(
    fd: u32,
    buffer: *mut u8,
    len: usize,
    cookie: u64,
    used: *mut usize,
) -> u16 {
    if let Some(fd) = host_descriptor(fd) {
        // SAFETY: see the module.
        return unsafe { host::fd_readdir(fd, buffer, len, cookie, used) };
    }
    with_files(|files| {
        // SAFETY: see the module.
        unsafe { store(used, files.read_folder(fd, slice::from_raw_parts_mut(buffer, len), cookie)?) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn bue_wasi_fd_seek(fd: u32, offset: i64, whence: u8, position: *mut u64) -> u16 {
    if let Some(fd) = host_descriptor(fd) {
        // SAFETY: see the module.
        return unsafe { host::fd_seek(fd, offset, whence, position) };
    }
    with_files(|files| {
        let found = match files.descriptors.get(fd)? {
            Target::File(_) => files.seek(fd, offset, whence)?,
            _ => return Err(Errno::NotSeekable),
        };
        // SAFETY: see the module.
        unsafe { store(position, found) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn bue_wasi_fd_sync(fd: u32) -> u16 {
    match host_descriptor(fd) {
        // SAFETY: see the module.
        Some(fd) => unsafe { host::fd_sync(fd) },
        None => with_files(|files| files.node_of(fd).map(drop)),
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn bue_wasi_path_create_directory(fd: u32, path: *const u8, len: usize) -> u16 {
    with_files(|files| {
        // SAFETY: see the module.
        let place = files.place(fd, unsafe { text(path, len)? })?;
        files.tree.create(&place, Content::Folder(Default::default()), now()).map(drop)
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn bue_wasi_path_filestat_get(
    fd: u32,
    flags: u32,
    path: *const u8,
    len: usize,
    stat: *mut FileStat,
) -> u16 {
    if let Some(fd) = host_descriptor(fd) {
        // SAFETY: see the module.
        return unsafe { host::path_filestat_get(fd, flags, path, len, stat) };
    }
    with_files(|files| {
        // SAFETY: see the module.
        let node = files.tree.existing(files.folder(fd)?, unsafe { text(path, len)? })?;
        let found = files.stat(node)?;
        // SAFETY: see the module.
        unsafe { store(stat, found) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn bue_wasi_path_filestat_set_times(
    fd: u32,
    _flags: u32,
    path: *const u8,
    len: usize,
    _accessed: u64,
    modified: u64,
    set: u16,
) -> u16 {
    with_files(|files| {
        // SAFETY: see the module.
        let node = files.tree.existing(files.folder(fd)?, unsafe { text(path, len)? })?;
        files.tree.expect_writable(node)?;
        let node = files.tree.node_mut(node).ok_or(Errno::NotFound)?;
        if set & SET_MODIFIED != 0 {
            node.modified = modified;
        } else if set & SET_MODIFIED_NOW != 0 {
            node.modified = now();
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn bue_wasi_path_link(
    fd: u32,
    _flags: u32,
    path: *const u8,
    len: usize,
    new_fd: u32,
    new_path: *const u8,
    new_len: usize,
) -> u16 {
    with_files(|files| {
        // SAFETY: see the module.
        let (from, to) = unsafe { (text(path, len)?, text(new_path, new_len)?) };
        let node = files.tree.existing(files.folder(fd)?, from)?;
        let place = files.place(new_fd, to)?;
        files.tree.link(node, &place, now())
    })
}

#[unsafe(no_mangle)]
#[expect(clippy::too_many_arguments, reason = "as WASI has them")]
pub unsafe extern "C" fn bue_wasi_path_open(
    fd: u32,
    lookup: u32,
    path: *const u8,
    len: usize,
    oflags: u16,
    rights: u64,
    inherited: u64,
    fdflags: u16,
    opened: *mut u32,
) -> u16 {
    if let Some(host_fd) = host_descriptor(fd) {
        let mut host_opened = 0;
        // SAFETY: see the module.
        let error = unsafe {
            host::path_open(host_fd, lookup, path, len, oflags, rights, inherited, fdflags, &raw mut host_opened)
        };
        if error != 0 {
            return error;
        }
        let number = FILES.with_borrow_mut(|files| files.descriptors.insert(Target::Host(host_opened)));
        return match number {
            Ok(number) => {
                // SAFETY: see the module.
                unsafe { store(opened, number) };
                0
            }
            Err(error) => {
                // SAFETY: see the module.
                unsafe { host::fd_close(host_opened) };
                error as u16
            }
        };
    }
    with_files(|files| {
        // SAFETY: see the module.
        let number = files.open(fd, unsafe { text(path, len)? }, (oflags, fdflags), rights)?;
        // SAFETY: see the module.
        unsafe { store(opened, number) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn bue_wasi_path_readlink(
    fd: u32,
    path: *const u8,
    len: usize,
    buffer: *mut u8,
    buffer_len: usize,
    used: *mut usize,
) -> u16 {
    if let Some(fd) = host_descriptor(fd) {
        // SAFETY: see the module.
        return unsafe { host::path_readlink(fd, path, len, buffer, buffer_len, used) };
    }
    with_files(|files| {
        // SAFETY: see the module.
        files.tree.existing(files.folder(fd)?, unsafe { text(path, len)? })?;
        // there are no links
        Err(Errno::Invalid)
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn bue_wasi_path_remove_directory(fd: u32, path: *const u8, len: usize) -> u16 {
    with_files(|files| {
        // SAFETY: see the module.
        let place = files.place(fd, unsafe { text(path, len)? })?;
        files.tree.remove(&place, true, now())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn bue_wasi_path_unlink_file(fd: u32, path: *const u8, len: usize) -> u16 {
    with_files(|files| {
        // SAFETY: see the module.
        let place = files.place(fd, unsafe { text(path, len)? })?;
        files.tree.remove(&place, false, now())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn bue_wasi_path_rename(
    fd: u32,
    path: *const u8,
    len: usize,
    new_fd: u32,
    new_path: *const u8,
    new_len: usize,
) -> u16 {
    if host_descriptor(fd).is_some() != host_descriptor(new_fd).is_some() {
        return Errno::OtherDevice as u16;
    }
    with_files(|files| {
        // SAFETY: see the module.
        let (from, to) = unsafe { (text(path, len)?, text(new_path, new_len)?) };
        let (from, to) = (files.place(fd, from)?, files.place(new_fd, to)?);
        files.tree.rename(&from, &to, now())
    })
}
