//! Python packages, from `!requires` to the import. The tests write the wheels, and pip finds them in a folder, so no network is
//! needed. Without pip these tests print a message and pass, unless `BUE_TEST_WHEELS=1`.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use bue_test_support::process;
use serde_json::{Value, json};

#[path = "../../runtime/tests/it/wheel.rs"]
mod wheel;

use crate::project::{CommandOutput, Project, cache_dir, finish, prepare, step};
use crate::services::Server;

use wheel::wheel as zipped;

/// A project whose pip finds only the wheels in its folder `wheels`.
struct Packages {
    project: Project,
}

/// Returns whether pip is installed; with `BUE_TEST_WHEELS=1` it must be.
fn has_pip() -> bool {
    let null = || Stdio::null();
    let status = Command::new("python3").args(["-m", "pip", "--version"]).stdout(null()).stderr(null()).status();
    let has_pip = status.is_ok_and(|status| status.success());
    assert!(has_pip || std::env::var_os("BUE_TEST_WHEELS").is_none(), "`python3 -m pip` does not run");
    if !has_pip {
        println!("not tested: `python3 -m pip` does not run");
    }
    has_pip
}

/// A hostile folder: Python would take it for its own pip.
#[test]
fn a_pip_of_the_working_directory_is_not_executed() {
    let script = "!requires six==1.16.0\nimport python (f) s.py\nf()\n";
    let project = Project::new(&[("x.bue", script), ("s.py", "def f(): pass\n")]);
    let code = format!("open({:?}, 'w')\n", project.path("executed"));
    for name in ["pip/__init__.py", "pip/__main__.py", "json.py", "runpy.py", "sitecustomize.py"] {
        project.write(name, &code);
    }
    let mut command = project.command(&["deps", "lock", "x.bue"]);
    // no package index is reached, and none is needed to see which pip runs
    let output = finish({
        command.env("PIP_NO_INDEX", "1");
        command
    });
    assert_ne!(output.code, 0, "{}", output.stderr);
    assert!(!project.path("executed").exists(), "{}", output.stderr);
}

impl Packages {
    fn new(files: &[(&str, &str)]) -> Option<Self> {
        let has_pip = has_pip();
        prepare();
        let project = Project::new(files);
        fs::create_dir(project.path("wheels")).expect("a folder");
        has_pip.then_some(Self { project })
    }

    /// Writes a wheel with one module.
    fn add(&self, name: &str, version: &str, module: &str, requires: &[&str]) {
        self.add_files(
            &format!("{name}-{version}-py3-none-any.whl"),
            &[(&format!("{name}/__init__.py"), module)],
            requires,
        );
    }

    /// Writes a wheel with these files and its metadata.
    fn add_files(&self, file: &str, files: &[(&str, &str)], requires: &[&str]) {
        let parts: Vec<&str> = file.trim_end_matches(".whl").split('-').collect();
        let [name, version, tags @ ..] = parts.as_slice() else { panic!("{file}") };
        let info = format!("{name}-{version}.dist-info");
        let requires: String = requires.iter().map(|requirement| format!("Requires-Dist: {requirement}\n")).collect();
        let metadata = format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}");
        let about = format!("Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {}\n", tags.join("-"));
        let (metadata_path, about_path) = (format!("{info}/METADATA"), format!("{info}/WHEEL"));
        let record = format!("{info}/RECORD");
        let own = [(metadata_path.as_str(), metadata.as_str()), (&about_path, &about), (&record, "")];
        let all: Vec<(&str, &[u8])> = files.iter().chain(&own).map(|(path, text)| (*path, text.as_bytes())).collect();
        fs::write(self.project.path("wheels").join(file), zipped(&all)).expect("a wheel");
    }

    fn bue(&self, arguments: &[&str]) -> CommandOutput {
        let mut command = self.project.command(arguments);
        command.env("PIP_NO_INDEX", "1").env("PIP_FIND_LINKS", self.project.path("wheels"));
        command.env("PIP_CONFIG_FILE", "/dev/null");
        finish(command)
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.project.path(path)).expect("a file")
    }
}

/// An inline step that returns the version of `greet` that it imports.
fn greeting(name: &str) -> String {
    step(name, &format!("import greet\ndef {name}():\n    return greet.V"))
}

fn verdict(json: &Value, name: &str) -> Value {
    let packages = json["packages"].as_array().expect("packages");
    packages.iter().find(|package| package["name"] == name).unwrap_or_else(|| panic!("no {name} in {json}")).clone()
}

