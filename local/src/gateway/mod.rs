//! The HTTP API as API Gateway v2 serves it: the routes and authorizers of the template, with payload format 2.0. The routes
//! under `/_local` are served beside it.

mod authorizer;
mod event;
mod loopback;
mod path;
mod response;
mod route_table;
#[cfg(test)]
mod tests;
mod throttle;

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

use self::authorizer::{AuthorizedCaller, IamAuthorizer};
use self::event::RoutedRequest;
use self::route_table::RouteTable;
use self::throttle::RouteThrottle;
use crate::aws::StandIn;
use crate::lambda::{self, Host, InvokeResult};
use crate::serverless::{Authorizer, HttpApiResource};
use crate::template::Stack;

/// The largest request (API Gateway quotas for HTTP APIs: 10 MB).
const MAX_REQUEST_BYTES: usize = 10 * 1024 * 1024;
/// How long a function may take once there is an environment for it, or capacity to start one (same page: 30 seconds).
const INTEGRATION_TIMEOUT: Duration = Duration::from_secs(30);

/// Listens on a port for the API.
///
/// # Errors
/// The port is in use or not permitted; the message says what to do.
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

/// What the handling of every request needs.
struct Api {
    account_id: String,
    api_id: String,
    stage: String,
    routes: RouteTable,
    throttle: RouteThrottle,
    authorizer: IamAuthorizer,
    host: Host,
}

impl Gateway {
    /// The API of `stack`. The routes of `local` are served under `/_local`, without signatures, to clients on this machine.
    ///
    /// # Errors
    /// The template has no HTTP API, two of its routes are the same to API Gateway, or it has settings of a route that is not
    /// there.
    pub(crate) fn new(stack: &Stack, host: Host, stand_in: Arc<StandIn>, local: Router) -> anyhow::Result<Self> {
        let http_api = HttpApiResource::find(stack).context("the template has no HTTP API")?;
        let routes = RouteTable::new(stack.all()).map_err(anyhow::Error::msg)?;
        // In API Gateway's words: <https://github.com/terraform-aws-modules/terraform-aws-apigateway-v2/pull/80>.
        if let Some(unknown) = http_api.route_throttling.keys().find(|key| !routes.has(key)) {
            anyhow::bail!("Unable to find Route by key {unknown} within the provided RouteSettings");
        }
        let arn_prefix =
            format!("arn:aws:execute-api:{}:{}:{}/{}", stack.region, stack.account_id, http_api.id, http_api.stage);
        let api = Arc::new(Api {
            account_id: stack.account_id.clone(),
            api_id: http_api.id.clone(),
            stage: http_api.stage.clone(),
            routes,
            throttle: RouteThrottle::new(http_api.throttling, http_api.route_throttling.clone()),
            authorizer: IamAuthorizer::new(stand_in, arn_prefix),
            host,
        });
        Ok(Self { api, local })
    }

    /// Serves until dropped.
    pub(crate) async fn serve(self, listener: TcpListener) {
        let local = self.local.fallback(|| async { message_response(StatusCode::NOT_FOUND, "Not Found") });
        let router = Router::new()
            .fallback(handle)
            .with_state(self.api)
            .nest("/_local", local.layer(middleware::from_fn(loopback::require_loopback)));
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        if let Err(error) = axum::serve(listener, service).await {
            tracing::error!(%error, "the server of the HTTP API failed");
        }
    }
}

async fn handle(State(api): State<Arc<Api>>, ConnectInfo(peer): ConnectInfo<SocketAddr>, request: Request) -> Response {
    let request_id = lambda::request_id();
    let mut response = match invoke_route(&api, peer, &request_id, request).await {
        Ok(response) | Err(response) => response,
    };
    if let Ok(id) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert("apigw-requestid", id);
    }
    response
}

/// Routes and authorizes a request and invokes its function. An `Err` is a response of API Gateway itself.
async fn invoke_route(api: &Api, peer: SocketAddr, request_id: &str, request: Request) -> Result<Response, Response> {
    let (parts, body) = request.into_parts();
    let Some(route_match) = api.routes.find(&parts.method, parts.uri.path()) else {
        return Err(message_response(StatusCode::NOT_FOUND, "Not Found"));
    };
    // AWS does not say whether it throttles before it authorizes. Here a stranger's requests count, which is the worse case.
    if !api.throttle.admit(&route_match.route.key, tokio::time::Instant::now()) {
        return Err(message_response(StatusCode::TOO_MANY_REQUESTS, "Too Many Requests"));
    }
    let body = read_body(body).await?;
    let mut caller: Option<AuthorizedCaller> = None;
    if route_match.route.authorizer == Authorizer::AwsIam {
        let authorized = api.authorizer.authorize(&parts, &body, peer.ip());
        caller = Some(authorized.map_err(|_| message_response(StatusCode::FORBIDDEN, "Forbidden"))?);
    }
    let request = RoutedRequest {
        account_id: &api.account_id,
        api_id: &api.api_id,
        stage: &api.stage,
        request_id,
        now: lambda::now(),
        peer,
        parts: &parts,
        body: &body,
        caller: caller.as_ref(),
        route_match: &route_match,
    };
    let payload = Bytes::from(request.to_event().to_string());
    let function = &route_match.route.function;
    let result = match api.host.start_invocation(function, payload).await {
        Ok(running) => tokio::time::timeout(INTEGRATION_TIMEOUT, running).await,
        Err(rejected) => Ok(rejected),
    };
    match result {
        Ok(InvokeResult::Response(payload)) => response::from_payload(&payload).ok_or_else(|| {
            tracing::warn!(function, request_id, "API Gateway cannot read the function's response and returns a 500");
            message_response(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
        }),
        Ok(InvokeResult::FunctionError(_) | InvokeResult::NoSuchFunction) => {
            tracing::warn!(function, request_id, "the function of an HTTP route failed and API Gateway returns a 500");
            Err(message_response(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"))
        }
        Ok(InvokeResult::TooLarge) => Err(message_response(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large")),
        Ok(InvokeResult::Throttled) | Err(_) => {
            tracing::warn!(
                function,
                request_id,
                "the function of an HTTP route was throttled or timed out and API Gateway returns a 503"
            );
            Err(message_response(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"))
        }
    }
}

async fn read_body(body: Body) -> Result<Bytes, Response> {
    to_bytes(body, MAX_REQUEST_BYTES).await.map_err(|error| {
        match std::error::Error::source(&error) {
            Some(source) if source.is::<LengthLimitError>() => {
                message_response(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large")
            }
            // The client closed the connection.
            _ => message_response(StatusCode::BAD_REQUEST, "Bad Request"),
        }
    })
}

/// A response of API Gateway itself.
fn message_response(status: StatusCode, message: &str) -> Response {
    let body = serde_json::json!({"message": message}).to_string();
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
