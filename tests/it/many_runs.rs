//! Lists of runs and failures over all runs, and verbs that change many runs at once.

use serde_json::json;

use crate::project::{CommandOutput, step};
use crate::verbs::Services;

/// `load` fails in two of three runs, `check` in one, each with another number in its message.
const CODE: &str = "param n: int
import python (load, check) steps.py
load(n)
check(n)
";

const STEPS: &str = r#"
def load(n):
    if n != 3:
        raise ValueError(f"row {n} of 17 is bad")

def check(n):
    if n == 2:
        raise KeyError("no route")
"#;

/// Services on which the runs 1, 2 and 3 of this script have ended, and no worker runs any more.
fn ended() -> (Services, Vec<String>) {
    let services = Services::new(CODE);
    services.project.write("steps.py", STEPS);
    let worker = services.worker("default");
    let upload = |n: u32| {
        let arguments = ["upload", "-f", "x.bue", "--param", &format!("n={n}")].map(str::to_owned);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        services.bue(&arguments).expect_code(0).stdout.trim().to_owned()
    };
    let runs: Vec<String> = (1..=3).map(upload).collect();
    for (run, code) in runs.iter().zip([1, 1, 0]) {
        services.bue(&["wait", run]).expect_code(code);
    }
    drop(worker);
    (services, runs)
}

fn states(services: &Services, runs: &[String]) -> Vec<String> {
    let state = |run: &String| services.bue(&["status", run, "--json"]).expect_code(0).json()["state"].clone();
    runs.iter().map(|run| state(run).as_str().expect("a state").to_owned()).collect()
}

fn listed(output: &CommandOutput) -> Vec<String> {
    let list = output.json();
    list.as_array().expect("a list").iter().map(|run| run["id"].as_str().expect("an id").to_owned()).collect()
}

#[test]
fn failures_are_counted_and_runs_are_filtered() {
    let (services, runs) = ended();
    let groups = services.bue(&["errors", "--group", "--since", "1h"]).expect_code(0).stdout;
    assert!(groups.contains("ValueError: row # of # is bad") && groups.contains("KeyError: 'no route'"), "{groups}");
    let lines = services.bue(&["errors", "--group", "--json", "--step", "load"]).expect_code(0).stdout;
    let group: serde_json::Value = serde_json::from_str(lines.trim()).expect("one line of JSON");
    assert_eq!((&group["step"], &group["count"]), (&json!("load"), &json!(2)));
    // the two runs end in any order
    assert!(group["newest"]["run"].as_str().is_some_and(|run| runs[..2].iter().any(|one| one == run)), "{group}");
    let errors = services.bue(&["errors", "--step", "check"]).expect_code(0).stdout;
    assert!(errors.contains("no route") && !errors.contains("is bad"), "{errors}");
    assert_eq!(services.bue(&["errors", "--since", "2099-01-01"]).expect_code(0).stdout, "");
    services.bue(&["errors", "--since", "soon"]).expect_code(1).expect_stderr(&["`soon` is not a time", "such as 2h"]);
    let status =
        |arguments: &[&str]| listed(&services.bue(&[&["status", "--json"], arguments].concat()).expect_code(0));
    assert_eq!(status(&["--state", "failed"]), [runs[1].clone(), runs[0].clone()]);
    assert_eq!(status(&["--state", "failed,completed", "--limit", "1"]), [runs[2].clone()]);
    assert_eq!(status(&["--name", "x.*", "--since", "1h"]).len(), 3);
    assert_eq!(status(&["--pipeline", "none"]), [""; 0]);
    services.bue(&["status", "--state", "lost"]).expect_code(1).expect_stderr(&["`lost` is not a state of runs"]);
    services.bue(&["status", &runs[0], "--pipeline", "p"]).expect_code(2);
}

#[test]
fn many_runs_are_reset_and_deleted_after_a_question() {
    let (services, runs) = ended();
    // a dry run prints the runs and changes nothing
    let dry = services.bue(&["reset", "--step", "load", "--dry-run"]).expect_code(0);
    dry.expect_stderr(&["this would reset 2 failed jobs of 2 runs"]);
    assert!(dry.stdout.contains(&runs[0]) && dry.stdout.contains(&runs[1]), "{}", dry.stdout);
    assert_eq!(states(&services, &runs), ["failed", "failed", "completed"]);
    // more than one run needs an answer, which nobody can give here
    let refused = services.bue(&["reset", "--step", "load"]).expect_code(2);
    refused.expect_stderr(&["reset 2 failed jobs of 2 runs?", "bue reset -y"]);
    assert_eq!(states(&services, &runs), ["failed", "failed", "completed"]);
    // one run needs none
    let reset = services.bue(&["reset", "--error", "no route"]).expect_code(0);
    reset.expect_stderr(&["runs reset: 1", "jobs reset: 1"]);
    assert_eq!(states(&services, &runs), ["failed", "running", "completed"]);
    let failed = services.bue(&["status", &runs[1], "--json"]).expect_code(0).json()["counts"]["failed"].clone();
    assert_eq!(failed, json!(1), "the failed job of the other step is left alone");
    let cancel = services.bue(&["cancel", "--name", "x.bue", "--since", "1h"]).expect_code(0);
    cancel.expect_stderr(&["runs cancelled: 1", "jobs cancelled: 1"]);
    assert_eq!(states(&services, &runs), ["failed", "cancelled", "completed"]);
    services.bue(&["delete"]).expect_code(2).expect_stderr(&["no run is named", "--all"]);
    services.bue(&["cancel"]).expect_code(2).expect_stderr(&["no run is named"]);
    services.bue(&["delete", &runs[0], "--failed"]).expect_code(2).expect_stderr(&["one or the other"]);
    services.bue(&["delete", "--failed", "--older", "1d"]).expect_code(0).expect_stderr(&["runs deleted: 0"]);
    services.bue(&["delete", "--failed"]).expect_code(0).expect_stderr(&["runs deleted: 1"]);
    services.bue(&["delete", "--all", "-y"]).expect_code(0).expect_stderr(&["runs deleted: 2"]);
    assert_eq!(listed(&services.bue(&["status", "--json"]).expect_code(0)), [""; 0]);
}

#[test]
fn runs_of_a_pipeline_are_chosen_by_parameter() {
    let services =
        Services::new(&["param day: text\n", &step("one", "def one(day):\n    return day"), "one(day)\n"].concat());
    services.bue(&["publish", "x.bue", "--as", "p"]).expect_code(0);
    for day in ["mon", "tue", "mon"] {
        services.bue(&["invoke", "p", &format!("day={day}")]).expect_code(0);
    }
    let runs = listed(&services.bue(&["status", "--json", "--pipeline", "p", "--param", "day=mon"]).expect_code(0));
    assert_eq!(runs.len(), 2);
    let cancelled = services.bue(&["cancel", "--param", "day=mon", "-y"]).expect_code(0);
    cancelled.expect_stderr(&["runs cancelled: 2", "jobs cancelled: 2"]);
    assert_eq!(states(&services, &runs), ["cancelled", "cancelled"]);
}
