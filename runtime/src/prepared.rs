//! The memory that every sandbox host maps: the compiled guests and their base images.

use std::fs::File;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::RuntimeError;
use crate::host::memory::image::{Image, SharedImage};
use crate::parent::cache::Cache;

/// Compiled code and memory images, ready to be mapped. A value of this type proves that this installation made them.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub(crate) guests: PreparedGuests,
    pub(crate) cache: Arc<Cache>,
}

/// The guests of a sandbox host.
#[derive(Clone, Debug)]
pub(crate) struct PreparedGuests {
    /// The interpreter of Python steps.
    pub(crate) python: GuestFiles,
    /// SQLite. `None` only in tests.
    pub(crate) sqlite: Option<GuestFiles>,
}

/// Sealed memory with the code and the image of a guest.
#[derive(Clone, Debug)]
pub(crate) struct GuestFiles {
    /// Compiled code.
    pub(crate) code: Arc<File>,
    /// The base image: a memory.
    pub(crate) image: Arc<File>,
    /// What is known of both.
    pub(crate) seal: Seal,
}

impl GuestFiles {
    /// The code, to be mapped.
    pub(crate) fn code(&self) -> Result<File, RuntimeError> {
        self.code.try_clone().map_err(RuntimeError::Memory)
    }

    /// The base image, without slots yet.
    pub(crate) fn image(&self) -> Result<SharedImage, RuntimeError> {
        let len =
            usize::try_from(self.seal.len).map_err(|_| RuntimeError::Guest("map an image that large".to_owned()))?;
        let file = self.image.try_clone().map_err(RuntimeError::Memory)?;
        Ok(Arc::new(Image::from_file(file, len, self.seal.globals.clone())))
    }
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
