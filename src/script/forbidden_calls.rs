//! Calls that no step can make, because a sandbox has neither files nor processes.

use bue_lang::CodeProblemKind;
use bue_lang::python::Call;

use crate::deps::missing_module::MissingModule;

/// Functions that open the file in their first argument.
const OPENING: [&str; 9] = [
    "open",
    "io.open",
    "codecs.open",
    "gzip.open",
    "pathlib.Path().open",
    "pathlib.Path().read_text",
    "pathlib.Path().read_bytes",
    "pathlib.Path().write_text",
    "pathlib.Path().write_bytes",
];

/// Functions that create a file.
const TEMPORARY: [&str; 5] = [
    "tempfile.NamedTemporaryFile",
    "tempfile.TemporaryFile",
    "tempfile.TemporaryDirectory",
    "tempfile.mkstemp",
    "tempfile.mkdtemp",
];

/// Functions that start another program.
const PROGRAMS: [&str; 13] = [
    "subprocess.run",
    "subprocess.Popen",
    "subprocess.call",
    "subprocess.check_call",
    "subprocess.check_output",
    "subprocess.getoutput",
    "subprocess.getstatusoutput",
    "os.system",
    "os.popen",
    "os.execv",
    "os.posix_spawn",
    "asyncio.create_subprocess_exec",
    "asyncio.create_subprocess_shell",
];

/// Functions that start the same program again, to work in parallel.
const WORKERS: [&str; 8] = [
    "os.fork",
    "multiprocessing.Pool",
    "multiprocessing.Process",
    "multiprocessing.Queue",
    "multiprocessing.Manager",
    "multiprocessing.pool.Pool",
    "multiprocessing.pool.ThreadPool",
    "concurrent.futures.ProcessPoolExecutor",
];

/// Names of databases in memory. Some URIs are such names too.
const IN_MEMORY: [&str; 2] = [":memory:", ""];

/// The folder in which a step sees the files of its packages.
const PACKAGES: &str = "/packages";

/// Describes a call that cannot work in any step.
pub(crate) fn forbidden_call(call: &Call) -> Option<(CodeProblemKind, MissingModule)> {
    let function = call.function.as_str();
    let describe = |message: String, hint: &str| MissingModule { message, hint: hint.to_owned() };
    if OPENING.contains(&function) {
        let path = call.argument.as_deref().filter(|path| !path.starts_with(PACKAGES))?;
        let message = format!("a step cannot open the file `{path}`: steps have no files");
        return Some((CodeProblemKind::File, describe(message, file_hint(call))));
    }
    if function == "sqlite3.connect" {
        let path = call.argument.as_deref().filter(|path| !is_in_memory(path))?;
        let message = format!("a step cannot open the database `{path}`: steps have no files");
        let hint = "`:memory:` opens a database in memory, which ends with the step; to keep rows, return them, or store them \
                    with a step in postgres";
        return Some((CodeProblemKind::File, describe(message, hint)));
    }
    if TEMPORARY.contains(&function) {
        let message = format!("`{function}` cannot work in a step: steps have no files");
        return Some((CodeProblemKind::File, describe(message, "use `io.BytesIO` or `io.StringIO`")));
    }
    let hint = if PROGRAMS.contains(&function) {
        "do the work in Python, or make the program a step in rust, go or c"
    } else if WORKERS.contains(&function) {
        "write a loop in the script, whose rounds run in parallel, or use `asyncio` to wait for several requests at once"
    } else {
        return None;
    };
    let message = format!("`{function}` cannot work in a step: steps have no processes");
    Some((CodeProblemKind::Process, describe(message, hint)))
}

fn is_in_memory(database: &str) -> bool {
    IN_MEMORY.contains(&database) || database.starts_with("file:")
}

fn file_hint(call: &Call) -> &'static str {
    let mode = call.mode.as_deref().unwrap_or_default();
    let writes = call.function.contains("write_") || mode.starts_with(['w', 'a', 'x']);
    match writes {
        true => "return the data: it becomes the result of the step",
        false => {
            "put the data into a Python module beside the step and import it, pass it as the result of another step, \
             or fetch it over HTTP"
        }
    }
}
