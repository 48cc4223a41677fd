//! [`Param`]: what a script lets its caller choose, `param day: date = yesterday`.
//!
//! The plan refers to parameters by their position ([`Input::Param`](crate::Input::Param)); [`bind`] gives each of them a value, and
//! [`resolve`] puts the values in their places.
//!
//! What reads and checks values needs the feature `params`: guests have no use for it.

#[cfg(feature = "params")]
mod bind;
#[cfg(feature = "params")]
mod convert;
mod declaration;
#[cfg(feature = "params")]
mod exact_json;
mod kind;
#[cfg(all(test, feature = "params"))]
mod tests;
#[cfg(feature = "params")]
mod view;

#[cfg(feature = "params")]
pub use bind::{Argument, ParamError, ParamProblem, RunTime, bind, resolve, substitute};
pub use declaration::{Allowed, Param, ParamDefault, TimeDefault};
#[cfg(feature = "params")]
pub use exact_json::{JsonError, MAX_JSON_DEPTH, read_json, write_json};
pub use kind::ParamKind;
#[cfg(feature = "params")]
pub use view::{ParamView, cbor_to_json};
