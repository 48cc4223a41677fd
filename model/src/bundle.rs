//! [`Bundle`]: the code of one step, as it is uploaded: its source and the modules beside it that it imports.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::job::BlobRef;

/// The code that a worker needs to run a step. Stored in the bucket as postcard, under the hash of those bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    /// The path in [`files`](Self::files) of the file with the step.
    pub entry: String,
    /// The line, from 1, of the user's file on which the entry's text begins. Inline code begins somewhere inside a script, and a
    /// traceback must name the line that the user sees.
    pub first_line: u32,
    /// All files, sorted by path; the entry is one of them.
    pub files: Vec<SourceFile>,
    /// The Python packages that it may import, sorted by file name. Each is a separate blob, which steps share.
    pub packages: Vec<Package>,
}

/// A Python package of a [`Bundle`]: a wheel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// The wheel's file name, which messages use: `requests-2.34.2-py3-none-any.whl`.
    pub file: String,
    /// The wheel in the bucket.
    pub wheel: BlobRef,
}

/// A file of a [`Bundle`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFile {
    /// A relative path, with `/` and without `..`.
    pub path: String,
    /// The file's bytes.
    pub content: Bytes,
}

impl Bundle {
    /// Returns the content of the entry, or `None` if the bundle lacks it.
    #[must_use]
    pub fn entry_content(&self) -> Option<&Bytes> {
        self.files.iter().find(|file| file.path == self.entry).map(|file| &file.content)
    }
}
