//! The targets of the code that `#[bue::step]` generates: the registry of a package's steps, and calls by name.

use std::cell::RefCell;

use serde::de::DeserializeOwned;

use crate::error::Error;
use crate::outcome::{IntoOutcome, Outcome};

/// The encoded outcome of a call, or its failure.
pub type CallResult = Result<Outcome<Vec<u8>>, CallError>;

/// The generated wrapper of a step's function: it decodes the inputs and encodes the result.
pub type StepFn = fn(&Inputs) -> CallResult;

thread_local! {
    static STEPS: RefCell<Vec<(&'static str, StepFn)>> = const { RefCell::new(Vec::new()) };
}

/// Why a call failed.
#[derive(Debug)]
pub enum CallError {
    /// The step returned an error.
    Raised(Error),
    /// The inputs do not fit the function's parameters.
    BadInput(String),
    /// The result cannot be encoded.
    BadResult(String),
    /// No step has this name.
    BadCode(String),
}

/// The encoded arguments of a call.
pub struct Inputs(pub Vec<Vec<u8>>);

impl Inputs {
    /// Fails unless there are as many inputs as the function has parameters.
    pub fn expect_count(&self, function: &str, count: usize) -> Result<(), CallError> {
        let given = self.0.len();
        if given == count {
            return Ok(());
        }
        let inputs = if count == 1 { "input" } else { "inputs" };
        Err(CallError::BadInput(format!("`{function}` takes {count} {inputs} and was given {given}.")))
    }

    /// Decodes one input, counted from 0.
    pub fn get<T: DeserializeOwned>(&self, function: &str, index: usize) -> Result<T, CallError> {
        let bytes = self.0.get(index).map(Vec::as_slice).unwrap_or_default();
        let value = bue_model::cbor::decode(bytes).map_err(|error| error.to_string());
        let value = value.and_then(|value| bue_model::from_value(value).map_err(|error| error.to_string()));
        value
            .map_err(|error| CallError::BadInput(format!("Input {} of `{function}` does not fit: {error}.", index + 1)))
    }
}

/// Adds a step to the registry.
pub fn add_step(name: &'static str, step: StepFn) {
    STEPS.with_borrow_mut(|steps| steps.push((name, step)));
}

/// Encodes what a step's function returned.
pub fn encode_outcome(returned: Result<impl IntoOutcome, Error>) -> CallResult {
    returned.map_err(CallError::Raised)?.into_outcome().map_err(|error| CallError::BadResult(error.message))
}

/// Calls the step with this name.
pub fn call_step(name: &str, inputs: Vec<Vec<u8>>) -> CallResult {
    let step = STEPS.with_borrow(|steps| steps.iter().find(|(known, _)| *known == name).map(|(_, step)| *step));
    match step {
        Some(step) => step(&Inputs(inputs)),
        None => Err(CallError::BadCode(unknown_step(name))),
    }
}

fn unknown_step(name: &str) -> String {
    let names = STEPS.with_borrow(|steps| steps.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>());
    match names.is_empty() {
        true => format!("There is no step `{name}` here: write `#[bue::step]` above the function `{name}`."),
        false => format!("There is no step `{name}` here. There are {}.", names.join(", ")),
    }
}

/// Registers a step before any call runs.
#[doc(hidden)]
#[macro_export]
macro_rules! __register {
    ($name:literal, $step:ident) => {
        extern "C" fn register() {
            $crate::__private::add_step($name, $step);
        }
        // the functions in this section are called when the module is instantiated
        #[used]
        #[cfg_attr(target_arch = "wasm32", unsafe(link_section = ".init_array"))]
        static REGISTER: extern "C" fn() = register;
    };
}
