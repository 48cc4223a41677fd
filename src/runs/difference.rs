//! [`RunDifference`]: what two runs differ in. Pure.

use std::collections::{BTreeMap, BTreeSet};

use bue_model::RunId;
use bue_model::param::ParamView;
use bue_model::plan::{Source, Step};
use bue_model::rerun::{RunPlanView, RunStep};
use bue_model::text::shortened;
use serde::Serialize;
use serde_json::Value;

use crate::process::table::{Column, TextTable};
use crate::runs::job_digests::{JobDigests, JobEnd};

/// Characters of a value that a line shows.
const MAX_VALUE: usize = 60;

/// What two runs differ in.
#[derive(Debug, Serialize)]
pub(crate) struct RunDifference {
    pub(crate) run1: RunId,
    pub(crate) run2: RunId,
    /// Whether they differ in nothing.
    pub(crate) same: bool,
    /// The scripts or versions of pipelines, if they differ.
    pub(crate) pipeline: Option<[String; 2]>,
    /// The parameters with different values.
    pub(crate) params: Vec<ParamDifference>,
    /// The steps that differ, or are in one of the runs only.
    pub(crate) steps: Vec<StepDifference>,
    /// By step, in the order of their names, the jobs that both runs have, and those of one of them.
    pub(crate) jobs: Vec<JobsDifference>,
}

/// A parameter with different values. `None` where a run has no such parameter.
#[derive(Debug, Serialize)]
pub(crate) struct ParamDifference {
    pub(crate) name: String,
    pub(crate) run1: Option<Value>,
    pub(crate) run2: Option<Value>,
}

/// A step that differs.
#[derive(Debug, Serialize)]
pub(crate) struct StepDifference {
    pub(crate) name: String,
    /// By what differs (`code`, `function`, `language`, `source` and settings), the two values. `step` if only one run has the step.
    pub(crate) differences: BTreeMap<String, [Value; 2]>,
}

/// The jobs of a step.
#[derive(Debug, Default, Serialize)]
pub(crate) struct JobsDifference {
    pub(crate) step: String,
    /// Jobs with the same state and the same result.
    pub(crate) same: u64,
    /// Jobs that have completed in both runs, with different results.
    pub(crate) different_results: u64,
    /// Jobs in different states.
    pub(crate) different_states: u64,
    pub(crate) only_in_run1: u64,
    pub(crate) only_in_run2: u64,
}

impl JobsDifference {
    fn is_same(&self) -> bool {
        self.different_results + self.different_states + self.only_in_run1 + self.only_in_run2 == 0
    }
}

/// Compares two runs.
pub(crate) fn difference(first: &(RunPlanView, JobDigests), second: &(RunPlanView, JobDigests)) -> RunDifference {
    let ((plan1, jobs1), (plan2, jobs2)) = (first, second);
    let origins = [origin(plan1), origin(plan2)];
    let pipeline = (origins[0] != origins[1]).then_some(origins);
    let (params, steps) = (params(&plan1.params, &plan2.params), steps(&plan1.steps, &plan2.steps));
    let jobs = jobs(jobs1, jobs2);
    let same = pipeline.is_none() && params.is_empty() && steps.is_empty() && jobs.iter().all(JobsDifference::is_same);
    RunDifference { run1: plan1.run, run2: plan2.run, same, pipeline, params, steps, jobs }
}

/// Returns what a run was started from.
fn origin(plan: &RunPlanView) -> String {
    match &plan.pipeline {
        Some(pipeline) => format!("{} version {}", pipeline.name, pipeline.version),
        None => plan.name.clone(),
    }
}

fn params(first: &[ParamView], second: &[ParamView]) -> Vec<ParamDifference> {
    let value = |params: &[ParamView], name: &str| {
        params.iter().find(|param| param.name == name).and_then(|param| param.default.clone())
    };
    let names: BTreeSet<&String> = first.iter().chain(second).map(|param| &param.name).collect();
    let all = names.into_iter().map(|name| ParamDifference {
        name: name.clone(),
        run1: value(first, name),
        run2: value(second, name),
    });
    all.filter(|param| param.run1 != param.run2).collect()
}

fn steps(first: &[RunStep], second: &[RunStep]) -> Vec<StepDifference> {
    let find = |steps: &[RunStep], name: &str| steps.iter().find(|step| step.step.name == name).map(facts);
    let names: BTreeSet<&String> = first.iter().chain(second).map(|step| &step.step.name).collect();
    let all = names.into_iter().map(|name| {
        let differences = match (find(first, name), find(second, name)) {
            (Some(first), Some(second)) => unequal(&first, &second),
            (one, other) => [("step".to_owned(), [one.is_some().into(), other.is_some().into()])].into(),
        };
        StepDifference { name: name.clone(), differences }
    });
    all.filter(|step| !step.differences.is_empty()).collect()
}

/// Returns what is known of a step, apart from the line of its definition.
fn facts(RunStep { step, code }: &RunStep) -> BTreeMap<String, Value> {
    let Step { language, function, source, settings, .. } = step;
    let source = match source {
        Source::File(path) => path.clone(),
        Source::Inline { .. } => "in the script".to_owned(),
        Source::Fused(_) => "those of its stages".to_owned(),
    };
    let mut facts: BTreeMap<String, Value> = match serde_json::to_value(settings) {
        Ok(Value::Object(settings)) => settings.into_iter().collect(),
        _ => BTreeMap::new(),
    };
    facts.insert("language".to_owned(), language.name().into());
    facts.insert("function".to_owned(), function.clone().into());
    facts.insert("source".to_owned(), source.into());
    facts.insert("code".to_owned(), code.hash.to_string().into());
    facts
}

