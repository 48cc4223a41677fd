//! Lists of runs, newest first: which index the rows of a page come from, and when the page ends. Pure.
//!
//! A page begins with one of the conditions that has an index in the order of time: a parameter, the pipeline with or without a state,
//! the path, the state, or none. Where this condition has alternatives, such as two states, each is looked up separately. All others are
//! checked row by row. A page looks at a limited number of rows; if few of them match, it ends early and says where the next one begins.

use std::collections::BTreeMap;

use bue_model::wire::{RunPipeline, RunView};
use bue_model::{RunState, Timestamp};

use crate::jobs::columns::small;
use crate::jobs::param_index::keys_of_text;
use crate::jobs::state::run_state_to_code;
use crate::jobs::views::position::Position;
use crate::jobs::views::row_query::{RowQuery, SqlParams};

/// Rows that one page looks at: some milliseconds.
const MAX_ROWS: usize = 10_000;
/// Rows that one query returns, if not all of them match.
const BATCH: usize = 1_000;

/// Which runs to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunQuery {
    /// Only runs in one of these states; in any state if there is none.
    pub states: Vec<RunState>,
    /// Only runs of this pipeline.
    pub pipeline: Option<String>,
    /// Only runs of scripts with this path.
    pub name: Option<NamePattern>,
    /// Only runs of pipelines that were given these values of parameters, each as a user writes it: a text, or JSON.
    pub params: BTreeMap<String, String>,
    /// Only runs that were created then or later.
    pub since: Option<Timestamp>,
    /// Only runs that were created earlier.
    pub until: Option<Timestamp>,
    /// Only runs with failed jobs.
    pub failed: Option<FailedFilter>,
    /// Only runs behind this position.
    pub after: Option<Position>,
    /// The largest number of runs in the answer.
    pub limit: u32,
}

/// Which paths of scripts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamePattern {
    /// This one.
    Exact(String),
    /// All that begin with this text.
    Prefix(String),
}

/// Which failed jobs a run is to have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FailedFilter {
    /// Jobs of this step.
    pub step: Option<String>,
}

/// A page of runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunList {
    /// The runs.
    pub runs: Vec<ListedRun>,
    /// [`RunQuery::after`] of the next page. `None` on the last page.
    pub next: Option<Position>,
}

/// One alternative of the condition whose index is used.
#[derive(Clone, Debug)]
enum Source {
    Param { name: String, key: String },
    Pipeline { name: String, state: Option<RunState> },
    Name(String),
    State(RunState),
    All,
}

/// The rows of one alternative while they are looked at.
#[derive(Debug)]
pub(crate) struct RunScan<'q> {
    query: &'q RunQuery,
    source: Source,
    mark: char,
    /// All rows up to this one have been looked at.
    cursor: Position,
    found: Vec<Position>,
    rows_left: usize,
    is_exhausted: bool,
}

/// A run in a list.
#[derive(Clone, Debug, PartialEq)]
pub struct ListedRun {
    /// Where it is: [`RunQuery::after`] of a page that begins behind it.
    pub position: Position,
    /// The run, without its steps. The caller fills in the time.
    pub run: RunView,
}

/// Returns the scans for a page. `mark` begins the parameters of the store's statements.
pub(crate) fn scans(query: &RunQuery, mark: char) -> Vec<RunScan<'_>> {
    let sources = sources(query);
    let rows_left = MAX_ROWS / sources.len().max(1);
    let cursor = Position::upper_bound(query.after, query.until.map(|until| until.0));
    let scan = |source| RunScan { query, source, mark, cursor, found: Vec::new(), rows_left, is_exhausted: false };
    sources.into_iter().map(scan).collect()
}

/// Returns the positions of the runs on the page, newest first, and where the next page begins.
pub(crate) fn finish(scans: Vec<RunScan<'_>>, limit: u32) -> (Vec<Position>, Option<Position>) {
    let limit = limit.max(1) as usize;
    // behind the first position at which a scan stopped, runs may be missing
    let horizon = scans.iter().filter(|scan| !scan.is_exhausted).map(|scan| scan.cursor).max();
    let is_known = |position: &Position| horizon.is_none_or(|horizon| *position >= horizon);
    let mut found: Vec<Position> = scans.into_iter().flat_map(|scan| scan.found).filter(is_known).collect();
    found.sort_unstable_by(|a, b| b.cmp(a));
    let next = if found.len() > limit { found.get(limit - 1).copied() } else { horizon };
    found.truncate(limit);
    (found, next)
}

