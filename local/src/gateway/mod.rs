//! The HTTP API as API Gateway v2 serves it: routes and authorizers of the template, payload format 2.0; and `/_local` beside it.

mod authorizer;
mod event;
mod loopback;
mod path;
mod response;
mod route_table;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use http_body_util::LengthLimitError;
use tokio::net::TcpListener;

use self::authorizer::{Iam, Identity};
use self::event::Received;
use self::route_table::RouteTable;
use crate::aws::StandIn;
use crate::lambda::{self, Host, InvokeResult};
use crate::template::stack::{Authorizer, Stack};

/// The largest request (API Gateway quotas for HTTP APIs: 10 MB).
const REQUEST_LIMIT: usize = 10 * 1024 * 1024;
/// How long a function may take once there is an environment for it or room to start one (same page: 30 seconds).
const INTEGRATION_TIMEOUT: Duration = Duration::from_secs(30);

/// Takes a port for the API.
///
/// # Errors
/// The port is taken or not ours to take; the message says what to do.
pub(crate) async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("listen on {address} for the API: is another `local` running? --api-port 0 takes a free port")
    })
}

/// The HTTP API.
pub(crate) struct Gateway {
    api: Arc<Api>,
    local: Router,
}

/// What every request needs.
struct Api {
    account_id: String,
    api_id: String,
    stage: String,
    routes: RouteTable,
    iam: Iam,
    host: Host,
}

impl Gateway {
    /// The API of `stack`. `local` is mounted at `/_local`, without signatures, for callers on this machine.
    ///
    /// # Errors
    /// The template has no HTTP API, or two of its routes are the same to API Gateway.
    pub(crate) fn new(stack: &Stack, host: Host, stand_in: Arc<StandIn>, local: Router) -> anyhow::Result<Self> {
        let http_api = stack.http_api.as_ref().context("the template has no HTTP API")?;
        let prefix =
            format!("arn:aws:execute-api:{}:{}:{}/{}", stack.region, stack.account_id, http_api.id, http_api.stage);
        let api = Arc::new(Api {
            account_id: stack.account_id.clone(),
            api_id: http_api.id.clone(),
            stage: http_api.stage.clone(),
            routes: RouteTable::new(&stack.functions).map_err(anyhow::Error::msg)?,
            iam: Iam::new(stand_in, prefix),
            host,
        });
        Ok(Self { api, local })
    }

    /// Serves until dropped.
    pub(crate) async fn serve(self, listener: TcpListener) {
        let local = self.local.fallback(|| async { said(StatusCode::NOT_FOUND, "Not Found") });
        let router = Router::new()
            .fallback(answer)
            .with_state(self.api)
            .nest("/_local", local.layer(middleware::from_fn(loopback::guard)));
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        if let Err(error) = axum::serve(listener, service).await {
            tracing::error!(%error, "the HTTP API ended");
        }
    }
}

async fn answer(State(api): State<Arc<Api>>, ConnectInfo(peer): ConnectInfo<SocketAddr>, request: Request) -> Response {
    let request_id = lambda::request_id();
    let mut response = match take(&api, peer, &request_id, request).await {
        Ok(response) | Err(response) => response,
    };
    if let Ok(id) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert("apigw-requestid", id);
    }
    response
}

/// The way of a request; an `Err` is what API Gateway says itself.
async fn take(api: &Api, peer: SocketAddr, request_id: &str, request: Request) -> Result<Response, Response> {
    let (parts, body) = request.into_parts();
    let Some(found) = api.routes.find(&parts.method, parts.uri.path()) else {
        return Err(said(StatusCode::NOT_FOUND, "Not Found"));
    };
    let body = read(body).await?;
    let mut identity: Option<Identity> = None;
    if found.route.authorizer == Authorizer::AwsIam {
        let admitted = api.iam.admit(&parts, &body, peer.ip());
        identity = Some(admitted.map_err(|_| said(StatusCode::FORBIDDEN, "Forbidden"))?);
    }
    let received = Received {
        account_id: &api.account_id,
        api_id: &api.api_id,
        stage: &api.stage,
        request_id,
        now: lambda::now(),
        peer,
        parts: &parts,
        body: &body,
        identity: identity.as_ref(),
        found: &found,
    };
    let payload = Bytes::from(received.event().to_string());
    let function = &found.route.function;
    let outcome = match api.host.begin(function, payload).await {
        Ok(running) => tokio::time::timeout(INTEGRATION_TIMEOUT, running).await,
        Err(refused) => Ok(refused),
    };
    match outcome {
        Ok(InvokeResult::Response(payload)) => response::from_payload(&payload).ok_or_else(|| {
            tracing::warn!(function, request_id, "the function's response is none that API Gateway can read");
            said(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
        }),
        Ok(InvokeResult::FunctionError(_) | InvokeResult::NoSuchFunction) => {
            tracing::warn!(function, request_id, "the function failed");
            Err(said(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"))
        }
        Ok(InvokeResult::TooLarge) => Err(said(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large")),
        Ok(InvokeResult::Throttled) | Err(_) => {
            tracing::warn!(function, request_id, "the function was throttled or took too long");
            Err(said(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"))
        }
    }
}

async fn read(body: Body) -> Result<Bytes, Response> {
    to_bytes(body, REQUEST_LIMIT).await.map_err(|error| {
        match std::error::Error::source(&error) {
            Some(source) if source.is::<LengthLimitError>() => {
                said(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large")
            }
            // The caller broke off.
            _ => said(StatusCode::BAD_REQUEST, "Bad Request"),
        }
    })
}

/// A response of API Gateway's own.
fn said(status: StatusCode, message: &str) -> Response {
    let body = serde_json::json!({"message": message}).to_string();
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

#[cfg(test)]
mod tests;
