//! Which worker got and committed which job, recorded by the hub's database itself in the same transaction. Tests do not trust
//! the hub's counts and answers.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::Connection;

/// The table `job` has unfinished jobs, `done` finished ones; state 3 is running, 7 completed.
const TABLES: &str = "
    CREATE TABLE given (job INTEGER NOT NULL, token INTEGER NOT NULL, worker TEXT, at REAL NOT NULL);
    CREATE TABLE committed (job INTEGER NOT NULL, run INTEGER NOT NULL, node INTEGER NOT NULL, token INTEGER NOT NULL,
        worker TEXT, at REAL NOT NULL);
    CREATE TRIGGER give AFTER UPDATE OF state ON job WHEN NEW.state = 3 AND OLD.state <> 3 BEGIN
        INSERT INTO given VALUES (NEW.id, NEW.token, NEW.worker, unixepoch('subsec')); END;
    CREATE TRIGGER enter AFTER INSERT ON done WHEN NEW.state = 7 BEGIN
        INSERT INTO committed VALUES (NEW.id, NEW.run, NEW.node, NEW.token, NEW.worker, unixepoch('subsec')); END;
    CREATE TRIGGER alter_done AFTER UPDATE ON done WHEN NEW.state = 7 BEGIN
        INSERT INTO committed VALUES (NEW.id, NEW.run, NEW.node, NEW.token, NEW.worker, unixepoch('subsec')); END;";

/// The ledger of a hub that is not running.
pub(crate) struct Ledger(Connection);

impl Ledger {
    /// Creates the ledger in a database.
    pub(crate) fn create(database: &Path) {
        Self::open(database).0.execute_batch(TABLES).expect("a ledger");
    }

    pub(crate) fn open(database: &Path) -> Self {
        Self(Connection::open(database).expect("the hub's database"))
    }

    /// The number of jobs on a lease.
    pub(crate) fn leased(&self) -> u64 {
        self.number("SELECT count(*) FROM job WHERE state = 3")
    }

    /// The number of leases so far.
    pub(crate) fn leases(&self) -> u64 {
        self.number("SELECT count(*) FROM given WHERE token > 0")
    }

    /// The number of commits, including those of loops.
    pub(crate) fn commits(&self) -> u64 {
        self.number("SELECT count(*) FROM committed")
    }

    /// The number of runs.
    pub(crate) fn runs(&self) -> u64 {
        self.number("SELECT count(*) FROM run")
    }

    /// The number of jobs that were committed more than once.
    pub(crate) fn committed_twice(&self) -> u64 {
        self.number("SELECT count(*) FROM (SELECT 1 FROM committed GROUP BY job HAVING count(*) > 1)")
    }

    /// The number of jobs that have not finished.
    pub(crate) fn unfinished(&self) -> u64 {
        self.number("SELECT count(*) FROM job")
    }

    /// The number of runs that did not complete.
    pub(crate) fn runs_not_completed(&self) -> u64 {
        self.number("SELECT count(*) FROM run WHERE state <> 1")
    }

    /// The times of all commits, in seconds since 1970.
    pub(crate) fn commit_times(&self) -> Vec<f64> {
        let mut select = self.0.prepare("SELECT at FROM committed ORDER BY at").expect("SQL");
        select.query_map([], |row| row.get(0)).expect("rows").collect::<Result<_, _>>().expect("times")
    }

    /// The number of commits of each worker; loops have no worker.
    pub(crate) fn commits_by_worker(&self) -> BTreeMap<String, u64> {
        let sql = "SELECT worker, count(*) FROM committed WHERE worker IS NOT NULL GROUP BY worker";
        let mut select = self.0.prepare(sql).expect("SQL");
        let rows = select.query_map([], |row| Ok((row.get(0)?, unsigned(row.get(1)?)))).expect("rows");
        rows.collect::<Result<_, _>>().expect("counts")
    }

    /// For each round of the only loop of a run, in order: the time of its last lease, and the number of its leases.
    pub(crate) fn rounds(&self, run: u128) -> Vec<(f64, u64)> {
        let sql = "SELECT max(given.at), count(*) FROM committed JOIN given ON given.job = committed.job
             JOIN run ON run.key = committed.run JOIN done ON done.id = committed.job
             WHERE run.id = ?1 AND done.fanout > 0 GROUP BY committed.job ORDER BY committed.job";
        let mut select = self.0.prepare(sql).expect("SQL");
        let rows = select.query_map([run.to_be_bytes().as_slice()], |row| Ok((row.get(0)?, unsigned(row.get(1)?))));
        rows.expect("rows").collect::<Result<_, _>>().expect("rounds")
    }

    fn number(&self, sql: &str) -> u64 {
        unsigned(self.0.query_row(sql, [], |row| row.get(0)).expect(sql))
    }
}

fn unsigned(count: i64) -> u64 {
    u64::try_from(count).expect("a count")
}