#[test]
fn runs_use_the_locked_packages() {
    let script = format!("!requires greet>=1\n{}hello()\n", greeting("hello"));
    let Some(packages) = Packages::new(&[("x.bue", &script)]) else { return };
    packages.add("greet", "1.5", "import words\nV = words.W\n", &["words<2"]);
    packages.add("words", "1.0", "W = 'locked'\n", &[]);
    packages.add("words", "2.0", "W = 'too new'\n", &[]);
    packages.bue(&["check", "x.bue"]).expect_code(1).expect_stderr(&["E0060", "`bue deps lock x.bue`"]);
    packages.bue(&["run", "x.bue"]).expect_code(1).expect_stderr(&[
        "E0060",
        "there is no bue.lock",
        "`bue deps lock x.bue`",
    ]);
    packages.bue(&["deps", "lock", "x.bue"]).expect_code(0).expect_stderr(&["2 packages"]);
    let lock = packages.read("bue.lock");
    for part in [
        "requires = [\"greet>=1\"]",
        "name = \"words\"\nversion = \"1.0\"",
        "words-1.0-py3-none-any.whl",
        "sha256 = \"",
    ] {
        assert!(lock.contains(part), "no {part} in\n{lock}");
    }
    assert!(!lock.contains("http") && !lock.contains("file:"), "{lock}");
    assert_eq!(packages.bue(&["check", "x.bue"]).expect_code(0).stderr, "");
    // a newer version changes nothing until it is locked, and locking again without a newer version changes nothing
    packages.bue(&["deps", "lock", "x.bue"]).expect_code(0);
    assert_eq!(packages.read("bue.lock"), lock);
    packages.add("greet", "1.6", "V = 'newer'\n", &[]);
    assert_eq!(packages.bue(&["run", "x.bue", "--json"]).expect_code(0).last(), "locked");
    packages.bue(&["deps", "lock", "x.bue"]).expect_code(0);
    assert_eq!(packages.bue(&["run", "x.bue", "--json"]).expect_code(0).last(), "newer");
    // a lock without an entry for the current requirements
    packages.project.write("x.bue", &script.replace("greet>=1", "greet>=1.5"));
    packages.bue(&["run", "x.bue"]).expect_code(1).expect_stderr(&[
        "E0060",
        "bue.lock has no entry for `greet>=1.5`",
        "`bue deps lock x.bue`",
    ]);
    packages.project.write("bue.lock", "version = 7\n");
    packages.bue(&["run", "x.bue"]).expect_code(1).expect_stderr(&[
        "E0060",
        "bue.lock cannot be parsed",
        "`bue deps lock x.bue`",
    ]);
}

#[test]
fn two_steps_have_two_versions_side_by_side() {
    let inside = |name: &str, needs: &str| greeting(name).replacen('\n', &format!("\n    !requires {needs}\n"), 1);
    let script = format!("{}{}old()\nnew()\nold()\n", inside("old", "greet<2"), inside("new", "greet>=2"));
    let Some(packages) = Packages::new(&[("x.bue", &script)]) else { return };
    packages.add("greet", "1.0", "V = 'one'\n", &[]);
    packages.add("greet", "2.0", "V = 'two'\n", &[]);
    packages.bue(&["deps", "lock", "x.bue"]).expect_code(0).expect_stderr(&["2 packages for 2 lists"]);
    let values = packages.bue(&["run", "x.bue", "--json"]).expect_code(0).values();
    assert_eq!(values, [json!("one"), json!("two"), json!("one")]);
}

#[test]
fn the_nearest_list_of_requirements_counts() {
    let files = [
        ("x.bue", "import python (near) near/steps.py\nimport python (far) far.py\nnear()\nfar()\n"),
        ("near/steps.py", "import greet\ndef near():\n    return greet.V\n"),
        ("far.py", "import greet\ndef far():\n    return greet.V\n"),
        ("near/requirements.txt", "# the old one\ngreet==1.0\n"),
        ("requirements.txt", "greet ; sys_platform == 'wasi' # any\n"),
    ];
    let Some(packages) = Packages::new(&files) else { return };
    packages.add("greet", "1.0", "V = 'one'\n", &[]);
    packages.add("greet", "2.0", "V = 'two'\n", &[]);
    packages.bue(&["deps", "lock", "x.bue"]).expect_code(0);
    assert_eq!(packages.bue(&["run", "x.bue", "--json"]).expect_code(0).values(), [json!("one"), json!("two")]);
    packages.project.write("requirements.txt", "-e .\n");
    packages
        .bue(&["check", "x.bue"])
        .expect_code(1)
        .expect_stderr(&["E0062", "requirements.txt:1: `-e .` is an option"]);
    packages.bue(&["deps", "lock", "x.bue"]).expect_code(1).expect_stderr(&["E0062"]);
}

