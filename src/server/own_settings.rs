//! The settings that a hub shows on its page of settings: its own, with what flags changed, and what else is set where it was started.

use bue_hub::HubSetting;

use crate::config::effective::effective_settings;
use crate::config::setting::Setting;
use crate::config::settings::Settings;

/// A setting of the hub as it is in effect.
pub(crate) struct OwnSetting {
    pub(crate) setting: Setting,
    /// Without a password.
    pub(crate) value: String,
    /// The flag that sets it, if it was given.
    pub(crate) flag: Option<&'static str>,
}

/// Returns the hub's own settings, then what else is set. Secrets are not shown.
pub(crate) fn hub_settings(settings: &Settings, own: Vec<OwnSetting>) -> Vec<HubSetting> {
    let mut others = effective_settings(settings);
    let mut all = Vec::with_capacity(own.len());
    for OwnSetting { setting, value, flag } in own {
        let known = others.iter().position(|one| one.name == setting.name()).map(|at| others.remove(at));
        let source = flag.map(str::to_owned).or_else(|| known.and_then(|one| one.source));
        all.push(HubSetting {
            name: setting.name().to_owned(),
            value,
            source: source.unwrap_or_else(|| "default".to_owned()),
            about: setting.about.to_owned(),
        });
    }
    let set = others.into_iter().filter_map(|one| {
        Some(HubSetting {
            name: one.name.to_owned(),
            value: one.value?,
            source: one.source?,
            about: one.about.to_owned(),
        })
    });
    all.extend(set);
    all
}
