//! A step's packages as its sandbox sees them: a read-only folder.

use std::path::{Path, PathBuf};

use wasmtime_wasi::filesystem::WasiFilesystemCtx;
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

/// The folder's path in the guest. It is known to the base image; `lib/_loader.py` imports from it.
const GUEST_PATH: &str = "/packages";

/// An open folder, shared by all instances that use it.
#[derive(Clone)]
pub(crate) struct Mount {
    path: PathBuf,
    files: WasiFilesystemCtx,
}

impl Mount {
    pub(crate) fn open(path: &Path) -> wasmtime::Result<Self> {
        let mut wasi = WasiCtxBuilder::new();
        // Read in this thread: a file that was just unpacked is in the page cache, and with another thread each of an import's
        // hundred reads would queue behind all other steps of this host. Nothing else may block.
        wasi.allow_blocking_current_thread(true).preopened_dir(path, GUEST_PATH, FsPerms::ReadOnly)?;
        wasi.allow_blocking_current_thread(false);
        // created once and cloned into every instance: a thousand waiting steps share one file descriptor
        let files = wasi.build().filesystem().clone();
        Ok(Self { path: path.to_owned(), files })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn files(&self) -> WasiFilesystemCtx {
        self.files.clone()
    }
}
