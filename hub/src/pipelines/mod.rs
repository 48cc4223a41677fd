//! Published pipelines: what an invocation asks for, checked and turned into a run. Pure; the stores keep pipelines, `api` reads
//! requests.

pub(crate) mod request;

use std::collections::{BTreeMap, HashSet};

use blake3::Hash;
use bue_model::param::{Argument, ParamError, ParamProblem, ParamView, RunTime, bind, resolve, substitute, write_json};
use bue_model::pipeline::{PipelineRun, PipelineVersion, PipelineView, Publication};
use bue_model::wire::Submission;
use bue_model::{BlobRef, Input, Node, Plan, RunId, Value, cbor};

use crate::error::HubError;
use crate::jobs::columns::{from_postcard, small, to_postcard};
use crate::jobs::graph::{Graph, MAX_NAME};
use crate::plan_error::PlanError;

/// Versions of a pipeline in its view.
pub(crate) const MAX_VERSIONS: i64 = 100;
/// Runs of a pipeline in its view.
pub(crate) const MAX_RUNS: i64 = 20;
/// Characters of a run's parameters in the view of its pipeline.
const MAX_PARAMS_CHARS: usize = 1_000;
/// Characters of them that are read: one more, to see whether something is cut off.
pub(crate) const PARAMS_READ: i64 = 1_001;
/// Pipelines in a list.
pub(crate) const MAX_PIPELINES: i64 = 1_000;

/// A version of a pipeline that can be run.
#[derive(Debug)]
pub(crate) struct RunnableVersion {
    /// Its number.
    pub(crate) version: u32,
    /// The path of the script.
    pub(crate) script: String,
    /// The plan, with its parameters.
    pub(crate) plan: Plan,
    /// The bundle of each step.
    pub(crate) code: Vec<BlobRef>,
    /// Bytes of plan and code.
    pub(crate) bytes: usize,
}

/// Jobs that one request of invocations may create, if it starts several runs.
const MAX_BATCH_NODES: usize = 100_000;
/// Bytes of plans that it may create.
const MAX_BATCH_BYTES: usize = 64 * 1024 * 1024;

/// What a request of invocations has created so far. It is one transaction, for which every worker's heartbeat waits.
#[derive(Debug, Default)]
pub(crate) struct BatchSize {
    runs: usize,
    nodes: usize,
    bytes: usize,
}

impl BatchSize {
    /// Adds a run. The first one is always accepted: it is as large as a submission may be.
    ///
    /// # Errors
    /// [`HubError::BadRequest`] if the request becomes too large.
    pub(crate) fn add(&mut self, version: &RunnableVersion, submission: &Submission) -> Result<(), HubError> {
        self.runs += 1;
        self.bytes = self.bytes.saturating_add(version.bytes);
        self.add_nodes(&with_values(submission.plan.clone())?.nodes);
        match self.runs > 1 && (self.nodes > MAX_BATCH_NODES || self.bytes > MAX_BATCH_BYTES) {
            true => Err(HubError::BadRequest(format!(
                "the runs have more than {MAX_BATCH_NODES} jobs, or {} MiB of plans, at their start; start fewer in one request",
                MAX_BATCH_BYTES / 1024 / 1024
            ))),
            false => Ok(()),
        }
    }

    /// Adds nodes, and the values that are in the places of parameters. A plan nests its loops at most 32 levels deep.
    fn add_nodes(&mut self, nodes: &[Node]) {
        self.nodes = self.nodes.saturating_add(nodes.len());
        for node in nodes {
            match node {
                Node::Job(job) => {
                    let literals = job.inputs.iter().map(|input| match input {
                        Input::Literal(value) => value.len(),
                        _ => 0,
                    });
                    self.bytes = self.bytes.saturating_add(literals.sum());
                }
                Node::ForEach(for_each) => self.add_nodes(&for_each.body),
                Node::Finally(finally) => self.add_nodes(&finally.body),
            }
        }
    }
}

impl RunnableVersion {
    /// Decodes a version as it is stored.
    ///
    /// # Errors
    /// [`HubError::Damaged`]
    pub(crate) fn from_stored(version: i64, script: String, body: &[u8]) -> Result<Self, HubError> {
        let (plan, code): (Plan, Vec<BlobRef>) = from_postcard(body)?;
        Ok(Self { version: small(version), script, plan, code, bytes: body.len() })
    }

