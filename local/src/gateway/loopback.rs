//! `/_local` is for callers on this machine who mean it: it asks for no signature, so a web page must not reach it through the
//! user's browser, neither by another name for this address (DNS rebinding) nor by a request from another origin.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, Request};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use super::said;

/// Lets a request through that came from this machine, to this machine by name or address, and not from a page of another.
pub(super) async fn guard(ConnectInfo(peer): ConnectInfo<SocketAddr>, request: Request, next: Next) -> Response {
    if peer.ip().is_loopback() && is_meant(request.headers()) {
        next.run(request).await
    } else {
        said(StatusCode::FORBIDDEN, "Forbidden")
    }
}

fn is_meant(headers: &HeaderMap) -> bool {
    let header = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let from_here = match header(header::ORIGIN) {
        None => true,
        Some(origin) => origin.split_once("://").is_some_and(|(_, authority)| is_loopback(authority)),
    };
    from_here && header(header::HOST).is_some_and(is_loopback)
}

/// Whether an authority (host and port) is this machine.
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
    fn only_requests_that_name_this_machine_are_meant() {
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
            assert_eq!(is_meant(&headers), expected, "{host:?} {origin:?}");
        }
    }
}
