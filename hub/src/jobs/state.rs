//! States of jobs, fan-outs and runs, and their numbers in both databases.
//!
//! | state | table | shown as |
//! | --- | --- | --- |
//! | 0 blocked | job | blocked |
//! | 1 parked | job | available |
//! | 2 ready | job | available |
//! | 3 running | job | running |
//! | 4 expanding | job | running |
//! | 5 failed | job | failed |
//! | 6 stuck | job | blocked |
//! | 7 completed | done | completed |
//! | 8 cancelled | done | cancelled |
//!
//! A parked job becomes ready at its `available_at`. Only fan-outs are expanding, and the `finally` block is one. A stuck row waits behind the failed job
//! `blocked_by`. States below `failed` are *open*: something may still happen without a reset.

use bue_model::{JobState, RunState};

/// The state of a job or a fan-out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    Blocked = 0,
    Parked = 1,
    Ready = 2,
    Running = 3,
    Expanding = 4,
    Failed = 5,
    Stuck = 6,
    Completed = 7,
    Cancelled = 8,
}

/// The number of a [`State`] as a literal for `concat!`, so that SQL names states.
macro_rules! state_code {
    (Blocked) => {
        "0"
    };
    (Parked) => {
        "1"
    };
    (Ready) => {
        "2"
    };
    (Running) => {
        "3"
    };
    (Expanding) => {
        "4"
    };
    (Failed) => {
        "5"
    };
    (Stuck) => {
        "6"
    };
    (Completed) => {
        "7"
    };
    (Cancelled) => {
        "8"
    };
}
pub(crate) use state_code;

/// The number of `RunState::Running` as a literal for `concat!`.
macro_rules! run_state_code {
    (Running) => {
        "0"
    };
}
pub(crate) use run_state_code;

impl State {
    /// Returns whether something may still happen to it without a reset.
    pub(crate) fn is_open(self) -> bool {
        self < Self::Failed
    }

    /// Returns whether it waits, runs, or would after a reset of the job that it is stuck behind.
    pub(crate) fn can_be_cancelled(self) -> bool {
        self.is_open() || self == Self::Stuck
    }

    /// Returns the state with this number.
    pub(crate) fn from_code(code: i64) -> Option<Self> {
        Some(match code {
            0 => Self::Blocked,
            1 => Self::Parked,
            2 => Self::Ready,
            3 => Self::Running,
            4 => Self::Expanding,
            5 => Self::Failed,
            6 => Self::Stuck,
            7 => Self::Completed,
            8 => Self::Cancelled,
            _ => return None,
        })
    }

    /// Returns the state that users see.
    pub(crate) fn as_job_state(self) -> JobState {
        match self {
            Self::Blocked | Self::Stuck => JobState::Blocked,
            Self::Parked | Self::Ready => JobState::Available,
            Self::Running | Self::Expanding => JobState::Running,
            Self::Failed => JobState::Failed,
            Self::Completed => JobState::Completed,
            Self::Cancelled => JobState::Cancelled,
        }
    }
}

/// Returns the number of a run's state.
pub(crate) const fn run_state_to_code(state: RunState) -> i64 {
    match state {
        RunState::Running => 0,
        RunState::Completed => 1,
        RunState::Failed => 2,
        RunState::Cancelled => 3,
    }
}

/// Returns the run state with this number.
pub(crate) const fn run_state_from_code(code: i64) -> Option<RunState> {
    Some(match code {
        0 => RunState::Running,
        1 => RunState::Completed,
        2 => RunState::Failed,
        3 => RunState::Cancelled,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;

    #[test]
    fn the_legend_and_the_numbers_in_sql_are_those_of_the_enum() {
        let legend: Vec<&str> =
            include_str!("state.rs").lines().filter_map(|line| line.strip_prefix("//! | ")).collect();
        let states = (0..).map_while(State::from_code);
        let rows: Vec<String> = states
            .map(|state| {
                let table = if state < State::Completed { "job" } else { "done" };
                let name = format!("{state:?}").to_lowercase();
                format!("{} {name} | {table} | {} |", state as i64, state.as_job_state().name())
            })
            .collect();
        assert_eq!(legend.get(2..), Some(rows.iter().map(String::as_str).collect::<Vec<_>>().as_slice()));
        macro_rules! codes {
            ($($state:ident),*) => { [$((State::$state, state_code!($state))),*] };
        }
        let codes = codes!(Blocked, Parked, Ready, Running, Expanding, Failed, Stuck, Completed, Cancelled);
        assert_eq!(codes.len(), rows.len());
        for (state, code) in codes {
            assert_eq!(Some(state), code.parse().ok().and_then(State::from_code));
        }
        assert_eq!(run_state_code!(Running).parse(), Ok(run_state_to_code(RunState::Running)));
    }

    /// The files of a folder and of all folders in it.
    fn collect_files(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { collect_files(&path, files) } else { files.push(path) }
        }
    }

    /// The scripts in `schema.rs` are released layouts and stay as they are.
    #[test]
    fn statements_name_states_instead_of_writing_numbers() {
        let mut files = Vec::new();
        for folder in ["sqlite", "postgres"] {
            collect_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(folder), &mut files);
        }
        assert!(files.iter().any(|file| file.ends_with("views/gc_roots.rs")), "folders inside are read: {files:?}");
        for file in files.iter().filter(|file| !file.ends_with("schema.rs")) {
            let text = fs::read_to_string(file).expect("a source");
            for operator in ["=", "<>", "<", ">="] {
                let bare = text
                    .split(&format!("state {operator} "))
                    .skip(1)
                    .any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
                assert!(!bare, "{} compares a state with a number; use `state_code!`", file.display());
            }
        }
    }
}
