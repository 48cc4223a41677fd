//! Publishes a checked script.

use std::path::Path;

use anyhow::Context;
use bue_client::{BucketClient, HubClient};
use bue_model::pipeline::{Publication, Published, is_pipeline_name};

use crate::process::command_error::CommandError;
use crate::runs::submit::upload_code;
use crate::script::check::CheckedScript;

/// Returns the name of the pipeline that a file becomes: the one that was `given`, or else that of the file without `.bue`.
pub(crate) fn pipeline_name(file: &Path, given: Option<&str>) -> Result<String, CommandError> {
    let stem = || file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let name = given.map_or_else(stem, str::to_owned);
    match is_pipeline_name(&name) {
        true => Ok(name),
        false => Err(CommandError::Usage(format!(
            "`{name}` cannot be the name of a pipeline; type --as NAME, with letters, digits, `-`, `_` and `.`"
        ))),
    }
}

/// Uploads the code of a script, and makes it a version of the pipeline.
pub(crate) async fn publish(
    name: &str,
    script: CheckedScript,
    hub: &HubClient,
    bucket: &BucketClient,
) -> Result<Published, CommandError> {
    let (upload, code) = upload_code(&script, bucket).await?;
    let publication = Publication { upload, script: script.name, plan: script.plan, code };
    Ok(hub.publish(name, &publication).await.context("failed to publish the script")?)
}
