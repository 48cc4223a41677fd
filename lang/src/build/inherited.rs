//! The settings that steps inherit from the lines above them.

use std::rc::Rc;

use bue_model::plan::Settings;

/// The settings in effect at a place in the script. Steps share them until a setting changes them.
pub(super) type InheritedSettings = Rc<Settings>;
