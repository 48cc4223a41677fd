//! Rules for the hosts that steps may connect to, as flags and settings write them.

use bue_model::NetRule;
use bue_runtime::NetPolicy;

use crate::process::command_error::CommandError;

/// Values that allow everything a script asks for.
const ALLOW_ALL_VALUES: [&str; 3] = ["", "*", "true"];

/// Parses lists of rules, separated by commas; one of [`ALLOW_ALL_VALUES`] in any of them allows everything.
pub(crate) fn parse_net_policy(lists: &[String]) -> Result<NetPolicy, CommandError> {
    if lists.iter().any(|list| ALLOW_ALL_VALUES.contains(&list.trim())) {
        return Ok(NetPolicy::Anything);
    }
    let rules = lists.iter().flat_map(|list| list.split(',')).map(parse_rule);
    rules.collect::<Result<_, _>>().map(NetPolicy::Rules)
}

/// Parses one rule: `HOST`, `HOST:PORT` or a network.
pub(crate) fn parse_rule(text: &str) -> Result<NetRule, CommandError> {
    text.parse().map_err(|error| {
        CommandError::Usage(format!(
            "{error}; type `--allow-net api.example.com` or `--allow-net api.example.com:8443,10.0.0.0/8`"
        ))
    })
}
