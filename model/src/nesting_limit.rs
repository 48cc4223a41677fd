//! Recursive lists ([`ForEach::body`](crate::ForEach::body)) of bounded depth: postcard itself has no limit, and hostile bytes
//! would overflow the stack, which cannot be caught.

use std::cell::Cell;

use serde::de::{Deserialize, Deserializer, Error};

/// The depth to which such lists may nest. Loops in scripts nest two or three deep.
pub(crate) const MAX_NESTING: usize = 32;

thread_local! {
    static NESTING: Cell<usize> = const { Cell::new(0) };
}

/// A level of nesting, counted until it is dropped.
struct Level;

impl Level {
    fn enter() -> Option<Self> {
        let nesting = NESTING.get();
        (nesting < MAX_NESTING).then(|| {
            NESTING.set(nesting + 1);
            Self
        })
    }
}

impl Drop for Level {
    fn drop(&mut self) {
        NESTING.set(NESTING.get().saturating_sub(1));
    }
}

/// Reads a list, and refuses it inside [`MAX_NESTING`] others, for `#[serde(deserialize_with = "...")]`.
pub(crate) fn nested_list<'de, T, D>(from: D) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    let Some(_level) = Level::enter() else {
        return Err(D::Error::custom(format_args!("nested deeper than {MAX_NESTING} levels")));
    };
    Vec::deserialize(from)
}

#[cfg(test)]
mod tests {
    use crate::ids::NodeId;
    use crate::job::{Chunk, ValueRef};
    use crate::plan::{ForEach, Node};

    use super::*;

    fn nested(levels: usize) -> Node {
        (1..levels).fold(loop_over(Vec::new()), |inner, _| loop_over(vec![inner]))
    }

    fn loop_over(body: Vec<Node>) -> Node {
        Node::ForEach(ForEach {
            id: NodeId(1),
            variable: "x".into(),
            over: NodeId(0),
            line: 1,
            body,
            gather: None,
            window: None,
        })
    }

    #[test]
    fn loops_are_read_to_a_bounded_depth() {
        let deepest = nested(MAX_NESTING);
        let bytes = postcard::to_allocvec(&deepest).expect("postcard");
        assert_eq!(postcard::from_bytes(&bytes), Ok(deepest));
        let bytes = postcard::to_allocvec(&nested(MAX_NESTING + 1)).expect("postcard");
        assert!(postcard::from_bytes::<Node>(&bytes).is_err());
        assert_eq!(NESTING.get(), 0);
    }

    #[test]
    fn bytes_that_nest_without_end_are_an_error() {
        // tag of the loop, id, name of length 0, over, line, body of length 1, and so on
        let bytes = [1, 1, 0, 0, 1, 1].repeat(1_000_000);
        assert!(postcard::from_bytes::<Node>(&bytes).is_err());
        // tag of the list, length 1, count, tag of the list, and so on
        let bytes = [2, 1, 1].repeat(1_000_000);
        assert!(postcard::from_bytes::<ValueRef>(&bytes).is_err());
    }

    #[test]
    fn a_piece_of_a_list_keeps_its_bytes() {
        let list = ValueRef::List(vec![Chunk { count: 2, value: Box::new(ValueRef::Inline(vec![1, 2].into())) }]);
        let bytes = postcard::to_allocvec(&list).expect("postcard");
        assert_eq!(postcard::from_bytes(&bytes), Ok(list));
    }
}
