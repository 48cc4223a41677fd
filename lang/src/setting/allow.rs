//! `net GET api.example.com:443, secret API_KEY, postgres main`.

use bue_model::NetRule;
use bue_model::plan::Capability;

use super::{Problem, unquoted};
use crate::code;

/// Most permissions in one setting, and longest one in bytes. The plan repeats them for every step below.
const MAX_LIST: usize = 64;
const MAX_NAME: usize = 255;

const HINT: &str = "`!allow net api.example.com:443, secret API_KEY, postgres main`";

pub(super) fn read(text: &str) -> Result<Vec<Capability>, Problem> {
    let bad = |message: String| Problem::new(code::BAD_ALLOW, text, message, HINT);
    if text.is_empty() {
        return Err(bad("what is allowed is missing".into()));
    }
    let list: Result<Vec<_>, _> = text.split(',').map(|part| capability(part.trim())).collect();
    match list.map_err(bad)? {
        list if list.len() > MAX_LIST => Err(bad(format!("more than {MAX_LIST} permissions in one setting"))),
        list => Ok(list),
    }
}

fn capability(text: &str) -> Result<Capability, String> {
    let (kind, name) = text.split_once([' ', '\t']).unwrap_or((text, ""));
    let name = unquoted(name.trim());
    if text.is_empty() {
        return Err("a permission is missing beside a comma".into());
    }
    if name.is_empty() || name.len() > MAX_NAME {
        return Err(format!("`{}` names nothing to allow", short(text)));
    }
    match kind {
        // kept as written: the worker that looks at it reads the same words
        "net" => name.parse::<NetRule>().map(|_| Capability::Net(name.into())).map_err(|wrong| wrong.to_string()),
        "secret" if is_word(name) => Ok(Capability::Secret(name.into())),
        "postgres" if is_word(name) => Ok(Capability::Postgres(name.into())),
        "secret" | "postgres" => Err(format!("`{}` is no name", short(name))),
        _ => Err(format!("`{}` is no kind of permission: net, secret or postgres", short(kind))),
    }
}

fn short(text: &str) -> String {
    text.chars().take(40).collect()
}

fn is_word(text: &str) -> bool {
    text.chars().all(|char| char.is_alphanumeric() || "_-.".contains(char))
}
