//! A page on each code, from `docs/errors.md`.

const PAGES: &str = include_str!("../../../docs/errors.md");

/// What a code means, with a wrong and a right example; `None` if there is no such code. Ignores case.
#[must_use]
pub fn explain(code: &str) -> Option<&'static str> {
    let heading = format!("\n## {} ", code.trim().to_uppercase());
    let start = PAGES.find(&heading)? + 1;
    let page = PAGES.get(start..)?;
    let end = page.get(3..)?.find("\n## ").map_or(page.len(), |at| at + 3);
    page.get(3..end).map(str::trim_end)
}
