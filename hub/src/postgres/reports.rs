//! Outcomes on their way into the database: those that come while others are being taken are taken together, in one
//! transaction. The more there are, the less each of them costs.

use std::sync::Arc;

use bue_model::wire::{Report, ReportBatch, Verdict};
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::sync::oneshot;

use super::Inner;
use super::verbs::patiently;
use crate::error::{HubError, postgres_error_text};
use crate::jobs::columns::{row_id, signed};

/// Transactions at one time. The second one waits in the database for what the first one has locked, and goes on at once when it is
/// free, without the hub having to hear of that.
pub(super) const LANES: usize = 2;
/// Batches that may wait for a lane; further ones wait for their turn in line.
pub(super) const QUEUE: usize = 1_024;
/// Reports in one transaction, after which no further batch is added. More would let the first one wait long for its answer.
const TOGETHER: usize = 2_048;

/// What a worker sent, and who waits for what became of it.
#[derive(Debug)]
pub(super) struct Waiting {
    now: i64,
    reports: Vec<Report>,
    answer: oneshot::Sender<Result<Vec<Verdict>, HubError>>,
}

/// Takes what is sent for ever. Apart from those that ask, who may go away while others wait for the same transaction.
pub(super) async fn dispatch(inner: Arc<Inner>, mut queue: Receiver<Waiting>) {
    while let Some(first) = queue.recv().await {
        // the semaphore is never closed
        let Ok(lane) = inner.lanes.clone().acquire_owned().await else { return };
        let (mut together, mut reports) = (Vec::new(), first.reports.len());
        together.push(first);
        while let Ok(next) = queue.try_recv() {
            reports += next.reports.len();
            together.push(next);
            if reports >= TOGETHER {
                break;
            }
        }
        let inner = inner.clone();
        tokio::spawn(async move {
            inner.take_together(together).await;
            drop(lane);
        });
    }
}

impl Inner {
    pub(super) async fn complete(
        &self,
        queue: &Sender<Waiting>,
        now: i64,
        batch: ReportBatch,
    ) -> Result<Vec<Verdict>, HubError> {
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting { now, reports: batch.reports, answer };
        queue.send(waiting).await.map_err(|_| HubError::Stopped)?;
        answered.await.map_err(|_| HubError::Stopped)?
    }

    /// Outcomes are being taken, which is never for long.
    pub(super) fn is_reporting(&self) -> bool {
        self.lanes.available_permits() < LANES
    }

    async fn take_together(&self, mut together: Vec<Waiting>) {
        let now = together.iter().map(|waiting| waiting.now).max().unwrap_or_default();
        let lengths: Vec<usize> = together.iter().map(|waiting| waiting.reports.len()).collect();
        let reports: Vec<Report> = together.iter_mut().flat_map(|waiting| waiting.reports.drain(..)).collect();
        match self.in_time(self.take(now, &reports)).await {
            Ok(verdicts) => {
                let mut verdicts = verdicts.into_iter();
                for (waiting, count) in together.into_iter().zip(lengths) {
                    // whoever asked may have gone away
                    let _ = waiting.answer.send(Ok(verdicts.by_ref().take(count).collect()));
                }
            }
            Err(HubError::Damaged(_)) if together.len() > 1 => {
                // one job whose rows are damaged must not keep the others' outcomes from being taken
                let mut reports = reports.into_iter();
                for (waiting, count) in together.into_iter().zip(lengths) {
                    let own: Vec<Report> = reports.by_ref().take(count).collect();
                    let _ = waiting.answer.send(self.in_time(self.take(now, &own)).await);
                }
            }
            Err(error) => {
                for waiting in together {
                    let _ = waiting.answer.send(Err(again(&error)));
                }
            }
        }
    }

    /// One transaction.
    async fn take(&self, now: i64, reports: &[Report]) -> Result<Vec<Verdict>, HubError> {
        let jobs: Vec<i64> = reports.iter().map(|report| row_id(report.job)).collect();
        let verdicts = patiently!(self.change_jobs(now, &jobs, &|draft| draft.reports(reports)))?;
        let (mut extended, mut places) = (self.extended(), self.places());
        for report in reports {
            let (id, token) = (row_id(report.job), signed(report.token.0));
            places.forget(id);
            // this lease is over; another one of the job may be held
            if extended.get(&id).is_some_and(|(held, _)| *held == token) {
                extended.remove(&id);
            }
        }
        Ok(verdicts)
    }
}

/// The same for one more of those who asked.
fn again(error: &HubError) -> HubError {
    match error {
        HubError::Unreachable(why) => HubError::Unreachable(why.clone()),
        HubError::Unsure(why) => HubError::Unsure(why.clone()),
        HubError::Postgres(error) => HubError::Unreachable(postgres_error_text(error)),
        HubError::Damaged(why) => HubError::Damaged(why.clone()),
        error => HubError::Unsure(error.to_string()),
    }
}
