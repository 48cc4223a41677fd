//! A worker like that of `bue-worker`, with random outcomes in place of sandboxes: it leases when it has free slots, sends
//! heartbeats for all its leases, reports in batches until the hub answers, and drops the jobs that it lost.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bue_client::HubClient;
use bue_hub::LEASE_MS;
use bue_model::attempt::AttemptUsage;
use bue_model::job::Hints;
use bue_model::wire::{Heartbeat, Lease, LeaseRequest, ListPiece, PieceVerdict, Report, ReportBatch, WorkerStatus};
use bue_model::{Chunk, JobId, Outcome, RateKey, Token, ValueRef};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep;

use super::{SimRng, roll};
use crate::world::{PENDING, RESET, completed, failed, list, value};

/// Jobs that it holds at one time.
const SLOTS: usize = 4;
/// Time between attempts to reach a hub that does not answer.
const HUB_RETRY_BACKOFF: Duration = Duration::from_secs(1);

/// Elements of the list that loops run over.
pub(super) const SOURCE_ELEMENTS: u32 = 4;

/// What its tasks share.
struct Worker {
    name: String,
    hub: HubClient,
    rng: SimRng,
    held: Mutex<BTreeMap<JobId, (Token, AbortHandle)>>,
    reports: UnboundedSender<Report>,
}

/// Works until it is dropped.
pub(super) async fn work(name: String, hub: HubClient, rng: SimRng) {
    let (reports, ready) = unbounded_channel();
    let worker = Arc::new(Worker { name, hub, rng, held: Mutex::default(), reports });
    // polled in this order whenever one of them wakes, so that the runtime chooses nothing
    tokio::join!(worker.clone().lease_jobs(), worker.clone().send_heartbeats(), worker.report(ready));
}

impl Worker {
    fn held(&self) -> std::sync::MutexGuard<'_, BTreeMap<JobId, (Token, AbortHandle)>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn lease_jobs(self: Arc<Self>) {
        // dropped with the worker, and all its jobs with it
        let mut jobs = JoinSet::new();
        loop {
            let free = SLOTS.saturating_sub(self.held().len());
            if free == 0 {
                sleep(Duration::from_millis(100)).await;
                continue;
            }
            let (worker, scopes) = (self.name.clone(), vec!["default".to_owned()]);
            let request = LeaseRequest {
                worker,
                scopes,
                reverse: false,
                count: free as u32,
                wait_ms: 30_000,
                ..LeaseRequest::default()
            };
            let Ok(batch) = self.hub.lease(&request).await else {
                sleep(HUB_RETRY_BACKOFF).await;
                continue;
            };
            for lease in batch.leases {
                let step = batch.steps[lease.step as usize].name.clone();
                let (job, token) = (lease.job, lease.token);
                let running = jobs.spawn(self.clone().run(lease, step));
                self.held().insert(job, (token, running));
            }
        }
    }

    /// Runs a step: takes a random time, and reports a random outcome.
    async fn run(self: Arc<Self>, lease: Lease, step: String) {
        let most = [50, 2_000, 2_000, 3 * LEASE_MS][roll(&self.rng, 4) as usize];
        sleep(Duration::from_millis(roll(&self.rng, most))).await;
        let outcome = match self.outcome(&lease, &step) {
            Outcome::Completed { value: ValueRef::List(_), .. } => match self.stream(&lease).await {
                Some(rest) => rest,
                None => return,
            },
            outcome => outcome,
        };
        let report = Report {
            job: lease.job,
            token: lease.token,
            outcome,
            log: None,
            arguments: Vec::new(),
            usage: AttemptUsage::of_ms(1),
        };
        let _ = self.reports.send(report);
    }

    /// Reports some of the elements of a list in pieces, each until the hub answers, and returns the rest. `None` if the lease is lost.
    async fn stream(&self, lease: &Lease) -> Option<Outcome> {
        let (run, job, token) = (lease.run, lease.job, lease.token);
        let mut first: u32 = lease.recorded.iter().map(|chunk| chunk.count).sum();
        while first < SOURCE_ELEMENTS && roll(&self.rng, 4) > 0 {
            sleep(Duration::from_millis(roll(&self.rng, 2_000))).await;
            let count = 1 + roll(&self.rng, u64::from(SOURCE_ELEMENTS - first)) as u32;
            let chunks = vec![piece_of(first, count)];
            let piece = ListPiece { worker: self.name.clone(), run, job, token, first: first.into(), chunks, wait_ms: 0 };
            let verdict = loop {
                match self.hub.record_piece(&piece).await {
                    Ok(verdict) => break verdict,
                    Err(error) => assert!(error.is_transient(), "{error}"),
                }
                sleep(HUB_RETRY_BACKOFF).await;
            };
            if verdict == PieceVerdict::LeaseLost {
                return None;
            }
            first += count;
        }
        let rest = if first < SOURCE_ELEMENTS { vec![piece_of(first, SOURCE_ELEMENTS - first)] } else { Vec::new() };
        Some(Outcome::Completed { value: ValueRef::List(rest), hints: Hints::default() })
    }

    fn outcome(&self, lease: &Lease, step: &str) -> Outcome {
        if lease.count_by.is_some() {
            return Outcome::Keyed { key: RateKey([(lease.job.0 % 2) as u8; 16]) };
        }
        match roll(&self.rng, 30) {
            0 | 1 => PENDING,
            2 | 3 => failed("no"),
            4 => RESET,
            5 => Outcome::Released { reason: "the sandbox died".into(), alone: false },
            _ if step == "source1" => list(SOURCE_ELEMENTS),
            _ => completed(&format!("{}:{}", lease.job, lease.token.number)),
        }
    }

    async fn send_heartbeats(self: Arc<Self>) {
        loop {
            sleep(Duration::from_millis(LEASE_MS / 4)).await;
            let leases: Vec<_> = self.held().iter().map(|(job, (token, _))| (*job, *token)).collect();
            if leases.is_empty() {
                continue;
            }
            let heartbeat =
                Heartbeat { worker: self.name.clone(), leases: leases.clone(), status: WorkerStatus::default() };
            let Ok(answer) = self.hub.heartbeat(&heartbeat).await else { continue };
            for (job, token) in leases.into_iter().filter(|(job, _)| answer.lost.contains(job)) {
                self.release(job, token);
            }
        }
    }

    /// Stops a job, unless it has been leased again under another token meanwhile.
    fn release(&self, job: JobId, token: Token) {
        let mut held = self.held();
        if held.get(&job).is_some_and(|(of, _)| *of == token)
            && let Some((_, running)) = held.remove(&job)
        {
            running.abort();
        }
    }

    async fn report(self: Arc<Self>, mut ready: UnboundedReceiver<Report>) {
        let mut reports = Vec::new();
        while ready.recv_many(&mut reports, 100).await > 0 {
            let batch = ReportBatch { worker: self.name.clone(), reports: std::mem::take(&mut reports) };
            while let Err(error) = self.hub.report(&batch).await {
                assert!(error.is_transient(), "{error}");
                sleep(HUB_RETRY_BACKOFF).await;
            }
            batch.reports.iter().for_each(|report| self.release(report.job, report.token));
        }
    }
}

fn piece_of(first: u32, count: u32) -> Chunk {
    Chunk { count, value: Box::new(value(&format!("c{first}"))) }
}
