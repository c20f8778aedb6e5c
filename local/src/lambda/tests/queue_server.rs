//! The part of SQS that a mapping uses, over HTTP. A message is received once and stays in flight after that.

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

/// A queue that records its requests.
pub(super) struct QueueServer {
    /// The URL of the server.
    pub(super) endpoint: String,
    contents: Arc<Mutex<QueueContents>>,
}

#[derive(Default)]
struct QueueContents {
    /// The messages by id, each with a flag that says whether it is in flight.
    messages: BTreeMap<String, (Value, bool)>,
    deleted: Vec<String>,
    sent: Vec<String>,
    signers: Vec<String>,
    rejects_once_empty: bool,
}

impl QueueServer {
    /// A server on a free port.
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let contents: Arc<Mutex<QueueContents>> = Arc::default();
        let router = Router::new().fallback(serve).with_state(Arc::clone(&contents));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { endpoint, contents }
    }

    /// Adds a message.
    pub(super) fn put(&self, id: &str, body: &str, trace: Option<String>) {
        let mut message = json!({"MessageId": id, "ReceiptHandle": id, "Body": body, "Attributes": {}});
        if let Some(trace) = trace {
            message["Attributes"]["AWSTraceHeader"] = trace.into();
        }
        self.contents.lock().unwrap().messages.insert(id.to_owned(), (message, false));
    }

    /// Rejects ReceiveMessage as soon as no message is visible.
    pub(super) fn reject_once_empty(&self) {
        self.contents.lock().unwrap().rejects_once_empty = true;
    }

    /// The ids of the deleted messages, sorted.
    pub(super) fn deleted(&self) -> Vec<String> {
        let mut deleted = self.contents.lock().unwrap().deleted.clone();
        deleted.sort();
        deleted
    }

    /// The ids of the messages that are not deleted.
    pub(super) fn remaining(&self) -> Vec<String> {
        self.contents.lock().unwrap().messages.keys().cloned().collect()
    }

    /// How many messages were sent to a queue of this name.
    pub(super) fn sent_to(&self, name: &str) -> usize {
        self.contents.lock().unwrap().sent.iter().filter(|url| url.ends_with(name)).count()
    }

    /// The ids of the access keys that signed the requests to receive or delete.
    pub(super) fn signers(&self) -> Vec<String> {
        self.contents.lock().unwrap().signers.clone()
    }
}

async fn serve(State(shared): State<Arc<Mutex<QueueContents>>>, headers: HeaderMap, body: Bytes) -> Response {
    let request: Value = serde_json::from_slice(&body).unwrap();
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    let signer = header("authorization").split_once("Credential=").unwrap().1.split('/').next().unwrap().to_owned();
    let target = header("x-amz-target");
    let response = {
        let mut contents = shared.lock().unwrap();
        if target != "AmazonSQS.SendMessage" {
            contents.signers.push(signer);
        }
        match target.as_str() {
            "AmazonSQS.ReceiveMessage" => {
                let visible = contents.messages.values_mut().filter(|(_, in_flight)| !in_flight);
                let received: Vec<Value> = visible
                    .map(|(message, in_flight)| {
                        *in_flight = true;
                        message.clone()
                    })
                    .collect();
                if received.is_empty() && contents.rejects_once_empty {
                    let error = json!({"__type": "com.amazonaws.sqs#AccessDeniedException"});
                    return (StatusCode::BAD_REQUEST, Json(error)).into_response();
                }
                (!received.is_empty()).then(|| json!({"Messages": received}))
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
            other => panic!("this server does not know {other}"),
        }
    };
    match response {
        Some(response) => Json(response).into_response(),
        None => {
            tokio::time::sleep(Duration::from_millis(50)).await;
            Json(json!({})).into_response()
        }
    }
}
