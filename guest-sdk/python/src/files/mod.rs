//! The files of a step: what was packed with it and the time zone database, read-only, and a private `/tmp`. They are part of the guest's memory: they count
//! against its limit, begin as those of the image, and are gone when the step ends.
//!
//! ```text
//! Python, the C library   call WASI's functions, as on any system
//! wasi.rs                 exports functions with the same signatures, to which the host redirects these calls
//!                         (`runtime/src/host/guest/split.rs`)
//! descriptors.rs          which descriptor is a file here, and which one is the host's: its streams, and the folder of packages
//! tree.rs                 folders and files
//! errno.rs                what WASI calls its errors
//! ```

mod descriptors;
mod errno;
mod tree;
mod wasi;

use std::borrow::Cow;
use std::cell::RefCell;

use descriptors::Descriptors;
use tree::Tree;

thread_local! {
    static FILES: RefCell<Files> = RefCell::new(Files::new());
}

/// All folders, files and descriptors.
struct Files {
    tree: Tree,
    descriptors: Descriptors,
}

impl Files {
    fn new() -> Self {
        Self { tree: Tree::new(), descriptors: Descriptors::new() }
    }
}

/// Add a file that was packed with the step. A path that another file makes impossible is left out.
pub(crate) fn pack(path: &str, content: &[u8]) {
    FILES.with_borrow_mut(|files| files.tree.pack(path, Cow::Owned(content.to_vec())));
}
