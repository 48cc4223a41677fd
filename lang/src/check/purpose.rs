//! What a script is checked for.

/// What the script is checked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// `bue check`: a file may be created or finished later, so one that is missing or does not parse is a warning.
    Check,
    /// `bue run`, `bue upload`: a file must exist and parse.
    Run,
}
