//! The pictures of the documentation: every page, light and dark. `tools/pictures.sh` writes them into `docs/pictures`.

use std::fs;
use std::path::PathBuf;

use serde_json::json;

use crate::browser::Browser;
use crate::site::shared;

/// The pages in the documentation: the others differ in little.
const PAGES: [&str; 17] = [
    "overview",
    "runs",
    "start-report",
    "run-completed",
    "run-timeline",
    "run-plan",
    "activity",
    "run-results",
    "run-failed",
    "diff",
    "job-failed",
    "errors",
    "pipeline",
    "schedules",
    "schedule",
    "workers",
    "settings",
];

#[test]
fn every_page_has_its_picture() {
    let shared = shared();
    let temporary = tempfile::tempdir().expect("a folder");
    let folder = std::env::var_os("BUE_PICTURES").map_or_else(|| temporary.path().to_owned(), PathBuf::from);
    let browser = Browser::open(&shared.site.address);
    for scheme in ["light", "dark"] {
        for (name, path) in shared.pages().into_iter().filter(|(name, _)| PAGES.contains(name)) {
            browser.set_width(1280);
            browser.prefer("prefers-color-scheme", scheme);
            browser.goto(&path);
            browser.wait_for(name, "document.documentElement.classList.contains('js')");
            browser.run("document.activeElement.blur()", json!([]));
            let picture = browser.picture();
            // the head of a PNG file has the width and the height
            let number =
                |at: usize| picture.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
            assert!(picture.starts_with(b"\x89PNG") && number(16) == Some(1280) && number(20) >= Some(400), "{name}");
            fs::write(folder.join(format!("{name}-{scheme}.png")), picture).expect("a file");
        }
    }
}
