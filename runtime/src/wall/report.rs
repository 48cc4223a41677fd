//! Which parts of a wall are up.

use core::fmt;

use bue_model::WallPart;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

/// Missing parts that are read at most: each has one reason, or a few.
const MAX_MISSING: usize = 16;

/// The wall of a sandbox host, as it was tested after it was raised.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wall {
    /// Only the system calls of `runtime/src/wall/syscalls.rs` are allowed.
    pub seccomp: bool,
    /// The version of Landlock's interface; `None` if Landlock does not restrict the process.
    pub landlock: Option<u32>,
    /// The process cannot be traced or read by others, writes no core dumps, and gains no privileges.
    pub no_dumps: bool,
    /// Its user id; `None` if it is that of its parent.
    pub uid: Option<u32>,
    /// The files of packages can be opened.
    pub packages: bool,
    /// The parts that are not up.
    #[serde(deserialize_with = "read_missing")]
    pub missing: Vec<MissingPart>,
}

/// A part of the wall that is not up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingPart {
    /// The part.
    pub part: WallPart,
    /// Why it is not up.
    pub reason: String,
}

/// Reads at most [`MAX_MISSING`] parts. A host that was broken out of could send millions, and two bytes of a part become dozens in
/// the memory of the worker.
fn read_missing<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<MissingPart>, D::Error> {
    struct MissingParts;

    impl<'de> Visitor<'de> for MissingParts {
        type Value = Vec<MissingPart>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(formatter, "a list of at most {MAX_MISSING} parts")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Self::Value, A::Error> {
            let mut missing = Vec::new();
            while let Some(part) = parts.next_element()? {
                if missing.len() == MAX_MISSING {
                    return Err(A::Error::invalid_length(MAX_MISSING + 1, &self));
                }
                missing.push(part);
            }
            Ok(missing)
        }
    }

    from.deserialize_seq(MissingParts)
}

impl Wall {
    pub(crate) fn add_missing(&mut self, part: WallPart, reason: impl fmt::Display) {
        self.missing.push(MissingPart { part, reason: reason.to_string() });
    }

    /// Returns whether a part is up. That of an ordinary user counts as up, because there is nothing to give away.
    #[must_use]
    pub fn is_up(&self, part: WallPart) -> bool {
        match part {
            WallPart::Seccomp => self.seccomp,
            WallPart::Landlock => self.landlock.is_some(),
            WallPart::NoDumps => self.no_dumps,
            WallPart::OwnUser => !self.missing.iter().any(|missing| missing.part == part),
        }
    }

    /// Returns the names of the parts that are up.
    #[must_use]
    pub fn parts(&self) -> Vec<&'static str> {
        WallPart::ALL.into_iter().filter(|part| self.is_up(*part)).map(WallPart::name).collect()
    }

    /// Returns a sentence for each part that is missing: why, and how to get it.
    #[must_use]
    pub fn missing_text(&self) -> String {
        let texts = self.missing.iter().map(|missing| {
            format!("{} is missing ({}); {}", missing.part.name(), missing.reason, missing.part.remedy())
        });
        texts.collect::<Vec<_>>().join(". ")
    }
}

/// The parts that are up: `seccomp, landlock 7, no dumps, uid 60706`.
impl fmt::Display for Wall {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            self.seccomp.then(|| "seccomp".to_owned()),
            self.landlock.map(|version| format!("landlock {version}")),
            self.no_dumps.then(|| "no dumps".to_owned()),
            self.uid.map(|uid| format!("uid {uid}")),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        formatter.write_str(if parts.is_empty() { "none" } else { "" })?;
        formatter.write_str(&parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_names_what_is_up_and_how_to_get_the_rest() {
        let mut wall = Wall { seccomp: true, no_dumps: true, uid: Some(60706), ..Wall::default() };
        wall.add_missing(WallPart::Landlock, "the kernel does not offer it");
        assert_eq!(wall.to_string(), "seccomp, no dumps, uid 60706");
        assert!(wall.is_up(WallPart::OwnUser) && !wall.is_up(WallPart::Landlock));
        let text = wall.missing_text();
        assert!(
            text.starts_with("landlock is missing (the kernel does not offer it)") && text.contains("lsm="),
            "{text}"
        );
        assert_eq!(Wall::default().to_string(), "none");
        assert_eq!(wall.parts(), ["seccomp", "no-dumps", "own-user"]);
    }
}
