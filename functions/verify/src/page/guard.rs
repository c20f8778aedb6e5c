//! Whether a form was sent by the page itself. The session's cookie is not sent by other sites; this is the second lock.

use shared::http::{Problem, Request};

use super::settings::origin;

/// Refuses a request that another site, or nothing that says where it comes from, has sent.
///
/// With `Referrer-Policy: no-referrer`, browsers send `Origin: null` with a form of the page itself (Fetch Standard, "append a
/// request Origin header"), so that counts only beside `Sec-Fetch-Site`.
///
/// # Errors
/// 403.
pub(crate) fn require_same_origin(request: &Request) -> Result<(), Problem> {
    let header = |name: &str| request.headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let own = origin(request);
    let is_own = |sent: &str| own.as_deref() == Some(sent);
    let good = match (header("sec-fetch-site"), header("origin")) {
        (Some("same-origin"), None | Some("null")) => true,
        (Some("same-origin") | None, Some(sent)) => is_own(sent),
        _ => false,
    };
    good.then_some(()).ok_or_else(|| Problem::new(403, "The request did not come from the page."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_page_itself_sends_forms() {
        let own = "https://api.example.com";
        for (site, sent, good) in [
            (Some("same-origin"), Some("null"), true),
            (Some("same-origin"), Some(own), true),
            (Some("same-origin"), None, true),
            (None, Some(own), true),
            (None, None, false),
            (None, Some("null"), false),
            (None, Some("http://api.example.com"), false),
            (None, Some("https://api.example.com.evil.test"), false),
            (Some("same-origin"), Some("https://evil.test"), false),
            (Some("same-site"), Some(own), false),
            (Some("cross-site"), Some("https://evil.test"), false),
            (Some("none"), Some("null"), false),
            (Some(""), Some(own), false),
        ] {
            let mut request = Request::default();
            request.headers.insert("host", "api.example.com".parse().unwrap());
            for (name, value) in [("sec-fetch-site", site), ("origin", sent)] {
                if let Some(value) = value {
                    request.headers.insert(name, value.parse().unwrap());
                }
            }
            assert_eq!(require_same_origin(&request).is_ok(), good, "{site:?} {sent:?}");
        }
    }
}
