//! A checked script goes to the hub: packages and code to the bucket by their hashes, then the plan.

use anyhow::Context;
use bue_client::{BucketClient, HubClient};
use bue_model::wire::Submission;
use bue_model::{BlobHash, BlobRef, Bundle, RunId};
use bytes::Bytes;
use uuid::Uuid;

use crate::script::Checked;
use crate::stop::Stop;

/// Uploads code and plan; the id of the run they became.
pub(crate) async fn submit(script: &Checked, hub: &HubClient, bucket: &BucketClient) -> Result<RunId, Stop> {
    // everything is uploaded for this run, so that nothing of it is thrown away before the hub has the run
    let run = new_run_id();
    for (hash, wheel) in &script.wheels {
        upload_wheel(run, hash, wheel, bucket).await?;
    }
    let mut code: Vec<BlobRef> = Vec::with_capacity(script.bundles.len());
    for bundle in &script.bundles {
        code.push(upload(run, bundle, bucket).await?);
    }
    let submission = Submission { run, name: script.name.clone(), plan: script.plan.clone(), code };
    Ok(hub.submit(&submission).await.context("failed to hand the run in")?)
}

/// Packages are large and change rarely: what is there already is not sent.
async fn upload_wheel(run: RunId, hash: &BlobHash, wheel: &Bytes, bucket: &BucketClient) -> Result<(), Stop> {
    if !bucket.has(run, hash).await.context("failed to ask for a package")? {
        bucket.put(run, wheel.clone()).await.context("failed to upload a package")?;
    }
    Ok(())
}

async fn upload(run: RunId, bundle: &Bundle, bucket: &BucketClient) -> Result<BlobRef, Stop> {
    let bytes = postcard::to_allocvec(bundle).context("failed to pack a step")?;
    Ok(bucket.put(run, Bytes::from(bytes)).await.context("failed to upload a step's code")?)
}

#[expect(clippy::disallowed_methods, reason = "the rim of the process makes the id of a run")]
fn new_run_id() -> RunId {
    RunId(Uuid::now_v7())
}
