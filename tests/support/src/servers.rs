//! Servers of other projects, as Debian packages them: redis, MariaDB, and an SMTP and an FTP server in Python. Each listens on a free port
//! of 127.0.0.1, keeps its files in a temporary folder, and ends when it is dropped or this process is gone.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::process;
use crate::wait::wait_until;

/// Debian's Python, which has the packages of Debian.
const PYTHON: &str = "/usr/bin/python3";

/// Attempts to connect to a server that starts: somewhat less than fit into the deadline of a test.
const MAX_ATTEMPTS: u32 = 5_000;

/// A certificate and its key, as PEM, for servers with TLS.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    /// Its ports. What each is for, the function that starts the server says.
    pub ports: Vec<u16>,
    folder: TempDir,
    /// Waits for its input to end, which it does with this process; then kills the server.
    keeper: Child,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        // it kills the server and ends
        let _ = self.keeper.wait();
    }
}

impl Server {
    /// redis: the ports are the one without TLS and the one with it.
    ///
    /// # Panics
    /// It is not installed, or does not start.
    #[must_use]
    pub fn redis(identity: &Identity) -> Self {
        let (folder, ports) = (folder(), free_ports(2));
        let (certificate, key) = write_identity(&folder, identity);
        let mut command = Command::new(installed("redis-server", "redis-server"));
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--tls-auth-clients", "no", "--dir"]);
        command.arg(folder.path()).arg("--tls-cert-file").arg(&certificate).arg("--tls-key-file").arg(key);
        command.arg("--tls-ca-cert-file").arg(certificate);
        command.args(["--port", &ports[0].to_string(), "--tls-port", &ports[1].to_string()]);
        Self::start(&command, folder, ports)
    }

    /// MariaDB with a database `shop`, for the user `step` with the password `secret`. It has one port, for both with and without TLS.
    ///
    /// # Panics
    /// It is not installed, or does not start.
    #[must_use]
    pub fn mariadb(identity: &Identity) -> Self {
        let (folder, ports) = (folder(), free_ports(1));
        let (certificate, key) = write_identity(&folder, identity);
        let data = folder.path().join("data");
        let user: &[&str] = if is_root() { &["--user=root"] } else { &[] };
        let mut install = Command::new(installed("mariadb-install-db", "mariadb-server"));
        install.arg("--no-defaults").args(user).arg("--skip-test-db").arg(format!("--datadir={}", data.display()));
        let output = process::output(&mut install).expect("mariadb-install-db");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let users = folder.path().join("users.sql");
        let sql =
            "CREATE DATABASE shop;\nCREATE USER step@'%' IDENTIFIED BY 'secret';\nGRANT ALL ON shop.* TO step@'%';\n";
        fs::write(&users, sql).expect("a file");
        let mut command = Command::new(installed("mariadbd", "mariadb-server"));
        command.arg("--no-defaults").args(user).args(["--bind-address=127.0.0.1", "--port", &ports[0].to_string()]);
        command.arg("--datadir").arg(&data).arg("--socket").arg(folder.path().join("socket"));
        command.arg("--init-file").arg(users).arg("--ssl-cert").arg(certificate).arg("--ssl-key").arg(key);
        Self::start(&command, folder, ports)
    }

    /// An SMTP server that offers STARTTLS. What it receives is in [`mails`](Self::mails). Its ports are that one, and one with TLS from
    /// the beginning.
    ///
    /// # Panics
    /// It is not installed, or does not start.
    #[must_use]
    pub fn smtp(identity: &Identity) -> Vec<Self> {
        let certificates = [["--tlscert", "--tlskey"], ["--smtpscert", "--smtpskey"]];
        let start = |options: [&str; 2]| {
            let (folder, ports) = (folder(), free_ports(1));
            let (certificate, key) = write_identity(&folder, identity);
            let mut command = python("aiosmtpd", "python3-aiosmtpd");
            command.args(["-n", "-l", &format!("127.0.0.1:{}", ports[0])]);
            command.arg(options[0]).arg(certificate).arg(options[1]).arg(key).arg("--no-requiretls");
            command.args(["-c", "aiosmtpd.handlers.Mailbox"]).arg(folder.path().join("mails"));
            Self::start(&command, folder, ports)
        };
        certificates.into_iter().map(start).collect()
    }

