//! Calls that no step can make, because a sandbox has no processes, and no files but `/tmp` and those that were packed; and calls that a
//! step may not make, because its script does not allow the value of the bucket that they name.

use bue_lang::CodeProblemKind;
use bue_lang::python::Call;
use bue_model::NamePattern;
use bue_model::value_name::check_value_name;

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

/// Functions that use the value of the bucket in their first argument.
const VALUES: [&str; 4] = ["bue.bucket.get", "bue.bucket.set", "bue.bucket.delete", "bue.bucket.open"];

/// Names of databases in memory. Some URIs are such names too.
const IN_MEMORY: [&str; 2] = [":memory:", ""];

/// The folders of a step: for the files that it writes, with those of its packages, and with the time zone database.
const FOLDERS: [&str; 3] = ["/tmp", "/packages", "/usr/share/zoneinfo"];

/// Where a file is that a step opens by a path from the script's folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FilePlace {
    /// It is packed with the step.
    Packed,
    /// It is beside the script, and not packed.
    BesideScript,
    /// There is none.
    Nowhere,
}

/// Describes a call that cannot work in the step. `find` looks for a file.
pub(crate) fn forbidden_call(
    call: &Call,
    find: impl Fn(&str) -> FilePlace,
) -> Option<(CodeProblemKind, MissingModule)> {
    let function = call.function.as_str();
    let describe = |message: String, hint: &str| MissingModule { message, hint: hint.to_owned() };
    if OPENING.contains(&function) {
        let problem = file_problem(call, call.argument.as_deref()?, find)?;
        return Some((CodeProblemKind::File, problem));
    }
    if function == "sqlite3.connect" {
        let path = call.argument.as_deref().filter(|path| !is_in_memory(path) && !is_in_folder(path))?;
        if !path.starts_with('/') && find(&without_dots(path)) == FilePlace::Packed {
            return None;
        }
        let message = format!("a step cannot open the database `{path}`: it can write to `/tmp` only");
        let hint = "a database in `/tmp` ends with the step; to keep rows, return them, or store them with a step in postgres; \
                    `!files` packs a database that is only read";
        return Some((CodeProblemKind::File, describe(message, hint)));
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

/// Describes a call that uses a value of the bucket that the script does not allow. An invalid name is an error when the step runs.
pub(crate) fn forbidden_value(call: &Call, allowed: &[NamePattern]) -> Option<(CodeProblemKind, MissingModule)> {
    let name = call.argument.as_deref().filter(|_| VALUES.contains(&call.function.as_str()))?;
    if check_value_name(name).is_err() || allowed.iter().any(|pattern| pattern.allows(name)) {
        return None;
    }
    let message = format!("the script does not allow the value `{name}` of the bucket");
    let hint = format!("write `!allow bucket {}` above the step", NamePattern::that_allows(name));
    Some((CodeProblemKind::Value, MissingModule { message, hint }))
}

fn is_in_memory(database: &str) -> bool {
    IN_MEMORY.contains(&database) || database.starts_with("file:")
}

fn is_in_folder(path: &str) -> bool {
    let is_below =
        |folder: &str| path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    FOLDERS.iter().any(|folder| is_below(folder))
}

/// Describes why a step cannot open a file.
fn file_problem(call: &Call, path: &str, find: impl Fn(&str) -> FilePlace) -> Option<MissingModule> {
    if is_in_folder(path) {
        return None;
    }
    let mode = call.mode.as_deref().unwrap_or_default();
    if call.function.contains("write_") || mode.starts_with(['w', 'a', 'x']) || mode.contains('+') {
        let message = format!("a step cannot write the file `{path}`: it can write to `/tmp` only");
        let hint =
            "return what is to be kept: it becomes the result of the step; files in `/tmp` are gone when the step ends";
        return Some(MissingModule { message, hint: hint.to_owned() });
    }
    if path.starts_with('/') {
        let message =
            format!("a step cannot open the file `{path}`: it sees the files that are packed with it, and `/tmp`");
        let hint = "copy the file to beside the script, and write `!files` with its name above the step".to_owned();
        return Some(MissingModule { message, hint });
    }
    let name = without_dots(path);
    let hint = match find(&name) {
        FilePlace::Packed => return None,
        FilePlace::BesideScript => format!("write `!files {name}` above the step"),
        FilePlace::Nowhere => {
            format!("there is no such file beside the script; write `!files {name}` above the step when there is")
        }
    };
    Some(MissingModule { message: format!("the file `{path}` is not packed with the step"), hint })
}

/// Returns a relative path without `.` and `..`. The folder above the step's working directory is that directory.
fn without_dots(path: &str) -> String {
    let mut names = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    names.join("/")
}
