//! What people, scripts and the bucket read of runs and jobs: the queries behind [`crate::jobs::views`].

mod failed_list;
mod gc_roots;
mod job_list;
mod job_views;
mod results;
mod run_views;
