//! All outcomes of a step, its hints, failures and log.

use std::time::Duration;

use bue::{Error, Outcome, Value};

#[bue::step]
fn pending(delay_ms: Option<u64>) -> Outcome<()> {
    Outcome::Pending(delay_ms.map(Duration::from_millis))
}

#[bue::step]
fn reset() -> bue::Result<Outcome<i64>> {
    Ok(Outcome::reset())
}

#[bue::step]
fn cancel() -> Outcome<i64> {
    Outcome::Cancelled
}

#[bue::step]
fn hints() -> Outcome<&'static str> {
    let env = Value::Map(vec![(Value::Text("city".into()), Value::Text("Ghent".into()))]);
    Outcome::Completed { value: "done", priority: Some(7), env: Some(env) }
}

#[bue::step]
fn city() -> bue::Result<Option<Value>> {
    bue::env()
}

#[bue::step]
fn fails(text: String) -> bue::Result<i64> {
    let number: i64 = text.parse()?;
    Ok(number)
}

#[bue::step]
fn waits_and_fails() -> bue::Result<()> {
    Err(Error::msg("The other side is busy.").retry_after(Duration::from_secs(9)))
}

#[bue::step]
fn panics() {
    panic!("nothing is as it should be");
}

#[bue::step]
fn talks() {
    println!("to standard output");
    eprintln!("to standard error");
    bue::log!("to the {}", "log");
    bue::progress(1, Some(3), "rows");
    bue::progress(2, Some(3), "rows");
}
