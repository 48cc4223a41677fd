//! The wall around sandbox hosts, tested from both sides: native code behind it tries to get out, and what hosts need works.
//!
//! Run as root, these tests start this program again as an ordinary user.

mod captured_log;
mod user;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use bue_model::{BlobHash, Bundle, SourceFile, Value, WallPart};
use bue_runtime::{
    ChildRole, EscapeTarget, Hosts, HostsConfig, Limits, RuntimeError, Sites, Wall, WallMode, serve_as_if_escaped,
    serve_sandbox_host, serve_sandbox_host_after,
};
use bue_test_support::wait::{wait_until, wait_until_async};
use bytes::Bytes;
use rustix::process::{DumpableBehavior, geteuid, set_dumpable_behavior};
use seccompiler::{SeccompAction, SeccompFilter, TargetArch, apply_filter};

use self::captured_log::CapturedLog;
use crate::common::{failure, keys, python, value, with_site};
use crate::wheel::wheel;
use crate::{Runtime, Test, children, run};

const AS_IF_ESCAPED: &str = "--as-if-escaped";
const COMPILER_AS_IF_ESCAPED: &str = "--compiler-as-if-escaped";
const PANIC: &str = "--panic";
/// The errors with which a wall refuses: not permitted, no access, no such call.
const REFUSED: [i32; 3] = [libc::EPERM, libc::EACCES, libc::ENOSYS];

pub(crate) fn tests() -> Vec<Test> {
    vec![
        ("the_wall_stops_a_host_that_was_broken_out_of", the_wall_stops_a_host_that_was_broken_out_of),
        ("the_wall_stops_a_compiler_that_was_broken_out_of", the_wall_stops_a_compiler_that_was_broken_out_of),
        ("the_wall_is_what_stops_it", the_wall_is_what_stops_it),
        ("the_wall_that_is_up_is_reported", the_wall_that_is_up_is_reported),
        ("the_wall_that_is_required_must_be_complete", the_wall_that_is_required_must_be_complete),
        ("the_wall_lets_packages_be_read", the_wall_lets_packages_be_read),
        ("the_wall_without_landlock_and_user_refuses_packages", the_wall_without_landlock_and_user_refuses_packages),
        ("the_wall_lets_a_panic_be_printed", the_wall_lets_a_panic_be_printed),
        ("the_wall_leaves_no_inherited_descriptors", the_wall_leaves_no_inherited_descriptors),
        ("the_wall_hides_the_process_that_starts_hosts", the_wall_hides_the_process_that_starts_hosts),
        ("an_ordinary_user_has_the_same_wall", user::an_ordinary_user_has_the_same_wall),
    ]
}

/// Other processes of the same user see neither its environment, where tokens are, nor its memory. Root sees everything.
fn the_wall_hides_the_process_that_starts_hosts(runtime: &Runtime) {
    if geteuid().is_root() {
        return;
    }
    let is_seen = || {
        let environment = format!("/proc/{}/environ", std::process::id());
        Command::new("cat").arg(environment).output().expect("cat").status.success()
    };
    set_dumpable_behavior(DumpableBehavior::Dumpable).expect("its own attribute");
    assert!(is_seen(), "an ordinary process is");
    runtime.with_hosts(1, async |hosts| hosts);
    assert!(!is_seen());
}

/// Serves as a sandbox host of one of these tests.
pub(crate) fn serve(arguments: &[String]) -> ExitCode {
    match arguments {
        [flag, key, folder, sibling] if [AS_IF_ESCAPED, COMPILER_AS_IF_ESCAPED].contains(&flag.as_str()) => {
            let sibling = sibling.parse().expect("a process");
            let role = if flag == AS_IF_ESCAPED { ChildRole::SandboxHost } else { ChildRole::Compiler };
            serve_as_if_escaped(&EscapeTarget::new(key.clone(), folder.clone(), sibling), role)
        }
        [flag] if flag == PANIC => serve_sandbox_host_after(&|_| panic!("a panic behind the wall")),
        _ => serve_sandbox_host(),
    }
}

