//! As much of SQS over HTTP as a mapping uses: a message is given out once and then is in flight for good.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// A queue, and who asked for what.
pub(super) struct QueueServer {
    /// Where it listens.
    pub(super) endpoint: String,
    state: Arc<Mutex<Contents>>,
}

#[derive(Default)]
struct Contents {
    /// Messages by id; the flag says whether one is in flight.
    messages: BTreeMap<String, (Value, bool)>,
    deleted: Vec<String>,
    sent: Vec<String>,
    signers: Vec<String>,
    refuses_once_empty: bool,
}

impl QueueServer {
    /// A server on a free port.
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let state: Arc<Mutex<Contents>> = Arc::default();
        let router = Router::new().fallback(serve).with_state(Arc::clone(&state));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { endpoint, state }
    }

    /// Adds a message.
    pub(super) fn put(&self, id: &str, body: &str, trace: Option<String>) {
        let mut message = json!({"MessageId": id, "ReceiptHandle": id, "Body": body, "Attributes": {}});
        if let Some(trace) = trace {
            message["Attributes"]["AWSTraceHeader"] = trace.into();
        }
        self.state.lock().unwrap().messages.insert(id.to_owned(), (message, false));
    }

    /// Refuses to be asked for messages as soon as there are none.
    pub(super) fn refuse_once_empty(&self) {
        self.state.lock().unwrap().refuses_once_empty = true;
    }

    /// Ids of deleted messages in order.
    pub(super) fn deleted(&self) -> Vec<String> {
        let mut deleted = self.state.lock().unwrap().deleted.clone();
        deleted.sort();
        deleted
    }

    /// Ids of messages that are still there.
    pub(super) fn waiting(&self) -> Vec<String> {
        self.state.lock().unwrap().messages.keys().cloned().collect()
    }

    /// How many messages were sent to a queue of this name.
    pub(super) fn sent_to(&self, name: &str) -> usize {
        self.state.lock().unwrap().sent.iter().filter(|url| url.ends_with(name)).count()
    }

    /// Access key ids that received or deleted.
    pub(super) fn signers(&self) -> Vec<String> {
        self.state.lock().unwrap().signers.clone()
    }
}

async fn serve(State(state): State<Arc<Mutex<Contents>>>, headers: HeaderMap, body: Bytes) -> Response {
    let request: Value = serde_json::from_slice(&body).unwrap();
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    let signer = header("authorization").split_once("Credential=").unwrap().1.split('/').next().unwrap().to_owned();
    let target = header("x-amz-target");
    let answer = {
        let mut contents = state.lock().unwrap();
        if target != "AmazonSQS.SendMessage" {
            contents.signers.push(signer);
        }
        match target.as_str() {
            "AmazonSQS.ReceiveMessage" => {
                let visible = contents.messages.values_mut().filter(|(_, in_flight)| !in_flight);
                let given: Vec<Value> = visible
                    .map(|(message, in_flight)| {
                        *in_flight = true;
                        message.clone()
                    })
                    .collect();
                if given.is_empty() && contents.refuses_once_empty {
                    let error = json!({"__type": "com.amazonaws.sqs#AccessDeniedException"});
                    return (StatusCode::BAD_REQUEST, Json(error)).into_response();
                }
                (!given.is_empty()).then(|| json!({"Messages": given}))
            }
            "AmazonSQS.DeleteMessageBatch" => {
                let mut successful = Vec::new();
                for entry in request["Entries"].as_array().unwrap() {
                    let id = entry["ReceiptHandle"].as_str().unwrap();
                    contents.messages.remove(id);
                    contents.deleted.push(id.to_owned());
                    successful.push(json!({"Id": entry["Id"]}));
                }
                Some(json!({"Successful": successful, "Failed": []}))
            }
            "AmazonSQS.SendMessage" => {
                contents.sent.push(request["QueueUrl"].as_str().unwrap().to_owned());
                Some(json!({"MessageId": "sent"}))
            }
            other => panic!("{other}"),
        }
    };
    match answer {
        Some(answer) => Json(answer).into_response(),
        None => {
            tokio::time::sleep(Duration::from_millis(50)).await;
            Json(json!({})).into_response()
        }
    }
}
