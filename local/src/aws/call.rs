//! A request as it came over the wire, and which service it is for.

use std::collections::HashMap;

use axum::body::Bytes;
use axum::http::{HeaderMap, Method};
use fakecloud_aws::sigv4::{self, ParsedSigV4};
use fakecloud_core::path::split_path_segments;
use fakecloud_core::protocol::{self, AwsProtocol};
use fakecloud_core::service::AwsRequest;
use parking_lot::Mutex;
use serde_json::Value;

use super::caller::Caller;

/// One request to one service.
pub(crate) struct Call {
    /// AWS's request id.
    pub(crate) request_id: String,
    /// The service, by the name that SigV4 signs: `iam`, `sts`, `ses`, `sqs`, `kms`, `dynamodb`, `events`.
    pub(crate) service: String,
    /// The operation. SES v2's is read off method and path by [`super::ses_operation`].
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
    /// Reads a request. `None` where it names no service at all.
    pub(crate) fn read(
        request_id: String,
        method: Method,
        path: &str,
        query: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Option<Self> {
        let mut parameters = protocol::parse_query_body(&Bytes::copy_from_slice(query.as_bytes()));
        let detected = protocol::detect_service(&headers, &parameters, &body)?;
        if detected.protocol == AwsProtocol::Query {
            parameters.extend(protocol::parse_query_body(&body));
        }
        let json = match detected.protocol {
            AwsProtocol::Json | AwsProtocol::RestJson => serde_json::from_slice(&body).unwrap_or(Value::Null),
            _ => Value::Null,
        };
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let signature = header("authorization")
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

    /// The Region the request is signed for.
    pub(crate) fn region(&self) -> Option<&str> {
        self.signature.as_ref().map(|signature| signature.region.as_str())
    }

    /// The request in the form that the embedded services take it, made by `caller` in `account_id`.
    pub(crate) fn to_request(&self, caller: &Caller, account_id: &str, region: &str) -> AwsRequest {
        AwsRequest {
            service: self.service.clone(),
            action: self.operation.clone(),
            region: region.to_owned(),
            account_id: account_id.to_owned(),
            request_id: self.request_id.clone(),
            headers: self.headers.clone(),
            query_params: self.parameters.clone(),
            body: self.body.clone(),
            body_stream: Mutex::new(None),
            path_segments: self.segments.clone(),
            raw_path: self.path.clone(),
            raw_query: self.query.clone(),
            method: self.method.clone(),
            is_query_protocol: self.protocol == AwsProtocol::Query,
            access_key_id: Some(caller.access_key_id.clone()),
            principal: Some(caller.principal.clone()),
        }
    }
}
