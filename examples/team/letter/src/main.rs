//! Writes the letter of the month. It also works in a shell: `echo '[[{"rank": 1, …}]]' | letter`.

use std::io::{Error, stdin};

use serde_json::{Value, json};

fn main() -> Result<(), Error> {
    let inputs: Value = serde_json::from_reader(stdin())?;
    let cities = inputs[0].as_array().ok_or_else(|| Error::other("the input is not a list of cities"))?;
    let best = cities.first().ok_or_else(|| Error::other("the list of cities is empty"))?;
    eprintln!("writing about {} cities", cities.len());
    let lines = cities.iter().map(|city| format!("{}. {}: {}", city["rank"], text(&city["city"]), city["sales"]));
    let letter = json!({
        "subject": format!("{} leads by {}", text(&best["city"]), best["against_average"]),
        "lines": lines.collect::<Vec<_>>(),
    });
    println!("{letter}");
    Ok(())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
