//! The standard library of the sandbox, and its modules of Buelon. The data is in `guest_modules.txt` and `guest_buelon.txt`,
//! which a test compares with the guest.

const LIST: &str = include_str!("guest_modules.txt");
const BUELON: &str = include_str!("guest_buelon.txt");

/// Whether a step can import a module of the standard library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LibraryModule {
    /// It can.
    Works,
    /// Python has the module, but a step cannot import it.
    CannotWork,
}

/// Looks up a dotted name; `None` if it is no module of the standard library. A module inside a package is looked up as its
/// package, unless the list has it.
pub(crate) fn library_module(name: &str) -> Option<LibraryModule> {
    let ends = name.match_indices('.').map(|(at, _)| at).chain([name.len()]);
    let prefixes: Vec<&str> = ends.filter_map(|end| name.get(..end)).collect();
    if lines().any(|line| line.strip_prefix('-').is_some_and(|line| prefixes.contains(&line))) {
        return Some(LibraryModule::CannotWork);
    }
    let top = prefixes.first()?;
    lines().any(|line| line == *top).then_some(LibraryModule::Works)
}

/// Returns the names of the modules that a step can import.
pub(crate) fn importable() -> impl Iterator<Item = &'static str> {
    lines().filter(|line| !line.starts_with('-'))
}

fn lines() -> impl Iterator<Item = &'static str> {
    LIST.lines().filter(|line| !line.starts_with('#'))
}

/// The modules of Buelon and of its predecessor that a step can import, by their whole names.
pub(crate) fn buelon_modules() -> impl Iterator<Item = &'static str> {
    BUELON.lines().filter(|line| !line.starts_with('#'))
}

/// Whether a step can import a module of Buelon or of its predecessor.
pub(crate) fn has_buelon_module(name: &str) -> bool {
    buelon_modules().any(|module| module == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_found_by_their_package() {
        for name in ["json", "os.path", "xml.etree.ElementTree", "concurrent.futures", "multiprocessing", "_json"] {
            assert_eq!(library_module(name), Some(LibraryModule::Works), "{name}");
        }
        for name in ["ctypes.wintypes", "curses", "multiprocessing.shared_memory", "grp"] {
            assert_eq!(library_module(name), Some(LibraryModule::CannotWork), "{name}");
        }
        for name in ["requests", "jsonx", "no.such"] {
            assert_eq!(library_module(name), None, "{name}");
        }
        assert!(importable().any(|name| name == "csv"));
    }
}
