//! What the page loads: one style sheet, one script, one icon, embedded in the binary. Each is named after its digest, so a
//! browser may keep it forever, and the page says what it has to be.

use std::sync::LazyLock;

use aws_lambda_events::encodings::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use sha2::{Digest as _, Sha256};
use shared::http::Response;

/// One of the files.
pub(crate) struct Asset {
    /// Its name in the URL.
    name: String,
    /// What a browser compares it with.
    pub(crate) integrity: String,
    content_type: &'static str,
    text: &'static str,
}

/// All of them.
pub(crate) struct Assets {
    /// The style sheet.
    pub(crate) css: Asset,
    /// The script.
    pub(crate) js: Asset,
    /// The icon.
    pub(crate) icon: Asset,
}

static ASSETS: LazyLock<Assets> = LazyLock::new(|| Assets {
    css: Asset::new("css", "text/css; charset=utf-8", include_str!("../../page/page.css")),
    js: Asset::new("js", "text/javascript; charset=utf-8", include_str!("../../page/page.js")),
    icon: Asset::new("svg", "image/svg+xml", include_str!("../../page/icon.svg")),
});

impl Assets {
    /// The files of this binary.
    pub(crate) fn get() -> &'static Self {
        &ASSETS
    }

    /// The file of this name. Another version's is not found: whoever has its page loads that again.
    pub(crate) fn find(&self, name: &str) -> Option<&Asset> {
        [&self.css, &self.js, &self.icon].into_iter().find(|asset| asset.name == name)
    }
}

impl Asset {
    fn new(extension: &str, content_type: &'static str, text: &'static str) -> Self {
        let digest = Sha256::digest(text.as_bytes());
        let short = base16ct::lower::encode_string(&digest[..8]);
        Self {
            name: format!("{short}.{extension}"),
            integrity: format!("sha256-{}", STANDARD.encode(digest)),
            content_type,
            text,
        }
    }

    /// Its path, from the root.
    pub(crate) fn path(&self) -> String {
        format!("/connect/assets/{}", self.name)
    }

    /// The answer with it.
    pub(crate) fn response(&self) -> Response {
        let mut response = Response::default();
        response.status_code = 200;
        response.headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        response.headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
        response.body = Some(Body::Text(self.text.to_owned()));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Page, style sheet and script together, as they stand.
    const MAX_BYTES: usize = 40_000;

    #[test]
    fn the_page_is_small_and_each_file_is_found_by_its_digest() {
        let assets = Assets::get();
        let html = include_str!("../../page/page.html");
        assert!(html.len() + assets.css.text.len() + assets.js.text.len() + assets.icon.text.len() < MAX_BYTES);
        for asset in [&assets.css, &assets.js, &assets.icon] {
            assert!(assets.find(&asset.name).is_some_and(|found| found.path() == asset.path()));
            assert_eq!(asset.integrity.len(), 51);
        }
        assert!(assets.find("page.css").is_none());
    }

    #[test]
    fn nothing_is_inline_and_nothing_is_loaded_from_elsewhere() {
        let all = [
            include_str!("../../page/page.html"),
            include_str!("../../page/page.css"),
            include_str!("../../page/page.js"),
        ];
        for text in all {
            for forbidden in
                ["http:", "https:", "//cdn", "style=", "onclick", "<style", "eval(", "innerHTML", "localStorage"]
            {
                assert!(!text.contains(forbidden), "{forbidden}");
            }
        }
    }
}
