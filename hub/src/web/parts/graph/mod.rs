//! The plan of a run as a picture: steps and loops, never jobs, so a run with a million jobs has the same one as a run with three.
//!
//! `plan_graph` makes nodes and edges of a plan, `layered` finds their places, `drawing` makes SVG of both.

pub(in crate::web) mod drawing;
mod layered;
pub(in crate::web) mod plan_graph;
