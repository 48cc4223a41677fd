//! Which guest.

/// The guests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GuestKind {
    Python,
    Sqlite,
}

impl GuestKind {
    /// Its name in file names.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Sqlite => "sqlite",
        }
    }
}
