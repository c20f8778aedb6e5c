//! Where a page may lead back to: what the operator has allowed, because a link that leads anywhere is a gift to phishers.

use thiserror::Error;

/// The longest URL that is taken.
const MAX_URL_CHARS: usize = 2_000;

/// The URLs that the template's parameter allows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ReturnUrls(Vec<String>);

/// An entry of the parameter is no URL that pages may lead back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "each of the return URLs must be https://, a host and a path (http://127.0.0.1 and http://localhost as well), and one that is to allow what is below it ends with a slash"
)]
pub(crate) struct InvalidReturnUrls;

impl ReturnUrls {
    /// The list of a parameter: URLs with commas between them, or nothing.
    ///
    /// # Errors
    /// An entry is no such URL.
    pub(crate) fn from_variable(text: &str) -> Result<Self, InvalidReturnUrls> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let entries = entries.map(|entry| is_url(entry).then(|| entry.to_owned()).ok_or(InvalidReturnUrls));
        entries.collect::<Result<_, _>>().map(Self)
    }

    /// Whether a page may lead back to this URL: it is one of the entries, or below one that ends with a slash.
    pub(crate) fn allow(&self, url: &str) -> bool {
        let allows = |entry: &String| url == entry || (entry.ends_with('/') && url.starts_with(entry.as_str()));
        is_url(url) && self.0.iter().any(allows)
    }
}

/// Whether a text is a URL with host and path, and without anything that a browser might read otherwise than we do.
fn is_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let Some((host, _)) = rest.split_once('/') else { return false };
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let secure = scheme == "https" || (scheme == "http" && matches!(name, "127.0.0.1" | "localhost"));
    let plain_host =
        !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':'));
    let plain = text.len() <= MAX_URL_CHARS
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'#' | b'"' | b'<' | b'>'));
    // A browser would resolve them, and so leave what an entry allows.
    let climbs = rest.split(['/', '?']).any(|segment| {
        let segment = segment.to_ascii_lowercase().replace("%2e", ".");
        segment == ".." || segment == "."
    });
    secure && plain_host && plain && !climbs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_allowed_as_it_stands_or_below_an_entry_that_ends_with_a_slash() {
        let urls = ReturnUrls::from_variable(
            "https://app.example.com/settings/, https://example.com/done,http://127.0.0.1:9000/",
        )
        .unwrap();
        for allowed in [
            "https://app.example.com/settings/",
            "https://app.example.com/settings/mail?tenant=acme&x=1",
            "https://example.com/done",
            "http://127.0.0.1:9000/back",
        ] {
            assert!(urls.allow(allowed), "{allowed}");
        }
        for refused in [
            "",
            "https://app.example.com/settings",
            "https://app.example.com/settings/../admin",
            "https://app.example.com/settings/%2E%2e/admin",
            "https://app.example.com/other/",
            "https://example.com/done/more",
            "https://example.com/done?x=1",
            "https://app.example.com.evil.test/settings/",
            "https://app.example.com@evil.test/settings/",
            "http://app.example.com/settings/",
            "javascript:alert(1)//app.example.com/settings/",
            "https://app.example.com/settings/#x",
            "https://app.example.com/settings/\\x",
            "https://app.example.com/settings/ x",
            "https://app.example.com/settings/\u{e9}",
        ] {
            assert!(!urls.allow(refused), "{refused}");
        }
        assert!(!ReturnUrls::default().allow("https://app.example.com/settings/"));
    }

    #[test]
    fn a_parameter_that_would_allow_more_than_it_says_is_refused() {
        assert_eq!(ReturnUrls::from_variable(" , "), Ok(ReturnUrls::default()));
        for entry in ["https://app.example.com", "http://app.example.com/", "//app.example.com/", "https:///x", "x"] {
            assert_eq!(ReturnUrls::from_variable(entry), Err(InvalidReturnUrls), "{entry}");
        }
    }
}
