//! `!timeout 60s soft 2s`, from the script to `bue.TimeoutSoon` in the step.

use crate::project::{Project, prepare};

const STEPS: &str = "
import time
from bue import Result, StepStatus, TimeoutSoon

def load():
    rows = []
    try:
        while True:
            rows.append(len(rows))
            time.sleep(0.05)
    except TimeoutSoon as error:
        print('stopping:', error)
        return rows[:1]

def poll():
    try:
        time.sleep(3600)
    except TimeoutSoon:
        return Result(status=StepStatus.cancel)

def wait():
    time.sleep(3600)
";

#[test]
fn a_step_is_notified_before_its_timeout() {
    prepare();
    let script = "import python (load, poll !retries 3) steps.py\nload()\npoll()\n";
    let project = Project::new(&[("x.bue", &format!("!timeout 600s soft 2s\n{script}")), ("steps.py", STEPS)]);
    let output = project.bue(&["run", "x.bue", "--logs", "--json"]).expect_code(0);
    output.expect_stderr(&["stopping: the soft limit of 2 s was reached; the step is stopped after 600 s"]);
    assert!(output.stdout.contains("[0]"), "{}", output.stdout);
    assert!(output.stdout.contains("cancel"), "{}", output.stdout);
}

#[test]
fn a_step_that_does_not_catch_it_fails() {
    prepare();
    let script = "import python (wait !timeout 600 soft 1) steps.py\nwait()\n";
    let project = Project::new(&[("x.bue", script), ("steps.py", STEPS)]);
    let output = project.bue(&["run", "x.bue"]).expect_code(1);
    output.expect_stderr(&[
        "bue.TimeoutSoon: the soft limit of 1 s was reached; the step is stopped after 600 s",
        "steps.py",
    ]);
}

#[test]
fn a_plan_shows_it() {
    let script = "import python (load !timeout 60s soft 50s) steps.py\nload()\n";
    let project = Project::new(&[("x.bue", script), ("steps.py", STEPS)]);
    let text = project.bue(&["plan", "x.bue"]).expect_code(0).stdout;
    assert!(text.contains("!timeout 1m soft 50s"), "{text}");
    let json = project.bue(&["plan", "x.bue", "--format", "json"]).expect_code(0).json();
    let node = &json["nodes"][0];
    assert_eq!((node["timeout_s"].as_f64(), node["soft_timeout_s"].as_f64()), (Some(60.0), Some(50.0)), "{node}");
    project.write("x.bue", "import   python (load   !timeout 60s soft 50s)   steps.py\nload()\n");
    project.bue_writes(&["fmt", "x.bue"]).expect_code(0);
    let formatted = std::fs::read_to_string(project.path("x.bue")).expect("the script");
    assert!(
        formatted.contains("(load !timeout 60s soft 50s)") || formatted.contains("!timeout 60s   soft 50s"),
        "{formatted}"
    );
}
