//! The Runtime API of one execution environment (Lambda developer guide, "Using the Lambda runtime API"). The process
//! fetches its next invocation here and posts the response.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::json;
use tokio::sync::{mpsc, oneshot, watch};

/// The largest payload of a synchronous invocation, as request and as response (Lambda quotas: 6 MB).
pub(crate) const MAX_PAYLOAD_BYTES: usize = 6 * 1024 * 1024;

/// The Runtime API of one process.
#[derive(Debug)]
pub(super) struct RuntimeApi {
    phase: watch::Sender<Phase>,
    invocations: mpsc::Sender<RuntimeInvocation>,
    next_invocation: tokio::sync::Mutex<mpsc::Receiver<RuntimeInvocation>>,
    state: Mutex<RuntimeState>,
}

/// The phase of an execution environment's lifecycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The process has not asked for an invocation yet.
    Starting,
    /// The process waits for an invocation.
    Idle,
    /// The process works on an invocation, or has responded and not asked for the next one.
    Busy,
    /// The process has ended.
    Gone,
}

/// An invocation as the process receives it.
#[derive(Debug)]
pub(super) struct RuntimeInvocation {
    /// The request id.
    pub(super) request_id: String,
    /// When the process is killed if it has not responded, in milliseconds since 1970.
    pub(super) deadline_ms: i64,
    /// The function's ARN.
    pub(super) function_arn: String,
    /// The trace header with the lineage.
    pub(super) trace_header: String,
    /// The event.
    pub(super) payload: Bytes,
}

/// How an invocation ended.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    /// The function's response.
    Response(Bytes),
    /// The error object, of the function's runtime or of Lambda.
    Error(Bytes),
}

#[derive(Debug, Default)]
struct RuntimeState {
    /// The request id of the invocation that the process works on, and where its reply goes.
    running: Option<(String, oneshot::Sender<Reply>)>,
    /// The error type and message with which the process ended.
    exit: Option<(String, String)>,
}

impl RuntimeApi {
    /// The Runtime API of a process that is about to start.
    pub(super) fn new() -> Arc<Self> {
        let (invocations, next_invocation) = mpsc::channel(1);
        Arc::new(Self {
            phase: watch::Sender::new(Phase::Starting),
            invocations,
            next_invocation: tokio::sync::Mutex::new(next_invocation),
            state: Mutex::default(),
        })
    }

