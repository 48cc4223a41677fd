//! Submits a checked script: packages and code go to the bucket under their hashes, then the plan goes to the hub.

use anyhow::Context;
use bue_client::{BucketClient, HubClient};
use bue_model::wire::Submission;
use bue_model::{BlobHash, BlobRef, Bundle, RunId};
use bytes::Bytes;

use crate::process::command_error::CommandError;
use crate::process::random::new_run_id;
use crate::script::check::CheckedScript;

/// Uploads code and plan, and returns the id of the new run.
pub(crate) async fn submit(
    script: &CheckedScript,
    hub: &HubClient,
    bucket: &BucketClient,
) -> Result<RunId, CommandError> {
    let (run, code) = upload_code(script, bucket).await?;
    let submission = Submission { run, name: script.name.clone(), plan: script.plan.clone(), code };
    Ok(hub.submit(&submission).await.context("failed to submit the run")?)
}

/// Uploads packages and code on behalf of a new id, so that the bucket keeps them until the hub knows the id. Returns the id and
/// the bundle of each step.
pub(crate) async fn upload_code(
    script: &CheckedScript,
    bucket: &BucketClient,
) -> Result<(RunId, Vec<BlobRef>), CommandError> {
    let run = new_run_id()?;
    Ok((run, upload_code_for(run, script, bucket).await?))
}

/// Uploads packages and code on behalf of an id.
pub(crate) async fn upload_code_for(
    run: RunId,
    script: &CheckedScript,
    bucket: &BucketClient,
) -> Result<Vec<BlobRef>, CommandError> {
    for (hash, wheel) in &script.wheels {
        upload_wheel(run, hash, wheel, bucket).await?;
    }
    let mut code: Vec<BlobRef> = Vec::with_capacity(script.bundles.len());
    for bundle in &script.bundles {
        code.push(upload_bundle(run, bundle, bucket).await?);
    }
    Ok(code)
}

/// Uploads a wheel unless the bucket has it: wheels are large and rarely change.
async fn upload_wheel(run: RunId, hash: &BlobHash, wheel: &Bytes, bucket: &BucketClient) -> Result<(), CommandError> {
    if !bucket.has(run, hash).await.context("failed to look up a package")? {
        bucket.put(run, wheel.clone()).await.context("failed to upload a package")?;
    }
    Ok(())
}

async fn upload_bundle(run: RunId, bundle: &Bundle, bucket: &BucketClient) -> Result<BlobRef, CommandError> {
    let bytes = postcard::to_allocvec(bundle).context("failed to pack a step")?;
    Ok(bucket.put(run, Bytes::from(bytes)).await.context("failed to upload the code of a step")?)
}
