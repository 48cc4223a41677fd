//! [`Environment`]: the environment variables that a worker has for steps. Those of its own process are never among them.

use std::collections::BTreeMap;

use bue_model::plan::Capability;
use bue_model::{Failure, FailureKind};

/// A variable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variable {
    /// Its value.
    pub value: String,
    /// The scopes whose steps may have it; empty for all.
    pub scopes: Vec<String>,
}

/// The variables by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment(pub BTreeMap<String, Variable>);

impl Environment {
    /// Returns the variables that a step of this scope requests, with their values.
    ///
    /// # Errors
    /// The failure of the step, if the worker does not have one of them for it.
    pub(crate) fn requested(
        &self,
        capabilities: &[Capability],
        scope: &str,
    ) -> Result<BTreeMap<String, String>, Failure> {
        let names = capabilities.iter().filter_map(|capability| match capability {
            Capability::Env(name) => Some(name),
            _ => None,
        });
        names.map(|name| Ok((name.clone(), self.value(name, scope)?))).collect()
    }

    fn value(&self, name: &str, scope: &str) -> Result<String, Failure> {
        let denied = |message: String| Failure::new(FailureKind::Denied, message);
        let variable = self.0.get(name).ok_or_else(|| {
            denied(format!(
                "`!allow env {name}`: this worker has no variable {name} for steps; add `{name} = \"VALUE\"` below `[env]` in its \
                 bue.toml, set BUE_ENV_{name} there, or start it with --env {name}=VALUE"
            ))
        })?;
        match variable.scopes.is_empty() || variable.scopes.iter().any(|allowed| allowed == scope) {
            true => Ok(variable.value.clone()),
            false => Err(denied(format!(
                "`!allow env {name}`: this worker has the variable {name} for steps of other scopes; add `{scope}` to the scopes \
                 of {name} below `[env]` in its bue.toml"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment() -> Environment {
        let variable = |value: &str, scopes: &[&str]| Variable {
            value: value.to_owned(),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        };
        let variables = [("A", variable("1", &[])), ("B", variable("2", &["reports"])), ("C", variable("3", &[]))];
        Environment(variables.map(|(name, variable)| (name.to_owned(), variable)).into())
    }

    #[test]
    fn a_step_gets_what_it_requests_and_its_scope_may_have() {
        let requests = [Capability::Env("A".into()), Capability::Secret("C".into()), Capability::Env("B".into())];
        let cases = [
            (&requests[..1], "default", Ok(&[("A", "1")][..])),
            (&requests[..], "reports", Ok(&[("A", "1"), ("B", "2")])),
            (&requests[..], "default", Err("add `default` to the scopes of B below `[env]`")),
            (&[Capability::Env("D".into())][..], "default", Err("add `D = \"VALUE\"` below `[env]` in its bue.toml")),
        ];
        for (capabilities, scope, expected) in cases {
            let values = environment().requested(capabilities, scope);
            match (values, expected) {
                (Ok(values), Ok(expected)) => {
                    let values: Vec<_> = values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                    assert_eq!(values, expected);
                }
                (Err(failure), Err(part)) => {
                    assert_eq!(failure.kind, FailureKind::Denied);
                    assert!(failure.message.contains(part), "{}", failure.message);
                }
                (values, expected) => panic!("{values:?} instead of {expected:?}"),
            }
        }
    }
}
