//! [`CheckedStep`].

use crate::build::source_map::StepLocation;
use crate::python::Function;

/// A step whose function is known.
pub(super) struct CheckedStep<'a> {
    pub(super) location: &'a StepLocation,
    pub(super) function: &'a Function,
    /// The names of its keyword arguments.
    pub(super) keywords: Vec<String>,
}
