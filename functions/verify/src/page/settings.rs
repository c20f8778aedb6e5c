//! Whose page it is, and where it lies.

use shared::custody::PageToken;
use shared::http::{Problem, Request};
use shared::id::LinkId;
use shared::runtime::ColdStart;
use thiserror::Error;

use crate::onboarding_link::{InvalidReturnUrls, ReturnUrls};

/// What the template's parameters say about the page.
pub(crate) struct PageSettings {
    /// Who asks, as the page calls it.
    pub(crate) operator_name: String,
    /// Its logo. The one thing that the page may load from elsewhere.
    pub(crate) logo_url: Option<String>,
    /// Where the page may lead back to.
    pub(crate) return_urls: ReturnUrls,
    /// Where the page lies, `https://` and a host; without it, where the link was asked for.
    page_url: Option<String>,
}

/// A setting of the page cannot be used.
#[derive(Debug, Error)]
pub(crate) enum InvalidPageSettings {
    /// The URLs that it may lead back to.
    #[error("ONBOARDING_RETURN_URLS: {0}")]
    ReturnUrls(#[from] InvalidReturnUrls),
    /// Its own URL.
    #[error("ONBOARDING_PAGE_URL must be https:// and a host, without a path")]
    PageUrl,
    /// The logo's URL.
    #[error("OPERATOR_LOGO_URL must be an https:// URL of plain characters")]
    LogoUrl,
    /// The operator's name.
    #[error("OPERATOR_NAME is missing")]
    OperatorName,
}

impl PageSettings {
    /// The settings of this cold start.
    ///
    /// # Errors
    /// One of them cannot be used.
    pub(crate) fn new(start: &ColdStart) -> Result<Self, InvalidPageSettings> {
        let optional = |name: &str| start.environment.optional(name).filter(|text| !text.is_empty()).map(str::to_owned);
        let page_url = optional("ONBOARDING_PAGE_URL");
        if page_url.as_deref().is_some_and(|url| !is_origin(url)) {
            return Err(InvalidPageSettings::PageUrl);
        }
        let logo_url = optional("OPERATOR_LOGO_URL");
        if logo_url.as_deref().is_some_and(|url| !is_plain_https(url)) {
            return Err(InvalidPageSettings::LogoUrl);
        }
        Ok(Self {
            operator_name: optional("OPERATOR_NAME").ok_or(InvalidPageSettings::OperatorName)?,
            logo_url,
            return_urls: ReturnUrls::from_variable(&optional("ONBOARDING_RETURN_URLS").unwrap_or_default())?,
            page_url,
        })
    }

    /// The URL that opens a link. Its token is in the fragment, which no browser sends and no server logs.
    ///
    /// # Errors
    /// 400 if the request does not say which host it was sent to.
    pub(crate) fn url(&self, request: &Request, link_id: &LinkId, token: &PageToken) -> Result<String, Problem> {
        let origin = match &self.page_url {
            Some(url) => url.clone(),
            None => origin(request).ok_or_else(|| Problem::new(400, "The request has no `host` header."))?,
        };
        Ok(format!("{origin}/connect/{link_id}#{}", *token.to_text()))
    }
}

/// The origin that a request was sent to.
pub(crate) fn origin(request: &Request) -> Option<String> {
    let header = |name: &str| request.headers.get(name)?.to_str().ok();
    let scheme = header("x-forwarded-proto").filter(|scheme| *scheme == "http").unwrap_or("https");
    Some(format!("{scheme}://{}", header("host")?))
}

/// Whether a text is `https://` and a host.
fn is_origin(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':');
    text.strip_prefix("https://").is_some_and(|host| !host.is_empty() && host.bytes().all(plain))
}

/// Whether a text can stand in a header and an attribute as it is.
fn is_plain_https(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b';' | b',' | b'<' | b'>' | b'\\');
    text.starts_with("https://") && text.bytes().all(plain) && text["https://".len()..].contains('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_of_the_page_is_a_host_and_a_logo_is_plain() {
        assert!(is_origin("https://connect.example.com") && is_origin("https://localhost:8443"));
        for bad in ["https://", "http://example.com", "https://example.com/", "https://a b", "example.com"] {
            assert!(!is_origin(bad), "{bad}");
        }
        assert!(is_plain_https("https://cdn.example.com/logo.svg?v=1"));
        for bad in
            ["https://cdn.example.com", "http://cdn.example.com/x", "https://x/\"", "https://x/ y", "https://x/;y"]
        {
            assert!(!is_plain_https(bad), "{bad}");
        }
    }

    #[test]
    fn the_origin_is_the_host_that_was_asked() {
        let mut request = Request::default();
        assert_eq!(origin(&request), None);
        request.headers.insert("host", "api.example.com".parse().unwrap());
        assert_eq!(origin(&request).unwrap(), "https://api.example.com");
        request.headers.insert("x-forwarded-proto", "http".parse().unwrap());
        assert_eq!(origin(&request).unwrap(), "http://api.example.com");
    }
}
