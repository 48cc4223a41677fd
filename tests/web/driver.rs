//! chromedriver: started when the first test asks, on a free port. It and its browsers end with this process, however that ends.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};

use bue_test_support::process::Lines;

/// Starts the driver in a process group of its own, and waits for the end of its input, which comes with the end of this process. Then
/// kills the group, to which the browsers belong, and removes their files. Signals that end a shell do not end it before that. Debian's
/// `sh` knows `kill -s KILL --` and not `kill -KILL --`.
const KEEPER: &str = "trap : HUP INT TERM
setsid \"$0\" --port=0 </dev/null &
cat >/dev/null
kill -s KILL -- \"-$!\"
sleep 0.2
rm -rf -- \"$1\"";

struct Driver {
    address: String,
    /// Holds the other end of the keeper's input.
    _keeper: Child,
    /// Keeps its output open.
    _output: Mutex<Lines>,
}

/// The driver's address.
///
/// # Panics
/// Chromium or its driver is not installed, or does not start.
pub(crate) fn address() -> &'static str {
    static DRIVER: OnceLock<Driver> = OnceLock::new();
    &DRIVER.get_or_init(Driver::start).address
}

impl Driver {
    fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("bue-web").tempdir().expect("a folder").keep();
        let mut keeper = Command::new("sh");
        keeper.args(["-c", KEEPER, &program("chromedriver")]).arg(&folder).env("TMPDIR", &folder).env("HOME", &folder);
        keeper.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut keeper = keeper.spawn().expect("sh");
        let output = Lines::new(keeper.stdout.take().expect("its output"));
        let line = output.find("was started successfully on port ");
        let port: String = line.chars().filter(char::is_ascii_digit).collect();
        Self { address: format!("http://127.0.0.1:{port}"), _keeper: keeper, _output: Mutex::new(output) }
    }
}

/// The path of Debian's Chromium or its driver.
pub(crate) fn program(name: &str) -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut folders = path.split(':').chain(["/usr/bin"]);
    let found = folders.find(|folder| Path::new(folder).join(name).is_file());
    let folder = found.unwrap_or_else(|| {
        panic!("the tests of the dashboard need {name}; type: sudo apt-get install chromium chromium-driver")
    });
    format!("{folder}/{name}")
}
