//! Settings that have no effect: a warning says why, so that no setting is silently ignored.

use std::path::Path;

use toml::Value;

use crate::config::setting::is_known_key;

/// The settings files of Buelon 1.0.78 and 1.0.79.
const SETTINGS_YAML: [&str; 2] = [".bue/settings.yaml", ".boo/settings.yaml"];

/// A variable of an older system that has no effect.
pub(crate) struct UnsupportedVariable {
    pub(crate) name: &'static str,
    /// The value that asks for what bue does anyway; it causes no warning.
    harmless_value: Option<&'static str>,
    pub(crate) reason: &'static str,
}

const fn unsupported(
    name: &'static str,
    harmless_value: Option<&'static str>,
    reason: &'static str,
) -> UnsupportedVariable {
    UnsupportedVariable { name, harmless_value, reason }
}

/// All variables of older systems that have no effect.
pub(crate) const UNSUPPORTED: &[UnsupportedVariable] = &[
    unsupported(
        "PIPE_WORKER_SUBPROCESS_JOBS",
        Some("true"),
        "steps are always isolated from each other, which cannot be turned off",
    ),
    unsupported("WORKER_RESTART_INTERVAL", None, "workers do not need restarts; they run until they are stopped"),
    unsupported("WORKER_JOB_TIMEOUT", None, "write `!timeout` into the script; the default is 1200 s per step"),
    unsupported("STOP_WORKER", Some("false"), "stop a worker with Ctrl-C or SIGTERM"),
    unsupported(
        "WORKER_ONE_SHOT",
        Some("false"),
        "workers run until they are stopped; use `bue run` to run one script",
    ),
    unsupported("WORKER_ONCE", Some("false"), "workers run until they are stopped; use `bue run` to run one script"),
    unsupported(
        "WORKER_QUEUE",
        None,
        "workers report outcomes to the hub at once; a job whose outcome was not reported runs again elsewhere",
    ),
    unsupported(
        "USING_POSTGRES_HUB",
        Some("false"),
        "start the hub with `--store postgres:`, which reads `POSTGRES_*`",
    ),
    unsupported(
        "USING_POSTGRES_BUCKET",
        Some("false"),
        "the bucket stores its data in a folder or on S3: `--store dir:PATH` or `s3:BUCKET`",
    ),
    unsupported(
        "POSTGRES_TABLE",
        None,
        "the bucket stores its data in a folder or on S3: `--store dir:PATH` or `s3:BUCKET`",
    ),
    unsupported(
        "USING_REDIS",
        Some("false"),
        "the bucket stores its data in a folder or on S3: `--store dir:PATH` or `s3:BUCKET`; `REDIS_*` have no effect",
    ),
    unsupported(
        "USING_ZOOKEEPER",
        Some("false"),
        "the bucket stores its data in a folder or on S3: `--store dir:PATH` or `s3:BUCKET`; `ZOOKEEPER_*` have no effect",
    ),
    unsupported(
        "PERSISTENT_PATH",
        None,
        "a key is kept until its `--expires` has passed or `bue bucket-delete` deletes it",
    ),
    unsupported("BUELON_SETTINGS_PATH", None, "write the settings into `bue.toml` or `.env`"),
    unsupported(
        "BUELON_DIR_PATH",
        None,
        "nothing is stored in `.bue`; `--store` says where hub and bucket store their data",
    ),
    unsupported("BISOCKET_ENCRYPTION", None, "hub and workers speak HTTP; `--tls-cert` and `--tls-key` encrypt it"),
    unsupported("BUELON_AUTO_SAVE", None, "the hub stores every change at once; `--store` says where"),
    unsupported("BUELON_AUTO_SAVE_PATH", None, "the hub stores every change at once; `--store` says where"),
    unsupported("BUELON_AUTO_SAVE_INTERVAL", None, "the hub stores every change at once; `--store` says where"),
    unsupported(
        "BUELON_RETRY_BACKOFF_BASE",
        None,
        "retries wait 1 s, 2 s, 4 s and so on; a `Retry-After` of a server is obeyed",
    ),
    unsupported(
        "BUELON_RETRY_BACKOFF_MAX",
        None,
        "retries wait 1 s, 2 s, 4 s and so on; a `Retry-After` of a server is obeyed",
    ),
    unsupported(
        "BUELON_HANDBACK_DELAY",
        None,
        "write `!every 5s` into the script, or return `Result(status=StepStatus.pending, delay=5)`",
    ),
    unsupported(
        "BUELON_MAX_REROUTES",
        None,
        "write `!max_handbacks 3` into the script: it limits the answers `pending`, in any scope",
    ),
    unsupported(
        "BUELON_MAX_JOB_AGE",
        None,
        "write `!expires 1h` into the script: a job that has not started by then fails",
    ),
    unsupported("BUELON_MAX_SNAPSHOT_AGE", None, "the hub has no snapshots: it stores every change at once"),
    unsupported("BUELON_JOB_THREADS", None, "`bue worker --slots` says how many steps run at the same time"),
    unsupported("BOO_WEB_HOST", None, "there is no web server besides the hub"),
    unsupported("BOO_WEB_PORT", None, "there is no web server besides the hub"),
    unsupported("CRYPTO_KEY", None, "access is controlled by tokens; type `bue token new`"),
];

