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

/// Parses lists of rules for TCP connections, separated by commas.
pub(crate) fn parse_tcp_policy(lists: &[String]) -> Result<NetPolicy, CommandError> {
    let items = lists.iter().filter(|list| !list.trim().is_empty()).flat_map(|list| list.split(','));
    let rules = items.map(parse_tcp_rule).collect::<Result<_, _>>()?;
    Ok(NetPolicy::Rules(rules))
}

fn parse_tcp_rule(text: &str) -> Result<NetRule, CommandError> {
    NetRule::parse_tcp(text).map_err(|error| {
        CommandError::Usage(format!(
            "{error}; type `--allow-tcp redis.example.com:6379` or `--allow-tcp ftp.example.com:21,ftp.example.com:30000-30100`"
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

    #[test]
    fn a_rule_for_tcp_names_its_ports() {
        let policy = |lists: &[&str]| {
            let lists: Vec<String> = lists.iter().map(|list| (*list).to_owned()).collect();
            parse_tcp_policy(&lists)
        };
        let expected = ["redis:6379", "10.0.0.0/8:1-9"].map(|text| text.parse().expect("a rule")).to_vec();
        assert_eq!(policy(&["redis:6379, 10.0.0.0/8:1-9"]).ok(), Some(NetPolicy::Rules(expected.clone())));
        assert_eq!(policy(&["redis:6379", "10.0.0.0/8:1-9"]).ok(), Some(NetPolicy::Rules(expected)));
        for wrong in ["*", "redis", "GET redis:6379", "a:1,,b:1"] {
            assert!(policy(&[wrong]).is_err(), "{wrong}");
        }
    }
}
