//! The errors of WASI preview 1 that occur here.

/// An error number of WASI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(super) enum Errno {
    /// Not a descriptor, or not for this use.
    BadDescriptor = 8,
    Exists = 20,
    Invalid = 28,
    IsFolder = 31,
    TooManyOpen = 33,
    NameTooLong = 37,
    NotFound = 44,
    /// The memory of the step is used up.
    NoSpace = 51,
    NotFolder = 54,
    NotEmpty = 55,
    NotPermitted = 63,
    ReadOnly = 69,
    /// A stream cannot be sought.
    NotSeekable = 70,
    /// Between the step's files and its packages.
    OtherDevice = 75,
}