/// Returns a warning, as a sentence, for each variable, key and file that has no effect.
pub(crate) fn warnings<'a>(
    variable: impl Fn(&str) -> Option<&'a str>,
    files: impl Iterator<Item = &'a toml::Table>,
) -> Vec<String> {
    let warning = |unsupported: &UnsupportedVariable| {
        let value = variable(unsupported.name)?;
        let is_harmless = unsupported.harmless_value.is_some_and(|harmless| value.eq_ignore_ascii_case(harmless));
        (!is_harmless).then(|| format!("{} is set but not supported: {}", unsupported.name, unsupported.reason))
    };
    let mut warnings: Vec<String> = UNSUPPORTED.iter().filter_map(warning).collect();
    let unknown = files.flat_map(unknown_keys);
    warnings.extend(unknown.map(|key| format!("`{key}` in bue.toml is not a setting; docs/settings.md lists them")));
    for file in SETTINGS_YAML.into_iter().filter(|file| Path::new(file).exists()) {
        warnings.push(format!("{file} is not read; move its settings to `bue.toml` or `.env`"));
    }
    warnings
}

fn unknown_keys(file: &toml::Table) -> Vec<String> {
    let keys_of = |(table, content): (&String, &Value)| match content {
        Value::Table(keys) => {
            let unknown = keys.iter().filter(|(key, value)| !is_known_key(table, key) && !is_user_key(table, value));
            unknown.map(|(key, _)| format!("{table}.{key}")).collect()
        }
        _ => vec![table.clone()],
    };
    file.iter().flat_map(keys_of).collect()
}

/// Returns whether the user chooses the keys of this table, or the code that reads the table checks them: `[postgres.NAME]`
/// (`databases.rs`), `[secrets]` (`secrets.rs`), `[env]` (`environment.rs`), `[limits]` (`limits.rs`).
fn is_user_key(table: &str, value: &Value) -> bool {
    match table {
        "postgres" => value.is_table(),
        "secrets" | "env" | "limits" => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_without_effect_causes_a_warning_unless_it_is_harmless() {
        let set = |name: &str| match name {
            "USING_REDIS" => Some("True"),
            "USING_ZOOKEEPER" => Some("False"),
            "PIPE_WORKER_SUBPROCESS_JOBS" => Some("true"),
            "CRYPTO_KEY" => Some("secret"),
            _ => None,
        };
        let file: toml::Table =
            "loose = 1\n[worker]\nslots = 7\nslot = 8\nca_file = 'a'\n[secrets]\nKEY = {}\n[limits]\nlog_bytes = 9"
                .parse()
                .expect("TOML");
        let all = warnings(set, core::iter::once(&file));
        let [redis, crypto, first, second] = all.as_slice() else { panic!("{all:?}") };
        assert!(redis.contains("USING_REDIS") && redis.contains("dir:PATH"), "{redis}");
        assert!(crypto.contains("CRYPTO_KEY") && !crypto.contains("secret"), "{crypto}");
        let keys = format!("{first}{second}");
        assert!(keys.contains("`loose`") && keys.contains("`worker.slot`"), "{keys}");
    }
}
