//! The Runtime API of one execution environment (Lambda developer guide, "Using the Lambda runtime API"): the process fetches
//! its next invocation here and hands in the response.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::json;
use tokio::sync::{mpsc, oneshot, watch};

/// The largest synchronous payload, each way (Lambda quotas: 6 MB).
pub(crate) const PAYLOAD_LIMIT: usize = 6 * 1024 * 1024;

/// What the host and one process exchange.
#[derive(Debug)]
pub(super) struct Exchange {
    phase: watch::Sender<Phase>,
    outbox: mpsc::Sender<Work>,
    inbox: tokio::sync::Mutex<mpsc::Receiver<Work>>,
    slot: Mutex<Slot>,
}

/// Where an environment is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The process has not asked for work yet.
    Starting,
    /// It has asked for work and there is none.
    Idle,
    /// It is working, or has answered and not asked for more.
    Busy,
    /// It has ended.
    Gone,
}

/// An invocation as the process gets it.
#[derive(Debug)]
pub(super) struct Work {
    /// The request id.
    pub(super) request_id: String,
    /// When the invocation is killed, in milliseconds since 1970.
    pub(super) deadline_ms: i64,
    /// The function's ARN.
    pub(super) function_arn: String,
    /// The trace header with the lineage.
    pub(super) trace: String,
    /// The event.
    pub(super) payload: Bytes,
}

/// How an invocation ended.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    /// The function's response.
    Response(Bytes),
    /// The error object of the runtime or of Lambda.
    Error(Bytes),
}

/// The invocation that the process is working on, and how the environment ended.
#[derive(Debug, Default)]
struct Slot {
    running: Option<(String, oneshot::Sender<Reply>)>,
    end: Option<(String, String)>,
}

impl Exchange {
    /// An exchange with a process that is about to start.
    pub(super) fn new() -> Arc<Self> {
        let (outbox, inbox) = mpsc::channel(1);
        Arc::new(Self {
            phase: watch::Sender::new(Phase::Starting),
            outbox,
            inbox: tokio::sync::Mutex::new(inbox),
            slot: Mutex::default(),
        })
    }

    /// The environment's phase, to look at or to wait for.
    pub(super) fn phase(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// Gives the process an invocation. The receiver fails only if the environment is dropped.
    pub(super) fn begin(&self, work: Work) -> oneshot::Receiver<Reply> {
        let (reply, receiver) = oneshot::channel();
        let mut slot = self.lock();
        if let Some((kind, reason)) = &slot.end {
            let _ = reply.send(Reply::Error(error(&work.request_id, kind, reason)));
            return receiver;
        }
        slot.running = Some((work.request_id.clone(), reply));
        self.phase.send_replace(Phase::Busy);
        // There is room: an environment is given one invocation at a time.
        let _ = self.outbox.try_send(work);
        receiver
    }

    /// Notes that the process has ended, and answers what it was working on. The first reason given counts.
    pub(super) fn end(&self, kind: &str, reason: &str) {
        let mut slot = self.lock();
        let (kind, reason) = slot.end.get_or_insert_with(|| (kind.to_owned(), reason.to_owned())).clone();
        if let Some((request_id, reply)) = slot.running.take() {
            let _ = reply.send(Reply::Error(error(&request_id, &kind, &reason)));
        }
    }

    /// Notes that the process is reaped.
    pub(super) fn gone(&self) {
        self.phase.send_replace(Phase::Gone);
    }

    /// Why the environment ended, as an error of this request.
    pub(super) fn end_of(&self, request_id: &str) -> Bytes {
        let slot = self.lock();
        match &slot.end {
            Some((kind, reason)) => error(request_id, kind, reason),
            None => error(request_id, "Runtime.Unknown", "the execution environment ended"),
        }
    }

    /// The HTTP side.
    pub(super) fn router(self: &Arc<Self>) -> Router {
        Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{request_id}/response", post(respond))
            .route("/2018-06-01/runtime/invocation/{request_id}/error", post(fail))
            .route("/2018-06-01/runtime/init/error", post(fail_init))
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::clone(self))
    }

    fn answer(&self, request_id: &str, reply: Reply) -> Response {
        let mut slot = self.lock();
        match slot.running.take() {
            Some((running, sender)) if running == request_id => {
                let _ = sender.send(reply);
                (StatusCode::ACCEPTED, axum::Json(json!({"status": "OK"}))).into_response()
            }
            other => {
                slot.running = other;
                let error = json!({"errorMessage": "Invalid request ID", "errorType": "InvalidRequestID"});
                (StatusCode::BAD_REQUEST, axum::Json(error)).into_response()
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An error object in Lambda's words.
pub(super) fn error(request_id: &str, kind: &str, reason: &str) -> Bytes {
    let message = format!("RequestId: {request_id} Error: {reason}");
    Bytes::from(json!({"errorType": kind, "errorMessage": message}).to_string())
}

async fn next(State(exchange): State<Arc<Exchange>>) -> Response {
    let mut inbox = exchange.inbox.lock().await;
    {
        let mut slot = exchange.lock();
        if slot.end.is_some() {
            return StatusCode::GONE.into_response();
        }
        // A runtime that asks for more without having answered will not answer any more.
        if let Some((request_id, reply)) = slot.running.take() {
            let reason = "Runtime asked for the next invocation without a response";
            let _ = reply.send(Reply::Error(error(&request_id, "Runtime.NoResponse", reason)));
        }
        exchange.phase.send_replace(Phase::Idle);
    }
    let Some(work) = inbox.recv().await else { return StatusCode::GONE.into_response() };
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("lambda-runtime-aws-request-id", work.request_id),
        ("lambda-runtime-deadline-ms", work.deadline_ms.to_string()),
        ("lambda-runtime-invoked-function-arn", work.function_arn),
        ("lambda-runtime-trace-id", work.trace),
    ];
    (headers, work.payload).into_response()
}

async fn respond(State(exchange): State<Arc<Exchange>>, Path(request_id): Path<String>, body: Bytes) -> Response {
    if body.len() > PAYLOAD_LIMIT {
        let reason = format!("Response payload size exceeded maximum allowed payload size ({PAYLOAD_LIMIT} bytes).");
        let too_large = json!({"errorType": "Function.ResponseSizeTooLarge", "errorMessage": reason});
        exchange.answer(&request_id, Reply::Error(Bytes::from(too_large.to_string())));
        return (StatusCode::PAYLOAD_TOO_LARGE, axum::Json(too_large)).into_response();
    }
    exchange.answer(&request_id, Reply::Response(body))
}

async fn fail(State(exchange): State<Arc<Exchange>>, Path(request_id): Path<String>, body: Bytes) -> Response {
    exchange.answer(&request_id, Reply::Error(body))
}

async fn fail_init(State(exchange): State<Arc<Exchange>>, body: Bytes) -> Response {
    let told: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let text = |name: &str, otherwise: &str| told[name].as_str().unwrap_or(otherwise).to_owned();
    exchange.end(&text("errorType", "Runtime.InitError"), &text("errorMessage", "the function did not start"));
    StatusCode::ACCEPTED.into_response()
}
