//! Python packages of steps: wheels, unpacked into a folder that the step's sandbox sees read-only as `/packages`.
//!
//! ```text
//! worker process    wheel.rs   what a wheel holds        sites.rs   one folder for each set of packages
//! sandbox host      mount.rs   the folder, in the guest
//! ```
//! Depends on [`step`](crate::step) and [`prepared`](crate::prepared).

pub(crate) mod mount;
pub(crate) mod problem;
pub(crate) mod sites;
pub(crate) mod wheel;
