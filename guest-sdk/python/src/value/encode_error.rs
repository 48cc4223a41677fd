//! Why a value cannot be encoded, and where in the result it is.

use bue_model::FailureKind;
use bue_model::cbor::MAX_DEPTH;
use rustpython_vm::builtins::PyStr;
use rustpython_vm::{PyObject, PyObjectRef, PyResult, VirtualMachine};

use crate::error::CallError;
use crate::guest::Guest;
use crate::python::explain;

/// Returned by everything that writes a value.
pub(super) type EncodeResult = Result<(), Box<EncodeError>>;

/// The reason, and the path to the value. The path grows while the error is returned from level to level, so that encoding
/// itself does not have to track it.
pub(super) struct EncodeError {
    reason: Reason,
    /// The innermost segment first.
    path: Vec<Segment>,
}

pub(super) enum Reason {
    /// Reading the value raised an exception.
    Raised(CallError),
    /// Values of this type cannot be encoded.
    Unsupported(PyObjectRef),
    /// Something else; the text follows the path.
    Invalid(&'static str),
    TooLarge,
    TooDeep,
    /// The container after `inner` segments of the path is the one after `outer` segments.
    Circular {
        outer: usize,
        inner: usize,
    },
}

pub(super) const CHANGED_WHILE_READ: Reason = Reason::Invalid("changed while it was read");

/// What a path in a message starts from.
#[derive(Clone, Copy)]
pub(super) enum Root {
    /// The whole result.
    Result,
    /// An element of a result that is streamed or collected.
    Element(u64),
    /// The env of a `Result`.
    Env,
}

/// One segment of a path like `result[3].cb`.
pub(super) enum Segment {
    Index(usize),
    Key(PyObjectRef),
}

pub(super) fn fail(reason: Reason) -> EncodeResult {
    Err(Box::new(EncodeError { reason, path: Vec::new() }))
}

pub(super) fn or_raised<T>(result: PyResult<T>) -> Result<T, Box<EncodeError>> {
    result.map_err(|error| Box::new(EncodeError { reason: Reason::Raised(CallError::Raised(error)), path: Vec::new() }))
}

impl EncodeError {
    /// Add the segment that leads to the value from its container.
    pub(super) fn within(mut self: Box<Self>, segment: Segment) -> Box<Self> {
        self.path.push(segment);
        self
    }

    /// Turn it into a message. `max` is the limit in bytes.
    pub(super) fn into_call_error(self, root: Root, max: u64, guest: &Guest, vm: &VirtualMachine) -> CallError {
        let path = |len: usize| path(&self.path, len, root, guest, vm);
        let full_path = || path(self.path.len());
        let message = match self.reason {
            Reason::Raised(error) => return error,
            Reason::TooLarge => return CallError::rejected(FailureKind::Limit, too_large(root, max)),
            Reason::Unsupported(value) => {
                format!("{} {}", full_path(), explain(&guest.helpers.explain_unsupported, &value, vm))
            }
            Reason::Invalid(text) => format!("{} {text}", full_path()),
            Reason::TooDeep => format!("{} is nested deeper than {MAX_DEPTH} levels", path(4)),
            Reason::Circular { outer, inner } => {
                let (outer, inner) = (path(outer), path(inner));
                format!("{inner} is the same object as {outer}: the value contains itself and has no end")
            }
        };
        CallError::rejected(FailureKind::BadResult, message)
    }
}

fn too_large(root: Root, max: u64) -> String {
    let (what, at, advice) = match root {
        Root::Result => ("the result", String::new(), "return less, or yield it to a loop"),
        Root::Element(index) => ("the result", format!(", at result[{index}]"), "yield less, or smaller elements"),
        Root::Env => ("the env of the Result", String::new(), "pass large values as data"),
    };
    format!("{what} is larger than {max} bytes, the limit{at}; {advice}")
}

/// `result[3].cb`: the outermost `len` segments.
fn path(segments: &[Segment], len: usize, root: Root, guest: &Guest, vm: &VirtualMachine) -> String {
    let mut path = match root {
        Root::Result => "result".to_owned(),
        Root::Element(index) => format!("result[{index}]"),
        Root::Env => "env".to_owned(),
    };
    for segment in segments.iter().rev().take(len) {
        match segment {
            Segment::Index(index) => path.push_str(&format!("[{index}]")),
            Segment::Key(key) => path.push_str(&key_text(key, guest, vm)),
        }
    }
    path
}

fn key_text(key: &PyObject, guest: &Guest, vm: &VirtualMachine) -> String {
    let name = key.downcast_ref::<PyStr>().and_then(|text| text.to_str());
    let is_plain = |name: &str| name.chars().all(|c| c == '_' || c.is_alphanumeric()) && name.len() <= 40;
    match name.filter(|name| !name.is_empty() && is_plain(name)) {
        Some(name) => format!(".{name}"),
        None => format!("[{}]", explain(&guest.helpers.short_repr, key, vm)),
    }
}
