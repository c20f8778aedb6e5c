//! The event that a function receives for a request (API Gateway developer guide, "Working with AWS Lambda proxy
//! integrations for HTTP APIs", payload format version 2.0).

use std::collections::BTreeMap;
use std::net::SocketAddr;

use axum::http::request::Parts;
use axum::http::{HeaderMap, Version, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::authorizer::AuthorizedCaller;
use super::path::query_pairs;
use super::route_table::RouteMatch;

/// A request with everything that its event contains.
pub(super) struct RoutedRequest<'a> {
    /// The id of the account that owns the API.
    pub(super) account_id: &'a str,
    /// The id of the API.
    pub(super) api_id: &'a str,
    /// The name of the stage.
    pub(super) stage: &'a str,
    /// The id of the request.
    pub(super) request_id: &'a str,
    /// When the request was received.
    pub(super) now: Timestamp,
    /// The address of the client.
    pub(super) peer: SocketAddr,
    /// The method, path and headers.
    pub(super) parts: &'a Parts,
    /// The body.
    pub(super) body: &'a [u8],
    /// The caller, if the route has an authorizer.
    pub(super) caller: Option<&'a AuthorizedCaller>,
    /// The route and the values of its path variables.
    pub(super) route_match: &'a RouteMatch<'a>,
}

impl RoutedRequest<'_> {
    /// The event for this request.
    pub(super) fn to_event(&self) -> Value {
        let parts = self.parts;
        let path = parts.uri.path();
        let query = parts.uri.query().unwrap_or_default();
        let host = text(&parts.headers, header::HOST.as_str()).unwrap_or_default();
        let domain = host.rsplit_once(':').map_or(host.as_str(), |(domain, _)| domain);
        let mut event = json!({
            "version": "2.0",
            "routeKey": self.route_match.route.key,
            "rawPath": path,
            "rawQueryString": query,
            "headers": self.headers(),
            "requestContext": {
                "accountId": self.account_id,
                "apiId": self.api_id,
                "domainName": domain,
                "domainPrefix": domain.split('.').next(),
                "http": {
                    "method": parts.method.as_str(),
                    "path": path,
                    "protocol": protocol(parts.version),
                    "sourceIp": self.peer.ip().to_string(),
                    "userAgent": text(&parts.headers, header::USER_AGENT.as_str()).unwrap_or_default(),
                },
                "requestId": self.request_id,
                "routeKey": self.route_match.route.key,
                "stage": self.stage,
                "time": self.now.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string(),
                "timeEpoch": self.now.as_millisecond(),
            },
            "isBase64Encoded": false,
        });
        if let Some(caller) = self.caller {
            event["requestContext"]["authorizer"]["iam"] = json!({
                "accessKey": caller.access_key,
                "accountId": caller.account_id,
                "callerId": caller.caller_id,
                "cognitoIdentity": null,
                "principalOrgId": null,
                "userArn": caller.user_arn,
                "userId": caller.caller_id,
            });
        }
        let cookies = self.cookies();
        if !cookies.is_empty() {
            event["cookies"] = cookies.into();
        }
        if !query.is_empty() {
            event["queryStringParameters"] = json!(join_repeated(query_pairs(query)));
        }
        if !self.route_match.parameters.is_empty() {
            event["pathParameters"] = json!(self.route_match.parameters);
        }
        if !self.body.is_empty() {
            let content_type = text(&parts.headers, header::CONTENT_TYPE.as_str());
            match std::str::from_utf8(self.body) {
                Ok(body) if is_text(content_type.as_deref()) => event["body"] = body.into(),
                _ => {
                    event["body"] = STANDARD.encode(self.body).into();
                    event["isBase64Encoded"] = true.into();
                }
            }
        }
        event
    }

    /// The headers with names in lower case, without cookies, and with the headers that API Gateway adds. The values of a
    /// repeated header are joined with commas.
    fn headers(&self) -> BTreeMap<String, String> {
        let headers = self.parts.headers.iter().filter(|(name, _)| *name != header::COOKIE);
        let mut headers =
            join_repeated(headers.map(|(name, value)| (name.as_str().to_owned(), lossy(value.as_bytes()))));
        headers.insert("x-forwarded-for".to_owned(), self.peer.ip().to_string());
        headers.insert("x-forwarded-proto".to_owned(), "http".to_owned());
        if let Some((_, port)) = headers.get("host").and_then(|host| host.rsplit_once(':')) {
            headers.insert("x-forwarded-port".to_owned(), port.to_owned());
        }
        headers
    }

    fn cookies(&self) -> Vec<String> {
        let cookies = self.parts.headers.get_all(header::COOKIE).iter().map(|value| lossy(value.as_bytes()));
        cookies.flat_map(|cookies| cookies.split("; ").map(str::to_owned).collect::<Vec<_>>()).collect()
    }
}

/// The values of each name, joined with commas.
fn join_repeated(pairs: impl Iterator<Item = (String, String)>) -> BTreeMap<String, String> {
    let mut joined: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in pairs {
        match joined.get_mut(&name) {
            Some(values) => {
                values.push(',');
                values.push_str(&value);
            }
            None => drop(joined.insert(name, value)),
        }
    }
    joined
}

/// Whether API Gateway passes a body of this type on as text. All others, also forms, become base64.
fn is_text(content_type: Option<&str>) -> bool {
    let Some(content_type) = content_type else { return true };
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind.starts_with("text/")
        || matches!(kind.as_str(), "application/json" | "application/javascript" | "application/xml")
        || kind.ends_with("+json")
        || kind.ends_with("+xml")
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        _ => "HTTP/1.1",
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(|value| lossy(value.as_bytes()))
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
