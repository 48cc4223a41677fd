//! Pieces of pages, made from views. Pure: they know neither a hub nor a request.

pub(super) mod backfill;
pub(super) mod badges;
pub(super) mod charts;
pub(super) mod csv;
pub(super) mod difference;
pub(super) mod due;
pub(super) mod figures;
pub(super) mod forms;
pub(super) mod gantt;
pub(super) mod graph;
pub(super) mod json_tree;
pub(super) mod param_fields;
pub(super) mod periods;
pub(super) mod run_cells;
pub(super) mod samples;
pub(super) mod tables;
pub(super) mod texts;
pub(super) mod times;
pub(super) mod traceback;
