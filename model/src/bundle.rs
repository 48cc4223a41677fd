//! The code of one step as it travels: the step's own source and the neighbours it may import.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::job::BlobRef;

/// What a worker needs to run a step, stored in the bucket under the hash of its postcard bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    /// Path in [`files`](Self::files) of the file that holds the step.
    pub entry: String,
    /// Number of the line of the user's file at which the entry's text begins, from 1. Inline code stands somewhere
    /// inside a script, and a traceback must name the line the user sees.
    pub first_line: u32,
    /// Relative paths with `/`, sorted, without `..`; the entry is one of them.
    pub files: Vec<SourceFile>,
    /// Python packages it may import, in order of their files' names. They are named here and stored by themselves, so
    /// that steps share them.
    pub packages: Vec<Package>,
}

/// One Python package of a [`Bundle`]: a wheel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// The wheel's file name, `requests-2.34.2-py3-none-any.whl`: what messages call it.
    pub file: String,
    /// The wheel in the bucket.
    pub wheel: BlobRef,
}

/// One file of a [`Bundle`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFile {
    /// Relative path with `/`.
    pub path: String,
    /// What it holds.
    pub content: Bytes,
}

impl Bundle {
    /// The entry's content, or `None` if the bundle does not hold its own entry.
    #[must_use]
    pub fn entry_content(&self) -> Option<&Bytes> {
        self.files.iter().find(|file| file.path == self.entry).map(|file| &file.content)
    }
}
