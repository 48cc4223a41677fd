//! Python packages of steps: what a step needs, what `bue.lock` says it gets, and the wheels.
//!
//! ```text
//! needs    a step's `!requires` and requirements.txt: a sorted list of requirements
//! resolve  needs -> wheels, by pip; pip.py makes it think of the guest
//! lock     bue.lock: for every list of needs the wheels, with their hashes
//! store    wheels by hash, in the user's cache
//! wheel    what a wheel says of itself: pure or native, which modules it has
//! locked   a step's needs -> its packages, or what keeps it from having them
//! instead  what to use in place of native packages
//! probe    imports a package's modules in a sandbox
//! ```

pub(crate) mod instead;
pub(crate) mod lock;
pub(crate) mod locked;
pub(crate) mod needs;
pub(crate) mod probe;
pub(crate) mod resolve;
pub(crate) mod store;
pub(crate) mod wheel;
