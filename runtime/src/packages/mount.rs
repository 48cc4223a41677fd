//! A step's packages as its sandbox sees them: a folder to read, and nothing above it.

use std::path::{Path, PathBuf};

use wasmtime_wasi::filesystem::WasiFilesystemCtx;
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

/// Where it is in the guest. The base image knows that there is such a place; `lib/_loader.py` looks there.
const PLACE: &str = "/packages";

/// An open folder, shared by all instances that have it.
#[derive(Clone)]
pub(crate) struct Mount {
    path: PathBuf,
    files: WasiFilesystemCtx,
}

impl Mount {
    pub(crate) fn open(path: &Path) -> wasmtime::Result<Self> {
        let mut wasi = WasiCtxBuilder::new();
        // Read in this thread: a file that was just unpacked is there in microseconds, and on another thread each of an import's
        // hundred reads would come back behind all other steps of this host. Whatever else could block must not.
        wasi.allow_blocking_current_thread(true).preopened_dir(path, PLACE, FsPerms::ReadOnly)?;
        wasi.allow_blocking_current_thread(false);
        // made once, and cloned into every instance: a thousand waiting steps hold the folder open once
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
