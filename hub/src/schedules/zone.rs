//! Time zones by name, from the database in this program: hubs on different machines compute the same due times.

use std::sync::LazyLock;

use jiff::tz::{TimeZone, TimeZoneDatabase};

static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// Returns a time zone with its name in the usual spelling.
///
/// # Errors
/// There is none of this name; what to write instead.
pub(crate) fn zone_named(name: &str) -> Result<(String, TimeZone), String> {
    // the largest name has 32 bytes
    let zone = if name.len() > 100 { None } else { ZONES.get(name).ok() };
    let zone = zone.ok_or_else(|| unknown(name))?;
    let name = zone.iana_name().unwrap_or(name).to_owned();
    Ok((name, zone))
}

fn unknown(name: &str) -> String {
    let name: String = name.chars().take(100).collect();
    let city = name.rsplit('/').next().unwrap_or_default().to_lowercase();
    let start: String = city.chars().take(3).collect();
    let is_like = |zone: &String| {
        let other = zone.rsplit('/').next().unwrap_or_default().to_lowercase();
        city.len() >= 3 && other.starts_with(&start)
    };
    let alike: Vec<String> = ZONES.available().map(|zone| zone.to_string()).filter(is_like).take(3).collect();
    let examples = if alike.is_empty() { "Europe/Berlin` or `UTC".to_owned() } else { alike.join("` or `") };
    format!("there is no time zone `{name}`; write a name such as `{examples}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_have_their_usual_names_and_wrong_ones_a_suggestion() {
        assert_eq!(zone_named("europe/berlin").expect("a zone").0, "Europe/Berlin");
        assert_eq!(zone_named("UTC").expect("a zone").0, "UTC");
        let message = zone_named("Europe/Berln").expect_err("no zone");
        assert!(message.contains("no time zone `Europe/Berln`") && message.contains("`Europe/Berlin`"), "{message}");
        for name in ["", "+02:00", "../../etc/passwd", "MESZ", &"x".repeat(1_000)] {
            assert!(zone_named(name).is_err(), "{name}");
        }
    }
}
