//! `GET /queues`: how many messages the stack's queues hold.

use serde::Serialize;
use shared::http::{Problem, QueryParameters, Request, RequestLog, Response, respond};
use shared::queue::QueueDepth;
use shared::telemetry::chain;

use crate::Verify;

/// The answer.
#[derive(Serialize)]
struct QueueList {
    queues: Vec<QueueView>,
}

/// One queue.
#[derive(Serialize)]
struct QueueView {
    queue: &'static str,
    /// Absent where SQS did not answer.
    #[serde(flatten)]
    depth: Option<QueueDepth>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    unknown: bool,
}

impl Verify {
    /// Answers with each queue that SQS answers for; 503 if it answers for none.
    pub(crate) async fn get_queues(&self, request: &Request, log: &mut RequestLog) -> Result<Response, Problem> {
        QueryParameters::from_request(request, &[])?;
        let depths = self.queues.depths().await;
        let mut views = Vec::with_capacity(depths.len());
        let mut failure = None;
        for (queue, depth) in depths {
            let depth = depth.map_err(|error| failure = Some(error)).ok();
            views.push(QueueView { queue, depth, unknown: depth.is_none() });
        }
        if let Some(error) = failure {
            if views.iter().all(|view| view.unknown) {
                return Err(Problem::unavailable().caused_by(&error));
            }
            log.outcome("partly_unknown");
            tracing::warn!(error = chain(&error), "a queue was not counted");
        }
        Ok(respond(200, &QueueList { queues: views }))
    }
}
