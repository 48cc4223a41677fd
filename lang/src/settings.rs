//! What settings come to.

use bue_model::plan::{Capability, Settings};

use crate::tree::SettingValue;

/// Most permissions, and most requirements, that settings around and inside one step may add up to.
pub(crate) const MAX_LIST: usize = 128;

/// Lets a setting hold. Permissions and requirements add up, all others replace what held before.
pub(crate) fn apply(settings: &mut Settings, value: &SettingValue) {
    match value {
        SettingValue::Scope(scope) => settings.scope.clone_from(scope),
        SettingValue::Priority(priority) => settings.priority = *priority,
        SettingValue::Timeout(seconds) => settings.timeout_s = *seconds,
        SettingValue::Retries(retries) => settings.retries = *retries,
        SettingValue::Every(first, last) => settings.every_ms = Some((*first, *last)),
        SettingValue::PendingLimit(ms) => settings.pending_limit_ms = *ms,
        SettingValue::Rate(rate) => settings.rate = Some(rate.clone()),
        SettingValue::Tag => {}
        SettingValue::Allow(list) => add(&mut settings.allow, list),
        SettingValue::Requires(list) => add(&mut settings.requires, list),
    }
}

/// Would the setting make a list longer than [`MAX_LIST`]?
pub(crate) fn overflows(settings: &Settings, value: &SettingValue) -> bool {
    match value {
        SettingValue::Allow(list) => settings.allow.len() + list.len() > MAX_LIST,
        SettingValue::Requires(list) => settings.requires.len() + list.len() > MAX_LIST,
        _ => false,
    }
}

/// Bytes that a copy takes.
pub(crate) fn bytes(settings: &Settings) -> usize {
    let allowed = settings.allow.iter().map(|capability| match capability {
        Capability::Net(name) | Capability::Secret(name) | Capability::Postgres(name) => {
            name.len() + size_of::<Capability>()
        }
    });
    let required = settings.requires.iter().map(|requirement| requirement.len() + size_of::<String>());
    size_of::<Settings>() + settings.scope.len() + allowed.sum::<usize>() + required.sum::<usize>()
}

fn add<T: Clone + PartialEq>(list: &mut Vec<T>, more: &[T]) {
    for item in more {
        if !list.contains(item) {
            list.push(item.clone());
        }
    }
}