fn config(runtime: &Runtime, arguments: &[&str]) -> HostsConfig {
    let packages = Some(Sites::open(&runtime.prepared).expect("a folder"));
    let mut config = HostsConfig { packages, ..runtime.config(1) };
    config.command.1.extend(arguments.iter().map(OsString::from));
    config
}

/// Starts a compiler that tries to escape.
fn escape_from_compiler(runtime: &Runtime) -> BTreeMap<String, i32> {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("victim"), "victim").expect("written");
    let key = keys().join("sandbox.key");
    let path = |path: &Path| path.to_str().expect("text").to_owned();
    let failure = runtime.tokio.block_on(async {
        let siblings = Hosts::start(runtime.config(1)).await.expect("hosts");
        let [sibling] = &children()[..] else { panic!("one child") };
        let arguments = [COMPILER_AS_IF_ESCAPED, &path(&key), &path(folder.path()), sibling];
        let hosts = Hosts::start(config(runtime, &arguments)).await.expect("only its compiler is broken");
        let text = r#"(module (memory (export "memory") 1) (func (export "_start")))"#;
        let content = Bytes::from(wat::parse_str(text).expect("WAT"));
        let module = SourceFile { path: "step.wasm".to_owned(), content };
        let bundle = Bundle { entry: module.path.clone(), files: vec![module], ..Bundle::default() };
        let failure = hosts.compiler().compile(&bundle, BlobHash([9; 32])).await.expect_err("it compiles nothing");
        hosts.shutdown().await;
        siblings.shutdown().await;
        failure
    });
    wait_until("all children have ended", || children().is_empty());
    let report = failure.message.strip_prefix("The step could not be compiled: ").expect("the compiler's report");
    attempts(report)
}

/// Starts a host that tries to escape. Returns the number of the error of each attempt; 0 if it succeeded.
fn escape(runtime: &Runtime, mode: WallMode) -> BTreeMap<String, i32> {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("victim"), "victim").expect("written");
    let key = keys().join("sandbox.key");
    assert!(fs::read(&key).is_ok_and(|key| key.len() == 32), "the target exists");
    let report = runtime.tokio.block_on(async {
        let siblings = Hosts::start(runtime.config(1)).await.expect("hosts");
        let [sibling] = &children()[..] else { panic!("one child") };
        let path = |path: &Path| path.to_str().expect("text").to_owned();
        let arguments = [AS_IF_ESCAPED, &path(&key), &path(folder.path()), sibling];
        let config = HostsConfig { wall: mode, ..config(runtime, &arguments) };
        let refused = Hosts::start(config).await.expect_err("it does not serve");
        siblings.shutdown().await;
        refused
    });
    wait_until("all children have ended", || children().is_empty());
    let RuntimeError::Refused(report) = report else { panic!("{report}") };
    attempts(&report)
}

/// Reads a report: the number of the error of each attempt.
fn attempts(report: &str) -> BTreeMap<String, i32> {
    let parse = |line: &str| {
        let (name, error) = line.split_once('\t').unwrap_or_else(|| panic!("{report}"));
        (name.to_owned(), error.parse().expect("a number"))
    };
    report.lines().map(parse).collect()
}

fn the_wall_stops_a_host_that_was_broken_out_of(runtime: &Runtime) {
    expect_no_escape(&escape(runtime, WallMode::Best));
}

fn the_wall_stops_a_compiler_that_was_broken_out_of(runtime: &Runtime) {
    expect_no_escape(&escape_from_compiler(runtime));
}

fn expect_no_escape(attempts: &BTreeMap<String, i32>) {
    // behind another root folder, a path leads nowhere
    let is_refused = |error: i32| REFUSED.contains(&error) || error == libc::ENOENT;
    let open: Vec<_> = attempts.iter().filter(|(_, error)| !is_refused(**error)).collect();
    assert!(open.is_empty(), "{open:?}");
    assert!(attempts.len() >= 120, "{} attempts", attempts.len());
    println!("{} attempts, none succeeded", attempts.len());
}

