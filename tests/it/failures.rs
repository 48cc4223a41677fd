//! `!on_failure` and `finally`, and scopes that steps choose, with real services and real steps.

use bue_test_support::wait::wait_until;

use crate::project::Project;
use crate::verbs::Services;

/// A job that fails, with a handler, and a block for the end.
const FAILING: &str = "import python (load !on_failure notify, notify, clean_up) steps.py
load()
finally:
    clean_up(run)
";

const STEPS: &str = r#"
def load():
    raise ValueError("no luck")

def notify(failure):
    print(f"told that {failure['step']} failed after {failure['attempts']}: {failure['error']}")
    assert sorted(failure) == ["attempts", "error", "job", "run", "step"], failure

def clean_up(run):
    print(f"cleaned up a run that is {run['state']} with {run['failed']} failed")
    assert sorted(run) == ["failed", "id", "state"], run
"#;

#[test]
fn a_failed_job_calls_its_handler_and_the_run_ends_with_finally() {
    let services = Services::new(FAILING);
    services.project.write("steps.py", STEPS);
    let run = services.upload();
    let _worker = services.worker("default");
    services.bue(&["wait", &run]).expect_code(1);
    let jobs = services.bue(&["status", &run, "--jobs"]).expect_code(0).stdout;
    for text in ["load", "notify", "clean_up"] {
        assert!(jobs.contains(text), "{text}: {jobs}");
    }
    let log_of = |step: &str| {
        let jobs = services.bue(&["status", &run, "--jobs", "--json"]).expect_code(0).json();
        let job =
            jobs["jobs"].as_array().expect("jobs").iter().find(|job| job["step"] == step).expect("the job").clone();
        assert_eq!(job["state"], "completed", "{job}");
        services.bue(&["logs", &job["id"].to_string()]).expect_code(0).stdout
    };
    let log = log_of("notify");
    assert!(log.contains("told that load failed after 1: ValueError: no luck"), "{log}");
    let log = log_of("clean_up");
    assert!(log.contains("cleaned up a run that is failed with 1 failed"), "{log}");
}

#[test]
fn a_plan_shows_handlers_and_the_end() {
    let project = Project::new(&[("x.bue", FAILING), ("steps.py", STEPS)]);
    let text = project.bue(&["plan", "x.bue"]).expect_code(0).stdout;
    for line in ["!on_failure notify", "1  notify(failure of 0)", "2  finally", "3  clean_up(run)"] {
        assert!(text.contains(line), "{line}: {text}");
    }
    project.bue(&["check", "x.bue"]).expect_code(0);
    project.write("steps.py", "def load():\n    pass\ndef notify():\n    pass\ndef clean_up(run):\n    pass\n");
    project.bue(&["check", "x.bue"]).expect_code(1).expect_stderr(&["E0053", "`!on_failure` calls it with one input"]);
}

#[test]
fn a_step_sends_its_job_and_what_depends_on_it_to_other_scopes() {
    let script = "import python (first, second) steps.py\np = first | second\np()\n";
    let services = Services::new(script);
    services.project.write(
        "steps.py",
        r#"
import bue

def first():
    return bue.Result(data="there", scope="after")

def second(where):
    return where
"#,
    );
    let run = services.upload();
    let _first = services.worker("default");
    let status = || services.bue(&["status", &run, "--json"]).expect_code(0).stdout;
    wait_until("the second job waits where no worker is", || status().contains("\"after\""));
    let text = services.bue(&["why", "2"]).expect_code(0).stdout;
    assert!(text.contains("after"), "{text}");
    let _second = services.worker("after");
    services.bue(&["wait", &run]).expect_code(0);
}
