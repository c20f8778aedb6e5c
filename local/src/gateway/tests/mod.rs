//! The API over HTTP: with real signatures, the stand-in, and a function in a process of its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use axum::Router;
use axum::routing::get;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Gateway, bind};
use crate::aws::{self, StandIn};
use crate::lambda::fixtures::launch_config;
use crate::lambda::{Endpoints, FunctionLogs, Host, HostOptions};
use crate::stack;
use crate::template::Settings;

const TEMPLATE: &str = include_str!("template.yaml");

/// A gateway on a port of its own, with everything behind it.
struct TestGateway {
    api_url: String,
    stand_in: Arc<StandIn>,
    host: Host,
    http: reqwest::Client,
}

/// A response of the API.
#[derive(Debug)]
struct ApiResponse {
    status: u16,
    headers: reqwest::header::HeaderMap,
    body: Value,
}

impl TestGateway {
    async fn start() -> Self {
        let aws_listener = aws::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let api_listener = bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let aws_url = format!("http://{}", aws_listener.local_addr().unwrap());
        let api_url = format!("http://{}", api_listener.local_addr().unwrap());
        let settings = Settings {
            stack_name: "mail".to_owned(),
            account_id: "123456789012".to_owned(),
            region: "us-east-1".to_owned(),
            aws_endpoint: aws_url.clone(),
            api_endpoint: api_url.clone(),
            parameters: BTreeMap::new(),
        };
        let stack = Arc::new(stack::load(TEMPLATE, &settings).unwrap());
        let stand_in = StandIn::start(&stack, aws_listener).await.unwrap();
        let host = Host::new(HostOptions {
            stack: Arc::clone(&stack),
            launch: launch_config(),
            endpoints: Endpoints { aws: aws_url, tenant_aws: None },
            mappings: stand_in.mappings(),
            credentials: stand_in.credential_issuer(),
            max_environments: 2,
            logs: Arc::new(FunctionLogs::new(None).unwrap()),
        })
        .unwrap();
        let local = Router::new().route("/outputs", get(|| async { "{}" }));
        let gateway = Gateway::new(&stack, host.clone(), Arc::clone(&stand_in), local).unwrap();
        tokio::spawn(gateway.serve(api_listener));
        Self { api_url, stand_in, host, http: reqwest::Client::new() }
    }

    /// Sends a request with a SigV4 signature.
    async fn send_signed(
        &self,
        by: &Credentials,
        service: &str,
        method: Method,
        path: &str,
        body: &str,
    ) -> ApiResponse {
        let url = format!("{}{path}", self.api_url);
        let identity = by.clone().into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region("us-east-1")
            .name(service)
            .time(now())
            .settings(SigningSettings::default())
            .build()
            .unwrap()
            .into();
        let headers = [("content-type", "application/json")];
        let signable =
            SignableRequest::new(method.as_str(), &url, headers.into_iter(), SignableBody::Bytes(body.as_bytes()))
                .unwrap();
        let (signed, _) = sign(signable, &parameters).unwrap().into_parts();
        let mut request = self.http.request(method, &url).header("content-type", "application/json");
        for (name, value) in signed.headers() {
            request = request.header(name, value);
        }
        send(request.body(body.to_owned())).await
    }

    /// Sends a request with a signature of the operator's root key.
    async fn send_as_root(&self, method: Method, path: &str, body: &str) -> ApiResponse {
        self.send_signed(&key("test", "test"), "execute-api", method, path, body).await
    }

    /// A request without a signature.
    fn unsigned(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.api_url))
    }

    async fn stop(self) {
        self.host.shut_down(Duration::ZERO).await;
    }
}

#[expect(clippy::disallowed_methods, reason = "a client signs with its own clock")]
fn now() -> SystemTime {
    SystemTime::now()
}

fn key(id: &str, secret: &str) -> Credentials {
    Credentials::from_keys(id, secret, None)
}

async fn send(request: reqwest::RequestBuilder) -> ApiResponse {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await.unwrap();
    ApiResponse { status, headers, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) }
}

