//! `bue config`.

use serde_json::{Value, json};

use crate::project::{Project, finish};

/// Returns value and source of a setting.
fn effective(settings: &Value, name: &str) -> (Value, Value) {
    let all = settings.as_array().expect("settings");
    let setting = all.iter().find(|setting| setting["name"] == name).unwrap_or_else(|| panic!("no {name}"));
    (setting["value"].clone(), setting["source"].clone())
}

#[test]
fn config_prints_what_counts_and_where_it_is_set() {
    let toml = "[client]\nbucket = 'b:1'\n[hub]\nstore = 'postgres:postgres://u:hunter2@db/bue'\n[worker]\nslots = 7\n";
    let project = Project::new(&[]);
    project.write_untrusted(".env", "BUE_TOKEN=hunter2\nBUE_HUB=other:1\nPIPE_WORKER_PORT=5\n");
    project.write_untrusted("bue.toml", toml);
    let untrusted = project.bue(&["config", "--json"]).expect_code(0);
    untrusted.expect_stderr(&["ignored", "BUE_TOKEN"]);
    let settings = untrusted.json();
    assert_eq!(effective(&settings, "BUE_TOKEN"), (json!(null), json!(null)));
    assert_eq!(effective(&settings, "BUE_SLOTS"), (json!("7"), json!("worker.slots in bue.toml")));

    project.bue(&["trust"]).expect_code(0);
    let mut command = project.command(&["config", "--json"]);
    command.env("PIPE_WORKER_HOST", "h").env("BUE_SLOTS", "9");
    let output = finish(command).expect_code(0);
    assert!(!output.stdout.contains("hunter2"), "{}", output.stdout);
    let settings = output.json();
    for (name, value, source) in [
        ("BUE_TOKEN", "***", "BUE_TOKEN in .env"),
        ("BUE_HUB", "h:5", "PIPE_WORKER_HOST in the environment"),
        ("BUE_BUCKET", "b:1", "client.bucket in bue.toml"),
        ("BUE_HUB_STORE", "postgres:***", "hub.store in bue.toml"),
        ("BUE_SLOTS", "9", "BUE_SLOTS in the environment"),
    ] {
        assert_eq!(effective(&settings, name), (json!(value), json!(source)), "{name}");
    }
    let table = project.bue(&["config"]).expect_code(0).stdout;
    assert!(table.contains("client.bucket in bue.toml") && !table.contains("BUE_KEEP"), "{table}");
    assert!(project.bue(&["config", "--all"]).expect_code(0).stdout.contains("BUE_KEEP"));
}

#[test]
fn programs_get_what_a_client_connects_with() {
    let project = Project::new(&[(".env", "BUE_TOKEN=hunter2\nBUE_HUB=other:1\nBUE_SERVER_CA=ca.pem\n")]);
    let settings = project.bue(&["config", "--client"]).expect_code(0).json();
    let (bucket, none) = (json!(null), json!(null));
    let expected = json!({
        "hub": "other:1", "bucket": bucket, "token": "hunter2", "ca": "ca.pem", "client_cert": none, "client_key": none
    });
    assert_eq!(settings, expected);
    // a token of the environment is not for a hub that the folder names
    project.write(".env", "BUE_HUB=other:1\n");
    let mut command = project.command(&["config", "--client"]);
    command.env("BUE_TOKEN", "mine");
    finish(command).expect_code(2).expect_stderr(&["refused to send the token to other:1"]);
}
