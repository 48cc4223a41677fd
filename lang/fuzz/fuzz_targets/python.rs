//! The parser of Python sources: any text gives a list of functions or a syntax error.
#![no_main]

use bue_lang::python;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = python::functions(&String::from_utf8_lossy(bytes));
});
