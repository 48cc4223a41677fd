//! The refusals of many steps, and the lines that would allow their requests.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::parent::egress::gate::{MissingPermission, Refusal, Side};

/// Lines that are kept at most: a script may try an endless number of names.
const MAX_LINES: usize = 200;

/// Collects refusals. Clones share one collection.
#[derive(Clone, Debug, Default)]
pub struct Refusals(Arc<Mutex<BTreeSet<(Side, MissingPermission)>>>);

impl Refusals {
    pub(crate) fn record(&self, refusal: &Refusal) {
        let mut refused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for missing in &refusal.missing {
            if refused.len() < MAX_LINES {
                refused.insert(missing.clone());
            }
        }
    }

    /// Returns the lines that would allow what was refused: those for the script, and those for the worker. That a line
    /// would work does not mean that it is a good idea.
    #[must_use]
    pub fn lines(&self) -> (Vec<String>, Vec<String>) {
        let refused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lines =
            |side| refused.iter().filter(move |(whose, _)| *whose == side).map(|(side, missing)| line(*side, missing));
        (lines(Side::Script).collect(), lines(Side::Worker).collect())
    }
}

fn line(side: Side, missing: &MissingPermission) -> String {
    match (side, missing) {
        (Side::Script, MissingPermission::Net(rule)) => format!("!allow net {rule}"),
        (
            Side::Script,
            MissingPermission::Secret(name)
            | MissingPermission::Readable(name)
            | MissingPermission::SecretHost(name, _),
        ) => {
            format!("!allow secret {name}")
        }
        (Side::Worker, MissingPermission::Net(rule)) => format!("--allow-net {}", quoted(&rule.to_string())),
        (Side::Worker, MissingPermission::Secret(name)) => format!("BUE_SECRET_{name}=..."),
        (Side::Worker, MissingPermission::Readable(name)) => {
            format!("[secrets] {name} = {{ readable = true }} in bue.toml")
        }
        (Side::Worker, MissingPermission::SecretHost(name, rule)) => {
            format!("[secrets] {name} = {{ hosts = [\"{rule}\"] }} in bue.toml")
        }
    }
}

/// Quotes a rule for a shell.
fn quoted(rule: &str) -> String {
    if rule.contains([' ', '|', '*', '[']) { format!("'{rule}'") } else { rule.to_owned() }
}
