//! What `#[bue::step]` makes calls to: the functions of a package, by name, and the one export behind which they stand.

use std::cell::RefCell;

use serde::de::DeserializeOwned;

use crate::error::Error;
use crate::outcome::{Outcome, Said};

/// What became of a call.
pub type Ended = Result<Outcome<Vec<u8>>, Failed>;

/// A step's function, between bytes.
pub type Run = fn(&Inputs) -> Ended;

thread_local! {
    static STEPS: RefCell<Vec<(&'static str, Run)>> = const { RefCell::new(Vec::new()) };
}

/// Why a call gave nothing.
#[derive(Debug)]
pub enum Failed {
    /// The step says so.
    Raised(Error),
    /// The inputs are not what the function takes.
    BadInput(String),
    /// The result cannot be written.
    BadResult(String),
    /// There is no such function.
    BadCode(String),
}

/// The arguments of a call.
pub struct Inputs(pub Vec<Vec<u8>>);

impl Inputs {
    /// Are there as many as the function takes?
    pub fn expect(&self, function: &str, count: usize) -> Result<(), Failed> {
        let given = self.0.len();
        if given == count {
            return Ok(());
        }
        let inputs = if count == 1 { "input" } else { "inputs" };
        Err(Failed::BadInput(format!("`{function}` takes {count} {inputs} and was given {given}.")))
    }

    /// One of them.
    pub fn get<T: DeserializeOwned>(&self, function: &str, place: usize) -> Result<T, Failed> {
        let bytes = self.0.get(place).map(Vec::as_slice).unwrap_or_default();
        let value = bue_model::cbor::decode(bytes).map_err(|error| error.to_string());
        let value = value.and_then(|value| bue_model::from_value(value).map_err(|error| error.to_string()));
        value.map_err(|why| Failed::BadInput(format!("Input {} of `{function}` does not fit: {why}.", place + 1)))
    }
}

/// A function is a step.
pub fn add(name: &'static str, run: Run) {
    STEPS.with_borrow_mut(|steps| steps.push((name, run)));
}

/// What a function gave.
pub fn ended(given: Result<impl Said, Error>) -> Ended {
    given.map_err(Failed::Raised)?.said().map_err(|error| Failed::BadResult(error.message))
}

/// Runs the function of a name.
pub fn run(function: &str, inputs: Vec<Vec<u8>>) -> Ended {
    let found = STEPS.with_borrow(|steps| steps.iter().find(|(name, _)| *name == function).map(|(_, run)| *run));
    match found {
        Some(run) => run(&Inputs(inputs)),
        None => Err(Failed::BadCode(missing(function))),
    }
}

fn missing(function: &str) -> String {
    let names = STEPS.with_borrow(|steps| steps.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>());
    match names.is_empty() {
        true => format!("There is no step `{function}` here: write `#[bue::step]` above a function of that name."),
        false => format!("There is no step `{function}` here. There are {}.", names.join(", ")),
    }
}

/// Puts a function into the list before anything runs.
#[doc(hidden)]
#[macro_export]
macro_rules! __register {
    ($name:literal, $run:ident) => {
        extern "C" fn register() {
            $crate::__private::add($name, $run);
        }
        // what stands in this section is called when an instance is made
        #[used]
        #[cfg_attr(target_arch = "wasm32", unsafe(link_section = ".init_array"))]
        static REGISTER: extern "C" fn() = register;
    };
}
