//! What a parent orders its children to raise.

use serde::{Deserialize, Serialize};

/// What to do about parts of the wall that this machine does not offer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum WallMode {
    /// Raise nothing. For measurements, and to show that a test of the wall would notice its absence.
    Off,
    /// Raise what this machine offers, and report the rest.
    #[default]
    Best,
    /// Refuse to start without all parts.
    Require,
}

/// The order to raise a wall.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WallSpec {
    pub(crate) mode: WallMode,
    pub(crate) user: UserId,
    /// The folder of packages came with the message.
    pub(crate) packages: bool,
}

/// As which user a child runs guests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum UserId {
    /// As its parent, an ordinary user.
    Inherited,
    /// As a user of its own. The parent is root.
    Own(u32),
    /// As its parent, which is root but may not change user ids.
    Root,
}
