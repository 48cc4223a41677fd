//! [`Project`]: what a file says, checked, with the names that its parts have in bue.

use super::data::Data;
use super::problem::Place;

/// The two generations of PypeLine, which read the same keys differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Generation {
    /// PypeLine 1 and Sermos, on Celery: `sermos.yaml`.
    Celery,
    /// PypeLine 2 and later, on Dramatiq and APScheduler: `pypeline.yaml`.
    Dramatiq,
}

impl Generation {
    /// Its name, for messages.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Celery => "Celery",
            Self::Dramatiq => "Dramatiq",
        }
    }
}

/// A function of Python.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Handler {
    /// The dotted name of its module.
    pub(crate) module: String,
    /// Its name there.
    pub(crate) function: String,
    /// Where the YAML names it.
    pub(crate) place: Place,
}

impl Handler {
    /// The name of the outermost package or module.
    pub(super) fn top_level(&self) -> &str {
        self.module.split('.').next().unwrap_or_default()
    }

    /// The dotted name.
    pub(crate) fn path(&self) -> String {
        format!("{}.{}", self.module, self.function)
    }
}

/// The contents of a file.
#[derive(Clone, Debug)]
pub(super) struct Project {
    /// The scripts to write.
    pub(super) scripts: Vec<Script>,
    /// The schedules of these scripts.
    pub(super) schedules: Vec<Schedule>,
}

/// A pipeline, or a task that runs by itself.
#[derive(Clone, Debug)]
pub(super) struct Script {
    /// The name of the published pipeline.
    pub(super) name: String,
    /// Lines that say what it is.
    pub(super) comments: Vec<String>,
    /// Its parameters.
    pub(super) params: Vec<Param>,
    /// What its functions are called with.
    pub(super) calling: Calling,
    /// Its steps, parents before children.
    pub(super) tasks: Vec<Task>,
    /// The settings of steps that do not have others.
    pub(super) settings: StepSettings,
}

/// A parameter of a script.
#[derive(Clone, Debug)]
pub(super) struct Param {
    /// Its name.
    pub(super) name: String,
    /// What stands behind the colon.
    pub(super) declaration: String,
    /// What it means.
    pub(super) comment: Option<String>,
}

/// What PypeLine calls a function with.
#[derive(Clone, Debug)]
pub(super) enum Calling {
    /// `event`, in which `chain_payload` is the payload, and `pipeline_id` the pipeline's name: pipelines on Celery.
    ChainPayload(String),
    /// `event`, which is the payload: pipelines with schema 1 on Dramatiq.
    Payload,
    /// `settings`, which a step of this name makes from typed parameters: pipelines with schema 2.
    Settings(String, Vec<SettingParam>),
    /// `settings`, whatever they are.
    UntypedSettings,
    /// `event`, which is this map with what the caller adds: tasks on Celery. The names are those of parameters for variables.
    Event(Data, Vec<String>),
    /// Nothing: scheduled tasks on Dramatiq.
    Nothing,
    /// Any arguments: executable jobs.
    Arguments,
}

/// A setting of a pipeline with schema 2.
#[derive(Clone, Debug)]
pub(super) struct SettingParam {
    /// Its key in `settings`.
    pub(super) key: String,
    /// The name of its parameter.
    pub(super) param: String,
    /// Whether it is a date or a time: a text to PypeLine, an object of Python to a step.
    pub(super) is_time: bool,
    /// Whether it may be left out.
    pub(super) is_optional: bool,
}

/// A node of a pipeline.
#[derive(Clone, Debug)]
pub(super) struct Task {
    /// Its name in the script.
    pub(super) name: String,
    /// Its name in the YAML.
    pub(super) key: String,
    /// Its function; with schema 2 perhaps several, of which the first is usual.
    pub(super) handlers: Vec<Handler>,
    /// The parameter that chooses one of several functions.
    pub(super) choice: Option<String>,
    /// The names of its parents in the script.
    pub(super) parents: Vec<String>,
    /// Its settings.
    pub(super) settings: StepSettings,
}

/// Settings of a step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct StepSettings {
    /// The scope; `None` is the usual one.
    pub(super) scope: Option<String>,
    /// Seconds of an attempt.
    pub(super) timeout_s: Option<u64>,
    /// Further attempts.
    pub(super) retries: Option<Retries>,
    /// Seconds after which it does not start any more.
    pub(super) expires_s: Option<u64>,
}

/// Further attempts, and the waits before them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Retries {
    /// Their number, at least 1.
    pub(super) count: u64,
    /// The text of the first wait and the longest one: `3s..10m`.
    pub(super) first_ms: u64,
    /// The longest wait.
    pub(super) last_ms: u64,
}

/// An entry of `scheduledTasks`.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    /// Its name.
    pub(super) name: String,
    /// Its name for people.
    pub(super) comment: Option<String>,
    /// The name of its script.
    pub(super) pipeline: String,
    /// When it is due.
    pub(super) rule: Rule,
    /// Whether it is in effect.
    pub(super) is_enabled: bool,
    /// Where it is.
    pub(super) place: Place,
}

/// When a schedule is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// A cron expression.
    Cron(String),
    /// A duration.
    Every(String),
}

/// Milliseconds as a duration in scripts and schedules: `90s`, `10m`, `1s500ms`.
pub(super) fn duration_text(ms: u128) -> String {
    const UNITS: [(&str, u128); 4] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
    match UNITS.iter().find(|(_, unit)| ms >= *unit && ms.is_multiple_of(*unit)) {
        Some((unit, unit_ms)) => format!("{}{unit}", ms / unit_ms),
        None => format!("{ms}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_the_largest_unit_that_fits() {
        for (ms, text) in
            [(500, "500ms"), (1_500, "1500ms"), (3_000, "3s"), (90_000, "90s"), (600_000, "10m"), (86_400_000, "1d")]
        {
            assert_eq!(duration_text(ms), text);
        }
    }
}
