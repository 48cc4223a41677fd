//! [`HubClient`]: one method a route of the hub.

use std::time::Duration;

use bue_model::wire::{
    CONTENT_TYPE, Changed, Heartbeat, HeartbeatAnswer, HubView, JobView, LeaseBatch, LeaseRequest, MAX_MESSAGE,
    ReportBatch, ResultCursor, ResultPage, RoundValue, RunView, Submission, Verdict, WhyView,
};
use bue_model::{JobId, RunId, ValueRef};
use bytes::Bytes;
use http::Method;
use serde::Serialize;

use crate::connection::{Ask, Connection, Repeat, Reply};
use crate::wire::{decode, decode_json, encode, expect_success};
use crate::{ClientError, Dial, Trust};

/// Time until a heartbeat is sent again: a lease has time for several.
const HEARTBEAT_PATIENCE: Duration = Duration::from_secs(3);

/// Time the hub may take beside what it is asked to wait: an fsync on a busy disk, never more.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a worker and a command ask of the hub. Cheap to share behind an `Arc`; keeps a pool of connections.
///
/// With several addresses (hubs on one database) it stays with the one that answered last and goes on to the next when
/// nobody is there. Requests that may be done twice are repeated for about two seconds when a hub restarts.
#[derive(Debug)]
pub struct HubClient {
    connection: Connection,
}

impl HubClient {
    /// Connects to nothing yet. Addresses are `host:port`, `http://host:port` or `https://host:port`, at least one.
    ///
    /// # Errors
    /// An address that cannot be one.
    pub fn new(addresses: &[String]) -> Result<Self, ClientError> {
        Self::dialing(addresses, Dial::tcp())
    }

    /// The same over connections that are made in another way.
    ///
    /// # Errors
    /// An address that cannot be one.
    pub fn dialing(addresses: &[String], dial: Dial) -> Result<Self, ClientError> {
        Ok(Self { connection: Connection::new("hub", addresses, dial)? })
    }

    /// The same, showing this token with every request.
    ///
    /// # Errors
    /// A token that cannot travel.
    pub fn with_token(self, token: &str) -> Result<Self, ClientError> {
        Ok(Self { connection: self.connection.with_token(token)? })
    }

    /// The same, believing and showing over TLS what these files say.
    ///
    /// # Errors
    /// A file that cannot be used.
    pub fn with_trust(self, trust: Trust) -> Result<Self, ClientError> {
        Ok(Self { connection: self.connection.with_trust(trust)? })
    }

    /// Where the hubs are, `host:port` each.
    pub fn addresses(&self) -> impl Iterator<Item = String> {
        self.connection.addresses()
    }

    /// Where the bucket is, as `host:port`, if the hub was told. A hub and a bucket that share a machine may know each
    /// other as `localhost`, or by an address that means every one of the machine's: seen from here that is the hub's.
    ///
    /// # Errors
    /// The hub cannot be reached.
    pub async fn bucket(&self) -> Result<Option<String>, ClientError> {
        let info: HubView = decode_json(&self.get("/v1/info".to_owned(), PATIENCE).await?)?;
        Ok(info.bucket.map(|bucket| seen_from_here(&bucket, self.connection.host())))
    }

    /// Hands a run in. Doing it twice is harmless.
    ///
    /// # Errors
    /// The plan is refused, or the hub cannot be reached.
    pub async fn submit(&self, submission: &Submission) -> Result<RunId, ClientError> {
        decode(&self.post("/v1/runs", submission, Repeat::Always, PATIENCE).await?)
    }

    /// Asks for jobs and waits up to `request.wait_ms` for some.
    ///
    /// # Errors
    /// The hub cannot be reached. Not repeated once it was sent: jobs of an answer that got lost come back by
    /// themselves when their lease ends.
    pub async fn lease(&self, request: &LeaseRequest) -> Result<LeaseBatch, ClientError> {
        let patience = PATIENCE.saturating_add(Duration::from_millis(request.wait_ms));
        decode(&self.post("/v1/leases", request, Repeat::IfUnsent, patience).await?)
    }

    /// Extends leases.
    ///
    /// # Errors
    /// The hub cannot be reached.
    pub async fn heartbeat(&self, heartbeat: &Heartbeat) -> Result<HeartbeatAnswer, ClientError> {
        decode(&self.post("/v1/heartbeats", heartbeat, Repeat::Always, HEARTBEAT_PATIENCE).await?)
    }

