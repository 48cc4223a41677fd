//! Postgres steps on a real server: their results, and the failures of hostile or unlucky ones.

pub(crate) mod common;
mod connections;
mod lengths;
mod names;
mod roles;
mod rows;
mod shadow;
mod statements;
mod stops;
