//! Steps that use as much of a worker as they can get. The worker has to keep its leases, and others have to get on.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::thread;

use bue_test_support::wait::wait_until;
use tempfile::TempDir;

use crate::project::{Project, bue, prepare, step};
use crate::services::{Server, client, wait_for_count};

/// A hub, a bucket and a worker, which is started by a shell after `limits`.
struct Services {
    _folder: TempDir,
    worker: Server,
    hub: Server,
    bucket: Server,
}

impl Services {
    fn start(limits: &str, flags: &[&str]) -> Self {
        prepare();
        let folder = TempDir::new().expect("a folder");
        let bucket = Server::start(&folder, &["bucket", "-b", "127.0.0.1:0"]);
        let hub = Server::start(&folder, &["hub", "-b", "127.0.0.1:0"]);
        let program = bue();
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{limits} exec \"$0\" \"$@\"")]).arg(program.get_program());
        command.args(["worker", "-b", &hub.address, "-k", &bucket.address]).args(flags).current_dir(folder.path());
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        Self { worker: Server::from_command(command), _folder: folder, hub, bucket }
    }

    fn project(&self, files: &[(&str, &str)]) -> Project {
        let project = Project::new(files);
        project.write("bue.toml", &client(&self.hub, &self.bucket));
        project
    }

    fn stop(self) {
        [self.worker, self.hub, self.bucket].into_iter().for_each(Server::stop);
    }
}

fn upload(project: &Project) -> String {
    project.bue(&["upload", "-f", "x.bue"]).expect_code(0).stdout.trim().to_owned()
}

/// Returns one of the counts of a run.
fn count(project: &Project, run: &str, state: &str) -> u64 {
    let status = project.bue(&["status", run, "--json"]).expect_code(0).json();
    status["counts"][state].as_u64().unwrap_or_else(|| panic!("no count `{state}` in {status}"))
}

/// Returns a number of kilobytes in `/proc/PID/status`.
fn memory_kib(process: &str, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("a field");
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Runs a trivial step of somebody else.
fn expect_others_get_on(services: &Services) {
    let other = services.project(&[("x.bue", &format!("{}one()\n", step("one", "def one():\n    return 1")))]);
    other.bue(&["upload", "-f", "x.bue", "--wait"]).expect_code(0);
}

/// A server that sends 256 KiB to whoever asks, and keeps the connection open until the client closes it.
fn generous_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            thread::Builder::new()
                .stack_size(64 * 1024)
                .spawn(move || {
                    let mut request = [0; 1024];
                    while stream.read(&mut request).is_ok_and(|read| read > 0) {
                        let head = "HTTP/1.1 200 OK\r\ncontent-length: 262144\r\n\r\n".as_bytes();
                        if stream.write_all(&[head, &[b'x'; 262_144]].concat()).is_err() {
                            return;
                        }
                    }
                })
                .expect("a thread");
        }
    });
    address
}

/// Test M of the security review: without a bound for all steps together, the worker runs out of files, and loses its hub.
#[test]
fn steps_that_read_no_answers_take_neither_the_workers_files_nor_its_memory() {
    const FILES: usize = 1_500;
    let server = generous_server();
    let services = Services::start(&format!("ulimit -n {FILES};"), &["--allow-net", "127.0.0.1"]);
    let code = format!(
        "import _bue_net as net, time\n\
         def ask(n):\n    \
             started = [net.start('GET', 'http://{server}', '/', []) for _ in range(500)]\n    \
             time.sleep(600)"
    );
    let source = step("source", "def source():\n    return list(range(200))");
    let script = format!("!allow net {server}\n{source}{}for n in source():\n    ask(n)\n", step("ask", &code));
    let project = services.project(&[("x.bue", &script)]);
    let run = upload(&project);
    wait_for_count("all steps run", 200, || count(&project, &run, "running"));
    let process = services.worker.pid();
    let open_files = || fs::read_dir(format!("/proc/{process}/fd")).expect("a process").count();
    wait_until("the exchanges have the files that they may have", || open_files() > FILES / 4);
    for _ in 0..5 {
        expect_others_get_on(&services);
        assert!(open_files() < FILES * 3 / 4, "{} files are open", open_files());
    }
    let peak = memory_kib(&process.to_string(), "VmHWM");
    println!("{} files, at most {peak} KiB", open_files());
    assert!(peak < 1024 * 1024, "{peak} KiB");
    assert_eq!(services.worker.stderr_count("lost"), 0, "{}", services.worker.stderr());
    project.bue(&["cancel", &run]).expect_code(0);
    services.stop();
}

/// A valid command of so many functions, which differ from those of another `seed`.
fn module_of(functions: u32, seed: u32) -> Vec<u8> {
    let (mut types, mut bodies) = (leb128(functions), leb128(functions));
    for function in 0..functions {
        types.push(0);
        // no locals; some arithmetic for the compiler
        let mut body = vec![0];
        for round in 0..20 {
            body.extend([0x41].into_iter().chain(leb128((seed * 31 + function + round) & 0x3f)));
            body.extend([0x41, 3, 0x6c, 0x1a]);
        }
        body.push(0x0b);
        bodies.extend(leb128(u32::try_from(body.len()).expect("short")));
        bodies.extend(body);
    }
    let exports = [&[2, 6], &b"memory"[..], &[2, 0, 6], b"_start", &[0, 0]].concat();
    let sections = [(1, vec![1, 0x60, 0, 0]), (3, types), (5, vec![1, 0, 1]), (7, exports), (10, bodies)];
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    for (id, content) in sections {
        module.push(id);
        module.extend(leb128(u32::try_from(content.len()).expect("short")));
        module.extend(content);
    }
    module
}

/// A number as WebAssembly encodes it.
fn leb128(mut number: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let byte = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            bytes.push(byte);
            return bytes;
        }
        bytes.push(byte | 0x80);
    }
}

/// Test P of the security review: compiling a module takes seconds, in one process at a time.
#[test]
fn modules_that_wait_for_the_compiler_delay_no_other_steps() {
    const MODULES: u32 = 40;
    let services = Services::start("", &[]);
    let project = services.project(&[]);
    let mut script = String::new();
    for module in 0..MODULES {
        fs::write(project.path(&format!("m{module}.wasm")), module_of(20_000, module)).expect("a file");
        script += &format!("import wasm (_start as m{module}) m{module}.wasm\nm{module}()\n");
    }
    project.write("x.bue", &script);
    let run = upload(&project);
    let ended = || count(&project, &run, "completed") + count(&project, &run, "failed");
    wait_until("the first module is compiled", || ended() > 0);
    expect_others_get_on(&services);
    println!("{} of {MODULES} modules were compiled", ended());
    assert!(ended() < u64::from(MODULES), "the modules were compiled too fast to delay anything");
    project.bue(&["cancel", &run]).expect_code(0);
    services.stop();
}
