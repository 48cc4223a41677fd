//! [`JobBucket`]: the bucket as jobs use it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bue_client::{Backoff, BucketClient, ClientError};
use bue_model::{BlobRef, RunId};
use bytes::Bytes;

/// What a request does while the bucket is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnOutage {
    /// It is repeated until the bucket answers. The job keeps its lease meanwhile: releasing it would only move the wait to the hub,
    /// and lose a result that is computed already.
    Wait,
    /// It fails after the few seconds that the client tries by itself.
    Fail,
}

/// The bucket from which jobs get their code and inputs, and in which they store results.
#[derive(Debug)]
pub(crate) struct JobBucket {
    client: Arc<BucketClient>,
    on_outage: OnOutage,
    /// Whether the last request found no bucket, so that an outage is logged once and not by each job.
    is_away: AtomicBool,
}

impl JobBucket {
    pub(crate) fn new(client: Arc<BucketClient>, on_outage: OnOutage) -> Self {
        Self { client, on_outage, is_away: AtomicBool::new(false) }
    }

    /// The client itself, which gives up after a few seconds.
    pub(crate) fn client(&self) -> &Arc<BucketClient> {
        &self.client
    }

    /// Fetches a blob.
    pub(crate) async fn get(&self, blob: &BlobRef) -> Result<Bytes, ClientError> {
        self.repeat(|| self.client.get(blob)).await
    }

    /// Stores a value of a run under its hash.
    pub(crate) async fn put(&self, run: RunId, value: Bytes) -> Result<BlobRef, ClientError> {
        self.repeat(|| self.client.put(run, value.clone())).await
    }

    async fn repeat<T, F: Future<Output = Result<T, ClientError>>>(
        &self,
        request: impl Fn() -> F,
    ) -> Result<T, ClientError> {
        let mut backoff = Backoff::default();
        loop {
            let answer = request().await;
            if !self.is_to_be_repeated(&answer) {
                return answer;
            }
            backoff.wait().await;
        }
    }

    /// Logs when an outage begins and ends.
    fn is_to_be_repeated<T>(&self, answer: &Result<T, ClientError>) -> bool {
        if self.on_outage == OnOutage::Fail {
            return false;
        }
        let error = answer.as_ref().err().filter(|error| error.is_transient());
        match (error, self.is_away.swap(error.is_some(), Ordering::Relaxed)) {
            (Some(error), false) => tracing::warn!(%error, "jobs wait for the bucket"),
            (None, true) => tracing::info!("the bucket is back"),
            _ => {}
        }
        error.is_some()
    }
}
