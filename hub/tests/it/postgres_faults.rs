//! PostgreSQL fails under load, in every way, with a ledger: a trigger in the database records each job that is committed, so
//! that the test relies neither on the store's own counts nor on its answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bue_hub::{Hub, JobStore, LEASE_MS, PostgresStore, serve_hub};
use bue_model::attempt::AttemptUsage;
use bue_model::wire::{LeaseRequest, Report, ReportBatch, Verdict};
use bue_model::{JobId, RunId, RunState, Timestamp};
use bue_test_support::cluster::{Cluster, LEDGER, shared};
use bue_test_support::wait::{wait_until_async, within_deadline};
use futures_util::future::join_all;
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::raw_http::raw_request;
use crate::script::{Script, submission};
use crate::world::{World, completed, list};

/// Rounds of the loop that runs meanwhile.
const JOBS: u32 = 2_000;
/// Workers of each hub.
const WORKERS: usize = 4;
/// The time of all requests: later than any clock shows, so that a hub with a server reaps no lease.
const NOW: i64 = 10_000_000_000_000;
/// Jobs that are completed before the first fault.
const BEFORE: usize = 100;

/// How often each job's report was accepted.
type AcceptedReports = Arc<Mutex<BTreeMap<JobId, u32>>>;

/// Hubs on a database, workers, and the reports that were accepted from them.
struct Load {
    database: String,
    /// A connection of the test, made before those of the hubs.
    admin: tokio_postgres::Client,
    stores: Vec<Arc<PostgresStore>>,
    accepted: AcceptedReports,
    workers: Vec<JoinHandle<()>>,
}

impl Load {
    async fn begin(database: String, hubs: usize) -> Self {
        let admin = admin(&database).await;
        let mut stores = Vec::new();
        for _ in 0..hubs {
            stores.push(Arc::new(PostgresStore::connect(&database).await.expect("a store")));
        }
        let mut world = World::new(stores[0].clone());
        let mut script = Script::new();
        let source = script.call(&["source"], &[]);
        script.each(source, |script, x| script.call(&["a"], &[x]));
        world.submit(script).await;
        world.lease_and_report("source", list(JOBS)).await;
        admin.batch_execute(LEDGER).await.expect("a ledger");
        let accepted = AcceptedReports::default();
        let start = |at: usize| tokio::spawn(work(stores[at % hubs].clone(), format!("w{at}"), accepted.clone()));
        let workers = (0..WORKERS * hubs).map(start).collect();
        let load = Self { database, admin, stores, accepted, workers };
        wait_until_async("the first jobs are completed", async || load.done() >= BEFORE).await;
        load
    }

    fn done(&self) -> usize {
        self.accepted.lock().expect("the accepted reports").len()
    }

    /// Waits for the end, and checks the ledger: it contains each job once, including all that were acknowledged.
    async fn end(mut self) {
        let reaper = tokio::spawn(reap(self.stores[0].clone(), self.accepted.clone()));
        let workers = within_deadline("the end of the run", join_all(self.workers)).await;
        workers.into_iter().for_each(|worker| worker.expect("a worker"));
        reaper.abort();
        if self.admin.is_closed() {
            self.admin = admin(&self.database).await;
        }
        let rows = self.admin.query("SELECT job, count(*) FROM ledger GROUP BY job", &[]).await;
        let rows = rows.expect("the ledger");
        let ledger: BTreeMap<i64, i64> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        let jobs: BTreeSet<i64> = ledger.keys().copied().collect();
        assert!(ledger.values().all(|times| *times == 1), "a job was committed twice");
        // the loop itself ends after its rounds, and is in `done` as well
        assert_eq!(jobs.len(), JOBS as usize + 1, "jobs were lost");
        for (job, times) in self.accepted.lock().expect("the accepted reports").iter() {
            assert_eq!(*times, 1, "the report of job {job} was accepted twice");
            assert!(jobs.contains(&(job.0 as i64)), "job {job} was acknowledged and is missing");
        }
    }
}

/// Reaps leases when no job is completed any more: those that are left went to workers that never received them.
async fn reap(store: Arc<PostgresStore>, accepted: AcceptedReports) {
    let mut before = 0;
    loop {
        sleep(Duration::from_secs(1)).await;
        let done = accepted.lock().expect("the accepted reports").len();
        if done == before {
            let _ = store.reap(Timestamp(NOW + LEASE_MS as i64)).await;
        }
        before = done;
    }
}

