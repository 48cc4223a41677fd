//! The style sheet, the module and the icon: files of ours that are part of the program. Their names contain their hashes, so a browser
//! keeps them for a year, and loads a new release's at once.

use std::sync::LazyLock;

use bytes::Bytes;
use flate2::Compression;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

use crate::http::reply::{Body, ErrorReply, typed};
use crate::web::compression::{accepts_gzip, gzip};

const STYLE: &str = include_str!("style.css");
const MODULE: &str = include_str!("module.js");
const ICON: &str = include_str!("icon.svg");

/// An asset as it is served.
pub(super) struct Asset {
    /// `style-0123456789abcdef.css`
    name: String,
    content_type: &'static str,
    text: &'static str,
    compressed: Option<Bytes>,
}

/// The assets of the pages.
pub(super) struct Assets {
    style: Asset,
    module: Asset,
    icon: Asset,
    /// Differs between releases, and between builds whose assets differ.
    version: String,
}

static ASSETS: LazyLock<Assets> = LazyLock::new(|| Assets {
    style: Asset::new("style", "css", "text/css; charset=utf-8", STYLE),
    module: Asset::new("module", "js", "text/javascript; charset=utf-8", MODULE),
    icon: Asset::new("icon", "svg", "image/svg+xml", ICON),
    version: format!("{}-{}", env!("CARGO_PKG_VERSION"), short_hash(&[STYLE, MODULE, ICON].concat())),
});

impl Asset {
    fn new(name: &str, ending: &str, content_type: &'static str, text: &'static str) -> Self {
        let name = format!("{name}-{}.{ending}", short_hash(text));
        let compressed = gzip(text.as_bytes(), Compression::best()).map(Bytes::from);
        Self { name, content_type, text, compressed }
    }
}

fn short_hash(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex().chars().take(16).collect()
}

/// The address of the style sheet.
pub(super) fn style_path() -> String {
    format!("/assets/{}", ASSETS.style.name)
}

/// The address of the module.
pub(super) fn module_path() -> String {
    format!("/assets/{}", ASSETS.module.name)
}

/// The address of the icon.
pub(super) fn icon_path() -> String {
    format!("/assets/{}", ASSETS.icon.name)
}

/// What a page is made with. A page that was made with something else loads itself again.
pub(super) fn version() -> &'static str {
    &ASSETS.version
}

/// Returns an asset by its name.
pub(super) fn asset(name: &str, request: &HeaderMap) -> Result<Response<Body>, ErrorReply> {
    let all = [&ASSETS.style, &ASSETS.module, &ASSETS.icon];
    let Some(asset) = all.into_iter().find(|asset| asset.name == name) else {
        let message = "this file belongs to another release of bue";
        return Err(ErrorReply::new(StatusCode::NOT_FOUND, "no_such_route", message, "load the page again"));
    };
    let compressed = asset.compressed.as_ref().filter(|_| accepts_gzip(request));
    let bytes = compressed.cloned().unwrap_or(Bytes::from_static(asset.text.as_bytes()));
    let mut response = typed(asset.content_type, bytes);
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if compressed.is_some() {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_is_small_and_nothing_is_loaded_from_elsewhere() {
        assert!(MODULE.len() <= 15 * 1024, "the module has {} bytes", MODULE.len());
        for text in [STYLE, MODULE] {
            assert!(!text.contains("http://") && !text.contains("https://") && !text.contains("@import"));
        }
        assert!(!MODULE.contains("innerHTML") && !MODULE.contains("eval("), "texts of others would become markup");
    }
}
