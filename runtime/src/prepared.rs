//! The memory that every sandbox host maps: the compiled guest and its base image.

use std::fs::File;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::parent::cache::Cache;

/// Compiled code and a memory image, ready to be mapped. A value of this type proves that this installation made them.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub(crate) files: PreparedFiles,
    pub(crate) cache: Arc<Cache>,
}

/// Sealed memory with code and image.
#[derive(Clone, Debug)]
pub(crate) struct PreparedFiles {
    /// Compiled code.
    pub(crate) code: Arc<File>,
    /// The base image: a memory.
    pub(crate) image: Arc<File>,
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