fn assert_forbidden(response: &ApiResponse) {
    assert_eq!((response.status, &response.body), (403, &json!({"message": "Forbidden"})));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_request_reaches_the_function_as_payload_format_2() {
    let gateway = TestGateway::start().await;
    let response = gateway.send_as_root(Method::POST, "/echo/a%20b?x=1&x=2&y=%C3%A9%20z", r#"{"n":1}"#).await;
    assert_eq!(response.status, 200, "{response:?}");
    assert!(response.headers.contains_key("apigw-requestid"));
    let event = response.body;
    assert_eq!(event["version"], "2.0");
    assert_eq!(event["routeKey"], "POST /echo/{word}");
    assert_eq!(event["rawPath"], "/echo/a%20b");
    assert_eq!(event["rawQueryString"], "x=1&x=2&y=%C3%A9%20z");
    assert_eq!(event["pathParameters"], json!({"word": "a b"}));
    assert_eq!(event["queryStringParameters"], json!({"x": "1,2", "y": "é z"}));
    assert_eq!(event["body"], r#"{"n":1}"#);
    assert_eq!(event["isBase64Encoded"], false);
    assert_eq!(event["headers"]["content-type"], "application/json");
    let context = &event["requestContext"];
    assert_eq!(context["stage"], "$default");
    assert_eq!(context["accountId"], "123456789012");
    assert_eq!(context["http"]["method"], "POST");
    assert_eq!(context["http"]["path"], "/echo/a%20b");
    assert_eq!(context["http"]["sourceIp"], "127.0.0.1");
    assert_eq!(context["domainName"], "127.0.0.1");
    assert_eq!(context["authorizer"]["iam"]["accessKey"], "test");
    assert_eq!(context["authorizer"]["iam"]["userArn"], "arn:aws:iam::123456789012:root");
    assert!(event.get("cookies").is_none());
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_a_valid_signature_is_forbidden() {
    let gateway = TestGateway::start().await;
    assert_forbidden(&send(gateway.unsigned(Method::GET, "/echo/a")).await);
    assert_forbidden(&gateway.send_signed(&key("test", "wrong"), "execute-api", Method::GET, "/echo/a", "").await);
    assert_forbidden(
        &gateway.send_signed(&key("AKIAIOSFODNN7EXAMPLE", "x"), "execute-api", Method::GET, "/echo/a", "").await,
    );
    assert_forbidden(&gateway.send_signed(&key("test", "test"), "sqs", Method::GET, "/echo/a", "").await);
    // A signature of another path.
    let other_path = gateway.send_as_root(Method::GET, "/echo/a", "").await;
    assert_eq!(other_path.status, 200);
    let signature = other_path.body["headers"]["authorization"].as_str().unwrap().to_owned();
    let date = other_path.body["headers"]["x-amz-date"].as_str().unwrap().to_owned();
    let replayed =
        gateway.unsigned(Method::GET, "/echo/b").header("authorization", signature).header("x-amz-date", date);
    assert_forbidden(&send(replayed).await);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_needs_execute_api_invoke_on_the_route() {
    let gateway = TestGateway::start().await;
    let role = "arn:aws:iam::123456789012:role/caller";
    let issued = gateway.stand_in.credential_issuer().issue(role, "session", chrono::Duration::hours(1));
    let session = Credentials::from_keys(
        issued.access_key_id.clone(),
        issued.secret_access_key.clone(),
        Some(issued.session_token.clone()),
    );
    let allowed = gateway.send_signed(&session, "execute-api", Method::GET, "/echo/a", "").await;
    assert_eq!(allowed.status, 200, "{allowed:?}");
    let iam = &allowed.body["requestContext"]["authorizer"]["iam"];
    assert_eq!(iam["userArn"], "arn:aws:sts::123456789012:assumed-role/caller/session");
    assert_eq!(iam["accessKey"], issued.access_key_id);
    // The role may only use GET, and the keys of a session are not valid without its token.
    assert_forbidden(&gateway.send_signed(&session, "execute-api", Method::POST, "/echo/a", "{}").await);
    let bare = key(&issued.access_key_id, &issued.secret_access_key);
    assert_forbidden(&gateway.send_signed(&bare, "execute-api", Method::GET, "/echo/a", "").await);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_cookies_and_repeated_headers_have_the_format_of_api_gateway() {
    let gateway = TestGateway::start().await;
    let request = gateway
        .unsigned(Method::POST, "/open")
        .header("X-Many", "1")
        .header("x-many", "2")
        .header("cookie", "a=1; b=2")
        .header("content-type", "application/x-www-form-urlencoded")
        .body("k=v");
    let event = send(request).await.body;
    assert_eq!(event["headers"]["x-many"], "1,2");
    assert_eq!(event["cookies"], json!(["a=1", "b=2"]));
    assert!(event["headers"].get("cookie").is_none());
    assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!("az12"), &json!(true)));
    assert!(event["requestContext"].get("authorizer").is_none());
    let bytes =
        send(gateway.unsigned(Method::POST, "/open").header("content-type", "text/plain").body(vec![0xff])).await;
    assert_eq!(bytes.body["body"], "/w==");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_have_the_wording_of_api_gateway() {
    let gateway = TestGateway::start().await;
    let unknown = gateway.send_as_root(Method::GET, "/nothing", "").await;
    assert_eq!((unknown.status, unknown.body), (404, json!({"message": "Not Found"})));
    let method = gateway.send_as_root(Method::DELETE, "/echo/a", "").await;
    assert_eq!(method.status, 404);
    let crashed = send(gateway.unsigned(Method::GET, "/crash")).await;
    assert_eq!((crashed.status, crashed.body), (500, json!({"message": "Internal Server Error"})));
    let too_large_for_lambda = send(gateway.unsigned(Method::POST, "/open").body(vec![b' '; 7 * 1024 * 1024])).await;
    assert_eq!(
        (too_large_for_lambda.status, too_large_for_lambda.body),
        (413, json!({"message": "Request Entity Too Large"}))
    );
    let too_large = send(gateway.unsigned(Method::POST, "/open").body(vec![b' '; super::MAX_REQUEST_BYTES + 1])).await;
    assert_eq!((too_large.status, too_large.body), (413, json!({"message": "Request Entity Too Large"})));
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn local_routes_serve_only_this_machine_and_need_no_signature() {
    let gateway = TestGateway::start().await;
    assert_eq!(send(gateway.unsigned(Method::GET, "/_local/outputs")).await.status, 200);
    assert_eq!(send(gateway.unsigned(Method::GET, "/_local/nothing")).await.status, 404);
    let rebound = gateway.unsigned(Method::GET, "/_local/outputs").header("host", "evil.example");
    assert_forbidden(&send(rebound).await);
    let page = gateway.unsigned(Method::GET, "/_local/outputs").header("origin", "https://evil.example");
    assert_forbidden(&send(page).await);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_above_its_limit_answers_429_and_the_others_go_on() {
    let gateway = TestGateway::start().await;
    let mut throttled = None;
    for _ in 0..100 {
        let response = send(gateway.unsigned(Method::GET, "/echo/a")).await;
        if response.status == 429 {
            throttled = Some(response);
            break;
        }
        assert_forbidden(&response);
    }
    assert_eq!(throttled.unwrap().body, json!({"message": "Too Many Requests"}));
    assert_forbidden(&send(gateway.unsigned(Method::POST, "/echo/a")).await);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_with_settings_of_its_own_is_throttled_by_them_whoever_asks() {
    let gateway = TestGateway::start().await;
    let mut statuses = Vec::new();
    for _ in 0..6 {
        statuses.push(send(gateway.unsigned(Method::GET, "/crash")).await.status);
    }
    assert!(statuses[..2] == [500, 500] && statuses.contains(&429), "{statuses:?}");
    assert_eq!(send(gateway.unsigned(Method::POST, "/open").body("{}")).await.status, 200);
    gateway.stop().await;
}