    /// The mails that an SMTP server has received.
    ///
    /// # Panics
    /// They cannot be read.
    #[must_use]
    pub fn mails(&self) -> Vec<String> {
        let folder = self.folder.path().join("mails").join("new");
        let files = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.expect("an entry").path());
        files.map(|path| fs::read_to_string(path).expect("a mail")).collect()
    }

    /// An FTP server for the user `step` with the password `secret`. Its ports are the one for commands, and the first and the last
    /// one of those for data.
    ///
    /// # Panics
    /// It is not installed, or does not start.
    #[must_use]
    pub fn ftp() -> Self {
        let (folder, command_port, (first, last)) = (folder(), free_ports(1), free_range());
        let ports = vec![command_port[0], first, last];
        let files = folder.path().join("files");
        fs::create_dir(&files).expect("a folder");
        let mut command = python("pyftpdlib", "python3-pyftpdlib");
        command.args(["-i", "127.0.0.1", "-p", &ports[0].to_string(), "-r", &format!("{first}-{last}"), "-w"]);
        command.args(["-u", "step", "-P", "secret", "-d"]).arg(files);
        Self::start(&command, folder, ports)
    }

    /// Starts a server and waits until it accepts connections.
    fn start(command: &Command, folder: TempDir, ports: Vec<u16>) -> Self {
        let log = folder.path().join("log");
        let output = fs::File::create(&log).expect("a file");
        let mut keeper = Command::new("/bin/sh");
        keeper.args(["-c", "trap '' INT TERM; \"$@\" & server=$!; read -r nothing; kill -KILL $server; wait", "sh"]);
        keeper.arg(command.get_program()).args(command.get_args()).current_dir(folder.path()).process_group(0);
        keeper.stdin(Stdio::piped()).stdout(output.try_clone().expect("a file")).stderr(output);
        let server = Self { ports, folder, keeper: keeper.spawn().expect("a shell") };
        let what = format!("{} accepts connections", command.get_program().display());
        let port = server.ports[0];
        wait_for_server(&what, &log, || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
        server
    }
}

/// Waits for a server. If it does not start, its log tells why.
fn wait_for_server(what: &str, log: &Path, mut accepts: impl FnMut() -> bool) {
    let mut attempts = 0;
    wait_until(what, || {
        attempts += 1;
        assert!(attempts < MAX_ATTEMPTS, "not yet: {what}: {}", fs::read_to_string(log).unwrap_or_default());
        accepts()
    });
}

fn folder() -> TempDir {
    tempfile::Builder::new().prefix("bue-server").tempdir().expect("a folder")
}

fn write_identity(folder: &TempDir, identity: &Identity) -> (PathBuf, PathBuf) {
    let (certificate, key) = (folder.path().join("certificate.pem"), folder.path().join("key.pem"));
    fs::write(&certificate, &identity.certificate).expect("a file");
    fs::write(&key, &identity.key).expect("a file");
    (certificate, key)
}

/// Ports that nothing listens on. Another process could take one before the server does; the test then fails to start it.
fn free_ports(count: usize) -> Vec<u16> {
    let listeners: Vec<TcpListener> =
        (0..count).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port")).collect();
    listeners.iter().map(|listener| listener.local_addr().expect("an address").port()).collect()
}

/// Four ports in a row that nothing listens on.
fn free_range() -> (u16, u16) {
    let is_free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    let first = free_ports(1)[0].min(u16::MAX - 400);
    let range = (first..first + 400).find(|first| (*first..first + 4).all(is_free)).expect("free ports");
    (range, range + 3)
}

fn is_root() -> bool {
    fs::metadata("/proc/self").expect("this process").uid() == 0
}

/// Returns the path of a program.
fn installed(program: &str, package: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/bin".into(), "/usr/sbin".into()]);
    let found = folders.map(|folder| folder.join(program)).find(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!("this test needs {program}: install the package `{package}` (Debian: apt-get install {package})")
    })
}

fn python(module: &str, package: &str) -> Command {
    let mut check = Command::new(PYTHON);
    let is_installed = process::output(check.args(["-c", &format!("import {module}")]));
    assert!(
        is_installed.is_ok_and(|output| output.status.success()),
        "this test needs {module}: install the package `{package}` (Debian: apt-get install {package})"
    );
    let mut command = Command::new(PYTHON);
    command.args(["-m", module]);
    command
}
