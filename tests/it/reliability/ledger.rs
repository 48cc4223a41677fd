//! Who was given what and who committed it, written down by the hub's database itself in the transaction that did it. Neither
//! the hub's counts nor its answers are believed.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::Connection;

/// `job` is what may still change, `done` what is over; 3 is running, 7 completed.
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
    /// Begins one in a database.
    pub(crate) fn found(database: &Path) {
        Self::open(database).0.execute_batch(TABLES).expect("a ledger");
    }

    pub(crate) fn open(database: &Path) -> Self {
        Self(Connection::open(database).expect("the hub's database"))
    }

    /// Jobs that are out on a lease.
    pub(crate) fn leased(&self) -> u64 {
        self.number("SELECT count(*) FROM job WHERE state = 3")
    }

    /// How often jobs were given away.
    pub(crate) fn given(&self) -> u64 {
        self.number("SELECT count(*) FROM given WHERE token > 0")
    }

    /// Commits, of loops too.
    pub(crate) fn commits(&self) -> u64 {
        self.number("SELECT count(*) FROM committed")
    }

    /// All runs.
    pub(crate) fn runs(&self) -> u64 {
        self.number("SELECT count(*) FROM run")
    }

    /// Jobs that were committed more than once.
    pub(crate) fn double(&self) -> u64 {
        self.number("SELECT count(*) FROM (SELECT 1 FROM committed GROUP BY job HAVING count(*) > 1)")
    }

    /// Jobs that are not over, whatever they are.
    pub(crate) fn left(&self) -> u64 {
        self.number("SELECT count(*) FROM job")
    }

    /// Runs that did not complete.
    pub(crate) fn runs_not_completed(&self) -> u64 {
        self.number("SELECT count(*) FROM run WHERE state <> 1")
    }

    /// Times of all commits, in seconds since 1970.
    pub(crate) fn commit_times(&self) -> Vec<f64> {
        let mut select = self.0.prepare("SELECT at FROM committed ORDER BY at").expect("SQL");
        select.query_map([], |row| row.get(0)).expect("rows").collect::<Result<_, _>>().expect("times")
    }

    /// Commits of each worker; loops have none.
    pub(crate) fn commits_by_worker(&self) -> BTreeMap<String, u64> {
        let sql = "SELECT worker, count(*) FROM committed WHERE worker IS NOT NULL GROUP BY worker";
        let mut select = self.0.prepare(sql).expect("SQL");
        let rows = select.query_map([], |row| Ok((row.get(0)?, unsigned(row.get(1)?)))).expect("rows");
        rows.collect::<Result<_, _>>().expect("counts")
    }

    /// Of the rounds of the only loop of a run, in their order: when each was given away last, and how often.
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
