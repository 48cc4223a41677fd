//! `GET /openapi.json`: a server's description for programs, generated from its table of routes, so that no route is missing.
//! Each server implements [`Documented`](operation_doc::Documented) for its operations.

pub(crate) mod document;
pub(crate) mod operation_doc;
mod schemas;
