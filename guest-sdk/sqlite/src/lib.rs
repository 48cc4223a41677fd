//! The SQLite guest: a sandbox host opens a database once, and executes each `sqlite3` step in a copy of that memory. The
//! contract with the host is in [`bue_model::guest`], the execution of a step in [`bue_sql::sqlite`].

mod host;

use core::cell::RefCell;

use bue_guest_contract::{allocate_request, set_reply, take_request};
use bue_model::{Answer, Failure, FailureKind};
use bue_sql::sqlite::{Database, StepRequest};

use host::SandboxHost;

/// Bytes that a step can allocate before the memory has to grow.
const HEADROOM: usize = 512 * 1024;

thread_local! {
    /// The database of the next step. It is part of the image.
    static DATABASE: RefCell<Option<Database>> = const { RefCell::new(None) };
}

/// Opens the database. Called once, for the base image.
///
/// # Panics
/// If SQLite fails: then the guest was built wrongly, and its host must not go on.
#[unsafe(no_mangle)]
#[expect(clippy::panic, reason = "there is no caller to return an error to, and the host reports what was printed")]
pub extern "C" fn bue_init() {
    match Database::open() {
        Ok(database) => DATABASE.set(Some(database)),
        Err(failure) => panic!("{failure}"),
    }
    drop(Vec::<u8>::with_capacity(HEADROOM));
    // last, because opening the database may have drawn a seed
    bue_sqlite3::reset_randomness();
}

/// Returns room for the `len` bytes of the next export's request.
#[unsafe(no_mangle)]
pub extern "C" fn bue_alloc(len: usize) -> *mut u8 {
    allocate_request(len)
}

/// Executes a step.
#[unsafe(no_mangle)]
pub extern "C" fn bue_call(_ptr: *const u8, _len: usize) -> i64 {
    let answer = take_request().and_then(|request| execute(&request)).unwrap_or_else(Answer::Failed);
    set_reply(&answer, 0)
}

fn execute(request: &StepRequest) -> Result<Answer, Failure> {
    let database = DATABASE.take();
    let mut database = database.ok_or_else(|| Failure::new(FailureKind::Internal, "the database is not open"))?;
    let answer = database.execute(request, &mut SandboxHost);
    // the memory is dropped as a whole; to close the database would only cost time
    core::mem::forget(database);
    Ok(answer)
}
