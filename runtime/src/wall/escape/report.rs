//! Runs all attempts.

use core::fmt::Write as _;

use super::attempt::{Attempt, EscapeTarget};
use super::{files, kernel, network, processes};

/// Makes all attempts, and returns a line for each: its name, a tab, and the number of the error or 0.
pub(crate) fn try_everything(target: &EscapeTarget) -> String {
    let attempts =
        [files::attempts(target), network::attempts(), processes::attempts(target), kernel::attempts(target)];
    let mut report = String::new();
    for attempt in attempts.iter().flatten() {
        // writing to a string cannot fail
        let _ = writeln!(report, "{}\t{}", attempt.name, Attempt::run(attempt));
    }
    report
}
