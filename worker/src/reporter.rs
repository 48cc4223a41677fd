//! Sends outcomes to the hub. Reports that arrive while a request is in flight are batched into the next one.
//!
//! One report must not cost other jobs their outcomes: batches are limited in bytes, a batch that the hub refuses is sent again in
//! halves, and a single report that it refuses is replaced by a failure that says so.

use std::sync::Arc;

use bue_client::{Backoff, ClientError, HubClient};
use bue_model::wire::{Report, ReportBatch, Verdict};
use bue_model::{Failure, FailureKind, JobId, Outcome, Token};
use postcard::ser_flavors::Size;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::held_leases::HeldLeases;

/// A report, with the slot of its job. The slot is freed when the hub has the report, so a hub that cannot be reached stops this
/// worker from leasing more jobs, and the queue of reports is bounded.
#[derive(Debug)]
pub(crate) struct QueuedReport {
    pub(crate) report: Report,
    pub(crate) slot: OwnedSemaphorePermit,
}

/// The largest number of reports in a request.
const MAX_BATCH: usize = 500;

/// Bytes of reports in a request, far below the limit of a message. A report has at most some 200 KiB: a value, the environment
/// and the log, of 64 KiB each.
const MAX_BATCH_BYTES: usize = 16 * 1024 * 1024;

/// A batch that the hub did not record.
struct RefusedBatch {
    error: ClientError,
    reports: Vec<Report>,
}

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
        for reports in split_by_bytes(reports) {
            send_all(&hub, &worker, reports).await;
        }
        // Held until here, so that heartbeats extend the lease while its report is in flight.
        leases.into_iter().for_each(|(job, token)| held_leases.remove(job, token));
        drop(slots);
    }
}

/// Splits reports into batches of at most [`MAX_BATCH_BYTES`], or of one report.
fn split_by_bytes(reports: Vec<Report>) -> Vec<Vec<Report>> {
    let mut batches: Vec<Vec<Report>> = Vec::new();
    let mut bytes = 0_usize;
    for report in reports {
        let size = encoded_size(&report);
        bytes = bytes.saturating_add(size);
        match batches.last_mut() {
            Some(batch) if bytes <= MAX_BATCH_BYTES => batch.push(report),
            _ => {
                batches.push(vec![report]);
                bytes = size;
            }
        }
    }
    batches
}

fn encoded_size(report: &Report) -> usize {
    postcard::serialize_with_flavor(report, Size::default()).unwrap_or(usize::MAX)
}

/// Sends a batch. What the hub refuses is sent again in halves, so that a report is affected only by itself.
async fn send_all(hub: &HubClient, worker: &str, reports: Vec<Report>) {
    let mut batches = vec![reports];
    while let Some(reports) = batches.pop() {
        let Err(RefusedBatch { error, mut reports }) = send(hub, worker, reports).await else { continue };
        if reports.len() > 1 {
            tracing::warn!(%error, reports = reports.len(), "the hub refused a batch of reports; sending it in halves");
            batches.push(reports.split_off(reports.len() / 2));
            batches.push(reports);
        } else if let Some(report) = reports.pop() {
            report_refusal(hub, worker, &report, &error).await;
        }
    }
}

/// Reports that the hub does not accept the outcome of an attempt. Its lease ends by itself if that is refused as well.
async fn report_refusal(hub: &HubClient, worker: &str, refused: &Report, error: &ClientError) {
    tracing::error!(job = %refused.job, %error, "the hub refused a report");
    let failure = Failure::new(FailureKind::BadResult, format!("the hub refused what the step returned: {error}"));
    let report = Report {
        job: refused.job,
        token: refused.token,
        outcome: Outcome::Failed(failure),
        log: None,
        arguments: Vec::new(),
        usage: refused.usage,
    };
    if let Err(RefusedBatch { error, .. }) = send(hub, worker, vec![report]).await {
        tracing::error!(job = %refused.job, %error, "the hub refused the report of a failure; its lease will end");
    }
}

/// Sends a batch until the hub has answered. Reporting is idempotent, so any lost answer is retried.
async fn send(hub: &HubClient, worker: &str, reports: Vec<Report>) -> Result<(), RefusedBatch> {
    let batch = ReportBatch { worker: worker.to_owned(), reports };
    let mut backoff = Backoff::default();
    loop {
        match hub.report(&batch).await {
            Ok(verdicts) => {
                log_lost_leases(&batch, &verdicts);
                return Ok(());
            }
            Err(error) if is_permanent(&error) => return Err(RefusedBatch { error, reports: batch.reports }),
            Err(error) => {
                tracing::warn!(%error, "failed to report outcomes; trying again");
                backoff.wait().await;
            }
        }
    }
}

/// Whether sending it again would get the same answer. An expired certificate is renewed some day, and results are worth the wait.
pub(crate) fn is_permanent(error: &ClientError) -> bool {
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
    use bue_model::ValueRef;
    use bue_model::attempt::AttemptUsage;
    use bue_model::job::Hints;

    use super::*;

    /// Completed, with an environment of this many bytes.
    fn report_with_env(job: u64, env: usize) -> Report {
        let hints = Hints { priority: None, env: Some(vec![0; env].into()), scope: None };
        let outcome = Outcome::Completed { value: ValueRef::Inline(vec![0xf6].into()), hints };
        Report {
            job: JobId(job),
            token: Token::unsealed(1),
            outcome,
            log: None,
            arguments: Vec::new(),
            usage: AttemptUsage::default(),
        }
    }

    #[test]
    fn a_batch_is_limited_in_bytes_and_a_large_report_is_alone() {
        const MIB: usize = 1024 * 1024;
        let reports = vec![1, 3, 9, 65, 2, 2].into_iter().zip(1..).map(|(mib, job)| report_with_env(job, mib * MIB));
        let batches = split_by_bytes(reports.collect());
        let jobs: Vec<Vec<u64>> =
            batches.iter().map(|batch| batch.iter().map(|report| report.job.0).collect()).collect();
        assert_eq!(jobs, [vec![1, 2, 3], vec![4], vec![5, 6]]);
        let many = split_by_bytes((0..500).map(|job| report_with_env(job, 190 * 1024)).collect());
        assert!(
            many.len() > 1 && many.iter().all(|batch| batch.iter().map(encoded_size).sum::<usize>() <= MAX_BATCH_BYTES)
        );
        assert_eq!(many.iter().map(Vec::len).sum::<usize>(), 500);
        assert!(split_by_bytes(Vec::new()).is_empty());
    }

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
            token: Token::unsealed(job),
            outcome: Outcome::Cancelled,
            log: None,
            arguments: Vec::new(),
            usage: AttemptUsage::default(),
        };
        let batch = ReportBatch { worker: "w".to_owned(), reports: vec![report(1), report(2), report(3)] };
        let verdicts = [Verdict::Accepted, Verdict::LeaseLost, Verdict::Accepted];
        assert_eq!(lost_leases(&batch, &verdicts).collect::<Vec<_>>(), [(JobId(2), Token::unsealed(2))]);
    }
}