    /// Reports outcomes; one verdict each, in order. Doing it twice is harmless.
    ///
    /// # Errors
    /// The hub cannot be reached, or the batch is larger than a message may be.
    pub async fn report(&self, batch: &ReportBatch) -> Result<Vec<Verdict>, ClientError> {
        decode(&self.post("/v1/outcomes", batch, Repeat::Always, PATIENCE).await?)
    }

    /// Where a run stands. With `seen`, waits up to `wait_ms` milliseconds until its version is larger.
    ///
    /// # Errors
    /// There is no such run, or the hub cannot be reached.
    pub async fn run(&self, run: RunId, seen: Option<u64>, wait_ms: u64) -> Result<RunView, ClientError> {
        let path = match seen {
            Some(seen) => format!("/v1/runs/{run}?seen={seen}&wait_ms={wait_ms}"),
            None => format!("/v1/runs/{run}"),
        };
        let patience = PATIENCE.saturating_add(Duration::from_millis(wait_ms));
        decode_json(&self.get(path, patience).await?)
    }

    /// The latest runs, newest first, at most a hundred.
    ///
    /// # Errors
    /// The hub cannot be reached.
    pub async fn runs(&self) -> Result<Vec<RunView>, ClientError> {
        decode_json(&self.get("/v1/runs".to_owned(), PATIENCE).await?)
    }

    /// All results of a run, its pages put together: takes as much memory as they have bytes.
    ///
    /// # Errors
    /// There is no such run, or the hub cannot be reached.
    pub async fn results(&self, run: RunId) -> Result<ResultPage, ClientError> {
        let mut all = self.result_page(run, ResultCursor::default()).await?;
        while let Some(cursor) = all.next {
            append(&mut all, self.result_page(run, cursor).await?, cursor);
        }
        Ok(all)
    }

    /// A page of a run's results, from a place on.
    ///
    /// # Errors
    /// There is no such run, or the hub cannot be reached.
    pub async fn result_page(&self, run: RunId, cursor: ResultCursor) -> Result<ResultPage, ClientError> {
        let ResultCursor { call, round } = cursor;
        decode(&self.get(format!("/v1/runs/{run}/results?call={call}&round={round}"), PATIENCE).await?)
    }

    /// Where a job stands.
    ///
    /// # Errors
    /// There is no such job, or the hub cannot be reached.
    pub async fn job(&self, job: JobId) -> Result<JobView, ClientError> {
        decode_json(&self.get(format!("/v1/jobs/{job}"), PATIENCE).await?)
    }

    /// What a job waits for, or what became of it.
    ///
    /// # Errors
    /// There is no such job, or the hub cannot be reached.
    pub async fn why(&self, job: JobId) -> Result<WhyView, ClientError> {
        decode_json(&self.get(format!("/v1/jobs/{job}/why"), PATIENCE).await?)
    }

    /// What a worker would be told of a job, under no lease: nobody waits for a report of it.
    ///
    /// # Errors
    /// There is no such job, its arguments are not there yet, or the hub cannot be reached.
    pub async fn task(&self, job: JobId) -> Result<LeaseBatch, ClientError> {
        decode(&self.get(format!("/v1/jobs/{job}/task"), PATIENCE).await?)
    }

    /// What the last attempt of a job printed, or where it is: UTF-8 text. `None` if it printed nothing.
    ///
    /// # Errors
    /// There is no such job, or the hub cannot be reached.
    pub async fn logs(&self, job: JobId) -> Result<Option<ValueRef>, ClientError> {
        decode(&self.get(format!("/v1/jobs/{job}/log"), PATIENCE).await?)
    }

    /// Calls a run off; the number of jobs that were cancelled.
    ///
    /// # Errors
    /// There is no such run, or the hub cannot be reached.
    pub async fn cancel_run(&self, run: RunId) -> Result<u64, ClientError> {
        self.change(format!("/v1/runs/{run}/cancel")).await
    }

