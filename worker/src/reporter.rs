//! Sends outcomes to the hub. Reports that arrive while a request is in flight are batched into the next one.

use std::sync::Arc;

use bue_client::{Backoff, ClientError, HubClient};
use bue_model::wire::{Report, ReportBatch, Verdict};
use bue_model::{JobId, Token};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::held_leases::HeldLeases;

/// A report, with the slot of its job. The slot is freed when the hub has the report, so a hub that cannot be reached stops this
/// worker from leasing more jobs, and the queue of reports is bounded.
#[derive(Debug)]
pub(crate) struct QueuedReport {
    pub(crate) report: Report,
    pub(crate) slot: OwnedSemaphorePermit,
}

/// The largest number of reports in a request. A report has at most 64 KiB of inline values.
const MAX_BATCH: usize = 500;

/// Sends reports until all senders are gone and everything is reported.
pub(crate) async fn run(
    worker: String,
    hub: Arc<HubClient>,
    held_leases: Arc<HeldLeases>,
    mut queue: mpsc::UnboundedReceiver<QueuedReport>,
) {
    let mut batch: Vec<QueuedReport> = Vec::new();
    while queue.recv_many(&mut batch, MAX_BATCH).await > 0 {
        let (reports, slots): (Vec<_>, Vec<_>) = batch.drain(..).map(|queued| (queued.report, queued.slot)).unzip();
        let leases: Vec<_> = reports.iter().map(|report| (report.job, report.token)).collect();
        send(&hub, ReportBatch { worker: worker.clone(), reports }).await;
        // Held until here, so that heartbeats extend the lease while its report is in flight.
        leases.into_iter().for_each(|(job, token)| held_leases.remove(job, token));
        drop(slots);
    }
}

/// Sends a batch until the hub has answered. Reporting is idempotent, so any lost answer is retried.
async fn send(hub: &HubClient, batch: ReportBatch) {
    let mut backoff = Backoff::default();
    loop {
        match hub.report(&batch).await {
            Ok(verdicts) => return log_lost_leases(&batch, &verdicts),
            Err(error) if is_permanent(&error) => {
                tracing::error!(%error, reports = batch.reports.len(), "the hub refused reports; their leases will end");
                return;
            }
            Err(error) => {
                tracing::warn!(%error, "failed to report outcomes; trying again");
                backoff.wait().await;
            }
        }
    }
}

/// Whether sending it again would get the same answer. An expired certificate is renewed some day, and results are worth the wait.
fn is_permanent(error: &ClientError) -> bool {
    !error.is_transient() && !matches!(error, ClientError::Tls { .. })
}

fn log_lost_leases(batch: &ReportBatch, verdicts: &[Verdict]) {
    for (job, _) in lost_leases(batch, verdicts) {
        tracing::info!(%job, "the lease ended before the report arrived; the job runs elsewhere");
    }
}

/// Returns the leases that had ended. Verdicts are in the order of the reports.
fn lost_leases<'a>(batch: &'a ReportBatch, verdicts: &'a [Verdict]) -> impl Iterator<Item = (JobId, Token)> + 'a {
    let pairs = batch.reports.iter().zip(verdicts);
    pairs.filter(|(_, verdict)| **verdict == Verdict::LeaseLost).map(|(report, _)| (report.job, report.token))
}

#[cfg(test)]
mod tests {
    use bue_model::Outcome;

    use super::*;

    fn refused(status: u16) -> ClientError {
        ClientError::Refused { status, code: String::new(), message: String::new(), hint: String::new() }
    }

    #[test]
    fn a_report_is_dropped_only_if_the_hub_would_refuse_it_again() {
        assert!(is_permanent(&refused(400)));
        assert!(is_permanent(&ClientError::TooLarge { what: "the request", limit: 1 }));
        assert!(!is_permanent(&refused(503)));
        assert!(!is_permanent(&ClientError::TimedOut { server: "hub", address: String::new(), seconds: 1 }));
        let (address, reason, hint) = (String::new(), "its certificate has expired".to_owned(), String::new());
        assert!(!is_permanent(&ClientError::Tls { server: "hub", address, reason, hint }));
    }

    #[test]
    fn a_verdict_belongs_to_the_report_at_its_position() {
        let report = |job| Report {
            job: JobId(job),
            token: Token(job),
            outcome: Outcome::Cancelled,
            log: None,
            arguments: Vec::new(),
            run_ms: 0,
        };
        let batch = ReportBatch { worker: "w".to_owned(), reports: vec![report(1), report(2), report(3)] };
        let verdicts = [Verdict::Accepted, Verdict::LeaseLost, Verdict::Accepted];
        assert_eq!(lost_leases(&batch, &verdicts).collect::<Vec<_>>(), [(JobId(2), Token(2))]);
    }
}
