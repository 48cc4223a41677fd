//! [`Position`]: where a list in the order of time, newest first, goes on.

use std::fmt;
use std::str::FromStr;

/// The last entry of a page. The next page has what is older, and of the same time what has a smaller key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The time of the entry in milliseconds.
    pub at: i64,
    /// What tells entries of the same time apart.
    pub key: i64,
}

/// A text is not a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not the `next` of an earlier answer")]
pub struct ParsePositionError;

impl Position {
    /// Before all entries.
    pub(crate) const NEWEST: Self = Self { at: i64::MAX, key: i64::MAX };

    /// Returns the position behind which a page begins: after an entry, and only with what is older than a time.
    pub(crate) fn upper_bound(after: Option<Self>, until: Option<i64>) -> Self {
        let until = until.map_or(Self::NEWEST, |at| Self { at, key: i64::MIN });
        after.unwrap_or(Self::NEWEST).min(until)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.at, self.key)
    }
}

impl FromStr for Position {
    type Err = ParsePositionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |text: &str| text.parse::<i64>().map_err(|_| ParsePositionError);
        let (at, key) = text.split_once('.').ok_or(ParsePositionError)?;
        let position = Self { at: number(at)?, key: number(key)? };
        // one position has one text
        if position.to_string() == text { Ok(position) } else { Err(ParsePositionError) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_survives_a_round_trip_and_nothing_else_is_one() {
        for position in [Position { at: 1_700_000_000_123, key: 7 }, Position { at: -1, key: 0 }, Position::NEWEST] {
            assert_eq!(position.to_string().parse(), Ok(position));
        }
        for text in ["", ".", "1", "1.", ".1", "1.2.3", "+1.2", "01.2", "1.2 ", "x.1", "1.99999999999999999999"] {
            assert_eq!(text.parse::<Position>(), Err(ParsePositionError), "{text}");
        }
    }

    #[test]
    fn a_page_begins_behind_the_entry_or_the_time_whichever_is_older() {
        let after = Position { at: 5, key: 3 };
        assert_eq!(Position::upper_bound(None, None), Position::NEWEST);
        assert_eq!(Position::upper_bound(Some(after), None), after);
        assert_eq!(Position::upper_bound(Some(after), Some(9)), after);
        assert_eq!(Position::upper_bound(Some(after), Some(5)), Position { at: 5, key: i64::MIN });
    }
}
