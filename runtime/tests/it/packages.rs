//! Packages of steps: imported, read-only, isolated, limited; and malicious wheels.

use std::fs;
use std::path::{Path, PathBuf};

use bue_model::{FailureKind, Value};
use bue_runtime::{Limits, PackageProblem, Prepared, Site, Sites, Task};

use crate::common::{failure, prepared, python, run, value, with_packages};
use crate::wheel::wheel;

/// A wheel with one module and its metadata.
fn package(name: &str, version: &str, module: &str) -> Vec<u8> {
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

fn sites() -> Sites {
    Sites::open(&prepared()).expect("a folder")
}

fn site(wheels: &[(&str, Vec<u8>)]) -> Result<Site, PackageProblem> {
    unpack(wheels, &Limits::default())
}

fn unpack(wheels: &[(&str, Vec<u8>)], limits: &Limits) -> Result<Site, PackageProblem> {
    let wheels: Vec<(&str, &[u8])> = wheels.iter().map(|(file, bytes)| (*file, bytes.as_slice())).collect();
    sites().unpack(&wheels, limits).map_err(|bad| bad.problem)
}

/// A call of a function of a one-file module that has these packages.
fn step(text: &str, function: &str, wheels: &[(&str, Vec<u8>)]) -> Task {
    let wheels: Vec<(&str, &[u8])> = wheels.iter().map(|(file, bytes)| (*file, bytes.as_slice())).collect();
    with_packages(python(text, function, &[]), &wheels)
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

#[tokio::test]
async fn a_package_is_imported_with_the_module_and_its_files_are_read_when_it_runs() {
    let code = r#"
import greet, os, sys
loaded = greet.LOADED

def same():
    import greet
    return greet.LOADED is loaded

def files():
    import importlib.resources, importlib.metadata, pathlib, pkgutil
    words = importlib.resources.files("greet").joinpath("data/words.txt").read_text()
    here = pathlib.Path(greet.__file__).parent
    return [
        words, importlib.metadata.version("greet"), pkgutil.get_data("greet", "data/words.txt").decode(),
        open(here / "data" / "words.txt").readline(), sorted(os.listdir(here)), (here / "nothing").exists(),
        [dist.metadata["Name"] for dist in importlib.metadata.distributions()],
    ]
"#;
    let wheels = [("greet-1.5-py3-none-any.whl", package("greet", "1.5", "LOADED = object()\n"))];
    assert_eq!(value(&run(&step(code, "same", &wheels)).await), Value::Bool(true));
    let words = text("one\ntwo\n");
    let listed = Value::List(vec![text("__init__.py"), text("data")]);
    let expected = vec![
        words.clone(),
        text("1.5"),
        words,
        text("one\n"),
        listed,
        Value::Bool(false),
        Value::List(vec![text("greet")]),
    ];
    assert_eq!(value(&run(&step(code, "files", &wheels)).await), Value::List(expected));
}

#[tokio::test]
async fn two_steps_have_two_versions_of_one_package() {
    let code = "import greet\ndef versions():\n    import importlib.metadata\n    return [greet.V, importlib.metadata.version('greet')]";
    let steps = ["1", "2"].map(|version| {
        let file = format!("greet-{version}-py3-none-any.whl");
        let module = package("greet", version, &format!("V = 'v{version}'\n"));
        step(code, "versions", &[(file.as_str(), module)])
    });
    for _ in 0..2 {
        for (step, version) in steps.iter().zip(["1", "2"]) {
            let both = vec![text(&format!("v{version}")), text(version)];
            assert_eq!(value(&run(step).await), Value::List(both));
        }
    }
}

#[tokio::test]
async fn the_same_packages_can_be_unpacked_again() {
    let code = "import greet\ndef read():\n    return open(greet.__file__).read()";
    let wheels = [("greet-1-py3-none-any.whl", package("greet", "1", "V = 1\n"))];
    for _ in 0..3 {
        // the folder of the previous round was removed
        assert_eq!(value(&run(&step(code, "read", &wheels)).await), text("V = 1\n"));
    }
}

#[tokio::test]
async fn packages_are_read_and_nothing_else_is() {
    let code = r#"
import greet, os

def try_all():
    worked = []
    def trying(what, *arguments):
        try:
            what(*arguments)
            worked.append(f"{what.__name__}{arguments} worked")
        except OSError:
            pass
    for path in ("/etc/passwd", "/packages/../../../etc/passwd", "../lock", "/packages/../lock", "/", "/packages/.."):
        trying(open, path)
        trying(os.listdir, path) if path != "/" else None
    for path in ("/packages/greet/__init__.py", "/packages/new.py"):
        trying(open, path, "w")
        trying(open, path, "a")
        trying(os.remove, path)
    trying(os.mkdir, "/packages/folder")
    trying(os.rename, "/packages/greet", "/packages/other")
    trying(os.rmdir, "/packages/greet/data")
    return worked

def many():
    return [open("/packages/greet/__init__.py") for number in range(5000)]
"#;
    let wheels = [("greet-1-py3-none-any.whl", package("greet", "1", ""))];
    assert_eq!(value(&run(&step(code, "try_all", &wheels)).await), Value::List(vec![]));
    let many = failure(&run(&step(code, "many", &wheels)).await);
    assert_eq!(many.kind, FailureKind::Limit);
    assert!(many.message.contains("more open than its limit of 128 files"), "{}", many.message);
}

#[tokio::test]
async fn a_step_without_packages_finds_no_folder() {
    let code = r#"
import os
def look():
    errors = []
    for path in ("/packages", "/packages/greet/__init__.py", "x"):
        try:
            os.stat(path)
        except OSError as error:
            errors.append(type(error).__name__)
    try:
        import greet
    except ModuleNotFoundError as error:
        errors.append(error.name)
    return len(errors)
"#;
    assert_eq!(value(&run(&python(code, "look", &[])).await), Value::Int(4));
}

#[tokio::test]
async fn a_package_that_fails_fails_its_step_alone() {
    let bad = [("bad-1-py3-none-any.whl", package("bad", "1", "raise RuntimeError('no good')\n"))];
    let failed = failure(&run(&step("import bad\ndef f():\n    pass", "f", &bad)).await);
    assert_eq!(failed.kind, FailureKind::BadCode);
    assert!(failed.message.contains("no good"), "{}", failed.message);
    assert!(failed.trace.is_some_and(|trace| trace.contains("/packages/bad/__init__.py")));
    let good = [("good-1-py3-none-any.whl", package("good", "1", ""))];
    assert_eq!(value(&run(&step("import good\ndef f():\n    return 1", "f", &good)).await), Value::Int(1));
}

#[test]
fn files_that_lead_out_of_a_package_are_refused() {
    for path in ["../evil.py", "a/../../evil.py", "/tmp/evil.py", "a\\..\\evil.py", "a/./b.py"] {
        let problem = site(&[("x-1-py3-none-any.whl", wheel(&[("ok.py", b""), (path, b"")]))]).expect_err(path);
        assert!(matches!(problem, PackageProblem::Unfit(..)), "{path}: {problem}");
    }
    let mut link = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    link.add_symlink("a.py", "/etc/passwd", zip::write::SimpleFileOptions::default()).expect("a link");
    let link = link.finish().expect("a zip file").into_inner();
    assert!(matches!(site(&[("x-1-py3-none-any.whl", link)]), Err(PackageProblem::Unfit(..))));
}

#[test]
fn invalid_wheels_are_refused() {
    let whole = package("a", "1", &"x = 1\n".repeat(1000));
    let mut damaged = whole.clone();
    damaged[60] ^= 0xff;
    for bytes in [Vec::new(), b"hello".to_vec(), whole[..whole.len() / 2].to_vec(), damaged] {
        let problem = site(&[("a-1-py3-none-any.whl", bytes)]).expect_err("no wheel");
        assert!(matches!(problem, PackageProblem::NotZip(_)), "{problem}");
    }
}

#[test]
fn every_cost_of_packages_has_a_limit() {
    let bomb = wheel(&[("zeros.bin", &vec![0; 3 << 20])]);
    assert!(bomb.len() < 10_000);
    let many: Vec<String> = (0..50).map(|number| format!("m{number}.py")).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|name| (name.as_str(), b"".as_slice())).collect();
    let cases = [
        ("packages_bytes", bomb.clone(), Limits { packages_bytes: 1 << 20, ..Limits::default() }),
        ("packages_packed_bytes", bomb.clone(), Limits { packages_packed_bytes: 100, ..Limits::default() }),
        ("packages_files", wheel(&many), Limits { packages_files: 49, ..Limits::default() }),
        ("packages", bomb, Limits { packages: 0, ..Limits::default() }),
    ];
    for (name, bytes, limits) in cases {
        let problem = unpack(&[("x-1-py3-none-any.whl", bytes)], &limits).expect_err(name);
        assert!(matches!(problem, PackageProblem::Limit { limit, .. } if limit == name), "{name}: {problem}");
        assert!(problem.to_string().contains("bue.toml"), "{problem}");
    }
}

#[test]
fn data_folders_put_modules_where_they_belong() {
    let bytes = wheel(&[("x-1.data/purelib/x.py", b"1"), ("x-1.data/scripts/run", b"2"), ("y/z.py", b"3")]);
    assert_eq!(site(&[("x-1-py3-none-any.whl", bytes)]).expect("unpacked").bytes(), 2);
}

/// Folders in the cache that belong to a process.
fn folders(cache: &Path) -> Vec<PathBuf> {
    let all = fs::read_dir(cache.join("sandbox/packages")).expect("a folder").flatten().map(|entry| entry.path());
    all.filter(|path| path.is_dir()).collect()
}

#[test]
fn what_a_killed_process_left_is_removed_by_the_next() {
    let cache = tempfile::tempdir().expect("a directory");
    let prepared = Prepared::open_guest(cache.path(), &cache.path().join("keys"), &crate::prepare::counter(), &|_| {})
        .expect("prepared");
    let first = Sites::open(&prepared).expect("a folder");
    let site = first.unpack(&[("a-1-py3-none-any.whl", &package("a", "1", ""))], &Limits::default()).expect("unpacked");
    let left = cache.path().join("sandbox/packages/process-killed");
    fs::create_dir_all(left.join("0/a")).expect("left behind");
    let second = Sites::open(&prepared).expect("a folder");
    assert!(!left.exists(), "no process holds its lock");
    assert_eq!(folders(cache.path()).len(), 2, "those of processes that live stay");
    drop((first, second));
    assert_eq!(folders(cache.path()).len(), 1, "a site keeps its folder");
    drop(site);
    assert_eq!(folders(cache.path()), [] as [PathBuf; 0]);
}
