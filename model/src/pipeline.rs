//! Published pipelines: scripts that a hub keeps, so that they are run by name, with parameters.

use serde::{Deserialize, Serialize};

use crate::ids::{RunId, Timestamp};
use crate::job::{BlobRef, RunState};
use crate::param::ParamView;
use crate::plan::Plan;

/// Most bytes of the name of a pipeline.
pub const MAX_PIPELINE_NAME: usize = 100;

/// Most runs that one request starts.
pub const MAX_BATCH: usize = 1_000;

/// Returns whether a pipeline can have this name: letters, digits, `-`, `_` and `.`, beginning with a letter or digit.
#[must_use]
pub fn is_pipeline_name(name: &str) -> bool {
    let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    name.len() <= MAX_PIPELINE_NAME
        && name.bytes().all(is_valid)
        && name.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric)
}

/// A script to publish.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Publication {
    /// The id on whose behalf the code was uploaded to the bucket.
    pub upload: RunId,
    /// The script's path as the user gave it, for people.
    pub script: String,
    /// The plan, with its parameters.
    pub plan: Plan,
    /// The [`Bundle`](crate::Bundle) of each step of the plan, in order. They are in the bucket already.
    pub code: Vec<BlobRef>,
}

/// The answer to a [`Publication`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// The version that new runs get.
    pub version: u32,
    /// Whether it is new: a version with the same content is the same version.
    pub created: bool,
}

/// A published pipeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PipelineView {
    /// Its name.
    pub name: String,
    /// The version that new runs get.
    pub version: u32,
    /// Its parameters.
    pub params: Vec<ParamView>,
    /// Its versions, newest first, at most 100.
    pub versions: Vec<PipelineVersion>,
    /// Its latest runs, newest first, at most 20.
    pub runs: Vec<PipelineRun>,
}

/// A version of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PipelineVersion {
    /// Its number, from 1.
    pub version: u32,
    /// The path of the script.
    pub script: String,
    /// When it was published first.
    pub published_at: Timestamp,
}

/// A run of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PipelineRun {
    /// The run.
    pub run: RunId,
    /// The version that it runs.
    pub version: u32,
    /// Its state.
    pub state: RunState,
    /// When it was started.
    pub created_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// The parameters that the caller gave, as JSON.
    pub params: String,
}

/// A pipeline in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PipelineSummary {
    /// Its name.
    pub name: String,
    /// The version that new runs get.
    pub version: u32,
    /// The path of the script.
    pub script: String,
    /// When that version was published first.
    pub published_at: Timestamp,
}

/// The answer to an invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invoked {
    /// The run.
    pub run: RunId,
    /// Its state.
    pub state: RunState,
}
