//! `sqlite3` steps: SQLite as a guest, one instance per step, which begins with an open database.
//!
//! The statements are executed in the guest, by [`bue_sql::sqlite`]. Depends on [`guest`](crate::host::guest).

pub(crate) mod steps;
