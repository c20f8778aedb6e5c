//! Strict JSON: unknown fields are errors, and an error names the field, never the value.

use std::fmt::Display;

use aws_lambda_events::encodings::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;
use thiserror::Error;
use zeroize::Zeroizing;

use super::{Problem, Request, Response};

/// A field of a document is invalid. The error contains no value, and no name that is not ours: people paste secrets into
/// the wrong place.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{field}: {problem}")]
pub struct FieldError {
    /// The path of the field, such as `scope.provider_id` or `to[2]`; `body` for the document itself.
    pub field: String,
    /// What is wrong and what would be right.
    pub problem: String,
}

impl FieldError {
    /// An error of this field.
    pub fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }

    /// Turns the error of one of our own types into an error of this field. The error's text must not contain the value.
    pub fn from_display<E: Display>(field: impl Into<String>) -> impl FnOnce(E) -> Self {
        move |error| Self::new(field, error.to_string())
    }
}

/// The request's body as `T`.
///
/// # Errors
/// A 400 problem that names the field.
pub fn body<T: DeserializeOwned>(request: &Request) -> Result<T, Problem> {
    let text = request.body.as_deref().unwrap_or_default();
    let decoded;
    let bytes = if request.is_base64_encoded {
        decoded = Zeroizing::new(
            STANDARD.decode(text).map_err(|_| Problem::bad_request(&FieldError::new("body", "is not valid base64")))?,
        );
        decoded.as_slice()
    } else {
        text.as_bytes()
    };
    decode(bytes).map_err(|error| Problem::bad_request(&error))
}

/// A JSON object as `T`.
///
/// # Errors
/// [`FieldError`] names the field. serde's own text is dropped, because it quotes values.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, FieldError> {
    // serde also reads an array as a struct, in the order of the fields.
    if bytes.trim_ascii_start().starts_with(b"[") {
        return Err(FieldError::new("body", "must be a JSON object"));
    }
    // Keeping track of the path costs as much as reading, and almost every document is right.
    if let Ok(value) = serde_json::from_slice(bytes) {
        return Ok(value);
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json)
        .map_err(|error| field_error(&error.path().iter().collect::<Vec<_>>(), error.inner()))?;
    json.end().map_err(|error| field_error(&[], &error))?;
    Ok(value)
}

/// A JSON response.
pub fn respond(status: u16, body: &impl Serialize) -> Response {
    match serde_json::to_string(body) {
        Ok(body) => build_response(status, "application/json", body),
        Err(_) => Problem::internal().into(),
    }
}

pub(super) fn build_response(status: u16, content_type: &'static str, body: String) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    let mut response = Response::default();
    response.status_code = i64::from(status);
    response.headers = headers;
    response.body = Some(Body::Text(body));
    response
}

/// Turns serde's error into the path of a field and a fixed text.
fn field_error(path: &[&Segment], error: &serde_json::Error) -> FieldError {
    let text = error.to_string();
    if error.is_syntax() || error.is_eof() {
        return FieldError::new(
            "body",
            format!("is not valid JSON at line {}, column {}", error.line(), error.column()),
        );
    }
    if let Some(name) = quoted_name(&text, "missing field `") {
        return FieldError::new(format_path(&path_to(path, name)), "is missing");
    }
    if let Some(name) = quoted_name(&text, "unknown field `") {
        let path = path_to(path, name);
        return match path.split_last() {
            // serde's quote ends at a backtick in the name, but the path has the whole name.
            Some((FieldSegment::Name(name), parent)) if !is_identifier(name) => {
                FieldError::new(format_path(parent), "has an unknown field; remove it")
            }
            _ => FieldError::new(format_path(&path), "is not a known field; remove it"),
        };
    }
    if let Some(name) = quoted_name(&text, "duplicate field `") {
        return FieldError::new(format_path(&path_to(path, name)), "is given twice");
    }
    FieldError::new(
        format_path(&path.iter().map(|segment| path_segment(segment)).collect::<Vec<_>>()),
        "has the wrong type or form",
    )
}

/// A segment of a path: a name, or an index in brackets.
enum FieldSegment<'a> {
    Name(&'a str),
    Index(usize),
}

fn path_segment(segment: &Segment) -> FieldSegment<'_> {
    match segment {
        Segment::Seq { index } => FieldSegment::Index(*index),
        Segment::Map { key } => FieldSegment::Name(key),
        Segment::Enum { variant } => FieldSegment::Name(variant),
        Segment::Unknown => FieldSegment::Name("?"),
    }
}

/// The path of the field `name`. If serde stopped at the name itself, its path already ends with it.
fn path_to<'a>(path: &[&'a Segment], name: &'a str) -> Vec<FieldSegment<'a>> {
    let mut segments: Vec<_> = path.iter().map(|segment| path_segment(segment)).collect();
    if !matches!(segments.last(), Some(FieldSegment::Name(last)) if last.starts_with(name)) {
        segments.push(FieldSegment::Name(name));
    }
    segments
}