    /// The environment's phase, to read or to wait for.
    pub(super) fn phase(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// Gives the process an invocation. The receiver fails only if the environment is dropped.
    pub(super) fn start_invocation(&self, invocation: RuntimeInvocation) -> oneshot::Receiver<Reply> {
        let (reply, receiver) = oneshot::channel();
        let mut state = self.lock();
        if let Some((kind, reason)) = &state.exit {
            let _ = reply.send(Reply::Error(error_object(&invocation.request_id, kind, reason)));
            return receiver;
        }
        state.running = Some((invocation.request_id.clone(), reply));
        self.phase.send_replace(Phase::Busy);
        // The channel has room, because an environment has one invocation at a time.
        let _ = self.invocations.try_send(invocation);
        receiver
    }

    /// Records why the process ended, and fails the invocation that it was working on. Only the first call sets the reason.
    pub(super) fn record_exit(&self, kind: &str, reason: &str) {
        let mut state = self.lock();
        let (kind, reason) = state.exit.get_or_insert_with(|| (kind.to_owned(), reason.to_owned())).clone();
        if let Some((request_id, reply)) = state.running.take() {
            let _ = reply.send(Reply::Error(error_object(&request_id, &kind, &reason)));
        }
    }

    /// Records that the process is reaped.
    pub(super) fn mark_gone(&self) {
        self.phase.send_replace(Phase::Gone);
    }

    /// Why the environment ended, as the error of this request.
    pub(super) fn exit_error(&self, request_id: &str) -> Bytes {
        let state = self.lock();
        match &state.exit {
            Some((kind, reason)) => error_object(request_id, kind, reason),
            None => error_object(request_id, "Runtime.Unknown", "the execution environment ended"),
        }
    }

    /// The HTTP routes.
    pub(super) fn router(self: &Arc<Self>) -> Router {
        Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(get_next))
            .route("/2018-06-01/runtime/invocation/{request_id}/response", post(post_response))
            .route("/2018-06-01/runtime/invocation/{request_id}/error", post(post_error))
            .route("/2018-06-01/runtime/init/error", post(post_init_error))
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::clone(self))
    }

    fn complete(&self, request_id: &str, reply: Reply) -> Response {
        let mut state = self.lock();
        match state.running.take() {
            Some((running, sender)) if running == request_id => {
                let _ = sender.send(reply);
                (StatusCode::ACCEPTED, axum::Json(json!({"status": "OK"}))).into_response()
            }
            other => {
                state.running = other;
                let error = json!({"errorMessage": "Invalid request ID", "errorType": "InvalidRequestID"});
                (StatusCode::BAD_REQUEST, axum::Json(error)).into_response()
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, RuntimeState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An error object in the wording of Lambda.
pub(super) fn error_object(request_id: &str, kind: &str, reason: &str) -> Bytes {
    let message = format!("RequestId: {request_id} Error: {reason}");
    Bytes::from(json!({"errorType": kind, "errorMessage": message}).to_string())
}

async fn get_next(State(runtime_api): State<Arc<RuntimeApi>>) -> Response {
    let mut next_invocation = runtime_api.next_invocation.lock().await;
    {
        let mut state = runtime_api.lock();
        if state.exit.is_some() {
            return StatusCode::GONE.into_response();
        }
        // A runtime that asks for the next invocation without having responded will never respond.
        if let Some((request_id, reply)) = state.running.take() {
            let reason = "Runtime asked for the next invocation without a response";
            let _ = reply.send(Reply::Error(error_object(&request_id, "Runtime.NoResponse", reason)));
        }
        runtime_api.phase.send_replace(Phase::Idle);
    }
    let Some(invocation) = next_invocation.recv().await else { return StatusCode::GONE.into_response() };
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("lambda-runtime-aws-request-id", invocation.request_id),
        ("lambda-runtime-deadline-ms", invocation.deadline_ms.to_string()),
        ("lambda-runtime-invoked-function-arn", invocation.function_arn),
        ("lambda-runtime-trace-id", invocation.trace_header),
    ];
    (headers, invocation.payload).into_response()
}

async fn post_response(
    State(runtime_api): State<Arc<RuntimeApi>>,
    Path(request_id): Path<String>,
    body: Bytes,
) -> Response {
    if body.len() > MAX_PAYLOAD_BYTES {
        let reason =
            format!("Response payload size exceeded maximum allowed payload size ({MAX_PAYLOAD_BYTES} bytes).");
        let too_large = json!({"errorType": "Function.ResponseSizeTooLarge", "errorMessage": reason});
        runtime_api.complete(&request_id, Reply::Error(Bytes::from(too_large.to_string())));
        return (StatusCode::PAYLOAD_TOO_LARGE, axum::Json(too_large)).into_response();
    }
    runtime_api.complete(&request_id, Reply::Response(body))
}

async fn post_error(
    State(runtime_api): State<Arc<RuntimeApi>>,
    Path(request_id): Path<String>,
    body: Bytes,
) -> Response {
    runtime_api.complete(&request_id, Reply::Error(body))
}

async fn post_init_error(State(runtime_api): State<Arc<RuntimeApi>>, body: Bytes) -> Response {
    let error: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let text = |name: &str, otherwise: &str| error[name].as_str().unwrap_or(otherwise).to_owned();
    runtime_api
        .record_exit(&text("errorType", "Runtime.InitError"), &text("errorMessage", "the function did not start"));
    StatusCode::ACCEPTED.into_response()
}
