//! What people, scripts and workers read of runs and jobs, built from rows of either database. Pure.

pub(crate) mod failed_list;
pub(crate) mod job_list;
pub(crate) mod job_views;
pub(crate) mod missing_value;
pub(crate) mod position;
pub(crate) mod result_page;
pub(crate) mod round_filter;
pub(crate) mod round_path;
pub(crate) mod row_query;
pub(crate) mod run_list;
pub(crate) mod run_summary;
