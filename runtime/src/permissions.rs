//! What a step may reach.

use serde::{Deserialize, Serialize};

/// What a step may reach outside its sandbox: nothing.
///
/// The default is the only value today. A capability is added as a field whose default denies (allowed hosts, names of
/// secrets, names of databases), so that forgetting one never allows anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Permissions {}
