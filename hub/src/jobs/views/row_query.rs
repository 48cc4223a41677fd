//! [`RowQuery`]: a query for the next rows of an index, written for a store. Pure.

use bue_model::RunId;

/// A query with its parameters, whose conditions depend on a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RowQuery {
    pub(crate) sql: String,
    pub(crate) params: Vec<SqlParam>,
    /// Rows that it returns at most.
    pub(crate) limit: usize,
}

/// A parameter of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SqlParam {
    Int(i64),
    Text(String),
    Run(RunId),
}

/// The parameters of a statement while it is written.
pub(crate) struct SqlParams {
    mark: char,
    params: Vec<SqlParam>,
}

impl SqlParams {
    /// Begins a statement of a store whose parameters begin with `mark`.
    pub(crate) const fn new(mark: char) -> Self {
        Self { mark, params: Vec::new() }
    }

    /// Adds a number, and returns what stands for it.
    pub(crate) fn int(&mut self, value: i64) -> String {
        self.add(SqlParam::Int(value))
    }

    /// Adds a text, and returns what stands for it.
    pub(crate) fn text(&mut self, value: &str) -> String {
        self.add(SqlParam::Text(value.to_owned()))
    }

    /// Adds the id of a run, and returns what stands for it.
    pub(crate) fn run(&mut self, value: RunId) -> String {
        self.add(SqlParam::Run(value))
    }

    /// Returns the query.
    pub(crate) fn query(self, sql: String, limit: usize) -> RowQuery {
        RowQuery { sql, params: self.params, limit }
    }

    fn add(&mut self, param: SqlParam) -> String {
        self.params.push(param);
        format!("{}{}", self.mark, self.params.len())
    }
}