/// A path as callers write it. A key that they chose, such as the name of a header, is shown only if it looks like a name.
fn format_path(path: &[FieldSegment<'_>]) -> String {
    let mut text = String::new();
    for segment in path {
        match segment {
            FieldSegment::Index(index) => text.push_str(&format!("[{index}]")),
            FieldSegment::Name(name) => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(if is_name(name) { name } else { "?" });
            }
        }
    }
    if text.is_empty() { "body".to_owned() } else { text }
}

/// The name that serde quotes in its text.
fn quoted_name<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    text.strip_prefix(prefix)?.split_once('`').map(|(name, _)| name)
}

/// Whether an unknown name may be repeated to the caller: a lowercase letter and up to 38 letters, digits and `_`. Other
/// names are not repeated, because people paste secrets into the wrong place, and a secret access key has 40 characters.
pub fn is_identifier(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase()) && is_name(name) && !name.contains('-')
}

/// Whether a key of a map looks like a name, such as the name of a header.
fn is_name(name: &str) -> bool {
    (1..40).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[expect(dead_code, reason = "only parsed")]
        name: String,
        #[expect(dead_code, reason = "only parsed")]
        inner: Inner,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[expect(dead_code, reason = "only parsed")]
        count: u8,
    }

    #[test]
    fn an_error_names_the_field_and_never_the_value() {
        let cases = [
            (r#"{"name":"a"}"#, "inner: is missing"),
            (r#"{"name":"a","inner":{}}"#, "inner.count: is missing"),
            (r#"{"name":"a","inner":{"count":"SECRET"}}"#, "inner.count: has the wrong type or form"),
            (r#"{"name":"a","inner":{"count":300}}"#, "inner.count: has the wrong type or form"),
            (r#"{"name":"a","inner":{"count":1,"x":"SECRET"}}"#, "inner.x: is not a known field; remove it"),
            (r#"{"name":"a","inner":{"count":1,"a b":1}}"#, "inner: has an unknown field; remove it"),
            (r#"{"name":"a","replyTo":"SECRET"}"#, "replyTo: is not a known field; remove it"),
            (r#"{"name":"a","SECRET":1}"#, "body: has an unknown field; remove it"),
            (r#"{"name":"a","wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLESECRET":1}"#, "body: has an unknown field; remove it"),
            (r#"{"name":"a","a`SECRET":1}"#, "body: has an unknown field; remove it"),
            (r#"{"name":"a","":1}"#, "body: has an unknown field; remove it"),
            (r#"{"name":"a","name":"SECRET"}"#, "name: is given twice"),
            (r#"{"name":"a","SECRET"#, "body: is not valid JSON at line 1, column 19"),
            (r#"["SECRET"]"#, "body: must be a JSON object"),
            (r#" ["SECRET",{"count":1}]"#, "body: must be a JSON object"),
            (r#"{"name":"a","inner":{"count":1}} SECRET"#, "body: is not valid JSON at line 1, column 34"),
        ];
        for (json, expected) in cases {
            let error = decode::<Outer>(json.as_bytes()).unwrap_err().to_string();
            assert_eq!(error, expected, "{json}");
        }
    }

    #[test]
    fn a_value_that_serde_quotes_is_not_repeated_whatever_is_in_it() {
        #[derive(Debug, Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum Choice {
            One,
        }

        for value in ["SECRET", "\\u0001SECRET", "\\u0001\\u0001SECRET", "`SECRET", "missing field `SECRET"] {
            let json = format!(r#"{{"choice":"{value}"}}"#);
            let error = decode::<std::collections::BTreeMap<String, Choice>>(json.as_bytes()).unwrap_err();
            assert_eq!(error.to_string(), "choice: has the wrong type or form", "{json}");
        }
        let chosen = decode::<std::collections::BTreeMap<String, Choice>>(br#"{"choice":"one"}"#);
        assert!(matches!(chosen.unwrap()["choice"], Choice::One));
    }

    #[test]
    fn a_key_that_a_caller_chose_is_shown_only_if_it_looks_like_a_name() {
        let cases = [
            (r#"{"List-Unsubscribe":{"count":1},"x":{"count":""}}"#, "x.count"),
            (r#"{"List-Unsubscribe":[]}"#, "List-Unsubscribe"),
            (r#"{"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY":[]}"#, "?"),
            (r#"{"wJalrXUtnFEMIIK7MDENGIbPxRfiCYEXAMPLEKEY":{}}"#, "?.count"),
        ];
        for (json, expected) in cases {
            let error = decode::<std::collections::BTreeMap<String, Inner>>(json.as_bytes()).unwrap_err();
            assert_eq!(error.field, expected, "{json}");
        }
    }
}
