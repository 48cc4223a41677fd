//! What is set and means nothing to bue: said, with the reason, so that no setting is silently ignored.

use std::path::Path;

use toml::Value;

use crate::setting::is_key;

/// What Buelon 1.0.78 read its settings from.
const SETTINGS_YAML: &str = ".bue/settings.yaml";

/// Variables of the systems before bue that say nothing here: name, the value that asks for nothing else than what bue does
/// anyway, and the reason.
pub(crate) const UNSUPPORTED: &[(&str, Option<&str>, &str)] = &[
    (
        "PIPE_WORKER_SUBPROCESS_JOBS",
        Some("true"),
        "every step runs in a sandbox of its own, and nothing turns that off",
    ),
    ("WORKER_RESTART_INTERVAL", None, "a worker needs no restarts; it works until it is told to stop"),
    ("WORKER_JOB_TIMEOUT", None, "write `!timeout` into the script; where it says nothing, a step has 1200 s"),
    ("STOP_WORKER", Some("false"), "a worker stops when it gets Ctrl-C or SIGTERM"),
    ("WORKER_ONE_SHOT", Some("false"), "a worker waits for work; `bue run` runs one script and ends"),
    ("WORKER_ONCE", Some("false"), "a worker waits for work; `bue run` runs one script and ends"),
    ("WORKER_QUEUE", None, "outcomes go to the hub at once; what a worker could not report runs again elsewhere"),
    ("USING_POSTGRES_HUB", Some("false"), "start the hub with `--store postgres:`, which reads `POSTGRES_*`"),
    (
        "USING_POSTGRES_BUCKET",
        Some("false"),
        "the bucket keeps its bytes in a folder or on S3, `--store dir:PATH` or `s3:BUCKET`",
    ),
    ("POSTGRES_TABLE", None, "the bucket keeps its bytes in a folder or on S3, `--store dir:PATH` or `s3:BUCKET`"),
    (
        "USING_REDIS",
        Some("false"),
        "the bucket keeps its bytes in a folder or on S3, `--store dir:PATH` or `s3:BUCKET`; `REDIS_*` mean nothing",
    ),
    (
        "USING_ZOOKEEPER",
        Some("false"),
        "the bucket keeps its bytes in a folder or on S3, `--store dir:PATH` or `s3:BUCKET`; `ZOOKEEPER_*` mean nothing",
    ),
    ("PERSISTENT_PATH", None, "every key stays until its `--expires` is over or `bue bucket-delete` takes it away"),
    ("BUELON_SETTINGS_PATH", None, "write the settings into `bue.toml` or `.env`"),
    ("BUELON_DIR_PATH", None, "nothing is kept in `.bue`; `--store` says where hub and bucket keep things"),
    ("BOO_WEB_HOST", None, "there is no web server beside the hub"),
    ("BOO_WEB_PORT", None, "there is no web server beside the hub"),
    ("CRYPTO_KEY", None, "tokens say who may connect; type `bue token new`"),
];

/// What is set and not supported, in sentences.
pub(crate) fn complaints<'a>(variable: impl Fn(&str) -> Option<&'a str>, file: &toml::Table) -> Vec<String> {
    let asks_for_more = |(name, quiet, reason): &(&str, Option<&str>, &str)| {
        let value = variable(name)?;
        let is_quiet = quiet.is_some_and(|quiet| value.eq_ignore_ascii_case(quiet));
        (!is_quiet).then(|| format!("{name} is set and not supported: {reason}"))
    };
    let mut complaints: Vec<String> = UNSUPPORTED.iter().filter_map(asks_for_more).collect();
    complaints.extend(
        unknown_keys(file)
            .into_iter()
            .map(|key| format!("`{key}` in bue.toml is no setting; docs/settings.md has all of them")),
    );
    if Path::new(SETTINGS_YAML).exists() {
        complaints.push(format!("{SETTINGS_YAML} is not read; write the settings into `bue.toml` or `.env`"));
    }
    complaints
}

fn unknown_keys(file: &toml::Table) -> Vec<String> {
    let keys_of = |(table, inside): (&String, &Value)| match inside {
        Value::Table(keys) => {
            let unknown = keys.iter().filter(|(key, value)| !is_key(table, key) && !is_named(table, value));
            unknown.map(|(key, _)| format!("{table}.{key}")).collect()
        }
        _ => vec![table.clone()],
    };
    file.iter().flat_map(keys_of).collect()
}

/// Names that are the user's, or are complained about where they are read: `[postgres.NAME]` is a connection
/// (`databases.rs`), `[secrets]` has secrets (`allow.rs`), `[limits]` limits (`limits.rs`).
fn is_named(table: &str, value: &Value) -> bool {
    match table {
        "postgres" => value.is_table(),
        "secrets" | "limits" => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_nothing_is_said_and_what_asks_for_nothing_is_not() {
        let set = |name: &str| match name {
            "USING_REDIS" => Some("True"),
            "USING_ZOOKEEPER" => Some("False"),
            "PIPE_WORKER_SUBPROCESS_JOBS" => Some("true"),
            "CRYPTO_KEY" => Some("secret"),
            _ => None,
        };
        let file =
            "loose = 1\n[worker]\nslots = 7\nslot = 8\nca_file = 'a'\n[secrets]\nKEY = {}\n[limits]\nlog_bytes = 9"
                .parse()
                .expect("TOML");
        let all = complaints(set, &file);
        let [redis, crypto, first, second] = all.as_slice() else { panic!("{all:?}") };
        assert!(redis.contains("USING_REDIS") && redis.contains("dir:PATH"), "{redis}");
        assert!(crypto.contains("CRYPTO_KEY") && !crypto.contains("secret"), "{crypto}");
        let keys = format!("{first}{second}");
        assert!(keys.contains("`loose`") && keys.contains("`worker.slot`"), "{keys}");
    }
}
