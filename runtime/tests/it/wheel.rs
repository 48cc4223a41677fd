//! Wheels written by tests: small zip files.

use std::io::{Cursor, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// A zip file of these files.
pub(crate) fn wheel(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for (path, content) in files {
        zip.start_file(*path, options).expect("a file");
        zip.write_all(content).expect("written");
    }
    zip.finish().expect("a zip file").into_inner()
}
