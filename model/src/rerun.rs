//! The plan of a run, as people and programs see it: what a rerun can change, and what two runs can differ in.

use serde::{Deserialize, Serialize};

use crate::ids::RunId;
use crate::job::BlobRef;
use crate::param::ParamView;
use crate::plan::Step;
use crate::wire::RunPipeline;

/// The plan of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunPlanView {
    /// The run.
    pub run: RunId,
    /// The path of the script.
    pub name: String,
    /// The pipeline that started the run, if one did.
    pub pipeline: Option<RunPipeline>,
    /// The run that it repeats, if it is a rerun.
    pub rerun_of: Option<RunId>,
    /// Its parameters. Their defaults are the values that the run has.
    pub params: Vec<ParamView>,
    /// Its steps, in the order of the script. Empty for a token that may read only runs of pipelines.
    pub steps: Vec<RunStep>,
}

/// A step of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunStep {
    /// The step. The text of inline code is left out.
    pub step: Step,
    /// The [`Bundle`](crate::Bundle) of its code in the bucket.
    pub code: BlobRef,
}
