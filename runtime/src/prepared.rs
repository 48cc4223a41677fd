//! What every sandbox maps: the compiled guest and its base image, as files in the cache.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Compiled code and a memory image, ready to be mapped. Having one is the proof that this installation made the files.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub(crate) files: PreparedFiles,
    /// The directory that was given.
    pub(crate) cache: PathBuf,
}

/// Where the files are.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PreparedFiles {
    /// Compiled code.
    pub(crate) code: PathBuf,
    /// Memory.
    pub(crate) image: PathBuf,
    /// What the memory's file does not say.
    pub(crate) seal: Seal,
}

/// Says what the files must hold; stored with a MAC before it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Seal {
    pub(crate) code: [u8; 32],
    pub(crate) image: [u8; 32],
    /// Bytes of memory.
    pub(crate) len: u64,
    /// Values of the guest's globals.
    pub(crate) globals: Vec<u64>,
}

impl Prepared {
    /// What a parent that has one told its child, which makes no files.
    pub(crate) fn from_parent(files: PreparedFiles) -> Self {
        Self { files, cache: PathBuf::new() }
    }
}