/// Without a wall, most of the attempts succeed: their refusal is not that of something else.
fn the_wall_is_what_stops_it(runtime: &Runtime) {
    let attempts = escape(runtime, WallMode::Off);
    for name in [
        "read the key of the cache",
        "create a file in the cache",
        "read the users of the machine",
        "rename a file",
        "a TCP socket",
        "a netlink socket",
        "io_uring",
        "fork",
        "signal the parent",
        "signal a sibling",
        "map executable memory",
        "a Landlock ruleset",
    ] {
        assert_eq!(attempts.get(name), Some(&0), "{name}");
    }
    let open = attempts.values().filter(|error| **error == 0).count();
    assert!(open >= 70, "{open} of {}", attempts.len());
    println!("{open} of {} attempts succeed without a wall", attempts.len());
}

fn the_wall_that_is_up_is_reported(runtime: &Runtime) {
    runtime.with_hosts(1, async |hosts| {
        let wall = hosts.wall().clone();
        let [child] = &children()[..] else { panic!("one child") };
        let status = fs::read_to_string(format!("/proc/{child}/status")).expect("readable");
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{status}"));
            line.split_whitespace().next().expect("a value").to_owned()
        };
        assert_eq!((field("Seccomp:").as_str(), field("NoNewPrivs:").as_str()), ("2", "1"), "{wall}");
        let uid: u32 = field("Uid:").parse().expect("a number");
        let root = geteuid().is_root();
        assert_eq!(wall.uid, root.then_some(uid), "{wall}");
        assert_eq!(uid != 0, root || uid == geteuid().as_raw());
        assert!(wall.missing.is_empty() && wall.landlock.is_some(), "{}", wall.missing_text());
        hosts
    });
}

/// Runs something in a thread, and the hosts that it starts, which lack some system calls.
fn without_calls<T: Send>(calls: &[i64], error: i32, test: impl FnOnce() -> T + Send) -> T {
    let rules = calls.iter().map(|call| (*call, Vec::new())).collect();
    let refuse = SeccompAction::Errno(error.unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, TargetArch::x86_64).expect("a filter");
    let filter: seccompiler::BpfProgram = filter.try_into().expect("a filter");
    std::thread::scope(|scope| {
        let limited = scope.spawn(move || {
            apply_filter(&filter).expect("a filter");
            test()
        });
        limited.join().expect("no panic")
    })
}

const LANDLOCK: &[i64] =
    &[libc::SYS_landlock_create_ruleset, libc::SYS_landlock_add_rule, libc::SYS_landlock_restrict_self];
const CHANGE_USER: &[i64] = &[libc::SYS_setresuid, libc::SYS_setresgid, libc::SYS_setgroups];

/// Starts hosts in a thread that lacks some system calls, and does something with them.
fn start_without<T: Send>(
    runtime: &Runtime,
    calls: &[i64],
    mode: WallMode,
    test: impl AsyncFnOnce(Result<&Hosts, String>) -> T + Send,
) -> T {
    let config = HostsConfig { wall: mode, ..config(runtime, &[]) };
    without_calls(calls, libc::EPERM, move || {
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        tokio.block_on(async {
            match Hosts::start(config).await {
                Ok(hosts) => {
                    let result = test(Ok(&hosts)).await;
                    hosts.shutdown().await;
                    result
                }
                Err(error) => test(Err(error.to_string())).await,
            }
        })
    })
}

fn the_wall_that_is_required_must_be_complete(runtime: &Runtime) {
    let mut parts = vec![(LANDLOCK, WallPart::Landlock), (&[libc::SYS_seccomp], WallPart::Seccomp)];
    if geteuid().is_root() {
        parts.push((CHANGE_USER, WallPart::OwnUser));
    }
    for (calls, part) in parts {
        let wall = start_without(runtime, calls, WallMode::Best, async |hosts| hosts.expect("hosts").wall().clone());
        let missing: Vec<WallPart> = wall.missing.iter().map(|missing| missing.part).collect();
        assert_eq!(missing, [part], "{wall}");
        let refused = start_without(runtime, calls, WallMode::Require, async |hosts| hosts.err());
        let refused = refused.unwrap_or_else(|| panic!("{part:?} is missing"));
        assert!(refused.contains(part.name()) && refused.contains(part.remedy()), "{refused}");
    }
    let complete =
        start_without(runtime, &[], WallMode::Require, async |hosts| hosts.map(|hosts| hosts.wall().clone()));
    assert!(complete.is_ok_and(|wall: Wall| wall.missing.is_empty()));
}

