//! A request as it came over the wire, and the service it is for.

use std::collections::HashMap;

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use fakecloud_aws::sigv4::{self, ParsedSigV4};
use fakecloud_core::path::split_path_segments;
use fakecloud_core::protocol::{self, AwsProtocol};
use serde_json::Value;

use super::asymmetric;
use crate::random;

/// One request to one service.
#[derive(Clone)]
pub(crate) struct Call {
    /// AWS's request id.
    pub(crate) request_id: String,
    /// The service, by the name that SigV4 signs: `iam`, `sts`, `ses`, `sqs`, …
    pub(crate) service: String,
    /// The operation.
    pub(crate) operation: String,
    /// How the service speaks.
    pub(crate) protocol: AwsProtocol,
    /// The HTTP method.
    pub(crate) method: Method,
    /// The path as sent, still encoded.
    pub(crate) path: String,
    /// The path's segments, decoded.
    pub(crate) segments: Vec<String>,
    /// The query string as sent.
    pub(crate) query: String,
    /// Parameters of the query string, and of a form body.
    pub(crate) parameters: HashMap<String, String>,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The body as sent.
    pub(crate) body: Bytes,
    /// The body where it is JSON, else null.
    pub(crate) json: Value,
    /// The parsed Authorization header, where it has the form of one.
    pub(crate) signature: Option<ParsedSigV4>,
}

impl Call {
    /// Parses a request. `None` where it names no service at all.
    pub(crate) fn parse(
        request_id: String,
        method: Method,
        path: &str,
        query: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Option<Self> {
        let mut parameters = protocol::parse_query_body(&Bytes::copy_from_slice(query.as_bytes()));
        let asymmetric = asymmetric::symmetric_form(&headers);
        let detected = match asymmetric.as_deref().map(HeaderValue::from_str) {
            Some(Ok(authorization)) => {
                let mut headers = headers.clone();
                headers.insert(header::AUTHORIZATION, authorization);
                protocol::detect_service(&headers, &parameters, &body)?
            }
            _ => protocol::detect_service(&headers, &parameters, &body)?,
        };
        if matches!(detected.protocol, AwsProtocol::Query | AwsProtocol::Ec2Query) {
            parameters.extend(protocol::parse_query_body(&body));
        }
        let json = match detected.protocol {
            AwsProtocol::Json | AwsProtocol::RestJson => serde_json::from_slice(&body).unwrap_or(Value::Null),
            _ => Value::Null,
        };
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let signature = asymmetric
            .as_deref()
            .or_else(|| header("authorization"))
            .and_then(|authorization| sigv4::parse_sigv4_header(authorization, header("x-amz-date")));
        Some(Self {
            request_id,
            service: detected.service,
            operation: detected.action,
            protocol: detected.protocol,
            segments: split_path_segments(path),
            path: path.to_owned(),
            query: query.to_owned(),
            parameters,
            method,
            body,
            json,
            signature,
            headers,
        })
    }

    /// A call of a JSON service that comes from within this process.
    pub(crate) fn internal(service: &str, operation: &str, body: Value) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.1"));
        Self {
            request_id: random::uuid(),
            service: service.to_owned(),
            operation: operation.to_owned(),
            protocol: AwsProtocol::Json,
            method: Method::POST,
            path: "/".to_owned(),
            segments: Vec::new(),
            query: String::new(),
            parameters: HashMap::new(),
            headers,
            body: Bytes::from(body.to_string()),
            json: body,
            signature: None,
        }
    }

    /// The Region the request is signed for.
    pub(crate) fn region(&self) -> Option<&str> {
        self.signature.as_ref().map(|signature| signature.region.as_str())
    }

    /// `service:Operation`, as policies and faults name it.
    pub(crate) fn action(&self) -> String {
        format!("{}:{}", self.service, self.operation)
    }
}
