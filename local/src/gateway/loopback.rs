//! Protects `/_local`, which requires no signature. A web page must not reach it through the user's browser, neither with
//! another name for this address (DNS rebinding) nor with a request from another origin.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, Request};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use super::message_response;

/// Accepts a request only if it comes from this machine, names this machine as its host, and has no foreign origin.
pub(super) async fn require_loopback(
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    if peer.ip().is_loopback() && names_only_this_machine(request.headers()) {
        next.run(request).await
    } else {
        message_response(StatusCode::FORBIDDEN, "Forbidden")
    }
}

/// Whether the `Host` header and the `Origin` header, if there is one, name this machine.
fn names_only_this_machine(headers: &HeaderMap) -> bool {
    let header = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let is_own_origin = match header(header::ORIGIN) {
        None => true,
        Some(origin) => origin.split_once("://").is_some_and(|(_, authority)| is_loopback(authority)),
    };
    is_own_origin && header(header::HOST).is_some_and(is_loopback)
}

/// Whether an authority (host and port) names this machine.
fn is_loopback(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_requests_that_name_this_machine_are_accepted() {
        let table: [(Option<&str>, Option<&str>, bool); 12] = [
            (Some("127.0.0.1:9000"), None, true),
            (Some("localhost:9000"), None, true),
            (Some("LOCALHOST"), None, true),
            (Some("[::1]:9000"), None, true),
            (Some("127.0.0.1:9000"), Some("http://localhost:3000"), true),
            (Some("127.0.0.1:9000"), Some("http://evil.example"), false),
            (Some("127.0.0.1:9000"), Some("null"), false),
            (Some("evil.example:9000"), None, false),
            (Some("127.0.0.1.evil.example"), None, false),
            (Some("localhost.evil.example:9000"), None, false),
            (Some("10.0.0.1:9000"), None, false),
            (None, None, false),
        ];
        for (host, origin, expected) in table {
            let mut headers = HeaderMap::new();
            for (name, value) in [(header::HOST, host), (header::ORIGIN, origin)] {
                if let Some(value) = value {
                    headers.insert(name, value.parse().unwrap());
                }
            }
            assert_eq!(names_only_this_machine(&headers), expected, "{host:?} {origin:?}");
        }
    }
}
