//! The files that every sandbox host maps: the compiled guest and its base image.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Compiled code and a memory image, ready to be mapped. A value of this type proves that this installation made the files.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub(crate) files: PreparedFiles,
    /// The cache directory.
    pub(crate) cache: PathBuf,
}

/// The paths of the files.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PreparedFiles {
    /// Compiled code.
    pub(crate) code: PathBuf,
    /// The base image: a memory.
    pub(crate) image: PathBuf,
    /// What is known of both.
    pub(crate) seal: Seal,
}

/// What the files must contain. It is stored after its own MAC.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Seal {
    /// The MAC of the code.
    pub(crate) code: [u8; 32],
    /// The MAC of the image.
    pub(crate) image: [u8; 32],
    /// Bytes of memory.
    pub(crate) len: u64,
    /// Values of the guest's globals.
    pub(crate) globals: Vec<u64>,
}

impl Prepared {
    /// From the parent's message to a sandbox host, which creates no files.
    pub(crate) fn from_parent(files: PreparedFiles) -> Self {
        Self { files, cache: PathBuf::new() }
    }
}