    /// Returns what an invocation of this version submits.
    ///
    /// # Errors
    /// [`HubError::UnfitParams`] if a parameter is missing, unknown or has an unfit value. `position` is the invocation's in its batch.
    pub(crate) fn submission(&self, invocation: &Invocation, position: usize) -> Result<Submission, HubError> {
        let given = invocation.params.iter().map(|(name, value)| (name.clone(), Argument::Value(value.clone())));
        let mut plan = bind(self.plan.clone(), given.collect(), &invocation.time)
            .map_err(|errors| HubError::UnfitParams { position, errors })?;
        for step in &mut plan.steps {
            step.settings.priority = step.settings.priority.saturating_add(invocation.priority);
        }
        Ok(Submission { run: invocation.run, name: self.script.clone(), plan, code: self.code.clone() })
    }
}

/// A run of a pipeline to start.
#[derive(Clone, Debug, PartialEq)]
pub struct Invocation {
    /// The id of the run. Invoking the same id again changes nothing, whatever became of the pipeline.
    pub run: RunId,
    /// The name of the pipeline.
    pub pipeline: String,
    /// The values of parameters.
    pub params: BTreeMap<String, Value>,
    /// Added to the priority of every step.
    pub priority: i64,
    /// What `today` and `scheduled_at` mean.
    pub time: RunTime,
}

impl Invocation {
    /// Returns the parameters as JSON, in the order of their names. Equal texts are equal parameters.
    pub(crate) fn params_json(&self) -> String {
        let entries = self.params.iter().map(|(name, value)| (Value::Text(name.clone()), value.clone()));
        write_json(&Value::Map(entries.collect()))
    }
}

/// Returns the beginning of a run's parameters, which can have megabytes.
pub(crate) fn shortened_params(params: &str) -> String {
    bue_model::text::shortened(params, MAX_PARAMS_CHARS)
}

/// Returns the view of a pipeline.
pub(crate) fn view_of(
    name: &str,
    current: &RunnableVersion,
    versions: Vec<PipelineVersion>,
    runs: Vec<PipelineRun>,
) -> PipelineView {
    let params = current.plan.params.iter().map(ParamView::from).collect();
    PipelineView { name: name.to_owned(), version: current.version, params, versions, runs }
}

/// A publication in the form in which stores keep it.
pub(crate) struct StoredPublication {
    /// Plan and code, postcard.
    pub(crate) body: Vec<u8>,
    /// Of plan and code: equal content is the same version.
    pub(crate) hash: Hash,
}

/// Checks that a publication can be run once its parameters have values.
pub(crate) fn checked(publication: &Publication) -> Result<StoredPublication, HubError> {
    let Publication { plan, code, script, .. } = publication;
    if script.contains('\0') {
        return Err(HubError::BadRequest("the path of the script has a NUL character; rename the file".to_owned()));
    }
    check_params(plan)?;
    // null stands for every parameter; the graph refuses the places of parameters that the plan does not declare
    let values = vec![cbor::encode(&Value::Null).into(); plan.params.len()];
    Graph::new(substitute(plan.clone(), &values), code.clone())?;
    let body = to_postcard(&(plan, code))?;
    let hash = blake3::hash(&body);
    Ok(StoredPublication { body, hash })
}

/// Returns the plan of a run with the values of its parameters in their places.
///
/// # Errors
/// A parameter is invalid or has no value, or all values together are too large.
pub(crate) fn with_values(plan: Plan) -> Result<Plan, PlanError> {
    if plan.params.is_empty() {
        return Ok(plan);
    }
    check_params(&plan)?;
    resolve(plan).map_err(|errors| match errors.into_iter().next() {
        Some(ParamError { name, problem: ParamProblem::Unfit(problem) }) => PlanError::Param { name, problem },
        _ => PlanError::Params,
    })
}

/// Checks what a plan says of its parameters: it may come from another program than `bue`.
fn check_params(plan: &Plan) -> Result<(), PlanError> {
    let mut names = HashSet::new();
    for param in &plan.params {
        let invalid = |problem: &str| PlanError::Param { name: param.name.clone(), problem: problem.to_owned() };
        if param.name.is_empty() || param.name.len() > MAX_NAME {
            return Err(invalid(&format!("its name has no characters, or more than {MAX_NAME} bytes")));
        }
        if !names.insert(&param.name) {
            return Err(invalid("it is declared twice"));
        }
        param.validate().map_err(|problem| invalid(&problem))?;
    }
    Ok(())
}