#[test]
fn scripts_of_one_folder_share_its_lock() {
    let scripts = [("1", "a.bue"), ("2", "b.bue")];
    let scripts =
        scripts.map(|(version, name)| (name, format!("!requires greet=={version}\n{}hello()\n", greeting("hello"))));
    let files: Vec<(&str, &str)> = scripts.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let Some(packages) = Packages::new(&files) else { return };
    packages.add("greet", "1", "V = 1\n", &[]);
    packages.add("greet", "2", "V = 2\n", &[]);
    packages.bue(&["deps", "lock", "a.bue"]).expect_code(0);
    packages.bue(&["deps", "lock", "b.bue"]).expect_code(0);
    assert_eq!(packages.bue(&["run", "a.bue", "--json"]).expect_code(0).last(), 1);
    assert_eq!(packages.bue(&["run", "b.bue", "--json"]).expect_code(0).last(), 2);
    fs::remove_file(packages.project.path("a.bue")).expect("removed");
    packages.bue(&["deps", "lock", "b.bue"]).expect_code(0);
    assert!(!packages.read("bue.lock").contains("greet==1"), "no script requires it any more");
}

/// `src/deps/guest_python.rs` must agree with the guest itself.
#[test]
fn markers_are_evaluated_for_the_guest() {
    let markers = r"
import json, os, platform, sys
def markers():
    environment = {
        'implementation_name': sys.implementation.name, 'os_name': os.name, 'sys_platform': sys.platform,
        'platform_python_implementation': platform.python_implementation(),
        'python_version': '.'.join(platform.python_version_tuple()[:2]),
    }
    return [f'{name} == {value!r}' for name, value in environment.items()]";
    let script = format!("{}markers()\n", step("markers", markers));
    let markers = Project::script(&script).run().expect_code(0).last();
    let markers: Vec<&str> = markers.as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    assert_eq!(markers.len(), 5);
    let script = format!("!requires greet\n{}hello()\n", greeting("hello"));
    let Some(packages) = Packages::new(&[("x.bue", &script)]) else { return };
    let mut requires: Vec<String> =
        vec!["other ; sys_platform == 'linux'".to_owned(), "other ; python_version < '3.14'".to_owned()];
    for (number, marker) in markers.iter().enumerate() {
        packages.add(&format!("word{number}"), "1", "", &[]);
        requires.push(format!("word{number} ; {marker}"));
    }
    let requires: Vec<&str> = requires.iter().map(String::as_str).collect();
    packages.add("greet", "1", "import word0, word1, word2, word3, word4\nV = 'all'\n", &requires);
    packages.bue(&["deps", "lock", "x.bue"]).expect_code(0).expect_stderr(&["6 packages"]);
    assert_eq!(packages.bue(&["run", "x.bue", "--json"]).expect_code(0).last(), "all");
}

/// Returns the tags of a wheel for this machine, according to its pip.
fn machine_tags() -> Option<String> {
    let program = "from pip._vendor.packaging import tags; print(next(tags.sys_tags()))";
    let output = process::output(Command::new("python3").args(["-c", program])).ok()?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned()).filter(|tags| !tags.is_empty())
}

