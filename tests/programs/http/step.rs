//! Steps that send requests and read secrets.

use std::time::Duration;

use bue::{Request, Value};

#[bue::step]
fn get(url: String) -> bue::Result<(u16, String)> {
    let response = bue::get(&url)?;
    Ok((response.status, response.text()))
}

#[bue::step]
fn post(url: String, size: usize) -> bue::Result<String> {
    let request = Request::new("POST", &url).header("x-key", "secret:KEY").body(vec![b'x'; size]);
    Ok(request.timeout(Duration::from_secs(20)).send()?.text())
}

#[bue::step]
fn secret(name: String) -> bue::Result<Value> {
    Ok(Value::Text(bue::secret(&name)?))
}
