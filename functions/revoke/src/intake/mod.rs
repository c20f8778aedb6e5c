//! `revoke`: accepts breach reports and stops keys. It opens no tenant's secret and calls no tenant's AWS.
//!
//! Three sources invoke one function, so that stopping a key is implemented once: HTTP requests ([`route`]), breach
//! events ([`breach_event`]) and AWS's notices ([`aws_notice`]) from buses through a queue, and the clock ([`sweep`]
//! and the schedule of [`drill`]s).

mod aws_notice;
mod breach_event;
mod breach_report;
mod drill;
mod halt;
mod look_dispatch;
mod order_execution;
mod revocation_view;
mod rotation;
mod route;
mod sweep;
mod webhook;

use std::sync::Arc;

use aws_lambda_events::sqs::SqsBatchResponse;
use lambda_runtime::LambdaEvent;
use serde::Serialize;
use serde_json::Value;
use shared::custody::WebhookCustody;
use shared::http::{FieldError, Problem, Response};
use shared::queue::{Deadline, EventSourceMapping, Message, MessageOutcome, Queue, dead_letter, handle_batch};
use shared::record::{BreachScope, Providers, Secrets};
use shared::runtime::{Ambient, ColdStart, MissingVariable};
use shared::telemetry::{Bus, UnmatchedReportEvent, chain};

use self::aws_notice::AwsNotice;
use self::breach_event::BreachEvent;
use self::order_execution::OrderError;
pub use self::route::ROUTES;
use self::webhook::OpenedSecrets;
use crate::look_schedule::LookSchedule;

/// What a cold start builds once.
pub(crate) struct Intake {
    providers: Providers,
    secrets: Secrets,
    /// What senders of webhooks sign with.
    webhook_secrets: OpenedSecrets,
    /// The queue of `revoke-worker`.
    queue: Queue,
    /// The queue of looks at live keys, for `revoke-worker` too.
    look_queue: Queue,
    /// When live keys are looked at.
    look_schedule: LookSchedule,
    /// For breach reports that can never be accepted.
    dead_letters: Queue,
    /// By which Lambda polls the queue of `send`.
    send_mapping: EventSourceMapping,
    bus: Bus,
    /// The same bus, for the reports of drills.
    report_bus: Bus,
    ambient: Ambient,
}

/// The response to an invocation, by its source.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum InvocationResponse {
    /// For API Gateway.
    Http(Box<Response>),
    /// For the event source mapping.
    Batch(SqsBatchResponse),
    /// For the scheduler, which reads nothing.
    Empty,
}

/// What invoked the function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EventSource {
    Http,
    Queue,
    Schedule,
    DrillSchedule,
    Unknown,
}

impl EventSource {
    fn from_event(event: &Value) -> Self {
        if event.pointer("/requestContext/http").is_some() {
            Self::Http
        } else if event.get("Records").is_some() {
            Self::Queue
        } else if event["source"] == "aws.events" && event["detail-type"] == "Scheduled Event" {
            Self::Schedule
        } else if event.get("drill").is_some() {
            // The input of the schedule in the template, which replaces the scheduled event.
            Self::DrillSchedule
        } else {
            Self::Unknown
        }
    }
}

impl Intake {
    /// The handler.
    ///
    /// # Errors
    /// [`MissingVariable`] names the variable.
    pub(crate) fn new(start: &ColdStart) -> Result<Self, MissingVariable> {
        let (dynamodb, sqs) = (start.dynamodb()?, start.sqs()?);
        Ok(Self {
            providers: Providers::new(dynamodb.clone(), &start.environment)?,
            secrets: Secrets::new(dynamodb, &start.environment)?,
            webhook_secrets: OpenedSecrets::new(WebhookCustody::new(start.kms()?, &start.environment)?),
            queue: Queue::new(sqs.clone(), start.required("REVOCATION_QUEUE_URL")?, "revocation"),
            look_queue: Queue::new(sqs.clone(), start.required("REVOCABILITY_QUEUE_URL")?, "revocability"),
            look_schedule: LookSchedule::from_days(start.environment.required_number("REVOCABILITY_PROOF_DAYS")?),
            dead_letters: Queue::new(sqs, start.required("BREACH_DEAD_LETTER_QUEUE_URL")?, "breach dead-letter"),
            send_mapping: start.event_source_mapping(&start.required("SEND_MAPPING_ID")?)?,
            bus: start.bus("sendingbee.revoke")?,
            report_bus: start.bus(breach_event::SOURCE)?,
            ambient: start.ambient,
        })
    }

    /// Handles an invocation of any source.
    pub(crate) async fn handle(self: Arc<Self>, event: LambdaEvent<Value>) -> InvocationResponse {
        let deadline = Deadline::from_millis(event.context.deadline);
        match EventSource::from_event(&event.payload) {
            EventSource::Http => InvocationResponse::Http(Box::new(match serde_json::from_value(event.payload) {
                Ok(request) => self.handle_request(&request).await,
                Err(_) => {
                    tracing::error!("the HTTP event does not have API Gateway's payload format 2.0");
                    Problem::internal().into()
                }
            })),
            EventSource::Queue => {
                let handle = |message: Arc<Message>| {
                    let intake = Arc::clone(&self);
                    async move { intake.handle_breach_event(&message).await }
                };
                InvocationResponse::Batch(handle_batch(event.payload, deadline, self.ambient, handle).await)
            }
            EventSource::Schedule => {
                // At the same time, so that neither waits for what the other asks.
                tokio::join!(self.follow_halt_item(), self.sweep(deadline));
                self.dispatch_looks(deadline).await;
                InvocationResponse::Empty
            }
            EventSource::DrillSchedule => {
                Box::pin(self.run_scheduled_drill()).await;
                InvocationResponse::Empty
            }
            EventSource::Unknown => {
                tracing::error!("the event is neither an HTTP request nor an SQS batch nor of a schedule");
                InvocationResponse::Empty
            }
        }
    }

