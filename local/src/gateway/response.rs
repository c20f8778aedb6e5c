//! Converts a function's response to an HTTP response (same page as the event: "Lambda function response for format 2.0").

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

/// The HTTP response for a function's payload; `None` if API Gateway cannot read it and responds with a 500 itself.
pub(super) fn from_payload(payload: &[u8]) -> Option<Response> {
    match serde_json::from_slice(payload).ok()? {
        Value::Object(object) if object.contains_key("statusCode") => from_structured(object),
        value => {
            // Without a status code, the whole payload is the body of a 200.
            let body = match value {
                Value::String(text) => text,
                other => other.to_string(),
            };
            let mut response = Response::new(Body::from(body));
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            Some(response)
        }
    }
}

/// The response for a payload with `statusCode`.
fn from_structured(mut object: Map<String, Value>) -> Option<Response> {
    let status = match object.remove("statusCode")? {
        Value::Number(number) => number.as_u64()?,
        Value::String(text) => text.parse().ok()?,
        _ => return None,
    };
    let status = StatusCode::from_u16(u16::try_from(status).ok()?).ok().filter(|status| status.as_u16() <= 599)?;
    let body = match object.remove("body") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::String(text)) if object.get("isBase64Encoded") == Some(&Value::Bool(true)) => {
            STANDARD.decode(text).ok()?
        }
        Some(Value::String(text)) => text.into_bytes(),
        Some(_) => return None,
    };
    let has_body = !body.is_empty();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in header_entries(object.remove("headers"))? {
        let value = match value {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            Value::Bool(value) => value.to_string(),
            Value::Null | Value::Array(_) | Value::Object(_) => return None,
        };
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        // These headers concern the connection between API Gateway and the client.
        if !matches!(name, header::CONNECTION | header::CONTENT_LENGTH | header::TRANSFER_ENCODING) {
            headers.append(name, HeaderValue::from_str(&value).ok()?);
        }
    }
    if let Some(Value::Array(cookies)) = object.remove("cookies") {
        for cookie in cookies {
            headers.append(header::SET_COOKIE, HeaderValue::from_str(cookie.as_str()?).ok()?);
        }
    }
    if has_body && !headers.contains_key(header::CONTENT_TYPE) {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain;charset=UTF-8"));
    }
    Some(response)
}

fn header_entries(headers: Option<Value>) -> Option<Map<String, Value>> {
    match headers {
        None | Some(Value::Null) => Some(Map::new()),
        Some(Value::Object(headers)) => Some(headers),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;

    async fn convert(payload: &str) -> Option<(u16, Vec<(String, String)>, String)> {
        let response = from_payload(payload.as_bytes())?;
        let headers = response.headers().iter();
        let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        Some((status, headers, String::from_utf8(body.to_vec()).unwrap()))
    }

    #[tokio::test]
    async fn a_structured_response_becomes_status_headers_cookies_and_body() {
        let payload = r#"{"statusCode":422,"headers":{"Content-Type":"application/problem+json","retry-after":5,"content-length":"999"},
            "cookies":["a=1","b=2"],"body":"e30=","isBase64Encoded":true,"multiValueHeaders":{}}"#;
        let (status, headers, body) = convert(payload).await.unwrap();
        assert_eq!((status, body.as_str()), (422, "{}"));
        let expected = [
            ("content-type", "application/problem+json"),
            ("retry-after", "5"),
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2"),
        ];
        assert_eq!(headers, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[tokio::test]
    async fn without_a_status_code_the_payload_is_the_body() {
        for (payload, expected) in [(r#"{"a":1}"#, r#"{"a":1}"#), (r#""hello""#, "hello"), ("null", "null")] {
            let (status, headers, body) = convert(payload).await.unwrap();
            assert_eq!((status, body.as_str()), (200, expected));
            assert_eq!(headers, [("content-type".to_owned(), "application/json".to_owned())]);
        }
    }

    #[tokio::test]
    async fn an_unreadable_payload_has_no_response() {
        for payload in [
            "",
            "{",
            r#"{"statusCode":"x"}"#,
            r#"{"statusCode":42}"#,
            r#"{"statusCode":700}"#,
            r#"{"statusCode":200,"headers":[]}"#,
            r#"{"statusCode":200,"headers":{"a":{}}}"#,
            r#"{"statusCode":200,"body":{}}"#,
            r#"{"statusCode":200,"body":"!","isBase64Encoded":true}"#,
        ] {
            assert!(convert(payload).await.is_none(), "{payload}");
        }
    }
}
