//! Lists of the named values.
//!
//! A value is stored under the hash of its name, so the names are stored apart, in order. A name is added before its value is, and removed
//! after it, so there may be names without a value: of values that have expired, and after a crash. A list leaves them out and removes
//! them. Values that an older release stored have no name here until they are stored again.

use bue_model::keys::{KeyPage, KeyView};
use bue_model::value_name::MAX_VALUE_NAME;
use bue_model::{BlobHash, Timestamp};
use futures_util::stream::{StreamExt, TryStreamExt, iter};

use super::blob_store::{BlobStore, NEVER};
use super::object_name::Key;
use crate::error::HubError;
use crate::http::reply::ErrorReply;

/// The largest number of values on a page.
pub(super) const MAX_PAGE: u32 = 1_000;
/// The number of values on a page by default.
pub(super) const PAGE: u32 = 100;
/// Values that are looked at together.
const CONCURRENT: usize = 16;

/// Which values to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct KeyQuery {
    /// Only values whose names begin with this.
    pub(super) prefix: String,
    /// Only values whose names come after this one.
    pub(super) after: String,
    /// The largest number of values in the answer.
    pub(super) limit: u32,
}

impl KeyQuery {
    /// Checks the texts of a query, which are parts of names.
    pub(super) fn new(prefix: String, after: String, limit: Option<u32>) -> Result<Self, ErrorReply> {
        for (parameter, text) in [("prefix", &prefix), ("after", &after)] {
            if text.len() > MAX_VALUE_NAME || text.contains(char::is_control) {
                let reason = "it has more than 1024 bytes or a control character, and no name has that";
                return Err(ErrorReply::bad_request(format!("`{parameter}`: {reason}"), "").about(parameter));
            }
        }
        match limit.unwrap_or(PAGE) {
            limit @ 1..=MAX_PAGE => Ok(Self { prefix, after, limit }),
            limit => {
                let message = format!("`limit` is {limit}; write a number from 1 to {MAX_PAGE}");
                Err(ErrorReply::bad_request(message, "").about("limit"))
            }
        }
    }
}

impl BlobStore {
    /// Returns a page of the values that a query matches, in the order of the bytes of their names.
    pub(super) async fn keys(&self, now: Timestamp, query: &KeyQuery) -> Result<KeyPage, HubError> {
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let names = self.backend.list_names(&query.prefix, &query.after, limit).await?;
        let next = names.last().filter(|_| names.len() >= limit).cloned();
        let views = iter(names.into_iter().map(|name| self.key_view(now, name)));
        let views: Vec<Option<KeyView>> = views.buffered(CONCURRENT).try_collect().await?;
        Ok(KeyPage { keys: views.into_iter().flatten().collect(), next })
    }

    /// Returns what a list shows of a value. If there is none, removes its name.
    async fn key_view(&self, now: Timestamp, name: String) -> Result<Option<KeyView>, HubError> {
        let Ok(key) = Key::new(&name) else { return Ok(None) };
        if let Some(view) = self.view_of(now, &key.hash, &name).await? {
            return Ok(Some(view));
        }
        // alone: a value that is being stored has its name already
        let _exclusive = self.shard(&key.hash).write().await;
        let view = self.view_of(now, &key.hash, &name).await?;
        if view.is_none() {
            self.backend.remove_name(&name).await?;
        }
        Ok(view)
    }

    async fn view_of(&self, now: Timestamp, hash: &BlobHash, name: &str) -> Result<Option<KeyView>, HubError> {
        let Some(value) = self.value_head(hash).await? else { return Ok(None) };
        let expires_at = Some(value.expires_at).filter(|at| *at != NEVER);
        let view = KeyView { key: name.to_owned(), bytes: value.length(), expires_at };
        Ok((value.expires_at > now).then_some(view))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bucket::object_name;

    #[test]
    fn names_of_objects_are_in_the_order_of_the_names_they_stand_for() {
        let long = "x".repeat(MAX_VALUE_NAME);
        let names =
            ["a", "a/b", "a/b/c", "ab", "b", "käse", &"x".repeat(99), &"x".repeat(100), &"x".repeat(101), &long];
        let objects: Vec<String> = names.iter().map(|name| object_name::value_name(name)).collect();
        assert!(objects.is_sorted(), "{objects:?}");
        assert!(objects.iter().all(|object| object.len() < 1_000 && object.split('/').all(|part| part.len() <= 255)));
        for (name, object) in names.iter().zip(&objects) {
            let parsed = object_name::parse_value_name(object);
            assert_eq!(
                parsed,
                Some((name.len() <= object_name::INDEXED_BYTES).then(|| (*name).to_owned())),
                "{object}"
            );
        }
    }
}
