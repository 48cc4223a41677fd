//! Settings that do not count, because they are in a file of the working directory: all but the harmless ones as long as the user
//! does not trust the file, and always the cache, whose files bue executes.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use toml::Value;

use crate::config::setting::{ADDRESSES, CACHE_DIR, SECRET_PREFIX, Setting, VARIABLE_PREFIX, all_settings};
use crate::config::trust_store::Trust;

/// Names that a warning lists for one file.
const MAX_NAMES: usize = 8;
/// Characters of a name that a warning shows: the author of the file chose it.
const MAX_NAME_LEN: usize = 60;

/// What of a file does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Withheld {
    /// The path that messages show.
    file: String,
    /// Why: never [`Trust::Trusted`].
    trust: Trust,
    names: Vec<String>,
}

impl Withheld {
    /// What of this file does not count; `None` if that is nothing.
    pub(crate) fn new(file: &Path, trust: Trust, names: BTreeSet<String>) -> Option<Self> {
        let names: Vec<String> = names.into_iter().collect();
        (!names.is_empty()).then(|| Self { file: file.display().to_string(), trust, names })
    }

    fn text(&self) -> String {
        let shorten = |name: &String| name.chars().take(MAX_NAME_LEN).collect::<String>();
        let shown: Vec<String> = self.names.iter().take(MAX_NAMES).map(shorten).collect();
        let more = self.names.len().saturating_sub(MAX_NAMES);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let changed = if self.trust == Trust::Changed { ", which has changed since you trusted it" } else { "" };
        format!("{}{more} in {}{changed}", shown.join(", "), self.file)
    }
}

/// Returns the warning about everything that does not count, and what to type.
pub(crate) fn warning(withheld: &[Withheld]) -> Option<String> {
    let parts: Vec<String> = withheld.iter().map(Withheld::text).collect();
    (!parts.is_empty()).then(|| {
        format!(
            "ignored {}; settings of the working directory count once you have read them and typed `bue trust`",
            parts.join("; and ")
        )
    })
}

/// Removes all variables but the harmless ones. Returns the names of those that are settings. One with a substitution is not
/// harmless: it can copy a password of the environment into a message.
pub(crate) fn withhold_variables(
    variables: &mut HashMap<String, String>,
    with_substitutions: &BTreeSet<String>,
) -> BTreeSet<String> {
    let is_harmless = |name: &String| is_harmless_variable(name) && !with_substitutions.contains(name);
    let withheld = variables.keys().filter(|name| !is_harmless(name)).cloned();
    let withheld: BTreeSet<String> = withheld.collect();
    variables.retain(|name, _| !withheld.contains(name));
    withheld.into_iter().filter(|name| is_setting(name)).collect()
}

/// Removes all keys but the harmless ones. Returns those that have a meaning.
pub(crate) fn withhold_keys(tables: &mut toml::Table) -> BTreeSet<String> {
    let mut withheld = BTreeSet::new();
    for (table, content) in tables.iter_mut() {
        let Value::Table(keys) = content else { continue };
        let removed = keys.keys().filter(|key| !is_harmless_key(table, key)).cloned().collect::<Vec<_>>();
        for key in removed {
            let value = keys.remove(&key);
            if has_meaning(table, &key, value.as_ref()) {
                withheld.insert(format!("{table}.{key}"));
            }
        }
    }
    tables.retain(|_, content| content.is_table());
    withheld
}

/// Removes the cache from the variables of a file. Returns the name that was set.
pub(crate) fn withhold_cache_variable(variables: &mut HashMap<String, String>) -> Option<String> {
    CACHE_DIR.names.iter().find(|name| variables.remove(**name).is_some()).map(|name| (*name).to_owned())
}

/// Removes the cache from the tables of a file. Returns the key that was set.
pub(crate) fn withhold_cache_key(tables: &mut toml::Table) -> Option<String> {
    let (table, key) = CACHE_DIR.key;
    let removed = tables.get_mut(table)?.as_table_mut()?.remove(key);
    removed.map(|_| format!("{table}.{key}"))
}

