//! A service's answer on its way back to the caller.

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use fakecloud_aws::error::{json_error_response_with_fields, s3_xml_error_response, xml_error_response};
use fakecloud_core::protocol::AwsProtocol;
use fakecloud_core::service::{AwsResponse, AwsServiceError, ResponseBody};
use http_body_util::Full;
use serde_json::Value;

use super::call::Call;
use super::error::{ErrorWording, ServiceError};

/// Status, headers and body, whole.
#[derive(Clone, Debug)]
pub(crate) struct ServiceResponse {
    /// The HTTP status.
    pub(crate) status: StatusCode,
    /// The headers, without those of the connection.
    pub(crate) headers: HeaderMap,
    /// The body.
    pub(crate) body: Bytes,
    /// The error code, where the answer is one.
    pub(crate) error: Option<String>,
}

impl ServiceResponse {
    /// What an embedded service answered.
    pub(super) fn from_embedded(call: &Call, result: Result<AwsResponse, AwsServiceError>) -> Self {
        match result {
            Ok(answer) => {
                let body = match answer.body {
                    ResponseBody::Bytes(bytes) => bytes,
                    // None of the services here answers with a file.
                    ResponseBody::File { .. } => Bytes::new(),
                };
                let mut response = Self { status: answer.status, headers: answer.headers, error: None, body };
                response.set(header::CONTENT_TYPE, &content_type(call, &answer.content_type));
                if response.status.is_client_error() || response.status.is_server_error() {
                    response.name_error(call);
                }
                response
            }
            Err(error) => {
                let mut response =
                    Self::error(call, error.status(), error.code(), &error.message(), error.extra_fields());
                for (name, value) in error.response_headers() {
                    if let Ok(name) = name.parse::<HeaderName>() {
                        response.set(name, value);
                    }
                }
                response
            }
        }
    }

    /// An error in the words of the call's service.
    pub(crate) fn from_error(call: &Call, error: &ServiceError, wording: &ErrorWording) -> Self {
        let (status, code, message) = error.describe(wording, call.protocol);
        Self::error(call, status, code, &message, &[])
    }

    /// A JSON document of a service.
    pub(crate) fn json(call: &Call, json: &Value) -> Self {
        Self::from_embedded(call, Ok(AwsResponse::json(StatusCode::OK, json.to_string())))
    }

    /// An XML document of a query service.
    pub(crate) fn xml(call: &Call, xml: String) -> Self {
        Self::from_embedded(call, Ok(AwsResponse::xml(StatusCode::OK, xml)))
    }

    /// An error in the form of the call's protocol.
    fn error(call: &Call, status: StatusCode, code: &str, message: &str, fields: &[(String, String)]) -> Self {
        let (status, kind, body) = match call.protocol {
            AwsProtocol::Query => xml_error_response(status, code, message, &call.request_id),
            AwsProtocol::Rest => s3_xml_error_response(status, code, message, &call.request_id),
            AwsProtocol::Ec2Query => ec2_error_response(status, code, message, &call.request_id),
            _ => json_error_response_with_fields(status, code, message, fields),
        };
        let mut response = Self { status, headers: HeaderMap::new(), body, error: Some(code.to_owned()) };
        response.set(header::CONTENT_TYPE, &content_type(call, &kind));
        if call.protocol == AwsProtocol::RestJson {
            response.set(HeaderName::from_static("x-amzn-errortype"), code);
        }
        response
    }

    /// The answer as HTTP.
    pub(crate) fn into_http(self, request_id: &str) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(self.body));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        if let Ok(id) = HeaderValue::from_str(request_id) {
            response.headers_mut().insert("x-amzn-requestid", id);
        }
        response
    }

    /// Sets a header; a value that HTTP cannot carry is left out.
    pub(crate) fn set(&mut self, name: HeaderName, value: &str) {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
    }

    /// Reads the code off an error that a service wrote as an ordinary answer.
    fn name_error(&mut self, call: &Call) {
        let text = String::from_utf8_lossy(&self.body);
        let code = if call.protocol == AwsProtocol::Query {
            text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>")).map(|(code, _)| code.to_owned())
        } else {
            let json: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
            json["__type"].as_str().map(str::to_owned)
        };
        let code = code.unwrap_or_else(|| "Unknown".to_owned());
        if call.protocol == AwsProtocol::RestJson {
            self.set(HeaderName::from_static("x-amzn-errortype"), &code);
        }
        self.error = Some(code);
    }
}

/// EC2's own envelope of errors: EC2 API reference, "Error codes for the Amazon EC2 API".
fn ec2_error_response(status: StatusCode, code: &str, message: &str, request_id: &str) -> (StatusCode, String, Bytes) {
    let escape = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>{}</Code><Message>{}</Message></Error></Errors>\
         <RequestID>{request_id}</RequestID></Response>",
        escape(code),
        escape(message)
    );
    (status, "text/xml;charset=UTF-8".to_owned(), Bytes::from(body))
}

/// The services write awsJson 1.1; a client of 1.0 gets what it sent, a client of REST plain JSON.
fn content_type(call: &Call, given: &str) -> String {
    let sent = call.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    match call.protocol {
        AwsProtocol::Json => sent.unwrap_or(given).to_owned(),
        AwsProtocol::RestJson => "application/json".to_owned(),
        _ => given.to_owned(),
    }
}
