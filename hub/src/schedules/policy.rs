//! [`Overlap`] and [`CatchUp`]: what happens to due times that cannot start a run when they are due.

/// Due times that every hub missed and that one schedule catches up at most.
pub(crate) const MAX_CAUGHT_UP: usize = 100;

/// What happens when a schedule is due while its previous run has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overlap {
    /// The due time is left out.
    Skip,
    /// It waits for the previous run to end.
    Queue,
    /// The previous run is cancelled.
    Cancel,
    /// Both runs go on.
    Allow,
}

impl Overlap {
    const ALL: [Self; 4] = [Self::Skip, Self::Queue, Self::Cancel, Self::Allow];

    /// The word for it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Queue => "queue",
            Self::Cancel => "cancel",
            Self::Allow => "allow",
        }
    }

    /// Reads the word.
    ///
    /// # Errors
    /// What to write instead.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|overlap| overlap.name() == text);
        found.ok_or_else(|| format!("`{}` is not one of skip, queue, cancel, allow", shown(text)))
    }
}

/// Which of the due times that every hub missed start runs later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CatchUp {
    /// None of them.
    None,
    /// The last one, unless a later one is due as well.
    Last,
    /// So many of the last ones.
    All(usize),
}

impl CatchUp {
    /// The words for it.
    pub(crate) fn text(self) -> String {
        match self {
            Self::None => "none".to_owned(),
            Self::Last => "last".to_owned(),
            Self::All(count) => format!("all:{count}"),
        }
    }

    /// Reads the words.
    ///
    /// # Errors
    /// What to write instead.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let all = || text.strip_prefix("all:").and_then(|count| count.parse().ok());
        match text {
            "none" => Ok(Self::None),
            "last" => Ok(Self::Last),
            _ => all()
                .filter(|count| (1..=MAX_CAUGHT_UP).contains(count))
                .map(Self::All)
                .ok_or_else(|| format!("`{}` is not one of none, last, all:1 to all:{MAX_CAUGHT_UP}", shown(text))),
        }
    }
}

fn shown(text: &str) -> String {
    text.chars().take(50).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_a_round_trip() {
        for overlap in Overlap::ALL {
            assert_eq!(Overlap::read(overlap.name()), Ok(overlap));
        }
        for catch_up in [CatchUp::None, CatchUp::Last, CatchUp::All(1), CatchUp::All(100)] {
            assert_eq!(CatchUp::read(&catch_up.text()), Ok(catch_up));
        }
        for text in ["", "all", "all:0", "all:101", "all:-1", "all:x", "first", "Last"] {
            assert!(CatchUp::read(text).is_err_and(|problem| problem.contains("all:100")), "{text}");
            assert!(Overlap::read(text).is_err_and(|problem| problem.contains("allow")), "{text}");
        }
    }
}
