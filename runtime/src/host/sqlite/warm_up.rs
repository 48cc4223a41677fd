//! What SQLite reads from files once, read before this process can open none.

use rusqlite::Connection;

use super::heap::Budget;

/// Draws the seed of SQLite's random numbers, which would be the time and the process id, and reads the time zone, which would
/// be UTC. To be called before the wall is raised.
pub(crate) fn warm_up() {
    // the allocator must be wrapped before SQLite is used
    let Ok(_budget) = Budget::for_this_thread(u64::MAX) else { return };
    let _ = Connection::open_in_memory().and_then(|connection| {
        connection.query_row("SELECT random(), datetime('now', 'localtime')", [], |row| row.get::<_, i64>(0))
    });
}
