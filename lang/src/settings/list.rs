//! What the settings whose value is a list have in common.

/// Most entries in one setting. The plan repeats them for every step below.
const MAX_ENTRIES: usize = 64;

/// Returns the list, or an error if it has too many entries. `what` are the entries, in the plural.
pub(super) fn bounded<T>(list: Vec<T>, what: &str) -> Result<Vec<T>, String> {
    if list.len() > MAX_ENTRIES {
        return Err(format!("more than {MAX_ENTRIES} {what} in one setting"));
    }
    Ok(list)
}
