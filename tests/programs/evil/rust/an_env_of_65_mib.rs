//! An environment, which would travel with every job after this one. The report of this job would be larger than any message.
//! fails: bad_result: the step set an `env` of …, and at most 65536 can pass to the steps after it; put large values into the result instead

use bue::{Bytes, Outcome};

#[bue::step]
fn an_env_of_65_mib(_canary: String, _port: u16) -> Outcome<()> {
    let env = bue::to_value(&Bytes(vec![0; 65 << 20])).ok();
    Outcome::Completed { value: (), priority: None, env }
}
