//! Sends outcomes to the hub: one request for all that came in while the one before was under way.

use std::sync::Arc;
use std::time::Duration;

use bue_client::{ClientError, HubClient};
use bue_model::wire::{Report, ReportBatch, Verdict};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::held::Held;

/// A report and the slot of its job, which stays taken until the hub has the report: a hub that cannot be reached
/// thereby stops this worker from taking more jobs, and what waits here is bounded.
pub(crate) type Ready = (Report, OwnedSemaphorePermit);

/// Reports in one request. Inline values make one up to 64 KiB.
const MOST_AT_ONCE: usize = 500;

/// Between two tries to reach a hub that does not answer: from, to.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Reports until every sender is gone.
pub(crate) async fn run(
    worker: String,
    hub: Arc<HubClient>,
    held: Arc<Held>,
    mut ready: mpsc::UnboundedReceiver<Ready>,
) {
    let mut batch: Vec<Ready> = Vec::new();
    while ready.recv_many(&mut batch, MOST_AT_ONCE).await > 0 {
        let (reports, slots): (Vec<_>, Vec<_>) = batch.drain(..).unzip();
        let leases: Vec<_> = reports.iter().map(|report| (report.job, report.token)).collect();
        send(&hub, ReportBatch { worker: worker.clone(), reports }).await;
        // Held until here: a lease must not end while its report is under way.
        leases.into_iter().for_each(|(job, token)| held.let_go(job, token));
        drop(slots);
    }
}

/// Reporting twice is harmless, so this goes on until the hub has answered, whatever it answered.
async fn send(hub: &HubClient, batch: ReportBatch) {
    let mut wait = BACKOFF.0;
    loop {
        match hub.report(&batch).await {
            Ok(verdicts) => return note_lost(&batch, &verdicts),
            Err(error) if is_final(&error) => {
                tracing::error!(%error, reports = batch.reports.len(), "the hub refused reports; their leases will end");
                return;
            }
            Err(error) => {
                tracing::warn!(%error, "failed to report outcomes; trying again");
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(BACKOFF.1);
            }
        }
    }
}

/// Would sending it again get the same answer? Certificates that have expired are renewed, and results are worth that wait.
fn is_final(error: &ClientError) -> bool {
    !error.is_passing() && !matches!(error, ClientError::Tls { .. })
}

fn note_lost(batch: &ReportBatch, verdicts: &[Verdict]) {
    for (report, _) in batch.reports.iter().zip(verdicts).filter(|(_, verdict)| **verdict == Verdict::LeaseLost) {
        tracing::info!(job = %report.job, "the lease had ended before the report; another worker has the job");
    }
}