fn unequal(first: &BTreeMap<String, Value>, second: &BTreeMap<String, Value>) -> BTreeMap<String, [Value; 2]> {
    let value = |facts: &BTreeMap<String, Value>, name: &str| facts.get(name).cloned().unwrap_or(Value::Null);
    let names: BTreeSet<&String> = first.keys().chain(second.keys()).collect();
    let all = names.into_iter().map(|name| (name.clone(), [value(first, name), value(second, name)]));
    all.filter(|(_, [first, second])| first != second).collect()
}

fn jobs(first: &JobDigests, second: &JobDigests) -> Vec<JobsDifference> {
    let mut steps: BTreeMap<&str, JobsDifference> = BTreeMap::new();
    for (key, end) in first {
        let counts = steps.entry(&key.0).or_default();
        match second.get(key) {
            None => counts.only_in_run1 += 1,
            Some(other) => *counter(counts, end, other) += 1,
        }
    }
    for key in second.keys().filter(|key| !first.contains_key(*key)) {
        steps.entry(&key.0).or_default().only_in_run2 += 1;
    }
    steps.into_iter().map(|(step, counts)| JobsDifference { step: step.to_owned(), ..counts }).collect()
}

fn counter<'a>(counts: &'a mut JobsDifference, first: &JobEnd, second: &JobEnd) -> &'a mut u64 {
    match first {
        _ if first == second => &mut counts.same,
        _ if first.0 == second.0 => &mut counts.different_results,
        _ => &mut counts.different_states,
    }
}

impl RunDifference {
    /// Formats it for people, a line for each difference and a table of the jobs of steps that have any.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some([first, second]) = &self.pipeline {
            lines.push(format!("pipeline  {first} -> {second}"));
        }
        for ParamDifference { name, run1, run2 } in &self.params {
            lines.push(format!("param     {name}: {} -> {}", optional(run1.as_ref()), optional(run2.as_ref())));
        }
        for step in &self.steps {
            let all = step.differences.iter().map(|(what, [first, second])| difference_text(what, first, second));
            lines.push(format!("step      {}: {}", step.name, all.collect::<Vec<_>>().join(", ")));
        }
        let different: Vec<&JobsDifference> = self.jobs.iter().filter(|jobs| !jobs.is_same()).collect();
        if !different.is_empty() {
            lines.extend(job_table(&different).lines().map(str::to_owned));
        }
        lines
    }
}

fn difference_text(what: &str, first: &Value, second: &Value) -> String {
    match what {
        // hashes tell people nothing
        "code" => "code".to_owned(),
        "step" if *first == Value::Bool(true) => "only in the first run".to_owned(),
        "step" => "only in the second run".to_owned(),
        what => format!("{what} {} -> {}", text(first), text(second)),
    }
}

fn optional(value: Option<&Value>) -> String {
    value.map_or_else(|| "(none)".to_owned(), text)
}

fn text(value: &Value) -> String {
    shortened(&value.to_string(), MAX_VALUE)
}

fn job_table(jobs: &[&JobsDifference]) -> String {
    let mut table = TextTable::new([
        Column::text("step", 0),
        Column::number("same", 0),
        Column::number("other result", 0),
        Column::number("other state", 0),
        Column::number("only in 1", 0),
        Column::number("only in 2", 0),
    ]);
    for jobs in jobs {
        table.add_row([
            jobs.step.clone(),
            jobs.same.to_string(),
            jobs.different_results.to_string(),
            jobs.different_states.to_string(),
            jobs.only_in_run1.to_string(),
            jobs.only_in_run2.to_string(),
        ]);
    }
    table.format(None)
}

#[cfg(test)]
mod tests {
    use bue_model::JobState;
    use uuid::Uuid;

    use super::*;

    fn plan() -> RunPlanView {
        let (pipeline, params, steps) = (None, Vec::new(), Vec::new());
        RunPlanView { run: RunId(Uuid::nil()), name: "x.bue".into(), pipeline, rerun_of: None, params, steps }
    }

    fn run(jobs: &[(&str, u64, JobState, &str)]) -> (RunPlanView, JobDigests) {
        let digest = |(step, round, state, digest): &(&str, u64, JobState, &str)| {
            (((*step).to_owned(), vec![*round], 0), (*state, Some((*digest).to_owned())))
        };
        (plan(), jobs.iter().map(digest).collect())
    }

    #[test]
    fn jobs_are_compared_by_step_and_round() {
        use JobState::{Completed, Failed};
        let first =
            run(&[("a", 1, Completed, "x"), ("a", 2, Completed, "y"), ("b", 1, Failed, ""), ("c", 1, Completed, "")]);
        let second = run(&[("a", 1, Completed, "x"), ("a", 2, Completed, "z"), ("b", 1, Completed, "")]);
        let found = difference(&first, &second);
        let counts =
            |jobs: &JobsDifference| (jobs.same, jobs.different_results, jobs.different_states, jobs.only_in_run1);
        assert_eq!(found.jobs.iter().map(counts).collect::<Vec<_>>(), [(1, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)]);
        assert!(!found.same && difference(&first, &first).same);
    }
}
