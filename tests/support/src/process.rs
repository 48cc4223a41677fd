//! Child processes with deadlines: reading their pipes and waiting for their exit.
//!
//! A thread reads each pipe, because a read of a pipe cannot be given a deadline. If a child does not do what the test expects,
//! the test fails with what the child printed instead of hanging.

use std::io::{self, BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::wait::{DEADLINE, wait_until};

/// How long a command may take from start to exit. Some commands compile steps and all their dependencies, on a loaded machine
/// together with other builds.
pub const COMMAND_DEADLINE: Duration = Duration::from_secs(1800);

/// The lines of a child's pipe.
#[derive(Debug)]
pub struct Lines(Receiver<String>);

impl Lines {
    /// Starts to read a pipe. The lines have no line ends; what is not UTF-8 is replaced.
    #[must_use]
    pub fn new(pipe: impl Read + Send + 'static) -> Self {
        let (sender, lines) = channel();
        thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            while pipe.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                let text = String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_owned();
                line.clear();
                if sender.send(text).is_err() {
                    break;
                }
            }
        });
        Self(lines)
    }

    /// Returns the next line, or `None` after the last one.
    ///
    /// # Panics
    /// There is none within [`DEADLINE`]; the message contains `what`.
    #[track_caller]
    pub fn next(&self, what: &str) -> Option<String> {
        match self.0.recv_timeout(DEADLINE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("waited more than {DEADLINE:?} for a line: {what}"),
        }
    }

    /// Reads up to the first line that contains `text`, and returns that line.
    ///
    /// # Panics
    /// No line contains it; or the next line does not come within [`DEADLINE`].
    #[track_caller]
    pub fn find(&self, text: &str) -> String {
        let mut before = Vec::new();
        while let Some(line) = self.next(text) {
            if line.contains(text) {
                return line;
            }
            before.push(line);
        }
        panic!("no line contains {text:?}: {before:#?}")
    }

    /// Returns all lines that are left.
    ///
    /// # Panics
    /// The pipe is not closed, and the next line does not come within [`DEADLINE`].
    #[track_caller]
    pub fn remaining(&self) -> Vec<String> {
        std::iter::from_fn(|| self.next("the end of the pipe")).collect()
    }
}

/// Waits until a child exits.
///
/// # Panics
/// It does not exit within [`DEADLINE`]; the message contains `what`.
#[track_caller]
pub fn exit_status(what: &str, child: &mut Child) -> ExitStatus {
    let mut status = None;
    wait_until(what, || {
        status = child.try_wait().expect("a child");
        status.is_some()
    });
    status.expect("an exit")
}

/// Runs a command to its end, and returns what it printed: [`Command::output`] with a deadline.
///
/// # Errors
/// The command cannot be started.
///
/// # Panics
/// It does not end within [`COMMAND_DEADLINE`]: it is killed, and the message contains what it printed.
#[track_caller]
pub fn output(command: &mut Command) -> io::Result<Output> {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    Ok(child_output(&format!("{command:?}"), child))
}

/// Waits until a child has closed its pipes and exited, and returns what it printed.
///
/// # Panics
/// It does not end within [`COMMAND_DEADLINE`]: it is killed, and the message contains `what` and what it printed.
#[track_caller]
pub fn child_output(what: &str, mut child: Child) -> Output {
    drop(child.stdin.take());
    let deadline = Instant::now() + COMMAND_DEADLINE;
    let stdout = Pipe::new(child.stdout.take().map(Source::Stdout));
    let stderr = Pipe::new(child.stderr.take().map(Source::Stderr));
    let (stdout, stderr) = (stdout.read_all(deadline), stderr.read_all(deadline));
    if let (Ok(stdout), Ok(stderr)) = (&stdout, &stderr) {
        let status = exit_status(what, &mut child);
        return Output { status, stdout: stdout.clone(), stderr: stderr.clone() };
    }
    let _ = child.kill();
    let text = |pipe: Result<Vec<u8>, Vec<u8>>| {
        String::from_utf8_lossy(&pipe.unwrap_or_else(|incomplete| incomplete)).into_owned()
    };
    panic!("{what} runs for more than {COMMAND_DEADLINE:?}\nstdout:\n{}\nstderr:\n{}", text(stdout), text(stderr))
}

/// Kills a child that runs for longer than [`COMMAND_DEADLINE`], so that a blocking read or write of its pipes returns an error
/// or the end.
#[derive(Debug)]
pub struct Watchdog {
    _stop: Sender<()>,
}

impl Watchdog {
    /// Watches a child until the value is dropped.
    #[must_use]
    pub fn new(child: &Child) -> Self {
        let (stop, stopped) = channel::<()>();
        let process = child.id().to_string();
        thread::spawn(move || {
            if stopped.recv_timeout(COMMAND_DEADLINE) == Err(RecvTimeoutError::Timeout) {
                let _ = Command::new("kill").args(["-s", "KILL", &process]).status();
            }
        });
        Self { _stop: stop }
    }
}

enum Source {
    Stdout(ChildStdout),
    Stderr(ChildStderr),
}

/// A pipe that a thread reads.
struct Pipe(Receiver<Vec<u8>>);

impl Pipe {
    /// Starts to read a pipe; one that does not exist is empty.
    fn new(source: Option<Source>) -> Self {
        let (sender, chunks) = channel();
        let mut source: Box<dyn Read + Send> = match source {
            Some(Source::Stdout(pipe)) => Box::new(pipe),
            Some(Source::Stderr(pipe)) => Box::new(pipe),
            None => Box::new(io::empty()),
        };
        thread::spawn(move || {
            let mut chunk = vec![0; 64 * 1024];
            while let Ok(length @ 1..) = source.read(&mut chunk) {
                if sender.send(chunk[..length].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self(chunks)
    }

    /// Reads to the end. Returns an error with what was read if the deadline comes before.
    fn read_all(&self, deadline: Instant) -> Result<Vec<u8>, Vec<u8>> {
        let mut bytes = Vec::new();
        loop {
            match self.0.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(chunk) => bytes.extend(chunk),
                Err(RecvTimeoutError::Disconnected) => return Ok(bytes),
                Err(RecvTimeoutError::Timeout) => return Err(bytes),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Child {
        Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn().expect("sh")
    }

    #[test]
    fn output_has_both_pipes_and_the_exit_code() {
        let output = output(Command::new("sh").args(["-c", "echo out; echo err >&2; exit 3"])).expect("sh");
        assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b"out\n"[..], &b"err\n"[..]));
        assert_eq!(output.status.code(), Some(3));
    }

    #[test]
    fn lines_are_read_up_to_the_end() {
        let mut child = shell("echo one; echo two; printf three");
        let lines = Lines::new(child.stdout.take().expect("stdout"));
        assert_eq!(lines.find("two"), "two");
        assert_eq!(lines.remaining(), ["three"]);
        assert!(exit_status("sh exits", &mut child).success());
    }

    #[test]
    #[should_panic(expected = "no line contains \"three\"")]
    fn a_line_that_does_not_come_fails_with_the_lines_that_came() {
        let mut child = shell("echo one; echo two");
        let _ = exit_status("sh exits", &mut child);
        let _ = Lines::new(child.stdout.take().expect("stdout")).find("three");
    }
}
