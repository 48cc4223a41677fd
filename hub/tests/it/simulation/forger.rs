//! A client that guesses leases. It knows that job ids and fencing numbers are small, and reports results for jobs of others.

use std::sync::Arc;
use std::time::Duration;

use bue_client::HubClient;
use bue_model::attempt::AttemptUsage;
use bue_model::wire::{Heartbeat, Report, ReportBatch, Verdict, WorkerStatus};
use bue_model::{JobId, Token};
use tokio::time::sleep;

use super::{Log, SimRng, roll};
use crate::world::completed;

/// Guesses in a request.
const GUESSES: usize = 50;

/// Guesses until the simulation ends. Nothing that it reports may count.
pub(super) async fn forge(hub: HubClient, rng: SimRng, log: Arc<Log>) {
    loop {
        sleep(Duration::from_millis(roll(&rng, 5_000))).await;
        let guesses: Vec<(JobId, Token)> = (0..GUESSES).map(|_| guess(&rng)).collect();
        let worker = "forger".to_owned();
        let report = |(job, token): &(JobId, Token)| Report {
            job: *job,
            token: *token,
            outcome: completed("forged"),
            log: None,
            arguments: Vec::new(),
            usage: AttemptUsage::of_ms(1),
        };
        let batch = ReportBatch { worker: worker.clone(), reports: guesses.iter().map(report).collect() };
        if let Ok(verdicts) = hub.report(&batch).await
            && verdicts.iter().any(|verdict| *verdict != Verdict::LeaseLost)
        {
            log.broken("a forged report was accepted".to_owned());
        }
        let heartbeat = Heartbeat { worker, leases: guesses, status: WorkerStatus::default() };
        if let Ok(answer) = hub.heartbeat(&heartbeat).await
            && answer.lost.len() != GUESSES
        {
            log.broken("a forged lease was extended".to_owned());
        }
    }
}

/// A job that probably exists, a number that is probably current, and a seal that cannot be known.
fn guess(rng: &SimRng) -> (JobId, Token) {
    let seal = std::array::from_fn(|_| roll(rng, 256) as u8);
    (JobId(roll(rng, 200)), Token { number: roll(rng, 4), seal })
}
