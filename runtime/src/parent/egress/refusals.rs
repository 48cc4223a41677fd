//! What was refused, gathered over many steps, and the lines that would allow it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::parent::egress::gate::{Missing, Refusal, Side};

/// Different lines that are kept: a script may try names without end.
const MOST: usize = 200;

/// Gathers refusals. Clones share what they gather.
#[derive(Clone, Debug, Default)]
pub struct Refusals(Arc<Mutex<BTreeSet<(Side, Missing)>>>);

impl Refusals {
    pub(crate) fn note(&self, refusal: &Refusal) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for missing in &refusal.missing {
            if noted.len() < MOST {
                noted.insert(missing.clone());
            }
        }
    }

    /// Lines that would allow what was refused: those of the script, and those of whoever starts the worker. A rule that
    /// allows something does not make it wise.
    #[must_use]
    pub fn lines(&self) -> (Vec<String>, Vec<String>) {
        let noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |side| noted.iter().filter(move |(of, _)| *of == side).map(|(side, missing)| line(*side, missing));
        (of(Side::Script).collect(), of(Side::Worker).collect())
    }
}

fn line(side: Side, missing: &Missing) -> String {
    match (side, missing) {
        (Side::Script, Missing::Net(rule)) => format!("!allow net {rule}"),
        (Side::Script, Missing::Secret(name) | Missing::Readable(name) | Missing::SecretHost(name, _)) => {
            format!("!allow secret {name}")
        }
        (Side::Worker, Missing::Net(rule)) => format!("--allow-net {}", quoted(&rule.to_string())),
        (Side::Worker, Missing::Secret(name)) => format!("BUE_SECRET_{name}=..."),
        (Side::Worker, Missing::Readable(name)) => format!("[secrets] {name} = {{ readable = true }} in bue.toml"),
        (Side::Worker, Missing::SecretHost(name, rule)) => {
            format!("[secrets] {name} = {{ hosts = [\"{rule}\"] }} in bue.toml")
        }
    }
}

/// As a shell takes it.
fn quoted(rule: &str) -> String {
    if rule.contains([' ', '|', '*', '[']) { format!("'{rule}'") } else { rule.to_owned() }
}