    /// Handles a breach event. A repeated event finds its order and completes what is left of it to do.
    async fn handle_breach_event(&self, message: &Message) -> MessageOutcome {
        if AwsNotice::is_in(message) {
            return Box::pin(self.handle_notice(message)).await;
        }
        let breach = match BreachEvent::parse(message) {
            Ok(breach) => breach,
            Err(invalid) => return dead_letter(&self.dead_letters, message, "invalid_report", &invalid).await,
        };
        let scope = breach.report.scope.clone();
        match self.order_revocation(breach.order_id, breach.report).await {
            Ok(execution) if execution.is_complete() => match breach.other_scope {
                Some(rest) => dead_letter(&self.dead_letters, message, "partly_acted_on", &rest).await,
                None => MessageOutcome::Done,
            },
            Ok(_) => MessageOutcome::Retry,
            Err(error @ OrderError::UnknownProvider) => {
                // Whether it works or not, the dead-letter queue has an alarm.
                self.notify_unmatched(unknown_provider(scope)).await;
                let invalid = FieldError::new("detail.scope.provider_id", error.to_string());
                dead_letter(&self.dead_letters, message, "unknown_provider", &invalid).await
            }
            Err(error @ OrderError::Record(_)) => {
                let message_id = message.message_id.as_str();
                tracing::warn!(message_id, error = chain(&error), "no order written for a breach event: it is retried");
                MessageOutcome::Retry
            }
        }
    }
}

fn unknown_provider(scope: BreachScope) -> UnmatchedReportEvent {
    let provider_id = match scope {
        BreachScope::ProviderId(provider_id) => Some(provider_id),
        BreachScope::AccessKeyId(_) | BreachScope::TenantId(_) | BreachScope::AccountId(_) | BreachScope::All(_) => {
            None
        }
    };
    UnmatchedReportEvent {
        order_id: None,
        access_key_id: None,
        provider_id,
        source: None,
        account_id: None,
        reason: "unknown_provider",
    }
}

#[cfg(test)]
mod tests {
    use shared::queue::Batch;

    use super::*;

    #[test]
    fn each_sample_event_is_recognised_by_its_source() {
        let cases = [
            (include_str!("../../../../events/revoke-create-revocation.json"), EventSource::Http),
            (include_str!("../../../../events/revoke-create-revocation-of-all.json"), EventSource::Http),
            (include_str!("../../../../events/revoke-list-revocations.json"), EventSource::Http),
            (include_str!("../../../../events/revoke-get-revocation.json"), EventSource::Http),
            (include_str!("../../../../events/revoke-get-evidence.json"), EventSource::Http),
            (include_str!("../../../../events/revoke-list-keys.json"), EventSource::Http),
            (include_str!("../../../../events/revoke-list-audit-events.json"), EventSource::Http),
            (include_str!("../../../../events/revoke-delete-provider.json"), EventSource::Http),
            (include_str!("../../../../events/revoke-attest-key.json"), EventSource::Http),
            (include_str!("../../../../events/revoke-put-hold.json"), EventSource::Http),
            (include_str!("../../../../events/revoke-delete-hold.json"), EventSource::Http),
            (include_str!("../../../../events/revoke-get-halt.json"), EventSource::Http),
            (include_str!("../../../../events/revoke-put-halt.json"), EventSource::Http),
            (include_str!("../../../../events/revoke-delete-halt.json"), EventSource::Http),
            (include_str!("../../../../events/revoke-register-webhook.json"), EventSource::Http),
            (include_str!("../../../../events/revoke-get-webhook.json"), EventSource::Http),
            (include_str!("../../../../events/revoke-delete-webhook.json"), EventSource::Http),
            (include_str!("../../../../events/revoke-receive-webhook.json"), EventSource::Http),
            (include_str!("../../../../events/revoke-breach.json"), EventSource::Queue),
            (include_str!("../../../../events/revoke-aws-health.json"), EventSource::Queue),
            (include_str!("../../../../events/revoke-guard-duty.json"), EventSource::Queue),
            (include_str!("../../../../events/revoke-quarantine-attached.json"), EventSource::Queue),
            (include_str!("../../../../events/revoke-sweep.json"), EventSource::Schedule),
            (include_str!("../../../../events/revoke-start-drill.json"), EventSource::Http),
            (include_str!("../../../../events/revoke-list-drills.json"), EventSource::Http),
            (include_str!("../../../../events/revoke-get-drill.json"), EventSource::Http),
            (include_str!("../../../../events/revoke-scheduled-drill.json"), EventSource::DrillSchedule),
            (r#"{"source": "aws.events", "detail-type": "Something Else"}"#, EventSource::Unknown),
            ("{}", EventSource::Unknown),
            ("null", EventSource::Unknown),
        ];
        for (event, expected) in cases {
            let event: Value = serde_json::from_str(event).unwrap();
            assert_eq!(EventSource::from_event(&event), expected, "{event}");
        }
    }

    #[test]
    fn each_response_has_the_shape_that_its_source_reads() {
        let shape = |response: InvocationResponse| serde_json::to_value(response).unwrap();
        assert_eq!(shape(InvocationResponse::Empty), Value::Null);
        let failed = shape(InvocationResponse::Batch(Batch::fail_all()));
        assert_eq!(failed["batchItemFailures"][0]["itemIdentifier"], "");
        let not_found = shape(InvocationResponse::Http(Box::new(Problem::not_found("route").into())));
        assert_eq!(not_found["statusCode"], 404);
    }
}
