//! Wheels of strangers are read and unpacked, or refused; and nothing is written outside their folder.

use bue_runtime::{Limits, PackageProblem, Sites, Wheel};
use bue_test_support::mutation::{mutated, runner, write_seeds};

use super::wheel_claims::check_wheel;
use crate::common::prepared;
use crate::wheel::wheel;

fn seeds() -> Vec<Vec<u8>> {
    vec![
        wheel(&[("a/__init__.py", b"x = 1\n"), ("a-1.dist-info/METADATA", b"Name: a\n")]),
        wheel(&[("a", b""), ("b", b"")]),
        wheel(&[("a-1.data/purelib/b.py", b"x"), ("a-1.data/scripts/c", b"y"), ("d/e/f.py", &[0; 5_000])]),
        wheel(&[]),
        zip64(),
    ]
}

fn small_limits() -> Limits {
    let mut limits = Limits::default();
    (limits.packages_files, limits.packages_bytes) = (2, 4_000);
    limits
}

#[test]
fn any_bytes_are_a_wheel_or_refused() {
    write_seeds("wheel", &seeds());
    let sites = Sites::open(&prepared()).expect("a folder");
    let limits = small_limits();
    let result = runner(200).run(&mutated(seeds()), |bytes| {
        check_wheel(&bytes);
        match sites.unpack(&[("a.whl", bytes.as_slice())], &limits) {
            Ok(site) => assert!(site.bytes() <= limits.packages_bytes),
            // an error of this machine would be tried again, on every worker
            Err(refused) => assert!(!matches!(refused.problem, PackageProblem::Io(_)), "{refused}"),
        }
        Ok(())
    });
    assert!(result.is_ok(), "{}", result.expect_err("a failing case"));
}

/// Found by the test above: the method is known only when a file is read.
#[test]
fn a_wheel_with_an_unknown_method_of_compression_is_refused_as_bad_code() {
    let sites = Sites::open(&prepared()).expect("a folder");
    let mut bytes = wheel(&[("a.py", b"x = 1\n")]);
    for (signature, method) in [(b"PK\x03\x04", 8), (b"PK\x01\x02", 10)] {
        let at = bytes.windows(4).position(|four| four == signature).expect("a record");
        bytes[at + method..at + method + 2].fill(0xff);
    }
    let refused = sites.unpack(&[("a.whl", bytes.as_slice())], &Limits::default()).expect_err("refused");
    assert!(matches!(refused.problem, PackageProblem::NotZip(_)), "{refused}");
}

/// A file where another file needs a folder, in either order; and a name that a file system cannot have.
#[test]
fn a_wheel_whose_files_exclude_each_other_is_refused_as_bad_code() {
    let sites = Sites::open(&prepared()).expect("a folder");
    for files in [[("a", b"1"), ("a/b", b"2")], [("a/b", b"1"), ("a", b"2")], [("a/b/c", b"1"), ("a/b", b"2")]] {
        let files = files.map(|(path, content)| (path, content.as_slice()));
        let refused = sites.unpack(&[("a.whl", wheel(&files).as_slice())], &Limits::default()).expect_err("refused");
        assert!(matches!(refused.problem, PackageProblem::Unfit(..)), "{files:?}: {refused}");
    }
}

/// A zip file with the records of the format for more than 65,535 files at its end. The reader would reserve memory for all files that
/// these records claim.
fn zip64() -> Vec<u8> {
    let mut bytes = wheel(&[("a.py", b"x = 1\n")]);
    let end = bytes.split_off(bytes.len() - 22);
    let at = bytes.len() as u64;
    let number = |at: usize| u64::from(u32::from_le_bytes(*end[at..].first_chunk().expect("four bytes")));
    let (directory_size, directory_start) = (number(12), number(16));
    bytes.extend(b"PK\x06\x06");
    bytes.extend(44_u64.to_le_bytes());
    bytes.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    for number in [1, 1, directory_size, directory_start] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(b"PK\x06\x07\0\0\0\0");
    bytes.extend(at.to_le_bytes());
    bytes.extend(1_u32.to_le_bytes());
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend([0xff; 12]);
    bytes.extend([0, 0]);
    bytes
}

#[test]
fn a_wheel_in_the_format_zip64_is_refused_before_its_files_are_listed() {
    let refused = Wheel::open(&zip64()).map(drop).expect_err("refused");
    assert!(refused.to_string().contains("ZIP64"), "{refused}");
    // what the reader would have done
    let listed = zip::ZipArchive::new(std::io::Cursor::new(zip64())).expect("a zip file");
    assert_eq!(listed.len(), 1);
}
