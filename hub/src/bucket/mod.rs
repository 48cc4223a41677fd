//! The bucket: its HTTP interface, and blobs and keys in a folder or in an S3 store. It may use `http` and `auth`, and knows
//! nothing of jobs.

mod backend;
pub(crate) mod blob_store;
pub(crate) mod bucket_server;
mod collect;
mod folder;
mod name;
mod openapi;
mod s3;
mod s3_client;
