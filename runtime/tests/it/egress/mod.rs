//! The network of steps, against real servers on free ports.

mod bodies;
mod denied;
mod hostile;
mod plain;
mod server;
mod shared;
mod socket;
mod step;
mod tls;
