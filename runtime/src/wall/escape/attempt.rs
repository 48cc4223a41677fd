//! One system call that must be refused.

use std::ffi::CString;
use std::io;

/// Bytes of the memory that a call may read and write.
const SCRATCH_BYTES: usize = 16384;

/// What the attempts are aimed at.
#[derive(Clone, Debug)]
pub struct EscapeTarget {
    /// A secret file.
    pub key: String,
    /// A folder that belongs to the parent's user, with a file `victim`.
    pub folder: String,
    /// Another sandbox host.
    pub sibling: u32,
    /// The process that started this one.
    parent: u32,
}

impl EscapeTarget {
    /// Aims at the parent of this process and these. To be called before the wall is raised.
    #[must_use]
    pub fn new(key: String, folder: String, sibling: u32) -> Self {
        Self { key, folder, sibling, parent: std::os::unix::process::parent_id() }
    }

    pub(crate) const fn parent(&self) -> usize {
        self.parent as usize
    }

    pub(crate) const fn sibling_id(&self) -> usize {
        self.sibling as usize
    }

    /// The path of a file of the parent in `/proc`.
    pub(crate) fn of_parent(&self, name: &str) -> usize {
        text(&format!("/proc/{}/{name}", self.parent))
    }

    /// The path of a file of the other host in `/proc`.
    pub(crate) fn of_sibling(&self, name: &str) -> usize {
        text(&format!("/proc/{}/{name}", self.sibling))
    }

    /// A path in the folder.
    pub(crate) fn in_folder(&self, name: &str) -> usize {
        text(&format!("{}/{name}", self.folder))
    }
}

/// A system call with its arguments.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    /// What it would achieve.
    pub(crate) name: String,
    call: i64,
    arguments: [usize; 6],
}

/// An attempt with up to six arguments; the others are zero.
///
/// Arguments that are addresses come from [`text`], [`scratch`] or [`words`], or are null.
pub(crate) fn attempt(name: &str, call: i64, arguments: &[usize]) -> Attempt {
    let mut all = [0; 6];
    for (argument, given) in all.iter_mut().zip(arguments) {
        *argument = *given;
    }
    Attempt { name: name.to_owned(), call, arguments: all }
}

impl Attempt {
    /// Makes the call. Returns the error number, or 0 if it succeeded.
    pub(crate) fn run(&self) -> i32 {
        let [a, b, c, d, e, f] = self.arguments;
        // SAFETY: the addresses among the arguments are null, or of C strings or zeroed memory that are never freed
        // and of which Rust holds no reference, and no call of the lists writes more than that memory has. The process does
        // nothing else after these calls, so their effects on it (closed files, other rights) break no one's assumptions.
        let result = unsafe { libc::syscall(self.call, a, b, c, d, e, f) };
        if result == 0 && CALLS_THAT_FORK.contains(&self.call) {
            // SAFETY: the child of a fork, which must not go on as if it were this process.
            unsafe { libc::_exit(0) }
        }
        match result {
            -1 => io::Error::last_os_error().raw_os_error().unwrap_or(-1),
            _ => 0,
        }
    }
}

/// These return 0 in a new process.
const CALLS_THAT_FORK: &[i64] = &[libc::SYS_fork, libc::SYS_clone];

/// The address of a C string that is never freed.
pub(crate) fn text(text: &str) -> usize {
    // our own texts have no zero bytes
    CString::new(text).unwrap_or_default().into_raw().expose_provenance()
}

/// The address of zeroed memory that is never freed, enough for every structure of the listed calls.
pub(crate) fn scratch() -> usize {
    words(&[])
}

/// The same, with these words at its start.
pub(crate) fn words(words: &[u64]) -> usize {
    let mut memory = vec![0_u64; SCRATCH_BYTES / 8];
    for (word, given) in memory.iter_mut().zip(words) {
        *word = *given;
    }
    memory.leak().as_mut_ptr().expose_provenance()
}

/// An integer argument of C.
pub(crate) fn int(value: i32) -> usize {
    // a register has 64 bits, so this never fails
    usize::try_from(i64::from(value).cast_unsigned()).unwrap_or(usize::MAX)
}
