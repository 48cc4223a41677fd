//! The programs in examples/ give the results that their READMEs show.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use bue_test_support::process::Lines;
use serde_json::{Value, json};

use crate::project::{CommandOutput, Project, finish, prepare};

/// Runs the script of an example in a copy of its folder. It must not leave files behind.
fn example(folder: &str, script: &str) -> CommandOutput {
    prepare();
    Project::example(folder).bue(&["run", script, "--json"]).expect_code(0)
}

#[test]
fn hello_says_hello() {
    assert_eq!(example("hello", "pipeline.bue").last(), "HELLO FROM A FRESH SANDBOX!");
}

#[test]
fn loops_gather_and_nest() {
    let output = example("loops", "pipeline.bue");
    let json = output.json();
    let named = |name: &str| {
        let results = json["results"].as_array().expect("results");
        results.iter().find(|entry| entry["name"] == name).map(|entry| entry["value"].clone()).expect("a name")
    };
    assert_eq!(named("list_of_regions"), json!(["north", "east", "south"]));
    let totals = [11, 12, 13].map(|shop| json!({"shop": shop, "total": shop * 6}));
    assert_eq!(named("winner"), totals[2]);
    assert_eq!(output.last(), "shop 13 sold 78, the most in the first of 3 regions");
    let nested = json["results"].as_array().expect("results").iter().map(|entry| &entry["value"]);
    let nested = nested.filter_map(Value::as_array).find(|rounds| rounds.iter().any(|round| round == &json!(totals)));
    assert_eq!(nested.map(Vec::len), Some(3), "a list of lists, one for each region");
}

#[test]
fn sql_joins_two_tables() {
    assert_eq!(example("sql", "pipeline.bue").last(), "Ada 130, Edsger 100");
}

#[test]
fn both_spellings_of_the_report_give_the_same_result() {
    let newer = example("report", "pipeline.bue");
    let older = example("report", "pipeline.older.bue");
    let accounts = newer.last();
    assert_eq!(accounts, older.last());
    let accounts = accounts.as_array().expect("one result an account");
    assert_eq!(accounts.len(), 36);
    assert_eq!(accounts[35]["account"], "Account 36");
    assert!(accounts.iter().all(|account| account["highest_acos"].as_f64().is_some_and(|acos| acos > 0.0)));
    assert!(accounts.iter().all(|account| account["rows"].as_u64().is_some_and(|rows| rows > 20)));
}

#[test]
fn what_bue_example_writes_runs() {
    prepare();
    let project = Project::new(&[]);
    project.bue_writes(&["example", "new"]).expect_code(0);
    for file in ["new/example.bue", "new/example.py", "new/README.md", "new/.env.example"] {
        assert!(project.path(file).is_file(), "{file}");
    }
    let output = project.bue(&["run", "new/example.bue", "--json"]).expect_code(0);
    assert_eq!(output.last().as_array().map(Vec::len), Some(36));
}

#[test]
fn bue_example_overwrites_only_with_force() {
    let project = Project::new(&[("example.py", "mine")]);
    project.bue(&["example"]).expect_code(1).expect_stderr(&["example.py", "--force"]);
    assert_eq!(fs::read_to_string(project.path("example.py")).expect("a file"), "mine");
    project.bue_writes(&["example", "--force"]).expect_code(0);
    assert_ne!(fs::read_to_string(project.path("example.py")).expect("a file"), "mine");
}

#[test]
fn the_demo_runs_and_closes_with_a_table() {
    prepare();
    let output = Project::new(&[]).bue(&["demo"]).expect_code(0);
    for word in ["step", "request", "status", "download", "upload", "300", "the API takes"] {
        assert!(output.stdout.contains(word), "no `{word}` in:\n{}", output.stdout);
    }
    output.expect_stderr(&["the dashboard, while this runs: http://127.0.0.1:", "/login?code="]);
}

/// A process that is killed at the end of the test.
struct Api(Child);

impl Drop for Api {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts `bue demo --api-only`, and returns its address.
fn api() -> (Api, String) {
    let mut command = crate::project::bue();
    command.args(["demo", "--api-only", "127.0.0.1:0"]).stderr(Stdio::piped());
    let mut api = Api(command.spawn().expect("bue starts"));
    let lines = Lines::new(api.0.stderr.take().expect("a pipe"));
    let line = lines.next("the address of the API").expect("a line");
    let address = line.trim().rsplit("http://").next().expect("an address").to_owned();
    (api, address)
}

#[test]
fn the_report_api_works_with_requests() {
    prepare();
    let (_api, address) = api();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/report_api");
    let project = Project::new(&[]);
    for name in ["pipeline.bue", "steps.py"] {
        let text = fs::read_to_string(folder.join(name)).expect("a file");
        assert!(text.contains("127.0.0.1:8700"), "{name} names the API");
        project.write(name, &text.replace("127.0.0.1:8700", &address));
    }
    for name in ["requirements.txt", "bue.lock"] {
        project.write(name, &fs::read_to_string(folder.join(name)).expect("a file"));
    }
    // the packages are downloaded once; without a network the test is skipped, unless BUE_TEST_WHEELS is set
    let fetched = project.bue(&["deps", "check", "pipeline.bue"]);
    if fetched.code == 3 && std::env::var_os("BUE_TEST_WHEELS").is_none() {
        return println!("not tested: {}", fetched.stderr);
    }
    fetched.expect_code(0);
    let output = project.bue(&["run", "--json", "--allow-net", &address, "pipeline.bue"]).expect_code(0);
    let accounts = output.last();
    let accounts = accounts.as_array().expect("one result an account");
    assert_eq!(accounts.len(), 300);
    assert_eq!(accounts[299][0]["account"], "Account 300");
    assert!(accounts.iter().all(|rows| rows[0]["days"].as_u64().is_some_and(|days| days >= 25)));
}

#[test]
fn the_examples_are_formatted() {
    let examples = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/examples"));
    let scripts: Vec<PathBuf> = fs::read_dir(examples)
        .expect("examples")
        .flat_map(|folder| fs::read_dir(folder.expect("a folder").path()).expect("files"))
        .map(|file| file.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "bue"))
        .collect();
    assert!(scripts.len() >= 7, "{scripts:?}");
    let project = Project::new(&[]);
    let mut command = project.command(&["fmt", "--check"]);
    command.args(scripts);
    finish(command).expect_code(0);
}
