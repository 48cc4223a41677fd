//! Python packages: what a step requires, what `bue.lock` has for it, and the wheels.
//!
//! May use `sandbox` and `process`.
//!
//! ```text
//! requirements  a step's `!requires` and requirements.txt: a sorted list of requirements
//! pip           requirements -> wheels, by pip; pip.py makes it resolve for the guest
//! guest_python  the Python of the sandbox, as pip has to see it
//! lock          bue.lock: for each list of requirements the wheels, with their hashes
//! wheel_cache   wheels by hash, in the user's cache
//! wheel         what a wheel contains: native code or not, which modules
//! locked        a step's requirements -> its packages, or what is wrong with them
//! instead       what to use in place of native packages
//! guest_modules  what a step can import from the standard library
//! missing_module  what to say about a module that a step does not have
//! probe         imports a package's modules in a sandbox
//! ```

pub(crate) mod guest_modules;
pub(crate) mod guest_python;
pub(crate) mod instead;
pub(crate) mod lock;
pub(crate) mod locked;
pub(crate) mod missing_module;
pub(crate) mod pip;
pub(crate) mod probe;
pub(crate) mod requirements;
pub(crate) mod wheel;
pub(crate) mod wheel_cache;
