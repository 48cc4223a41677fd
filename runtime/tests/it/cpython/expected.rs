//! The list of tests that fail: names below headings `# why`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::{Outcome, Outcomes};

/// Tests that fail, and why.
pub(crate) struct Expected(BTreeMap<String, String>);

impl Expected {
    /// The list for a version of CPython.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn read(version: &str) -> Result<Self, String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/programs/cpython");
        let path = folder.join(format!("expected-{version}.txt"));
        let text = fs::read_to_string(&path).map_err(|_| {
            format!("there is no list of failing tests for CPython {version}; name a CPython 3.11 with BUE_TEST_PYTHON")
        })?;
        let (mut known, mut why) = (BTreeMap::new(), String::new());
        for line in text.lines().filter(|line| !line.is_empty()) {
            match line.strip_prefix("# ") {
                Some(heading) => heading.clone_into(&mut why),
                None => assert!(known.insert(line.to_owned(), why.clone()).is_none(), "{line} is listed twice"),
            }
        }
        assert!(!known.values().any(String::is_empty), "every name is below a reason");
        Ok(Self(known))
    }

    /// Tests that fail and are not listed, each with its error.
    pub(crate) fn surprises(&self, outcomes: &Outcomes) -> Vec<String> {
        let unlisted = outcomes.iter().filter(|(name, _)| !self.0.contains_key(*name));
        unlisted
            .filter_map(|(name, outcome)| match outcome {
                Outcome::Failed(why) => Some(format!("{name}: {why}")),
                Outcome::Passed | Outcome::Skipped => None,
            })
            .collect()
    }

    /// Tests that are listed and pass.
    pub(crate) fn passing<'a>(&'a self, outcomes: &'a Outcomes) -> impl Iterator<Item = &'a str> {
        let listed = outcomes.iter().filter(|(name, _)| self.0.contains_key(*name));
        listed.filter(|(_, outcome)| matches!(outcome, Outcome::Passed)).map(|(name, _)| name.as_str())
    }

    /// How many of each kind.
    pub(crate) fn totals(&self, outcomes: &Outcomes, version: &str) -> String {
        let count = |is: fn(&Outcome) -> bool| outcomes.values().filter(|outcome| is(outcome)).count();
        let passed = count(|outcome| matches!(outcome, Outcome::Passed));
        let skipped = count(|outcome| matches!(outcome, Outcome::Skipped));
        let failed = count(|outcome| matches!(outcome, Outcome::Failed(_)));
        format!(
            "{} tests of CPython {version}: {passed} passed, {} failed as listed, {} failed and are not listed, {skipped} skipped",
            outcomes.len(),
            failed - self.surprises(outcomes).len(),
            self.surprises(outcomes).len()
        )
    }
}