/// Leases and completes until the run has ended. Retries while the database is down.
async fn work(store: Arc<PostgresStore>, name: String, accepted: AcceptedReports) {
    let (now, run) = (Timestamp(NOW), submission(1, Script::new().plan()).run);
    let request = LeaseRequest {
        worker: name,
        scopes: vec!["default".into()],
        reverse: false,
        count: 20,
        wait_ms: 0,
        ..LeaseRequest::default()
    };
    loop {
        match store.run(run).await {
            Ok(Some(view)) if view.state == RunState::Running => {}
            Ok(view) => return assert_eq!(view.map(|view| view.state), Some(RunState::Completed)),
            Err(_) => continue,
        }
        let Ok(leased) = store.lease(now, request.clone()).await else { continue };
        let reports = leased.batch.leases.iter().map(|lease| Report {
            job: lease.job,
            token: lease.token,
            outcome: completed("1"),
            log: None,
            arguments: Vec::new(),
            usage: AttemptUsage::of_ms(1),
        });
        let batch = ReportBatch { worker: request.worker.clone(), reports: reports.collect() };
        let verdicts = loop {
            if let Ok(verdicts) = store.complete(now, batch.clone()).await {
                break verdicts;
            }
        };
        for (report, verdict) in batch.reports.iter().zip(verdicts) {
            if verdict == Verdict::Accepted {
                *accepted.lock().expect("the accepted reports").entry(report.job).or_default() += 1;
            }
        }
        if batch.reports.is_empty() {
            sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Returns a connection of the test.
async fn admin(database: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(database, tokio_postgres::NoTls).await.expect("a connection");
    tokio::spawn(connection);
    client
}

/// Kills every connection that hubs have to this database.
async fn kill_backends(admin: &tokio_postgres::Client) {
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE application_name = 'bue hub' AND datname = current_database()";
    admin.execute(sql, &[]).await.expect("killed");
}

#[tokio::test]
async fn two_hubs_on_one_database_complete_each_job_once() {
    let load = Load::begin(shared().database().await, 2).await;
    let stores = load.stores.clone();
    load.end().await;
    let run = stores[0].runs(1).await.expect("runs").remove(0).id;
    let view = stores[0].run(run).await.expect("a view").expect("the run");
    assert_eq!(view.steps[1].completed, u64::from(JOBS));
    assert_eq!((view.steps[1].blocked, view.steps[1].available, view.steps[1].running), (0, 0, 0));
}

#[tokio::test]
async fn backends_that_are_killed_lose_nothing() {
    let load = Load::begin(shared().database().await, 2).await;
    for _ in 0..20 {
        kill_backends(&load.admin).await;
        sleep(Duration::from_millis(20)).await;
    }
    load.end().await;
}

#[tokio::test]
async fn a_server_that_restarts_loses_nothing() {
    let cluster = Arc::new(Cluster::start());
    let load = Load::begin(cluster.database().await, 2).await;
    for mode in ["immediate", "fast", "immediate"] {
        let done = load.done();
        let cluster = cluster.clone();
        let restart = move || {
            cluster.stop(mode);
            cluster.go_on();
        };
        tokio::task::spawn_blocking(restart).await.expect("a restart");
        let is_at_work = async || load.done() > done || load.workers.iter().all(JoinHandle::is_finished);
        wait_until_async("jobs are completed again", is_at_work).await;
    }
    load.end().await;
}

#[tokio::test]
async fn a_server_that_is_down_is_reported_and_then_found_again() {
    let cluster = Arc::new(Cluster::start());
    let load = Load::begin(cluster.database().await, 1).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let server = tokio::spawn(serve_hub(listener, Hub::new(load.stores[0].clone()), std::future::pending()));
    let stopping = cluster.clone();
    tokio::task::spawn_blocking(move || stopping.stop("fast")).await.expect("a stop");
    for path in ["/v1/runs", "/readyz"] {
        let answer = raw_request(&address, "GET", path, "", b"").await;
        assert_eq!(answer.status, 503, "{}", answer.body);
        assert!(answer.body.starts_with("{\"error\":{\"code\":\"database\",\"message\":"), "{}", answer.body);
        assert!(answer.body.contains("check that the hub's PostgreSQL is running"), "{}", answer.body);
    }
    let cluster = tokio::task::spawn_blocking(move || {
        cluster.go_on();
        cluster
    });
    let _cluster = cluster.await.expect("a start");
    assert_eq!(raw_request(&address, "GET", "/readyz", "", b"").await.status, 200);
    load.end().await;
    server.abort();
}

#[tokio::test]
async fn a_server_with_few_connections_is_enough() {
    // one of them is the test's; the two hubs alone would use thirty-four
    let cluster = Cluster::start_with("max_connections = 9\nsuperuser_reserved_connections = 0\n", &[]);
    let load = Load::begin(cluster.database().await, 2).await;
    load.end().await;
}

#[tokio::test]
async fn a_hub_listens_again_after_its_connection_was_killed() {
    let database = shared().database().await;
    let first = PostgresStore::connect(&database).await.expect("a store");
    let second = PostgresStore::connect(&database).await.expect("a store");
    let mut runs = second.notifications().subscribe_runs();
    let mut world = World::new(Arc::new(first));
    is_notified_of_a_run(&mut world, &mut runs).await;
    kill_backends(&admin(&database).await).await;
    // the first may be found by polling, the second must have been notified
    is_notified_of_a_run(&mut world, &mut runs).await;
    is_notified_of_a_run(&mut world, &mut runs).await;
}

/// Submits runs until the other hub is notified of one. A notification is lost while either of them has no connection.
async fn is_notified_of_a_run(world: &mut World, runs: &mut broadcast::Receiver<RunId>) {
    for _ in 0..100 {
        let mut script = Script::new();
        script.call(&["a"], &[]);
        let run = world.submit(script).await;
        let notified = async { while runs.recv().await.expect("a change") != run {} };
        if timeout(Duration::from_secs(1), notified).await.is_ok() {
            return;
        }
    }
    panic!("the other hub was notified of none of a hundred runs");
}