impl RunScan<'_> {
    /// Returns the query for the next rows. `None` if the page needs no more of this source.
    pub(crate) fn next_query(&self) -> Option<RowQuery> {
        let is_full = self.found.len() > self.query.limit.max(1) as usize;
        (!self.is_exhausted && !is_full && self.rows_left > 0).then(|| self.row_query())
    }

    /// Adds the rows that the query returned, in their order.
    pub(crate) fn add(&mut self, limit: usize, rows: &[(Position, bool)]) {
        self.is_exhausted = rows.len() < limit;
        self.rows_left = self.rows_left.saturating_sub(rows.len().max(1));
        for (position, is_match) in rows {
            self.cursor = *position;
            if *is_match {
                self.found.push(*position);
            }
            if self.found.len() > self.query.limit.max(1) as usize {
                self.is_exhausted = false;
                break;
            }
        }
    }

    fn row_query(&self) -> RowQuery {
        let mut sql = SqlParams::new(self.mark);
        let (from, at, key, condition) = self.source_sql(&mut sql);
        let checks = self.checks(&mut sql);
        // as few rows as the page needs, if all of them match
        let wanted = self.query.limit.max(1) as usize + 1 - self.found.len();
        let limit = if checks.is_empty() { wanted } else { BATCH }.min(self.rows_left);
        let is_match = if checks.is_empty() { "TRUE".to_owned() } else { checks.join(" AND ") };
        let (before_at, before_key) = (sql.int(self.cursor.at), sql.int(self.cursor.key));
        let since = sql.int(self.query.since.map_or(i64::MIN, |since| since.0));
        let max = sql.int(i64::try_from(limit).unwrap_or(i64::MAX));
        let text = format!(
            "SELECT {at}, {key}, {is_match} FROM {from} WHERE {condition}({at}, {key}) < ({before_at}, {before_key}) \
             AND {at} >= {since} ORDER BY {at} DESC, {key} DESC LIMIT {max}"
        );
        sql.query(text, limit)
    }

    /// Returns the tables, the columns of the time and the key, and the condition, with `AND` behind it.
    fn source_sql(&self, sql: &mut SqlParams) -> (&'static str, &'static str, &'static str, String) {
        const RUNS: (&str, &str, &str) = ("run", "run.created_at", "run.key");
        let ((from, at, key), condition) = match &self.source {
            Source::Param { name, key } => {
                let from = "run_param JOIN run ON run.key = run_param.run";
                let condition =
                    format!("run_param.name = {} AND run_param.value = {} AND ", sql.text(name), sql.text(key));
                ((from, "run_param.created_at", "run_param.run"), condition)
            }
            Source::Pipeline { name, state } => {
                let from = "invocation JOIN run ON run.key = invocation.run";
                let state = state.map(|state| format!("invocation.state = {} AND ", run_state_to_code(state)));
                let condition = format!("invocation.pipeline = {} AND {}", sql.text(name), state.unwrap_or_default());
                ((from, "invocation.created_at", "invocation.run"), condition)
            }
            Source::Name(name) => (RUNS, format!("run.name = {} AND ", sql.text(name))),
            Source::State(state) => (RUNS, format!("run.state = {} AND ", run_state_to_code(*state))),
            Source::All => (RUNS, String::new()),
        };
        (from, at, key, condition)
    }

    /// Returns the conditions that the source does not contain.
    fn checks(&self, sql: &mut SqlParams) -> Vec<String> {
        let (query, mut checks) = (self.query, Vec::new());
        let has_state = matches!(self.source, Source::State(_) | Source::Pipeline { state: Some(_), .. });
        if !query.states.is_empty() && !has_state {
            let codes: Vec<_> = query.states.iter().map(|state| run_state_to_code(*state).to_string()).collect();
            checks.push(format!("run.state IN ({})", codes.join(", ")));
        }
        match &query.name {
            Some(NamePattern::Exact(name)) if !matches!(self.source, Source::Name(_)) => {
                checks.push(format!("run.name = {}", sql.text(name)));
            }
            Some(NamePattern::Prefix(prefix)) => {
                let prefix = sql.text(prefix);
                checks.push(format!("substr(run.name, 1, length({prefix})) = {prefix}"));
            }
            _ => {}
        }
        if let Some(pipeline) = query.pipeline.as_ref().filter(|_| !matches!(self.source, Source::Pipeline { .. })) {
            let pipeline = sql.text(pipeline);
            checks.push(format!(
                "EXISTS (SELECT 1 FROM invocation AS i WHERE i.run = run.key AND i.pipeline = {pipeline})"
            ));
        }
        for (name, text) in &query.params {
            if !matches!(&self.source, Source::Param { name: source, .. } if source == name) {
                let name = sql.text(name);
                let keys: Vec<_> = keys_of_text(text).iter().map(|key| sql.text(key)).collect();
                checks.push(format!(
                    "EXISTS (SELECT 1 FROM run_param AS p WHERE p.name = {name} AND p.value IN ({}) \
                     AND p.created_at = run.created_at AND p.run = run.key)",
                    keys.join(", ")
                ));
            }
        }
        if let Some(failed) = &query.failed {
            let step = failed.step.as_ref().map(|step| format!(" AND f.step = {}", sql.text(step)));
            checks
                .push(format!("EXISTS (SELECT 1 FROM failed AS f WHERE f.run = run.key{})", step.unwrap_or_default()));
        }
        checks
    }
}

