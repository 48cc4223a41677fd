//! `net GET api.example.com:443, tcp redis.example.com:6379, bucket reports/*, secret API_KEY, postgres main, env API_URL`.

use bue_model::plan::Capability;
use bue_model::{NamePattern, NetRule};

use super::error::SettingError;
use super::list::bounded;
use crate::diagnostics::codes;
use crate::text::{shortened, unquoted};

/// Longest permission, in bytes.
const MAX_NAME: usize = 255;

/// Most characters of a text that a message repeats.
const MAX_SHOWN: usize = 40;

const HINT: &str = "`!allow net api.example.com:443, tcp redis.example.com:6379, bucket reports/*, secret API_KEY, \
                    postgres main, env API_URL`";

pub(super) fn parse(text: &str) -> Result<Vec<Capability>, SettingError> {
    let error = |message: String| SettingError::new(codes::INVALID_PERMISSION, text, message, HINT);
    if text.is_empty() {
        return Err(error("the permissions are missing".into()));
    }
    let list: Result<Vec<_>, _> = text.split(',').map(|part| capability(part.trim())).collect();
    list.and_then(|list| bounded(list, "permissions")).map_err(error)
}

fn capability(text: &str) -> Result<Capability, String> {
    let (kind, name) = text.split_once([' ', '\t']).unwrap_or((text, ""));
    let name = unquoted(name.trim()).trim();
    if text.is_empty() {
        return Err("a permission is missing next to a comma".into());
    }
    if name.is_empty() || name.len() > MAX_NAME {
        return Err(format!("`{}` does not name what it allows", shortened(text, MAX_SHOWN)));
    }
    match kind {
        // kept as written: the worker parses the same text
        "net" => name.parse::<NetRule>().map(|_| Capability::Net(name.into())).map_err(|error| error.to_string()),
        "tcp" => NetRule::parse_tcp(name).map(|_| Capability::Tcp(name.into())).map_err(|error| error.to_string()),
        "bucket" => {
            name.parse::<NamePattern>().map(|_| Capability::Bucket(name.into())).map_err(|error| error.to_string())
        }
        "secret" if is_plain_name(name) => Ok(Capability::Secret(name.into())),
        "postgres" if is_plain_name(name) => Ok(Capability::Postgres(name.into())),
        "env" if is_variable(name) => Ok(Capability::Env(name.into())),
        "secret" | "postgres" | "env" => Err(format!("`{}` is not a valid name", shortened(name, MAX_SHOWN))),
        _ => Err(format!(
            "`{}` is not a kind of permission; those are net, tcp, bucket, secret, postgres and env",
            shortened(kind, MAX_SHOWN)
        )),
    }
}

/// Environment variables have names that every shell can set.
fn is_variable(text: &str) -> bool {
    text.chars().all(|char| char.is_ascii_alphanumeric() || char == '_')
        && !text.starts_with(|char: char| char.is_ascii_digit())
}

fn is_plain_name(text: &str) -> bool {
    text.chars().all(|char| char.is_alphanumeric() || "_-.".contains(char))
}
