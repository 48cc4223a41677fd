//! How settings combine into the settings of a step.

use bue_model::plan::{Capability, Settings};

use super::value::SettingValue;

/// Most permissions, requirements and patterns of files of one step, inherited ones included.
pub(crate) const MAX_LIST: usize = 128;

/// Applies a setting. Lists add up; any other value replaces the one before.
pub(crate) fn apply(settings: &mut Settings, value: &SettingValue) {
    match value {
        SettingValue::Scope(scope) => settings.scope.clone_from(scope),
        SettingValue::Priority(priority) => settings.priority = *priority,
        SettingValue::Timeout { seconds, soft_ms } => {
            settings.timeout_s = *seconds;
            settings.soft_timeout_ms = *soft_ms;
        }
        SettingValue::Retries { count, delay } => {
            settings.retries = *count;
            settings.retry_delay_ms = *delay;
        }
        SettingValue::Every(first, last) => settings.every_ms = Some((*first, *last)),
        SettingValue::PendingLimit(ms) => settings.pending_limit_ms = *ms,
        SettingValue::Expires(ms) => settings.expires_ms = Some(*ms),
        SettingValue::MaxHandbacks(count) => settings.max_handbacks = *count,
        SettingValue::OnFailure(step) => settings.on_failure = Some(step.clone()),
        SettingValue::Rate(rate) => settings.rate = Some(rate.clone()),
        SettingValue::AtMost(at_most) => settings.at_most = Some(at_most.clone()),
        SettingValue::With(keywords) => settings.keywords = Some(keywords.clone()),
        SettingValue::Tag => {}
        SettingValue::Allow(list) => add(&mut settings.allow, list),
        SettingValue::Requires(list) => add(&mut settings.requires, list),
        SettingValue::Files(list) => add(&mut settings.files, list),
    }
}

/// Returns whether the setting would make a list longer than [`MAX_LIST`].
pub(crate) fn overflows(settings: &Settings, value: &SettingValue) -> bool {
    match value {
        SettingValue::Allow(list) => settings.allow.len() + list.len() > MAX_LIST,
        SettingValue::Requires(list) => settings.requires.len() + list.len() > MAX_LIST,
        SettingValue::Files(list) => settings.files.len() + list.len() > MAX_LIST,
        _ => false,
    }
}

/// Bytes that a copy takes.
pub(crate) fn bytes(settings: &Settings) -> usize {
    let allowed = settings.allow.iter().map(|capability| match capability {
        Capability::Net(name)
        | Capability::Tcp(name)
        | Capability::Bucket(name)
        | Capability::Secret(name)
        | Capability::Postgres(name)
        | Capability::Env(name) => name.len() + size_of::<Capability>(),
    });
    let texts = settings.requires.iter().chain(&settings.files).map(|text| text.len() + size_of::<String>());
    let keywords = settings.keywords.as_ref().map_or(0, bytes::Bytes::len);
    let names = settings.scope.len() + settings.on_failure.as_ref().map_or(0, String::len);
    size_of::<Settings>() + names + keywords + allowed.sum::<usize>() + texts.sum::<usize>()
}

fn add<T: Clone + PartialEq>(list: &mut Vec<T>, more: &[T]) {
    for item in more {
        if !list.contains(item) {
            list.push(item.clone());
        }
    }
}
