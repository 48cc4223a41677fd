//! Published pipelines: what an invocation asks for, checked and turned into a run. Pure; the stores keep pipelines, `api` reads
//! requests.

pub(crate) mod request;

use blake3::Hash;
use bue_model::param::{ParamView, substitute};
use bue_model::pipeline::{PipelineRun, PipelineVersion, PipelineView, Publication};
use bue_model::{BlobRef, Plan, RunId, Value, cbor};

use crate::error::HubError;
use crate::jobs::columns::to_postcard;
use crate::jobs::graph::Graph;

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
#[derive(Clone, Debug, PartialEq)]
pub struct RunnableVersion {
    /// Its number.
    pub version: u32,
    /// The path of the script.
    pub script: String,
    /// The plan, with its parameters.
    pub plan: Plan,
    /// The bundle of each step.
    pub code: Vec<BlobRef>,
}

/// A run of a pipeline to start.
#[derive(Clone, Debug, PartialEq)]
pub struct Invocation {
    /// The id of the run. Invoking the same id again changes nothing.
    pub run: RunId,
    /// The name of the pipeline.
    pub pipeline: String,
    /// What it runs.
    pub version: RunnableVersion,
    /// The parameters that the caller gave, as JSON.
    pub params: String,
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
    let Publication { plan, code, .. } = publication;
    // null stands for every parameter; the graph refuses the places of parameters that the plan does not declare
    let values = vec![cbor::encode(&Value::Null).into(); plan.params.len()];
    Graph::new(substitute(plan.clone(), &values), code.clone())?;
    let body = to_postcard(&(plan, code))?;
    let hash = blake3::hash(&body);
    Ok(StoredPublication { body, hash })
}
