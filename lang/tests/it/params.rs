//! Values for parameters, and what is said about those that do not fit.

use std::collections::BTreeMap;

use bue_lang::{Script, bind_params, compile, plan_text, render};
use bue_model::Value;
use bue_model::param::{Argument, RunTime, resolve};

const SCRIPT: &str = "\
param day: date = yesterday
param accounts: list
param depth: int = 3 (1..10)
param mode: text = \"fast\" (\"fast\", \"full\")
import python (report) steps.py
for x in report(day, accounts):
    report(x, depth, mode)
";

/// The jobs of the script with these arguments, or what a person reads.
fn bound(text: &str, given: &[(&str, Argument)]) -> String {
    let script = Script { path: "x.bue", text };
    let mut compiled = compile(script);
    let plan = compiled.plan.take().expect("a plan");
    let given: BTreeMap<String, Argument> =
        given.iter().map(|(name, given)| ((*name).to_owned(), given.clone())).collect();
    let time = RunTime { at: "2026-03-01T12:00:00Z".parse().expect("a time"), zone: jiff::tz::TimeZone::UTC };
    match bind_params(script, &compiled, plan, given, &time) {
        Ok(plan) => plan_text(&resolve(plan).expect("values")),
        Err(diagnostics) => diagnostics.iter().map(|one| render(one, script, false)).collect(),
    }
}

fn text(text: &str) -> Argument {
    Argument::Text(text.into())
}

#[test]
fn values_are_put_in_the_places_of_parameters() {
    let jobs =
        bound(SCRIPT, &[("accounts", text("[1, \"b\"]")), ("mode", Argument::Value(Value::Text("full".into())))]);
    let jobs = jobs.split_once("jobs\n").expect("jobs").1;
    assert_eq!(
        jobs,
        "  0  report(\"2026-02-28\", [1,\"b\"])\n  1  for each x of 0\n    2  report(element of 1, 3, \"full\")\n"
    );
}

#[test]
fn every_mistake_is_a_diagnostic_at_its_declaration() {
    let said = bound(
        SCRIPT,
        &[("day", text("2026-02-30")), ("depth", text("11")), ("mode", text("slow")), ("dept", text("1"))],
    );
    for part in [
        "error[E0072]: the value `2026-02-30` of the parameter `day` is not a date, such as `2026-11-01`",
        "x.bue:1:7",
        "`--param day=2026-11-01`",
        "error[E0070]: the parameter `accounts` has no value",
        "x.bue:2:7",
        "`--param accounts='[1, 2]'`",
        "error[E0072]: the value `11` of the parameter `depth` is not in 1..10",
        "x.bue:3:7",
        "`--param depth=1`",
        "error[E0072]: the value `slow` of the parameter `mode` is none of \"fast\", \"full\"",
        "x.bue:4:7",
        "`--param mode=fast`",
        "error[E0071]: there is no parameter `dept`",
        "did you mean `depth`?",
    ] {
        assert!(said.contains(part), "{part}\n{said}");
    }
}

#[test]
fn a_script_without_parameters_takes_none() {
    let script = "import python (f) x.py\nf()\n";
    assert!(bound(script, &[]).contains("0  f()"));
    assert!(bound(script, &[("day", text("x"))]).contains("declare it in the script: `param day: text`"));
}
