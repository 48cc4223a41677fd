//! Wheels of strangers are read and unpacked, or refused; and nothing is written outside their folder.

use bue_runtime::{Limits, PackageProblem, Sites, Wheel};
use bue_test_support::mutation::{mutated, runner, write_seeds};

use super::wheel_claims::check_wheel;
use crate::common::prepared;
use crate::wheel::wheel;

fn seeds() -> Vec<Vec<u8>> {
    let many: Vec<String> = (0..20).map(|index| format!("a/m{index}.py")).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|path| (path.as_str(), b"x = 1\n".as_slice())).collect();
    vec![
        wheel(&[("a/__init__.py", b"x = 1\n"), ("a-1.dist-info/METADATA", b"Name: a\n")]),
        wheel(&[("a", b""), ("b", b"")]),
        wheel(&[("a-1.data/purelib/b.py", b"x"), ("a-1.data/scripts/c", b"y"), ("d/e/f.py", &[0; 5_000])]),
        wheel(&many),
        wheel(&[]),
    ]
}

fn small_limits() -> Limits {
    let mut limits = Limits::default();
    (limits.packages_files, limits.packages_bytes) = (30, 100_000);
    limits
}

#[test]
fn any_bytes_are_a_wheel_or_refused() {
    write_seeds("wheel", &seeds());
    let sites = Sites::open(&prepared()).expect("a folder");
    let limits = small_limits();
    let result = runner(400).run(&mutated(seeds()), |bytes| {
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

/// The format of zip files with more than 65,535 files, whose number the reader would reserve memory for.
#[test]
fn a_wheel_in_the_format_zip64_is_refused_before_its_files_are_listed() {
    let names: Vec<String> = (0..66_000).map(|index| index.to_string()).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), b"".as_slice())).collect();
    let refused = Wheel::open(&wheel(&files)).map(drop).expect_err("refused");
    assert!(refused.to_string().contains("ZIP64"), "{refused}");
}
