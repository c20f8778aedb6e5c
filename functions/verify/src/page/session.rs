//! The session of a link's page: a cookie that no script reads, that no other site sends along, and that is of one link.

use jiff::Timestamp;
use shared::custody::PageToken;
use shared::http::Request;
use shared::id::LinkId;
use shared::record::OnboardingLink;

use crate::onboarding_link::SESSION_LENGTH;

/// The session that a request has for a link's page, if it has one that lasts.
pub(crate) fn session_of(request: &Request, link: &OnboardingLink, now: Timestamp) -> Option<PageToken> {
    session_in_cookies(request, &link.link_id).filter(|session| link.is_session(session, now))
}

/// The session that a request claims for a link. Whether it is one stands in the link.
fn session_in_cookies(request: &Request, link_id: &LinkId) -> Option<PageToken> {
    let prefix = format!("{}=", cookie_name(link_id));
    let cookies = request.cookies.iter().flatten();
    cookies.filter_map(|cookie| cookie.trim().strip_prefix(&prefix)).find_map(PageToken::parse)
}

/// The cookie that begins or prolongs a session.
pub(crate) fn cookie(link_id: &LinkId, session: &PageToken) -> String {
    let (name, length) = (cookie_name(link_id), SESSION_LENGTH.as_secs());
    format!("{name}={}; Path=/; Max-Age={length}; Secure; HttpOnly; SameSite=Strict", *session.to_text())
}

/// A link has a name of its own, so that two of them can be open in one browser.
fn cookie_name(link_id: &LinkId) -> String {
    format!("__Host-{link_id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_read_from_the_cookie_of_its_link_alone() {
        let link = LinkId::parse("lnk_01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap();
        let other = LinkId::parse("lnk_01ARZ3NDEKTSV4RRFFQ69G5FAW").unwrap();
        let session = PageToken::generate().unwrap();
        let cookie = cookie(&link, &session);
        assert!(cookie.starts_with("__Host-lnk_01ARZ3NDEKTSV4RRFFQ69G5FAV="));
        assert!(cookie.ends_with("; Path=/; Max-Age=1800; Secure; HttpOnly; SameSite=Strict"));
        let mut request = Request::default();
        assert!(session_in_cookies(&request, &link).is_none());
        let sent = cookie.split(';').next().unwrap().to_owned();
        request.cookies = Some(vec!["a=b".to_owned(), sent]);
        assert_eq!(session_in_cookies(&request, &link).unwrap().digest(), session.digest());
        assert!(session_in_cookies(&request, &other).is_none());
    }
}