#[test]
fn native_code_is_refused_with_what_to_use_instead() {
    let script = format!("!requires greet, frames\n{}hello()\n", greeting("hello"));
    let Some(packages) = Packages::new(&[("x.bue", &script)]) else { return };
    let tags = machine_tags().expect("tags");
    packages.add("greet", "1", "V = 'fine'\n", &[]);
    packages.add("frames", "1", "", &["numpy"]);
    packages.add_files(&format!("numpy-2.0-{tags}.whl"), &[("numpy/_core.so", "\u{7f}ELF")], &[]);
    packages.bue(&["deps", "lock", "x.bue"]).expect_code(1).expect_stderr(&["numpy", "`bue deps check FILE`"]);
    assert!(!packages.project.path("bue.lock").exists());
    let output = packages.bue(&["deps", "check", "x.bue", "--json"]).expect_code(1);
    let (numpy, frames, greet) =
        (verdict(&output.json(), "numpy"), verdict(&output.json(), "frames"), verdict(&output.json(), "greet"));
    assert_eq!((&numpy["works"], &numpy["version"]), (&json!("no"), &json!("2.0")));
    assert!(numpy["why"][0].as_str().is_some_and(|why| why.contains(&tags) && why.contains("native code")), "{numpy}");
    assert!(numpy["instead"].as_str().is_some_and(|instead| instead.contains("sqlite3 step")), "{numpy}");
    assert_eq!((&frames["works"], &frames["why"][0]), (&json!("no"), &json!("it needs numpy")));
    assert_eq!((&greet["works"], &greet["modules"]), (&json!("yes"), &json!([{"name": "greet", "error": null}])));
    let plain = packages.bue(&["deps", "check", "x.bue"]).expect_code(1);
    for part in ["yes     greet 1", "no      numpy 2.0", "instead: lists"] {
        assert!(plain.stdout.contains(part), "no `{part}` in\n{}", plain.stdout);
    }
    // a lock written by hand
    let wheel = format!(
        "name = \"numpy\"\nversion = \"2.0\"\nfile = \"numpy-2.0-{tags}.whl\"\nsha256 = \"{}\"",
        "0".repeat(64)
    );
    let set = format!("requires = [\"frames\", \"greet\"]\nfiles = [\"numpy-2.0-{tags}.whl\"]");
    packages
        .project
        .write("bue.lock", &format!("version = 1\npython = \"3.14\"\n[[set]]\n{set}\n[[package]]\n{wheel}\n"));
    for verb in ["check", "run"] {
        packages.bue(&[verb, "x.bue"]).expect_code(1).expect_stderr(&["E0061", "numpy-2.0", "instead: lists"]);
    }
}

/// A package that is faster with native code, as many are.
const OPTIONAL: &str = "try:\n    from greet._fast import V\nexcept ImportError:\n    V = 'slow'\n";
const NATIVE_FILE: (&str, &str) = ("greet/_fast.cpython-314-x86_64-linux-gnu.so", "\u{7f}ELF");

#[test]
fn native_code_is_left_out_where_a_package_works_without_it() {
    let script = format!("!requires hello\n{}hello()\n", greeting("hello"));
    let Some(packages) = Packages::new(&[("x.bue", &script)]) else { return };
    let tags = machine_tags().expect("tags");
    packages.add("hello", "1", "", &["greet>1"]);
    packages.add_files(&format!("greet-2-{tags}.whl"), &[("greet/__init__.py", "V = 'of this machine'\n")], &[]);
    let linux = "greet-2-cp314-cp314-manylinux2014_x86_64.manylinux_2_17_x86_64.whl";
    packages.add_files(linux, &[("greet/__init__.py", OPTIONAL), NATIVE_FILE], &[]);
    packages.bue(&["deps", "lock", "x.bue"]).expect_code(0).expect_stderr(&["2 packages"]);
    assert!(packages.read("bue.lock").contains(linux), "the same file on every machine");
    assert_eq!(packages.bue(&["run", "x.bue", "--json"]).expect_code(0).last(), "slow");
    packages.bue(&["check", "x.bue"]).expect_code(0);
    let json = packages.bue(&["deps", "check", "x.bue", "--json"]).expect_code(0).json();
    assert_eq!((&verdict(&json, "greet")["works"], &verdict(&json, "greet")["file"]), (&json!("yes"), &json!(linux)));
    // on another machine, it is downloaded by the hash in the lock
    let lock = packages.read("bue.lock");
    for hash in lock.split("sha256 = \"").skip(1).filter_map(|rest| rest.split('"').next()) {
        fs::remove_file(cache_dir().join("wheels").join(hash)).expect("it was kept");
    }
    let again = packages.bue(&["run", "x.bue", "--json"]).expect_code(0);
    again.expect_stderr(&["downloading 2 packages"]);
    assert_eq!(again.last(), "slow");
}

