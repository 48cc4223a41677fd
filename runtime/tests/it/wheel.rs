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

/// A package of one module, with what a package says of itself.
pub(crate) fn package(name: &str, version: &str, module: &str) -> Vec<u8> {
    let info = format!("{name}-{version}.dist-info");
    let metadata = format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n");
    let wheel_file = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
    wheel(&[
        (&format!("{name}/__init__.py"), module.as_bytes()),
        (&format!("{name}/data/words.txt"), b"one\ntwo\n"),
        (&format!("{info}/METADATA"), metadata.as_bytes()),
        (&format!("{info}/WHEEL"), wheel_file.as_bytes()),
        (&format!("{info}/RECORD"), b""),
    ])
}
