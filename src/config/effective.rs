//! [`EffectiveSetting`]: settings as people see them: their values without secrets, and where each is set.

use serde::Serialize;

use crate::config::setting::{ADDRESSES, AddressSetting, Secrecy, Setting, TEXTS};
use crate::config::settings::{Place, Settings, Source};

/// A setting as it is printed.
#[derive(Debug, Serialize)]
pub(crate) struct EffectiveSetting {
    /// Its name in the environment.
    pub(crate) name: &'static str,
    /// Its key in `bue.toml`.
    key: String,
    /// Its value, or `***`. `None` if it is not set.
    pub(crate) value: Option<String>,
    /// Where it is set.
    pub(crate) source: Option<String>,
    /// What it means.
    pub(crate) about: &'static str,
}

/// Returns all settings, also those that are not set.
pub(crate) fn effective_settings(settings: &Settings) -> Vec<EffectiveSetting> {
    let addresses = ADDRESSES.iter().map(|address| effective_address(settings, *address));
    addresses.chain(TEXTS.iter().map(|setting| effective(settings, *setting))).collect()
}

fn effective(settings: &Settings, setting: Setting) -> EffectiveSetting {
    of(setting, settings.text(setting), settings.source(setting))
}

/// An address may be set by the variables of its host and its port. Those of one place have priority over any in the next one.
fn effective_address(settings: &Settings, address: AddressSetting) -> EffectiveSetting {
    let variables: Vec<&str> = address.whole.names.iter().copied().chain([address.host, address.port]).collect();
    let source = settings.source_of_variable(&variables).or_else(|| settings.source(address.whole));
    of(address.whole, settings.address_if_set(address), source)
}

fn of(setting: Setting, value: Option<String>, source: Option<Source>) -> EffectiveSetting {
    let (table, key) = setting.key;
    EffectiveSetting {
        name: setting.name(),
        key: format!("{table}.{key}"),
        value: value.map(|value| shown(&value, setting.secrecy)),
        source: source.map(|source| source_text(&source)),
        about: setting.about,
    }
}

/// Replaces what must not be shown.
fn shown(value: &str, secrecy: Secrecy) -> String {
    let has_password = || value.contains('@') || value.to_ascii_lowercase().contains("password");
    match secrecy {
        Secrecy::Shown => value.to_owned(),
        Secrecy::MayHavePassword if !has_password() => value.to_owned(),
        Secrecy::MayHavePassword => format!("{}:***", value.split(':').next().unwrap_or_default()),
        Secrecy::Secret => "***".to_owned(),
    }
}

fn source_text(source: &Source) -> String {
    let name = &source.name;
    match source.place {
        Place::Environment => format!("{name} in the environment"),
        Place::Dotenv => format!("{name} in .env"),
        Place::Folder => format!("{name} in bue.toml"),
        Place::User => format!("{name} in your own bue.toml"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_may_have_a_password_is_cut() {
        for (value, text) in [
            ("sqlite:bue.db", "sqlite:bue.db"),
            ("postgres:postgres://u:hunter2@host/db", "postgres:***"),
            ("postgres:host=h user=u Password=hunter2", "postgres:***"),
            ("postgres:host=h user=u", "postgres:host=h user=u"),
        ] {
            assert_eq!(shown(value, Secrecy::MayHavePassword), text);
        }
        assert_eq!(shown("hunter2", Secrecy::Secret), "***");
    }
}
