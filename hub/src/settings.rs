//! [`HubSetting`]: what a hub says of its own settings. The program that starts it knows them; the hub only shows them.

/// A setting that is in effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubSetting {
    /// Its name in the environment.
    pub name: String,
    /// Its value, or `***` for a secret.
    pub value: String,
    /// Where it is set, such as `--keep` or `default`.
    pub source: String,
    /// What it means.
    pub about: String,
}
