//! [`RunDifference`]: what two runs differ in, for `bue diff` and the dashboard. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bue_model::param::ParamView;
use bue_model::plan::{Source, Step};
use bue_model::rerun::{RunPlanView, RunStep};
use bue_model::wire::JobView;
use bue_model::{JobId, JobState, RunId};
use serde::Serialize;
use serde_json::Value;

/// Jobs of a step that differ and are named.
const MAX_EXAMPLES: usize = 20;

/// What two runs differ in.
#[derive(Debug, Serialize)]
pub struct RunDifference {
    /// The first run.
    pub run1: RunId,
    /// The second run.
    pub run2: RunId,
    /// Whether they differ in nothing.
    pub same: bool,
    /// The scripts or versions of pipelines, if they differ.
    pub pipeline: Option<[String; 2]>,
    /// The parameters with different values.
    pub params: Vec<ParamDifference>,
    /// The steps that differ, or are in one of the runs only.
    pub steps: Vec<StepDifference>,
    /// By step, in the order of their names, the jobs that both runs have, and those of one of them.
    pub jobs: Vec<JobsDifference>,
}

/// A parameter with different values. `None` where a run has no such parameter.
#[derive(Debug, Serialize)]
pub struct ParamDifference {
    /// Its name.
    pub name: String,
    /// Its value in the first run.
    pub run1: Option<Value>,
    /// Its value in the second run.
    pub run2: Option<Value>,
}

/// A step that differs.
#[derive(Debug, Serialize)]
pub struct StepDifference {
    /// Its name.
    pub name: String,
    /// By what differs (`code`, `function`, `language`, `source` and settings), the two values. `step` if only one run has the step.
    pub differences: BTreeMap<String, [Value; 2]>,
}

/// The jobs of a step.
#[derive(Debug, Default, Serialize)]
pub struct JobsDifference {
    /// The name of the step.
    pub step: String,
    /// Jobs with the same state and the same result.
    pub same: u64,
    /// Jobs that have completed in both runs, with different results.
    pub different_results: u64,
    /// Jobs in different states.
    pub different_states: u64,
    /// Jobs that the second run does not have.
    pub only_in_run1: u64,
    /// Jobs that the first run does not have.
    pub only_in_run2: u64,
    /// The first jobs that differ, or are in one run only, in the order of their rounds: at most twenty.
    #[serde(skip)]
    pub examples: Vec<JobDifference>,
}

/// A job that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobDifference {
    /// Its rounds of the loops around it, outermost first.
    pub rounds: Vec<u64>,
    /// It in each run, with its state; `None` where the run has no such job.
    pub jobs: [Option<(JobId, JobState)>; 2],
}

/// The jobs of a run with the hashes of their results.
#[derive(Debug, Default)]
pub struct JobDigests {
    jobs: BTreeMap<JobKey, JobEnd>,
    seen: HashMap<(String, Vec<u64>), usize>,
}

/// Which job of a run it is: its step, its rounds of the loops around it, and how many jobs with the same are before it.
type JobKey = (String, Vec<u64>, usize);

/// How a job ended, and the hash of its result.
#[derive(Debug)]
struct JobEnd {
    job: JobId,
    state: JobState,
    digest: Option<String>,
}

impl JobEnd {
    const fn named(&self) -> (JobId, JobState) {
        (self.job, self.state)
    }
}

impl JobDigests {
    /// Adds a job, which has its digest. Jobs are added in the order of their numbers.
    pub fn add(&mut self, job: JobView) {
        let rounds: Vec<u64> = job.rounds.iter().map(|round| round.round).collect();
        let count = self.seen.entry((job.step.clone(), rounds.clone())).or_default();
        let end = JobEnd { job: job.id, state: job.state, digest: job.digest };
        self.jobs.insert((job.step, rounds, *count), end);
        *count += 1;
    }
}

impl JobsDifference {
    /// Returns whether all jobs of the step are the same.
    #[must_use]
    pub const fn is_same(&self) -> bool {
        self.different_results + self.different_states + self.only_in_run1 + self.only_in_run2 == 0
    }
}

/// Compares two runs.
#[must_use]
pub fn difference(first: &(RunPlanView, JobDigests), second: &(RunPlanView, JobDigests)) -> RunDifference {
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
    for (key, end) in &first.jobs {
        let counts = steps.entry(&key.0).or_default();
        let other = second.jobs.get(key);
        let is_same = other.is_some_and(|other| (end.state, &end.digest) == (other.state, &other.digest));
        *counter(counts, end, other) += 1;
        if !is_same {
            counts.name(&key.1, [Some(end.named()), other.map(JobEnd::named)]);
        }
    }
    for (key, end) in second.jobs.iter().filter(|(key, _)| !first.jobs.contains_key(*key)) {
        let counts = steps.entry(&key.0).or_default();
        counts.only_in_run2 += 1;
        counts.name(&key.1, [None, Some(end.named())]);
    }
    steps.into_iter().map(|(step, counts)| JobsDifference { step: step.to_owned(), ..counts }).collect()
}

fn counter<'a>(counts: &'a mut JobsDifference, first: &JobEnd, second: Option<&JobEnd>) -> &'a mut u64 {
    match second {
        None => &mut counts.only_in_run1,
        Some(second) if first.state != second.state => &mut counts.different_states,
        Some(second) if first.digest != second.digest => &mut counts.different_results,
        Some(_) => &mut counts.same,
    }
}

impl JobsDifference {
    fn name(&mut self, rounds: &[u64], jobs: [Option<(JobId, JobState)>; 2]) {
        if self.examples.len() < MAX_EXAMPLES {
            self.examples.push(JobDifference { rounds: rounds.to_vec(), jobs });
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn plan() -> RunPlanView {
        let (pipeline, params, steps) = (None, Vec::new(), Vec::new());
        RunPlanView { run: RunId(Uuid::nil()), name: "x.bue".into(), pipeline, rerun_of: None, params, steps }
    }

    fn run(jobs: &[(&str, u64, JobState, &str)]) -> (RunPlanView, JobDigests) {
        let mut digests = JobDigests::default();
        for (number, (step, round, state, digest)) in (1..).zip(jobs) {
            let end = JobEnd { job: JobId(number), state: *state, digest: Some((*digest).to_owned()) };
            digests.jobs.insert(((*step).to_owned(), vec![*round], 0), end);
        }
        (plan(), digests)
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
        let failed = JobDifference { rounds: vec![1], jobs: [Some((JobId(3), Failed)), Some((JobId(3), Completed))] };
        assert_eq!(found.jobs[1].examples, [failed]);
        let gone = JobDifference { rounds: vec![1], jobs: [Some((JobId(4), Completed)), None] };
        assert_eq!(found.jobs[2].examples, [gone]);
    }
}
