//! The way out, against real servers on ports of the system's choosing.

mod bodies;
mod denied;
mod hostile;
mod plain;
mod server;
mod step;
mod tls;
