//! [`Node`]: a part of a YAML file.

use crate::pypeline::problem::Place;

/// A value with its place.
#[derive(Clone, Debug)]
pub(in crate::pypeline) struct Node {
    /// Where it begins.
    pub(in crate::pypeline) place: Place,
    /// What it is.
    pub(in crate::pypeline) content: Content,
}

/// What a node is.
#[derive(Clone, Debug)]
pub(in crate::pypeline) enum Content {
    /// A text, or what a plain text stands for.
    Scalar(Scalar),
    /// `[a, b]`
    List(Vec<Node>),
    /// `{a: b}`, in the order of the file, with no key twice.
    Map(Vec<Entry>),
}

/// A value that is written as a text.
#[derive(Clone, Debug)]
pub(in crate::pypeline) struct Scalar {
    /// The text.
    pub(in crate::pypeline) text: String,
    /// Whether it is plain, that is, may mean something else than its text: a number, `yes`, `${NAME}`.
    pub(in crate::pypeline) is_plain: bool,
}

/// A key and its value.
#[derive(Clone, Debug)]
pub(in crate::pypeline) struct Entry {
    /// The key.
    pub(in crate::pypeline) key: String,
    /// Where the key is.
    pub(in crate::pypeline) place: Place,
    /// The value.
    pub(in crate::pypeline) value: Node,
}

impl Node {
    /// What it is, for messages.
    pub(in crate::pypeline) const fn kind(&self) -> &'static str {
        match self.content {
            Content::Scalar(_) => "a single value",
            Content::List(_) => "a list",
            Content::Map(_) => "a map",
        }
    }

    /// Returns the value of a key; `None` also if this is no map.
    pub(in crate::pypeline) fn get(&self, key: &str) -> Option<&Self> {
        match &self.content {
            Content::Map(entries) => entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value),
            _ => None,
        }
    }

    /// The entries of a map; none of anything else.
    pub(in crate::pypeline) fn entries(&self) -> &[Entry] {
        match &self.content {
            Content::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The elements of a list; none of anything else.
    pub(in crate::pypeline) fn elements(&self) -> &[Self] {
        match &self.content {
            Content::List(nodes) => nodes,
            _ => &[],
        }
    }
}
