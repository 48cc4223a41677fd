//! Reruns: what a request asks for, and the run that it becomes. Pure; the stores keep reruns, `api` reads requests, and
//! [`Original`](crate::jobs::original::Original) says which results are reused. `difference` compares two runs.

pub(crate) mod difference;
pub(crate) mod request;

use std::collections::BTreeMap;

use bue_model::param::{Argument, RunTime, bind, read_json, write_json};
use bue_model::plan::Source;
use bue_model::wire::Submission;
use bue_model::{BlobRef, Language, Plan, RunId, StepIndex, Value};
use jiff::tz::TimeZone;

use crate::error::HubError;
use crate::jobs::graph::Graph;
use crate::jobs::original::{ForcedSteps, NodeSet, reusable_nodes};
use crate::pipelines::with_values;

/// A run to start that repeats another one.
#[derive(Clone, Debug, PartialEq)]
pub struct Rerun {
    /// The id of the new run. Sending the same rerun again changes nothing.
    pub run: RunId,
    /// The run to repeat. It must have ended.
    pub original: RunId,
    /// The names of steps whose jobs run anew, together with everything that depends on them.
    pub from: Vec<String>,
    /// The names of steps whose jobs run anew. What depends on them runs anew if their results differ.
    pub only: Vec<String>,
    /// New values of parameters; the others keep theirs.
    pub params: BTreeMap<String, Value>,
    /// Steps that get other code.
    pub replace: Vec<Replacement>,
}

/// Other code for a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replacement {
    /// The name of the step.
    pub step: String,
    /// The language of the new code.
    pub language: Language,
    /// The function to call, or the table that the first input becomes.
    pub function: String,
    /// The file that the code comes from, for people.
    pub file: String,
    /// The [`Bundle`](bue_model::Bundle), which is in the bucket already.
    pub code: BlobRef,
}

/// The plan of a run, as it is stored.
#[derive(Debug)]
pub struct StoredPlan {
    /// The path of the script.
    pub name: String,
    /// The plan. The defaults of its parameters are the values that the run has.
    pub plan: Plan,
    /// The bundle of each step.
    pub code: Vec<BlobRef>,
    /// The pipeline that the run was started by, and its version.
    pub pipeline: Option<(String, u32)>,
    /// The run that it repeats, and what was asked for, as JSON.
    pub rerun: Option<(RunId, String)>,
}

impl Rerun {
    /// Returns what is submitted, given the name, the plan and the code of the original, and the nodes that may be reused.
    ///
    /// # Errors
    /// There is no such step, a parameter does not fit, or the replaced code makes the plan invalid.
    pub(crate) fn submission(
        &self,
        name: String,
        plan: Plan,
        code: Vec<BlobRef>,
    ) -> Result<(Submission, NodeSet), HubError> {
        let forced = ForcedSteps { from: indices(&plan, &self.from)?, only: indices(&plan, &self.only)? };
        let original = Graph::new(with_values(plan.clone())?, code.clone())?;
        let given = self.params.iter().map(|(name, value)| (name.clone(), Argument::Value(value.clone())));
        // no parameter depends on the time: all of them have values
        let time = RunTime { at: jiff::Timestamp::UNIX_EPOCH, zone: TimeZone::UTC };
        let bound = bind(plan, given.collect(), &time);
        let mut plan = bound.map_err(|errors| HubError::UnfitParams { position: 0, errors })?;
        let mut code = code;
        for replacement in &self.replace {
            for index in indices(&plan, std::slice::from_ref(&replacement.step))? {
                check_replacement(&plan, index, &replacement.step)?;
                replace(&mut plan, &mut code, index, replacement);
            }
        }
        let graph = Graph::new(with_values(plan.clone())?, code.clone())?;
        let reusable = reusable_nodes(&original, &graph, &forced);
        Ok((Submission { run: self.run, name, plan, code }, reusable))
    }

