//! The bucket: its HTTP API, and the blobs and keys behind it, in a folder or in an S3 store. May use `http` and `auth`; knows
//! nothing about jobs.
//!
//! ```text
//! bucket_server --> BlobStore (blob_store, gc, expiry) --> BlobBackend --> Folder
//!                                                                            `--> S3 --> s3_http_client
//! ```

mod blob_backend;
pub(crate) mod blob_store;
pub(crate) mod bucket_server;
mod expiry;
mod folder;
mod folder_names;
mod gc;
mod keys;
mod object;
mod object_name;
mod openapi;
pub(crate) mod routes;
mod s3;
mod s3_http_client;