#[test]
fn native_code_in_a_wheel_tagged_as_pure_is_found() {
    let script = format!("!requires greet\n{}hello()\n", greeting("hello"));
    let Some(packages) = Packages::new(&[("x.bue", &script)]) else { return };
    packages.add_files("greet-2-py3-none-any.whl", &[("greet/__init__.py", "import greet._fast\n"), NATIVE_FILE], &[]);
    packages.bue(&["deps", "lock", "x.bue"]).expect_code(1).expect_stderr(&[
        "E0061",
        NATIVE_FILE.0,
        "import greet: ModuleNotFoundError: No module named 'greet._fast'",
    ]);
    let output = packages.bue(&["deps", "check", "x.bue"]).expect_code(1);
    assert!(output.stdout.contains(&format!("{} is native code", NATIVE_FILE.0)), "{}", output.stdout);
    packages.add_files("greet-3-py3-none-any.whl", &[("greet/__init__.py", OPTIONAL), NATIVE_FILE], &[]);
    packages.bue(&["deps", "lock", "x.bue"]).expect_code(0);
    assert_eq!(packages.bue(&["run", "x.bue", "--json"]).expect_code(0).last(), "slow");
}

#[test]
fn a_failed_import_is_reported_with_the_guests_error() {
    let script = format!("!requires good, half, bad\n{}hello()\n", step("hello", "def hello():\n    return 1"));
    let Some(packages) = Packages::new(&[("x.bue", &script)]) else { return };
    packages.add("good", "1", "", &[]);
    packages.add("bad", "1", "import _curses\n", &[]);
    packages.add_files(
        "half-1-py3-none-any.whl",
        &[("half.py", ""), ("other.py", "raise ImportError('not here')\n")],
        &[],
    );
    let json = packages.bue(&["deps", "check", "x.bue", "--json"]).expect_code(1).json();
    assert_eq!(verdict(&json, "good")["works"], "yes");
    assert_eq!(verdict(&json, "half")["works"], "partly");
    assert_eq!(verdict(&json, "half")["why"], json!(["import other: ImportError: not here"]));
    let bad = verdict(&json, "bad");
    assert_eq!(bad["works"], "no");
    assert!(bad["why"][0].as_str().is_some_and(|why| why.starts_with("import bad: ModuleNotFoundError: ")), "{bad}");
}

#[test]
fn a_wheel_that_does_not_match_the_lock_is_not_used() {
    let script = format!("!requires greet\n{}hello()\n", greeting("hello"));
    let Some(packages) = Packages::new(&[("x.bue", &script)]) else { return };
    packages.add("greet", "1", "V = 'as it was locked'\n", &[]);
    packages.bue(&["deps", "lock", "x.bue"]).expect_code(0);
    // a wheel that is missing in the cache, or has other content there, is downloaded again
    let lock = packages.read("bue.lock");
    let hash = lock.split("sha256 = \"").nth(1).and_then(|rest| rest.split('"').next()).expect("a hash");
    let kept = cache_dir().join("wheels").join(hash);
    fs::remove_file(&kept).expect("it was kept");
    packages.bue(&["deps", "check", "x.bue"]).expect_code(0).expect_stderr(&["downloading 1 package"]);
    fs::write(&kept, "something else").expect("changed");
    assert_eq!(packages.bue(&["run", "x.bue", "--json"]).expect_code(0).last(), "as it was locked");
    // and a different wheel that is later published under the same name is not used
    fs::remove_file(&kept).expect("removed");
    packages.add("greet", "1", "V = 'wrong'\n", &[]);
    packages.bue(&["run", "x.bue"]).expect_code(3).expect_stderr(&["pip", "greet"]);
}

#[test]
fn a_hostile_wheel_is_refused_before_anything_runs() {
    let script = format!("!requires greet\n{}hello()\n", greeting("hello"));
    let Some(packages) = Packages::new(&[("x.bue", &script)]) else { return };
    packages.add_files("greet-1-py3-none-any.whl", &[("greet/__init__.py", ""), ("../../evil.py", "")], &[]);
    packages.bue(&["deps", "lock", "x.bue"]).expect_code(1).expect_stderr(&[
        "greet-1-py3-none-any.whl",
        "leads out of the package",
        "evil.py",
    ]);
}

#[test]
fn a_limit_of_packages_fails_the_step_alone() {
    let other = step("other", "def other():\n    return 'fine'");
    let script = format!("{other}!requires greet\n{}hello()\nother()\n", greeting("hello"));
    let Some(packages) = Packages::new(&[("x.bue", &script)]) else { return };
    packages.add("greet", "1", &format!("V = '{}'\n", "x".repeat(5_000_000)), &[]);
    packages.bue(&["deps", "lock", "x.bue"]).expect_code(0);
    packages.project.write("bue.toml", "[limits]\npackages_bytes = 1000000\n");
    let output = packages.bue(&["run", "x.bue", "--json"]).expect_code(1);
    output.expect_stderr(&["greet-1-py3-none-any.whl", "`packages_bytes`", "bue.toml"]);
    assert_eq!(output.values(), [Value::Null, json!("fine")]);
}