/// Returns the version of a pipeline from its columns.
pub(crate) fn run_pipeline((name, version): (String, i64)) -> RunPipeline {
    RunPipeline { name, version: small(version) }
}

fn sources(query: &RunQuery) -> Vec<Source> {
    if let Some((name, text)) = query.params.first_key_value() {
        return keys_of_text(text).into_iter().map(|key| Source::Param { name: name.clone(), key }).collect();
    }
    match (&query.pipeline, &query.name) {
        (Some(name), _) if query.states.is_empty() => vec![Source::Pipeline { name: name.clone(), state: None }],
        (Some(name), _) => {
            let source = |state: &RunState| Source::Pipeline { name: name.clone(), state: Some(*state) };
            query.states.iter().map(source).collect()
        }
        (None, Some(NamePattern::Exact(name))) => vec![Source::Name(name.clone())],
        _ if query.states.is_empty() => vec![Source::All],
        _ => query.states.iter().copied().map(Source::State).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(at: i64) -> Position {
        Position { at, key: at }
    }

    fn query(limit: u32) -> RunQuery {
        RunQuery { states: vec![RunState::Failed, RunState::Cancelled], limit, ..RunQuery::default() }
    }

    fn rows(times: &[i64]) -> Vec<(Position, bool)> {
        times.iter().map(|time| (at(*time), true)).collect()
    }

    #[test]
    fn pages_of_two_sources_are_merged_as_far_as_both_are_known() {
        let query = query(3);
        let mut both = scans(&query, '?');
        let limits: Vec<usize> = both.iter().map(|scan| scan.next_query().expect("a query").limit).collect();
        assert_eq!(limits, [4, 4]);
        both[0].add(4, &rows(&[90, 80, 70, 60]));
        both[1].add(4, &rows(&[85, 10]));
        assert!(both.iter().all(|scan| scan.next_query().is_none()));
        assert_eq!(finish(both, 3), ([90, 85, 80].map(at).to_vec(), Some(at(80))));
        let after = RunQuery { after: Some(at(80)), ..query };
        let mut both = scans(&after, '?');
        both[0].add(4, &rows(&[70, 60]));
        both[1].add(4, &rows(&[10]));
        assert_eq!(finish(both, 3), ([70, 60, 10].map(at).to_vec(), None));
    }

    #[test]
    fn a_page_that_finds_little_ends_and_says_where_it_stopped() {
        let query = RunQuery { name: Some(NamePattern::Prefix("x".into())), limit: 10, ..RunQuery::default() };
        let mut scans = scans(&query, '$');
        let mut time = 1_000_000;
        while let Some(next) = scans[0].next_query() {
            assert!(next.limit <= BATCH);
            let limit = i64::try_from(next.limit).expect("a small number");
            let rows: Vec<_> = (0..limit).map(|row| (at(time - row), false)).collect();
            time -= limit;
            scans[0].add(next.limit, &rows);
        }
        assert_eq!(time, 1_000_000 - i64::try_from(MAX_ROWS).expect("a small number"));
        assert_eq!(finish(scans, 10), (Vec::new(), Some(at(time + 1))));
    }
}
