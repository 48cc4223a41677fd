//! Sixteen million open lists, with a list that is no list inside: a reader that remembers each level needs more memory than the bytes.
//! fails: bad_result: The step answered with a value that is nested deeper than 128 levels

use bue::__private::{CallResult, Inputs};
use bue::Outcome;

bue::__register!("a_result_without_a_bottom", a_result_without_a_bottom);

/// What `#[bue::step]` would generate encodes a value; this one answers with bytes.
fn a_result_without_a_bottom(_inputs: &Inputs) -> CallResult {
    const LEVELS: usize = 16 << 20;
    let mut value = vec![0x9f; LEVELS];
    value.extend([0x82, 0x9f, 0xff, 0x00]);
    value.resize(value.len() + LEVELS, 0xff);
    Ok(Outcome::completed(value))
}