    /// Forgets a run that is over.
    ///
    /// # Errors
    /// There is no such run, it is still running, or the hub cannot be reached.
    pub async fn delete_run(&self, run: RunId) -> Result<(), ClientError> {
        let ask = ask(Method::DELETE, format!("/v1/runs/{run}"), Bytes::new(), Repeat::IfUnsent, PATIENCE);
        self.send(&ask).await.map(drop)
    }

    /// Puts a run's failed jobs back with fresh attempts; their number.
    ///
    /// # Errors
    /// There is no such run, or the hub cannot be reached.
    pub async fn reset_run(&self, run: RunId) -> Result<u64, ClientError> {
        self.change(format!("/v1/runs/{run}/reset")).await
    }

    /// Calls a job's call off, and what depends on it; the number of jobs that were cancelled.
    ///
    /// # Errors
    /// There is no such job, it has ended, or the hub cannot be reached.
    pub async fn cancel_job(&self, job: JobId) -> Result<u64, ClientError> {
        self.change(format!("/v1/jobs/{job}/cancel")).await
    }

    /// Puts a failed job back with fresh attempts; 1.
    ///
    /// # Errors
    /// There is no such job, it has not failed, or the hub cannot be reached.
    pub async fn reset_job(&self, job: JobId) -> Result<u64, ClientError> {
        self.change(format!("/v1/jobs/{job}/reset")).await
    }

    async fn change(&self, path: String) -> Result<u64, ClientError> {
        let ask = ask(Method::POST, path, Bytes::new(), Repeat::IfUnsent, PATIENCE);
        let changed: Changed = decode_json(&self.send(&ask).await?)?;
        Ok(changed.jobs)
    }

    async fn get(&self, path: String, patience: Duration) -> Result<Reply, ClientError> {
        self.send(&ask(Method::GET, path, Bytes::new(), Repeat::Always, patience)).await
    }

    async fn post<T: Serialize>(
        &self,
        path: &str,
        message: &T,
        repeat: Repeat,
        patience: Duration,
    ) -> Result<Reply, ClientError> {
        let body = encode(message)?;
        if body.len() > MAX_MESSAGE {
            return Err(ClientError::too_large("the request"));
        }
        let ask = ask(Method::POST, path.to_owned(), body, repeat, patience);
        self.send(&Ask { content_type: CONTENT_TYPE, ..ask }).await
    }

    async fn send(&self, ask: &Ask) -> Result<Reply, ClientError> {
        expect_success(self.connection.send(ask).await?)
    }
}

fn ask(method: Method, path: String, body: Bytes, repeat: Repeat, patience: Duration) -> Ask {
    Ask { method, path, content_type: "", body, repeat, patience, limit: MAX_MESSAGE }
}

/// Adds the page that began at `cursor`; its first result continues our last one where rounds stand before it.
fn append(all: &mut ResultPage, page: ResultPage, cursor: ResultCursor) {
    // a hub that sends us in a circle would keep us here for ever
    all.next = page.next.filter(|next| (next.call, next.round) > (cursor.call, cursor.round));
    let mut results = page.results.into_iter();
    if cursor.round > 0
        && let Some(RoundValue::Rounds(rounds)) = all.results.last_mut().map(|result| &mut result.value)
        && let Some(RoundValue::Rounds(more)) = results.next().map(|result| result.value)
    {
        rounds.extend(more);
    }
    all.results.extend(results);
    all.state = page.state;
}

/// The bucket's address, its host replaced where it means the hub's own machine.
fn seen_from_here(bucket: &str, hub: &str) -> String {
    let (scheme, address) = bucket.find("://").map_or(("", bucket), |at| bucket.split_at(at + "://".len()));
    match address.rsplit_once(':') {
        Some(("localhost" | "127.0.0.1" | "[::1]" | "0.0.0.0" | "[::]", port)) => format!("{scheme}{hub}:{port}"),
        _ => bucket.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_beside_the_hub_is_found_from_elsewhere() {
        assert_eq!(seen_from_here("localhost:61535", "hub.lan"), "hub.lan:61535");
        assert_eq!(seen_from_here("[::1]:61535", "10.0.0.7"), "10.0.0.7:61535");
        assert_eq!(seen_from_here("https://localhost:61535", "hub.lan"), "https://hub.lan:61535");
        assert_eq!(seen_from_here("bucket.lan:61535", "hub.lan"), "bucket.lan:61535");
    }
}
