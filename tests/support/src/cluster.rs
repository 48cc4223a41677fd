//! A PostgreSQL cluster of our own: made in a temporary folder when the first test asks, reached through a socket there,
//! stopped and removed when this process is gone, however it ends.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::process;

/// `nobody`: PostgreSQL refuses to run as root.
const NOBODY: u32 = 65_534;
/// No fsync: what these tests show is not what a power cut leaves. More connections than tests take.
const SETTINGS: &str =
    "fsync = off\nlisten_addresses = ''\nmax_connections = 300\nshared_buffers = 64MB\nsynchronous_commit = off\n";

/// Makes a table `ledger` with a row for every job that is committed as completed, written by a trigger: what a test may believe
/// when it believes neither the hub's counts nor its answers. A hub must have made its tables before.
pub const LEDGER: &str = "
    CREATE TABLE ledger (job BIGINT NOT NULL);
    CREATE FUNCTION enter() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN INSERT INTO public.ledger VALUES (NEW.id); RETURN NULL; END';
    CREATE TRIGGER enter AFTER INSERT OR UPDATE ON bue.done FOR EACH ROW WHEN (NEW.state = 7)
        EXECUTE FUNCTION public.enter();";

/// The role of postgres steps.
const STEP_ROLE: &str = "steps";
/// Creates that role if it does not exist; several tests may do so at once.
const CREATE_STEP_ROLE: &str = "DO $$ BEGIN CREATE ROLE steps LOGIN; \
                                EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$";

/// A running server.
pub struct Cluster {
    bin: PathBuf,
    folder: PathBuf,
    databases: AtomicU32,
    /// Waits for its input to end, which it does with this process; then stops the server and removes the folder.
    _keeper: Child,
}

/// The one that the tests of a process share.
///
/// # Panics
/// As [`Cluster::start`].
pub fn shared() -> &'static Cluster {
    static SHARED: OnceLock<Cluster> = OnceLock::new();
    SHARED.get_or_init(Cluster::start)
}

impl Cluster {
    /// Creates a separate cluster, for a test that stops it.
    ///
    /// # Panics
    /// PostgreSQL is not installed, or does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with("", &[])
    }

    /// Makes a cluster with more lines in `postgresql.conf` and these files, by name and text, in its data folder.
    ///
    /// # Panics
    /// PostgreSQL is not installed, or does not start.
    #[must_use]
    pub fn start_with(more: &str, files: &[(&str, &str)]) -> Self {
        let bin = programs();
        let folder = tempfile::Builder::new().prefix("bue-pg").tempdir().expect("a folder").keep();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).expect("rights");
        if is_root() {
            chown(&folder, Some(NOBODY), Some(NOBODY)).expect("the folder's owner");
        }
        let data = folder.join("data");
        let mut initdb = as_user(&bin.join("initdb"), &folder);
        initdb.args(["--no-sync", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "-D"]);
        expect_success("initdb", &process::output(initdb.arg(&data)).expect("initdb"));
        let mut settings = fs::OpenOptions::new().append(true).open(data.join("postgresql.conf")).expect("settings");
        let socket = format!("unix_socket_directories = '{}'\n", folder.display());
        settings.write_all([SETTINGS, &socket, more].concat().as_bytes()).expect("settings");
        files.iter().for_each(|(name, text)| write_private(&data.join(name), text));
        let keeper = keeper(&bin, &folder);
        let cluster = Self { bin, folder, databases: AtomicU32::new(0), _keeper: keeper };
        cluster.control(&["start"]);
        cluster
    }

    fn control(&self, arguments: &[&str]) {
        let log = self.folder.join("log");
        let mut command = as_user(&self.bin.join("pg_ctl"), &self.folder);
        command.arg("-D").arg(self.folder.join("data")).arg("-l").arg(log).args(["-s", "-w"]).args(arguments);
        // the server keeps what it is given open
        let done = command.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("pg_ctl");
        assert!(
            done.success(),
            "pg_ctl {arguments:?}: {}",
            fs::read_to_string(self.folder.join("log")).unwrap_or_default()
        );
    }

    /// Stops the server: `immediate` as a crash would, `fast` orderly, but without waiting for clients.
    ///
    /// # Panics
    /// It does not stop.
    pub fn stop(&self, mode: &str) {
        self.control(&["stop", "-m", mode]);
    }

    /// Starts the server again.
    ///
    /// # Panics
    /// It does not start.
    pub fn go_on(&self) {
        self.control(&["start"]);
    }

    /// The folder of its socket.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A new database's address, as `host=… user=… dbname=…`. The user is a superuser.
    ///
    /// # Panics
    /// The server refuses.
    pub async fn database(&self) -> String {
        self.new_database("postgres").await
    }

    /// The address of a new database for postgres steps, which do not run as a superuser: its user is an ordinary role that
    /// owns the database.
    ///
    /// # Panics
    /// The server refuses.
    pub async fn step_database(&self) -> String {
        self.new_database(STEP_ROLE).await
    }

    /// Creates a database that belongs to a role, and returns its address for that role.
    async fn new_database(&self, role: &str) -> String {
        let name = format!("test{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let address = |user: &str, name: &str| format!("host={} user={user} dbname={name}", self.folder.display());
        let (client, connection) = tokio_postgres::connect(&address("postgres", "postgres"), tokio_postgres::NoTls)
            .await
            .expect("a connection");
        let connection = tokio::spawn(connection);
        client.batch_execute(CREATE_STEP_ROLE).await.expect("a role");
        client.batch_execute(&format!("CREATE DATABASE {name} OWNER {role}")).await.expect("a database");
        drop(client);
        connection.await.expect("a task").expect("a connection that ends");
        address(role, &name)
    }
}

/// A file that the server alone may read, as it wants it of a key.
fn write_private(path: &Path, text: &str) {
    fs::write(path, text).expect("a file");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("rights");
    if is_root() {
        chown(path, Some(NOBODY), Some(NOBODY)).expect("the file's owner");
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").expect("this process").uid() == 0
}

fn as_user(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).env("LC_ALL", "C");
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

fn keeper(bin: &Path, folder: &Path) -> Child {
    let mut command = as_user(Path::new("/bin/sh"), folder);
    command.args(["-c", "trap '' INT TERM; read -r nothing; \"$1/pg_ctl\" -D \"$2/data\" -s -m immediate stop; rm -rf \"$2\"/*; rmdir \"$2\"", "sh"]);
    command.arg(bin).arg(folder).process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a keeper")
}

fn expect_success(what: &str, output: &Output) {
    assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The folder with the server's programs: the newest of Debian's, else what is in PATH.
fn programs() -> PathBuf {
    let debian =
        fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path().join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let mut debian: Vec<PathBuf> = debian.collect();
    debian.sort();
    debian.reverse();
    let has_all = |folder: &PathBuf| ["initdb", "postgres", "pg_ctl"].iter().all(|name| folder.join(name).is_file());
    debian.into_iter().chain(path).find(has_all).unwrap_or_else(|| {
        panic!(
            "these tests need PostgreSQL's server programs initdb, postgres and pg_ctl, and found them neither in \
             /usr/lib/postgresql/*/bin nor in PATH: install the package `postgresql` (Debian: apt-get install postgresql)"
        )
    })
}
