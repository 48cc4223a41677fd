//! The named values of the bucket, as people and scripts see them in a list.

use serde::{Deserialize, Serialize};

use crate::ids::Timestamp;

/// A page of the named values of a bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyPage {
    /// The values. There may be fewer than the limit, even none, although there is a next page.
    pub keys: Vec<KeyView>,
    /// The beginning of the next page, for the parameter `after`. `None` on the last page.
    pub next: Option<String>,
}

/// A named value, without its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyView {
    /// Its name.
    pub key: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// When it expires, by the bucket's clock. `None` if it does not.
    pub expires_at: Option<Timestamp>,
}