    /// Returns what was asked for as JSON. Equal texts are equal requests.
    pub(crate) fn request_json(&self) -> String {
        let texts = |names: &[String]| Value::List(names.iter().cloned().map(Value::Text).collect());
        let params = self.params.iter().map(|(name, value)| (Value::Text(name.clone()), value.clone()));
        write_json(&map([
            ("from", texts(&self.from)),
            ("only", texts(&self.only)),
            ("params", Value::Map(params.collect())),
            ("replace", Value::List(self.replace.iter().map(Replacement::as_value).collect())),
        ]))
    }
}

impl Replacement {
    fn as_value(&self) -> Value {
        map([
            ("step", Value::Text(self.step.clone())),
            ("language", Value::Text(self.language.name().to_owned())),
            ("function", Value::Text(self.function.clone())),
            ("file", Value::Text(self.file.clone())),
            ("code", Value::Text(self.code.hash.to_string())),
        ])
    }
}

fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Map(entries.into_iter().map(|(name, value)| (Value::Text(name.to_owned()), value)).collect())
}

/// Returns the positions of steps.
fn indices(plan: &Plan, names: &[String]) -> Result<Vec<StepIndex>, HubError> {
    let mut all = Vec::new();
    for name in names {
        let found = (0..).map(StepIndex).zip(&plan.steps).filter(|(_, step)| step.name == *name);
        let before = all.len();
        all.extend(found.map(|(index, _)| index));
        // a stage has no jobs of its own
        for at in before..all.len() {
            all.extend(all.get(at).into_iter().flat_map(|stage| fused_with(plan, *stage)).collect::<Vec<_>>());
        }
        if all.len() == before {
            let steps: Vec<&str> = plan.steps.iter().map(|step| step.name.as_str()).collect();
            return Err(HubError::StepNotFound { step: name.clone(), steps: steps.join("`, `") });
        }
    }
    Ok(all)
}

/// Returns the fused steps of which a step is a stage.
fn fused_with(plan: &Plan, stage: StepIndex) -> impl Iterator<Item = StepIndex> + '_ {
    let steps = (0..).map(StepIndex).zip(&plan.steps);
    let fused = steps.filter(move |(_, step)| matches!(&step.source, Source::Fused(stages) if stages.contains(&stage)));
    fused.map(|(index, _)| index)
}

/// Refuses to replace the code of a step that runs as one job with others: their code is packed together.
fn check_replacement(plan: &Plan, index: StepIndex, step: &str) -> Result<(), HubError> {
    let is_fused = plan.steps.get(index.get()).is_some_and(|step| matches!(step.source, Source::Fused(_)));
    if !is_fused && fused_with(plan, index).next().is_none() {
        return Ok(());
    }
    Err(HubError::BadRequest(format!(
        "the code of step `{step}` cannot be replaced, because it runs as one job with others; change the script, and start \
         a new run"
    )))
}

fn replace(plan: &mut Plan, code: &mut [BlobRef], index: StepIndex, replacement: &Replacement) {
    if let (Some(step), Some(code)) = (plan.steps.get_mut(index.get()), code.get_mut(index.get())) {
        step.language = replacement.language;
        step.function.clone_from(&replacement.function);
        step.source = Source::File(replacement.file.clone());
        *code = replacement.code;
    }
}

/// Returns the parameters of an invocation, as JSON, with those that a rerun changes.
pub(crate) fn merged_params(params: &str, rerun: &Rerun) -> Result<String, HubError> {
    let Ok(Value::Map(entries)) = read_json(params) else {
        return Err(HubError::damaged("the parameters of a run are no object"));
    };
    let named = |(name, value)| if let Value::Text(name) = name { Some((name, value)) } else { None };
    let mut merged: BTreeMap<String, Value> = entries.into_iter().filter_map(named).collect();
    merged.extend(rerun.params.clone());
    Ok(write_json(&Value::Map(merged.into_iter().map(|(name, value)| (Value::Text(name), value)).collect())))
}