#[test]
fn packages_go_through_the_bucket_and_a_corrupt_one_fails_its_own_step_only() {
    let other = step("other", "def other():\n    return 'fine'");
    let script = format!("{other}!requires greet\n{}hello()\nother()\n", greeting("hello"));
    let Some(packages) = Packages::new(&[("x.bue", &script)]) else { return };
    packages.add("greet", "1", "V = 'there'\n", &[]);
    packages.bue(&["deps", "lock", "x.bue"]).expect_code(0);
    let folder = packages.project.folder();
    let bucket = Server::start(folder, &["bucket", "-b", "127.0.0.1:0", "--store", "dir:blobs"]);
    let hub = Server::start(folder, &["hub", "-b", "127.0.0.1:0", "-k", &bucket.address]);
    let upload = ["upload", "-b", &hub.address, "-k", &bucket.address, "-f", "x.bue", "--wait", "--json"];
    let work = ["worker", "-b", &hub.address, "-k", &bucket.address, "--sandbox"];
    let worker = Server::start(folder, &work);
    assert_eq!(packages.bue(&upload).expect_code(0).values(), [json!("there"), json!("fine")]);
    worker.stop();
    // a new worker finds a different wheel under the hash of this one
    let wheel = fs::read(packages.project.path("wheels/greet-1-py3-none-any.whl")).expect("the wheel");
    let is_stored = |path: &PathBuf| {
        path.starts_with(packages.project.path("blobs")) && fs::read(path).is_ok_and(|bytes| bytes == wheel)
    };
    let stored = packages.project.files().into_iter().find(is_stored).expect("the wheel in the bucket");
    packages.add("greet", "1", "V = 'other'\n", &[]);
    fs::copy(packages.project.path("wheels/greet-1-py3-none-any.whl"), &stored).expect("changed");
    let worker = Server::start(folder, &work);
    let output = packages.bue(&upload).expect_code(1);
    assert_eq!(output.values(), [Value::Null, json!("fine")]);
    let error = output.json()["failed"][0]["error"].to_string();
    assert!(error.contains("greet-1-py3-none-any.whl") && error.contains("damaged"), "{error}");
    drop((worker, hub, bucket));
}

#[test]
fn a_script_without_requirements_needs_no_pip() {
    let project = Project::script(&format!("{}one()\n", step("one", "def one():\n    return 1")));
    for verb in ["lock", "check"] {
        let mut command = project.command(&["deps", verb, "x.bue"]);
        finish({
            command.env("PATH", "");
            command
        })
        .expect_code(0)
        .expect_stderr(&["no step of x.bue requires a package"]);
    }
    project.write("x.bue", &format!("!requires six\n{}one()\n", step("one", "def one():\n    return 1")));
    let mut command = project.command(&["deps", "lock", "x.bue"]);
    command.env("PATH", "");
    finish(command).expect_code(3).expect_stderr(&["python3 -m pip", "uv"]);
}

/// Its package is a real one: if the index cannot be reached, the test prints a message and passes, unless `BUE_TEST_WHEELS=1`.
#[test]
fn the_script_of_the_page_runs() {
    let page = include_str!("../../docs/packages.md");
    let script = page.split("```bue\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a script");
    prepare();
    let project = Project::script(script);
    let locked = project.bue_writes(&["deps", "lock", "x.bue"]);
    if locked.code != 0 && std::env::var_os("BUE_TEST_WHEELS").is_none() {
        return println!("not tested: {}", locked.stderr);
    }
    locked.expect_code(0);
    let table = project.run().expect_code(0).last();
    assert!(table.as_str().is_some_and(|table| table.contains("Ada") && table.contains("130")), "{table}");
}

/// The tables have a row for each name in the lists of `bench`, in their order.
#[test]
fn the_packages_table_has_every_package_that_was_tried() {
    let rows = include_str!("../../docs/packages.md")
        .lines()
        .filter(|line| line.starts_with("| `") && line.matches(" | ").count() == 4);
    let rows: Vec<&str> = rows.filter_map(|row| row.split('`').nth(1)).collect();
    let first = include_str!("../../bench/packages.txt").lines();
    let second = include_str!("../../bench/packages_by_downloads.txt").lines();
    assert_eq!(rows, first.chain(second).collect::<Vec<_>>());
}
