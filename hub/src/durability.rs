//! [`Durability`]: whether a store waits for the disk before it answers.

/// When a store acknowledges a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// After fsync: nothing that was acknowledged is lost, not even in a power cut.
    Full,
    /// After the write reached the operating system: a crash of the process loses nothing, a power cut may. For tests and
    /// `bue run`.
    Off,
}

impl Durability {
    /// Returns the value of SQLite's pragma `synchronous`.
    pub(crate) const fn synchronous(self) -> &'static str {
        match self {
            Self::Full => "FULL",
            Self::Off => "OFF",
        }
    }
}
