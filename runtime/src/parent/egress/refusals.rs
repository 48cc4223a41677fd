//! The refusals of many steps, and the lines that would allow their requests.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::parent::egress::gate::{MissingPermission, PolicySource, Refusal};

/// Lines that are kept at most: a script may try an endless number of names.
const MAX_LINES: usize = 200;

/// Collects refusals. Clones share one collection.
#[derive(Clone, Debug, Default)]
pub struct Refusals(Arc<Mutex<BTreeSet<(PolicySource, MissingPermission)>>>);

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
        let lines = |source| {
            refused.iter().filter(move |(whose, _)| *whose == source).map(|(source, missing)| line(*source, missing))
        };
        (lines(PolicySource::Script).collect(), lines(PolicySource::Worker).collect())
    }
}

fn line(source: PolicySource, missing: &MissingPermission) -> String {
    match (source, missing) {
        (PolicySource::Script, MissingPermission::Net(rule)) => format!("!allow net {rule}"),
        (PolicySource::Script, MissingPermission::Tcp(rule)) => format!("!allow tcp {rule}"),
        // only the script decides about values
        (_, MissingPermission::Bucket(pattern)) => format!("!allow bucket {pattern}"),
        (
            PolicySource::Script,
            MissingPermission::Secret(name)
            | MissingPermission::Readable(name)
            | MissingPermission::SecretHost(name, _)
            | MissingPermission::SecretScope(name, _)
            | MissingPermission::Insecure(name),
        ) => {
            format!("!allow secret {name}")
        }
        (PolicySource::Worker, MissingPermission::Net(rule)) => format!("--allow-net {}", quoted(&rule.to_string())),
        (PolicySource::Worker, MissingPermission::Tcp(rule)) => format!("--allow-tcp {}", quoted(&rule.to_string())),
        (PolicySource::Worker, MissingPermission::Secret(name)) => format!("BUE_SECRET_{name}=..."),
        (PolicySource::Worker, MissingPermission::Readable(name)) => {
            format!("[secrets] {name} = {{ readable = true }} in bue.toml")
        }
        (PolicySource::Worker, MissingPermission::SecretHost(name, rule)) => {
            format!("[secrets] {name} = {{ hosts = [\"{rule}\"] }} in bue.toml")
        }
        (PolicySource::Worker, MissingPermission::SecretScope(name, scope)) => {
            format!("[secrets] {name} = {{ scopes = [\"{scope}\"] }} in bue.toml")
        }
        (PolicySource::Worker, MissingPermission::Insecure(name)) => {
            format!("[secrets] {name} = {{ insecure = true }} in bue.toml")
        }
    }
}

/// Quotes a rule for a shell.
fn quoted(rule: &str) -> String {
    if rule.contains([' ', '|', '*', '[']) { format!("'{rule}'") } else { rule.to_owned() }
}
