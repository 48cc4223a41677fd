//! Rules for the hosts that steps may connect to, as flags and settings write them.

use bue_model::NetRule;
use bue_runtime::NetPolicy;

use crate::process::command_error::CommandError;

/// Rules for all public hosts.
const ANY_PUBLIC_HOST: [&str; 2] = ["*", "true"];

/// Parses lists of rules, separated by commas. An empty list, or [`ANY_PUBLIC_HOST`] in a list, allows all public hosts, in
/// addition to what the other rules allow.
pub(crate) fn parse_net_policy(lists: &[String]) -> Result<NetPolicy, CommandError> {
    let items = || lists.iter().filter(|list| !list.trim().is_empty()).flat_map(|list| list.split(',').map(str::trim));
    let is_any = |item: &str| ANY_PUBLIC_HOST.contains(&item);
    let rules = items().filter(|item| !is_any(item)).map(parse_rule).collect::<Result<_, _>>()?;
    match lists.iter().any(|list| list.trim().is_empty()) || items().any(is_any) {
        true => Ok(NetPolicy::Public(rules)),
        false => Ok(NetPolicy::Rules(rules)),
    }
}

/// Parses one rule: `HOST`, `HOST:PORT` or a network.
pub(crate) fn parse_rule(text: &str) -> Result<NetRule, CommandError> {
    text.parse().map_err(|error| {
        CommandError::Usage(format!(
            "{error}; type `--allow-net api.example.com` or `--allow-net api.example.com:8443,10.0.0.0/8`"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_and_all_public_hosts_can_be_combined() {
        let policy = |lists: &[&str]| {
            let lists: Vec<String> = lists.iter().map(|list| (*list).to_owned()).collect();
            parse_net_policy(&lists)
        };
        let rules = |texts: &[&str]| texts.iter().map(|text| text.parse().expect("a rule")).collect::<Vec<NetRule>>();
        for any in [&[""][..], &["*"], &["true"], &[" * "]] {
            assert_eq!(policy(any).ok(), Some(NetPolicy::Public(Vec::new())), "{any:?}");
        }
        for both in [&["", "10.0.0.0/8"][..], &["*,10.0.0.0/8"], &["10.0.0.0/8, *"]] {
            assert_eq!(policy(both).ok(), Some(NetPolicy::Public(rules(&["10.0.0.0/8"]))), "{both:?}");
        }
        assert_eq!(
            policy(&["a.example", "b.example"]).ok(),
            Some(NetPolicy::Rules(rules(&["a.example", "b.example"])))
        );
        assert!(policy(&["a.example,,b.example"]).is_err());
    }
}
