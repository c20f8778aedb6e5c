//! `revoke`: takes reports, orders and stops. It opens no secret and calls no tenant's AWS.
//!
//! Three sources call one function, so that a stop has one implementation: HTTP requests ([`routes`]), breach reports from
//! the bus by way of a queue ([`breach`]), and the clock ([`sweep`]).

mod breach;
mod ordering;
mod receipt;
mod report;
mod routes;
mod sweep;

use std::sync::Arc;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsMessage};
use lambda_runtime::LambdaEvent;
use serde::Serialize;
use serde_json::Value;
use shared::http::{Problem, Response};
use shared::record::{Providers, Secrets};
use shared::runtime::Ambient;
use shared::telemetry::chain;

use self::breach::Breach;
use self::ordering::OrderError;
use crate::queue::{Deadline, Queue, each, nothing_done, records};

/// What a cold start builds once.
pub(crate) struct Intake {
    pub(crate) providers: Providers,
    pub(crate) secrets: Secrets,
    /// Where orders are handed on to `revoke-worker`.
    pub(crate) queue: Queue,
    /// Where breach reports go that can never be taken.
    pub(crate) dead_letters: Queue,
    pub(crate) ambient: Ambient,
}

/// What an invocation answers, by its source.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Answer {
    /// To API Gateway.
    Http(Box<Response>),
    /// To the event source mapping.
    Batch(SqsBatchResponse),
    /// To the scheduler, which reads nothing.
    Nothing,
}

/// Where an invocation comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Http,
    Queue,
    Schedule,
    Unknown,
}

impl Source {
    fn of(event: &Value) -> Self {
        if event.pointer("/requestContext/http").is_some() {
            Self::Http
        } else if event.get("Records").is_some() {
            Self::Queue
        } else if event["source"] == "aws.events" && event["detail-type"] == "Scheduled Event" {
            Self::Schedule
        } else {
            Self::Unknown
        }
    }
}

impl Intake {
    /// Handles an invocation of any source.
    pub(crate) async fn handle(self: Arc<Self>, event: LambdaEvent<Value>) -> Answer {
        let deadline = Deadline::of_millis(event.context.deadline);
        match Source::of(&event.payload) {
            Source::Http => Answer::Http(Box::new(match serde_json::from_value(event.payload) {
                Ok(request) => self.route(&request).await,
                Err(_) => {
                    tracing::error!("a request that is not API Gateway's was not taken");
                    Problem::internal().into()
                }
            })),
            Source::Queue => Answer::Batch(match records(event.payload) {
                Some(batch) => {
                    each(batch.records, deadline.left(self.ambient.now()), |message| {
                        let intake = Arc::clone(&self);
                        async move { intake.report(&message).await }
                    })
                    .await
                }
                None => {
                    tracing::error!("an event that is no SQS batch was not taken");
                    nothing_done()
                }
            }),
            Source::Schedule => {
                self.sweep(deadline).await;
                Answer::Nothing
            }
            Source::Unknown => {
                tracing::error!("an event of no known source was not taken");
                Answer::Nothing
            }
        }
    }

    /// Handles a breach report; answers whether it is done with. A replay finds its order, and what is left of it to do.
    async fn report(&self, message: &SqsMessage) -> bool {
        let message_id = message.message_id.as_deref().unwrap_or_default();
        let breach = match Breach::read(message) {
            Ok(breach) => breach,
            Err(unreadable) => return self.set_aside(message, &unreadable.to_string()).await,
        };
        match self.order(breach.order_id, breach.report).await {
            Ok(ordered) => ordered.is_complete(),
            Err(error @ OrderError::UnknownProvider) => {
                self.set_aside(message, &format!("detail.scope.provider_id: {error}")).await
            }
            Err(error @ OrderError::Record(_)) => {
                tracing::warn!(message_id, error = chain(&error), "a breach report is tried again");
                false
            }
        }
    }

    /// Puts a report that can never be taken where its alarm is; answers whether that worked.
    async fn set_aside(&self, message: &SqsMessage, reason: &str) -> bool {
        let message_id = message.message_id.as_deref().unwrap_or_default();
        let body = message.body.as_deref().unwrap_or_default();
        tracing::error!(message_id, reason, "a breach report was set aside: it can never be taken");
        let set_aside = self.dead_letters.set_aside(body, reason).await;
        if let Err(error) = &set_aside {
            tracing::error!(message_id, error = chain(error), "the dead-letter queue did not take a breach report");
        }
        set_aside.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sample_event_is_told_by_its_source() {
        let cases = [
            (include_str!("../../../../events/revoke-create-revocation.json"), Source::Http),
            (include_str!("../../../../events/revoke-get-revocation.json"), Source::Http),
            (include_str!("../../../../events/revoke-delete-provider.json"), Source::Http),
            (include_str!("../../../../events/revoke-breach.json"), Source::Queue),
            (include_str!("../../../../events/revoke-sweep.json"), Source::Schedule),
            (r#"{"source": "aws.events", "detail-type": "Something Else"}"#, Source::Unknown),
            ("{}", Source::Unknown),
            ("null", Source::Unknown),
        ];
        for (event, expected) in cases {
            let event: Value = serde_json::from_str(event).unwrap();
            assert_eq!(Source::of(&event), expected, "{event}");
        }
    }

    #[test]
    fn each_answer_has_the_shape_that_its_source_reads() {
        let shape = |answer: Answer| serde_json::to_value(answer).unwrap();
        assert_eq!(shape(Answer::Nothing), Value::Null);
        assert_eq!(shape(Answer::Batch(nothing_done()))["batchItemFailures"][0]["itemIdentifier"], "");
        assert_eq!(shape(Answer::Http(Box::new(Problem::not_found("route").into())))["statusCode"], 404);
    }
}