fn is_harmless_variable(name: &str) -> bool {
    all_settings().any(|setting| setting.is_harmless && setting.names.contains(&name))
}

fn is_harmless_key(table: &str, key: &str) -> bool {
    all_settings().any(|setting| setting.is_harmless && setting.key == (table, key))
}

fn is_setting(name: &str) -> bool {
    let is_address = ADDRESSES.iter().any(|address| [address.host, address.port].contains(&name));
    let is_named = |setting: &Setting| setting.names.contains(&name);
    let has_prefix = [SECRET_PREFIX, VARIABLE_PREFIX, "AWS_"].iter().any(|prefix| name.starts_with(prefix));
    is_address || has_prefix || all_settings().any(is_named)
}

fn has_meaning(table: &str, key: &str, value: Option<&Value>) -> bool {
    let is_named_database = table == "postgres" && value.is_some_and(Value::is_table);
    let is_setting = all_settings().any(|setting| setting.key == (table, key));
    is_setting || is_named_database || ["secrets", "env", "limits"].contains(&table)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn only_harmless_variables_are_left() {
        let all = [
            "BUE_HUB",
            "PIPE_WORKER_PORT",
            "BUE_SECRET_X",
            "BUE_ENV_X",
            "AWS_REGION",
            "OTHER",
            "BUE_SLOTS",
            "BUE_LOG_FORMAT",
            "BUE_LEASE",
        ];
        let mut variables: HashMap<String, String> = all.map(|name| (name.to_owned(), "1".to_owned())).into();
        let withheld = withhold_variables(&mut variables, &names(&["BUE_LEASE", "OTHER"]));
        assert_eq!(
            withheld,
            names(&["BUE_LEASE", "BUE_HUB", "PIPE_WORKER_PORT", "BUE_SECRET_X", "BUE_ENV_X", "AWS_REGION"])
        );
        assert_eq!(variables.into_keys().collect::<BTreeSet<_>>(), names(&["BUE_SLOTS", "BUE_LOG_FORMAT"]));
    }

    #[test]
    fn only_harmless_keys_are_left() {
        let text = "loose = 1\n[client]\nhub = 'a:1'\n[worker]\nslots = 7\nwall = 'best'\nunknown = 1\n\
                    [secrets]\nX = { file = 'a' }\n[env]\nX = 'a'\n[limits]\nlog_bytes = 1\n[postgres.reports]\nurl = 'b'\n[log]\nformat = 'json'";
        let mut tables: toml::Table = text.parse().expect("TOML");
        let withheld = withhold_keys(&mut tables);
        let expected = ["client.hub", "worker.wall", "secrets.X", "env.X", "limits.log_bytes", "postgres.reports"];
        assert_eq!(withheld, names(&expected));
        let left = "[client]\n[worker]\nslots = 7\n[secrets]\n[env]\n[limits]\n[postgres]\n[log]\nformat = 'json'";
        assert_eq!(tables, left.parse().expect("TOML"));
    }

    #[test]
    fn the_warning_lists_names_and_what_to_type() {
        let new = |file: &str, trust, list: &[&str]| Withheld::new(Path::new(file), trust, names(list));
        assert_eq!(new("a", Trust::Unknown, &[]), None);
        let many: Vec<String> = (0..20).map(|number| format!("limits.{number:02}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let withheld = [
            new(".env", Trust::Changed, &["BUE_HUB", "BUE_TOKEN"]).expect("names"),
            new("bue.toml", Trust::Unknown, &many).expect("names"),
        ];
        let text = warning(&withheld).expect("a warning");
        for part in
            ["BUE_HUB, BUE_TOKEN in .env, which has changed", "limits.07 and 12 more in bue.toml;", "typed `bue trust`"]
        {
            assert!(text.contains(part), "no `{part}` in {text}");
        }
        assert_eq!(warning(&[]), None);
    }
}
