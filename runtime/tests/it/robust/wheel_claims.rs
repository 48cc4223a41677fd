//! What must hold for any bytes that should be a wheel.

use bue_runtime::{Wheel, is_native};

/// Bytes of a file that are read as text.
const MAX_TEXT: u64 = 10_000;

/// Bytes are a zip file whose files all stay inside it, or an error. Returns whether they are such a file.
pub(crate) fn check_wheel(bytes: &[u8]) -> bool {
    let Ok(mut wheel) = Wheel::open(bytes) else { return false };
    let Ok(paths) = wheel.paths() else { return false };
    for path in &paths {
        assert!(!path.is_empty() && path.len() <= 1_000, "{path:?}");
        assert!(path.split('/').all(|part| !matches!(part, "" | "." | "..")), "{path:?}");
        assert!(!path.contains(['\\', '\0', ':']), "{path:?}");
        let _ = is_native(path);
    }
    for path in paths.iter().take(3) {
        if let Ok(Some(text)) = wheel.text(path, MAX_TEXT) {
            // a byte that is no UTF-8 becomes a character of three
            assert!(text.len() as u64 <= 3 * MAX_TEXT, "{path:?}");
        }
    }
    true
}
