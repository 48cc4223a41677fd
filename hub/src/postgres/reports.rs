//! Reports on their way into the database: batches that arrive while others are being applied share one transaction (group
//! commit). The more there are, the less each of them costs.

use std::sync::Arc;

use bue_model::wire::{Report, ReportBatch, Verdict};
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::sync::oneshot;

use super::connection::retry::retry_transient;
use super::state::{MAX_REPORT_TRANSACTIONS, PostgresState};
use crate::error::{HubError, postgres_error_text};
use crate::jobs::columns::{row_id, signed};

/// Batches in the queue; the senders of further ones wait (back-pressure).
pub(super) const QUEUE_CAPACITY: usize = 1_024;
/// Reports in one transaction after which it takes no further batch. With more, the first one would wait long for its answer.
const MAX_GROUP_REPORTS: usize = 2_048;

/// A worker's batch, and where to send its verdicts.
#[derive(Debug)]
pub(super) struct PendingBatch {
    now: i64,
    reports: Vec<Report>,
    answer: oneshot::Sender<Result<Vec<Verdict>, HubError>>,
}

/// Applies what is in the queue, until the store is dropped. A separate task, because a caller may go away while others wait
/// for the same transaction.
pub(super) async fn dispatch(state: Arc<PostgresState>, mut queue: Receiver<PendingBatch>) {
    while let Some(first) = queue.recv().await {
        // the semaphore is never closed
        let Ok(permit) = state.report_permits.clone().acquire_owned().await else { return };
        let (mut group, mut reports) = (Vec::new(), first.reports.len());
        group.push(first);
        while let Ok(next) = queue.try_recv() {
            reports += next.reports.len();
            group.push(next);
            if reports >= MAX_GROUP_REPORTS {
                break;
            }
        }
        let state = state.clone();
        tokio::spawn(async move {
            state.apply_group(group).await;
            drop(permit);
        });
    }
}

impl PostgresState {
    /// Queues a batch of reports and returns its verdicts.
    pub(super) async fn complete(
        &self,
        queue: &Sender<PendingBatch>,
        now: i64,
        batch: ReportBatch,
    ) -> Result<Vec<Verdict>, HubError> {
        let (answer, verdicts) = oneshot::channel();
        let batch = PendingBatch { now, reports: batch.reports, answer };
        queue.send(batch).await.map_err(|_| HubError::Stopped)?;
        verdicts.await.map_err(|_| HubError::Stopped)?
    }

    /// Returns whether reports are being applied, which never takes long.
    pub(super) fn is_applying_reports(&self) -> bool {
        self.report_permits.available_permits() < MAX_REPORT_TRANSACTIONS
    }

    async fn apply_group(&self, mut group: Vec<PendingBatch>) {
        let now = group.iter().map(|batch| batch.now).max().unwrap_or_default();
        let lengths: Vec<usize> = group.iter().map(|batch| batch.reports.len()).collect();
        let reports: Vec<Report> = group.iter_mut().flat_map(|batch| batch.reports.drain(..)).collect();
        match self.with_timeout(self.apply_reports(now, &reports)).await {
            Ok(verdicts) => {
                let mut verdicts = verdicts.into_iter();
                for (batch, count) in group.into_iter().zip(lengths) {
                    // the caller may have gone away
                    let _ = batch.answer.send(Ok(verdicts.by_ref().take(count).collect()));
                }
            }
            Err(HubError::Damaged(_)) if group.len() > 1 => {
                // one job whose rows are damaged must not keep the other batches from being applied
                let mut reports = reports.into_iter();
                for (batch, count) in group.into_iter().zip(lengths) {
                    let own: Vec<Report> = reports.by_ref().take(count).collect();
                    let _ = batch.answer.send(self.with_timeout(self.apply_reports(now, &own)).await);
                }
            }
            Err(error) => {
                for batch in group {
                    let _ = batch.answer.send(Err(copy_error(&error)));
                }
            }
        }
    }

    /// Applies reports in one transaction.
    async fn apply_reports(&self, now: i64, reports: &[Report]) -> Result<Vec<Verdict>, HubError> {
        let jobs: Vec<i64> = reports.iter().map(|report| row_id(report.job)).collect();
        let verdicts = retry_transient!(self.change_jobs(now, &jobs, &|changes| changes.apply_reports(reports)))?;
        let (mut extensions, mut leased_jobs) = (self.extensions(), self.leased_jobs());
        for report in reports {
            let id = row_id(report.job);
            leased_jobs.remove(id);
            extensions.forget(id, signed(report.token.number));
        }
        Ok(verdicts)
    }
}

/// Returns the same error for another batch of the group.
fn copy_error(error: &HubError) -> HubError {
    match error {
        HubError::Unreachable(reason) => HubError::Unreachable(reason.clone()),
        HubError::Unsure(reason) => HubError::Unsure(reason.clone()),
        HubError::Postgres(error) => HubError::Unreachable(postgres_error_text(error)),
        HubError::Damaged(reason) => HubError::Damaged(reason.clone()),
        error => HubError::Unsure(error.to_string()),
    }
}
