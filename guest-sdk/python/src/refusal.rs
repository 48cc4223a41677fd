//! Why a value cannot travel, and where in the result it stands.

use bue_model::cbor::MAX_DEPTH;
use bue_model::{Failure, FailureKind};
use rustpython_vm::builtins::PyStr;
use rustpython_vm::{PyObject, PyObjectRef, PyResult, VirtualMachine};

use crate::failure::{Stop, words};
use crate::interpreter::Guest;

/// Where a value stands, for messages.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    /// It is the result.
    Whole,
    /// It is this element of a result that comes in pieces.
    Element(u64),
    /// It is the env of a `Result`.
    Env,
}

/// One step of a path like `result[3].cb`.
pub(crate) enum Part {
    Index(usize),
    Key(PyObjectRef),
}

/// Why a value cannot be written. The path grows while the error travels up, so that writing itself keeps none.
pub(crate) struct Refusal {
    reason: Reason,
    /// The innermost part first.
    path: Vec<Part>,
}

pub(crate) enum Reason {
    /// Reading it raised.
    Raised(Stop),
    /// It is of a kind that cannot travel.
    Kind(PyObjectRef),
    /// What else is wrong with it, behind its path.
    Words(&'static str),
    TooLarge,
    TooDeep,
    /// The container with `inner` parts of the path before it is the one with `outer`.
    Circular {
        outer: usize,
        inner: usize,
    },
}

/// What writing gives.
pub(crate) type Written = Result<(), Box<Refusal>>;

pub(crate) const CHANGED: Reason = Reason::Words("changed while it was read");

pub(crate) fn refuse(reason: Reason) -> Written {
    Err(Box::new(Refusal { reason, path: Vec::new() }))
}

pub(crate) fn or_raised<T>(result: PyResult<T>) -> Result<T, Box<Refusal>> {
    result.map_err(|error| Box::new(Refusal { reason: Reason::Raised(Stop::Raised(error)), path: Vec::new() }))
}

impl Refusal {
    /// It stands in this part of what contains it.
    pub(crate) fn at(mut self: Box<Self>, part: Part) -> Box<Self> {
        self.path.push(part);
        self
    }

    /// In words. `max` is the limit, in bytes.
    pub(crate) fn explain(self, place: Place, max: u64, guest: &Guest, vm: &VirtualMachine) -> Stop {
        let path = |len: usize| path(&self.path, len, place, guest, vm);
        let whole = || path(self.path.len());
        let message = match self.reason {
            Reason::Raised(stop) => return stop,
            Reason::TooLarge => return Stop::refused(FailureKind::Limit, too_large(place, max)),
            Reason::Kind(value) => format!("{} {}", whole(), words(&guest.helpers.refuse, &value, vm)),
            Reason::Words(words) => format!("{} {words}", whole()),
            Reason::TooDeep => format!("{} is nested deeper than {MAX_DEPTH} levels", path(4)),
            Reason::Circular { outer, inner } => {
                let (outer, inner) = (path(outer), path(inner));
                format!("{inner} is the same object as {outer}: the value contains itself and has no end")
            }
        };
        Stop::Refused(Failure::new(FailureKind::BadResult, message))
    }
}

fn too_large(place: Place, max: u64) -> String {
    let (what, at, advice) = match place {
        Place::Whole => ("the result", String::new(), "return less, or yield it to a loop"),
        Place::Element(index) => ("the result", format!(", at result[{index}]"), "yield less, or smaller elements"),
        Place::Env => ("the env of the Result", String::new(), "pass large values as data"),
    };
    format!("{what} is larger than {max} bytes, the limit{at}; {advice}")
}

/// `result[3].cb`: the first `len` parts.
fn path(parts: &[Part], len: usize, place: Place, guest: &Guest, vm: &VirtualMachine) -> String {
    let mut path = match place {
        Place::Whole => "result".to_owned(),
        Place::Element(index) => format!("result[{index}]"),
        Place::Env => "env".to_owned(),
    };
    for part in parts.iter().rev().take(len) {
        match part {
            Part::Index(index) => path.push_str(&format!("[{index}]")),
            Part::Key(key) => path.push_str(&key_text(key, guest, vm)),
        }
    }
    path
}

fn key_text(key: &PyObject, guest: &Guest, vm: &VirtualMachine) -> String {
    let name = key.downcast_ref::<PyStr>().and_then(|text| text.to_str());
    let is_plain = |name: &str| name.chars().all(|c| c == '_' || c.is_alphanumeric()) && name.len() <= 40;
    match name.filter(|name| !name.is_empty() && is_plain(name)) {
        Some(name) => format!(".{name}"),
        None => format!("[{}]", words(&guest.helpers.short, key, vm)),
    }
}