/// A step that imports a module from a wheel and reads a file of it.
fn uses_package(sites: &Sites) -> bue_runtime::Task {
    let text = "import pack, pathlib\ndef f(): return [pack.ANSWER, (pathlib.Path(pack.__file__).parent / 'data.txt').read_text()]\n";
    let bytes = wheel(&[("pack/__init__.py", b"ANSWER = 42\n"), ("pack/data.txt", b"hello")]);
    let wheels: [(&str, &[u8]); 1] = [("pack-1-py3-none-any.whl", &bytes)];
    let site = sites.unpack(&wheels, &Limits::default()).expect("unpacked");
    with_site(python(text, "f", &[]), &wheels, site)
}

fn the_wall_lets_packages_be_read(runtime: &Runtime) {
    let expected = Value::List(vec![Value::Int(42), Value::Text("hello".to_owned())]);
    // all parts; and as root, the other user alone, for which the folders have their modes
    let without_landlock = geteuid().is_root().then_some(LANDLOCK);
    for calls in [Some(&[][..]), without_landlock].into_iter().flatten() {
        let config = config(runtime, &[]);
        let sites = config.packages.clone().expect("packages");
        let finished = without_calls(calls, libc::ENOSYS, || {
            let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            tokio.block_on(async {
                let hosts = Hosts::start(config).await.expect("hosts");
                let finished = run(&hosts, uses_package(&sites)).await;
                hosts.shutdown().await;
                finished
            })
        });
        assert_eq!(value(&finished), expected);
    }
}

fn the_wall_without_landlock_and_user_refuses_packages(runtime: &Runtime) {
    let config = config(runtime, &[]);
    let sites = config.packages.clone().expect("packages");
    let finished = without_calls(&[LANDLOCK, CHANGE_USER].concat(), libc::EPERM, || {
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        tokio.block_on(async {
            let hosts = Hosts::start(config).await.expect("hosts");
            let other = run(&hosts, python("def f(): return 1\n", "f", &[])).await;
            assert_eq!(value(&other), Value::Int(1), "steps without packages run");
            let finished = run(&hosts, uses_package(&sites)).await;
            hosts.shutdown().await;
            finished
        })
    });
    let message = failure(&finished).message;
    assert!(message.contains("packages cannot be opened") && message.contains("Landlock"), "{message}");
}

fn the_wall_lets_a_panic_be_printed(runtime: &Runtime) {
    let log = CapturedLog::default();
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let refused = tracing::subscriber::with_default(log.clone(), || {
        tokio.block_on(async {
            let refused = Hosts::start(config(runtime, &[PANIC])).await.expect_err("it panics");
            wait_until_async("the panic's message", async || log.text().contains("a panic behind the wall")).await;
            refused
        })
    });
    assert!(refused.to_string().contains("ended at once"), "{refused}");
}

/// A host has its standard streams, and what it opened or received itself, but nothing that its parent had open.
fn the_wall_leaves_no_inherited_descriptors(runtime: &Runtime) {
    let file = tempfile::NamedTempFile::new().expect("a file");
    rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty()).expect("inherited by children");
    runtime.with_hosts(1, async |hosts| {
        let [child] = &children()[..] else { panic!("one child") };
        // only root can look into a process that is not dumpable
        if let Ok(descriptors) = fs::read_dir(format!("/proc/{child}/fd")) {
            let targets = descriptors.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
            assert!(targets.into_iter().all(|target| target != file.path()), "a file of the parent");
        }
        hosts
    });
}
