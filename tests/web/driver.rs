//! chromedriver: started when the first test asks, on a free port. It and its browsers end with this process, however that ends.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};

use bue_test_support::process::Lines;

/// Waits for the end of its input, which comes with the end of this process. Then kills the driver's process group, to which its
/// browsers belong, and removes their files.
const KEEPER: &str = "cat >/dev/null; kill -KILL -- -\"$0\"; sleep 0.2; rm -rf -- \"$1\"";

struct Driver {
    address: String,
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
    #[expect(clippy::zombie_processes, reason = "both end with this process, which is when they are no longer needed")]
    fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("bue-web").tempdir().expect("a folder").keep();
        let mut command = Command::new(program("chromedriver"));
        command.arg("--port=0").env("TMPDIR", &folder).env("HOME", &folder).process_group(0);
        let mut driver =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("chromedriver");
        let mut keeper = Command::new("sh");
        keeper.args(["-c", KEEPER, &driver.id().to_string()]).arg(&folder).process_group(0);
        let keeper = keeper.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().expect("sh");
        let output = Lines::new(driver.stdout.take().expect("its output"));
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
