//! File descriptors: those of files here, and those of the host, under numbers of our own.

use super::errno::Errno;
use super::tree::{NodeId, ROOT};

/// The host's folder of packages, which the C library looks up under this number.
const PACKAGES: u32 = 3;
/// The folder of everything else.
pub(super) const ROOT_FOLDER: u32 = 4;

/// Most descriptors that a step may have.
const MAX_OPEN: usize = 1_024;

/// What a descriptor refers to.
#[derive(Clone, Copy)]
pub(super) enum Target {
    /// A descriptor of the host: a stream, or something in the folder of packages.
    Host(u32),
    Folder(NodeId),
    File(OpenFile),
}

/// A file that was opened.
#[derive(Clone, Copy)]
pub(super) struct OpenFile {
    pub(super) node: NodeId,
    pub(super) position: u64,
    pub(super) can_read: bool,
    pub(super) can_write: bool,
    /// WASI's flags; of these, only `append` has an effect.
    pub(super) flags: u16,
}

/// The descriptors, by their numbers.
pub(super) struct Descriptors(Vec<Option<Target>>);

impl Descriptors {
    pub(super) fn new() -> Self {
        let mut targets: Vec<_> = (0..=PACKAGES).map(|number| Some(Target::Host(number))).collect();
        targets.push(Some(Target::Folder(ROOT)));
        Self(targets)
    }

    pub(super) fn get(&self, number: u32) -> Result<Target, Errno> {
        self.0.get(number as usize).copied().flatten().ok_or(Errno::BadDescriptor)
    }

    pub(super) fn file_mut(&mut self, number: u32) -> Result<&mut OpenFile, Errno> {
        match self.0.get_mut(number as usize) {
            Some(Some(Target::File(file))) => Ok(file),
            _ => Err(Errno::BadDescriptor),
        }
    }

    /// Returns the lowest free number, under which a target is from now on.
    pub(super) fn insert(&mut self, target: Target) -> Result<u32, Errno> {
        let free = self.0.iter().position(Option::is_none).unwrap_or(self.0.len());
        if free >= MAX_OPEN {
            return Err(Errno::TooManyOpen);
        }
        match self.0.get_mut(free) {
            Some(slot) => *slot = Some(target),
            None => self.0.push(Some(target)),
        }
        u32::try_from(free).map_err(|_| Errno::TooManyOpen)
    }

    pub(super) fn remove(&mut self, number: u32) -> Result<Target, Errno> {
        self.0.get_mut(number as usize).and_then(Option::take).ok_or(Errno::BadDescriptor)
    }
}
