//! The two queues that `send` writes to: its own, and that for mail that can never be sent.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::operation::send_message::builders::SendMessageFluentBuilder;
use aws_sdk_sqs::types::MessageAttributeValue;
use shared::runtime::{Environment, MissingVariable};
use thiserror::Error;

use crate::letter::{HOPS, Letter};
use crate::mail::Mail;
use crate::refusal::Refusal;

/// SQS did not take a message: it stays where it is.
#[derive(Debug, Error)]
pub(crate) enum QueueError {
    /// Back into the send queue.
    #[error("put message {message_id} back ({code})")]
    PutBack {
        /// The message it is a copy of.
        message_id: String,
        /// SQS's error code.
        code: String,
    },
    /// Into the dead-letter queue.
    #[error("set message {message_id} aside ({code})")]
    SetAside {
        /// The message it is a copy of.
        message_id: String,
        /// SQS's error code.
        code: String,
    },
}

impl QueueError {
    /// Whether SQS takes no message of this content, now or later (SQS API, `SendMessage`, "Errors").
    pub(crate) fn is_of_content(&self) -> bool {
        let (Self::PutBack { code, .. } | Self::SetAside { code, .. }) = self;
        matches!(code.as_str(), "InvalidMessageContents" | "InvalidParameterValue")
    }
}

/// The queues.
#[derive(Clone, Debug)]
pub(crate) struct Queues {
    client: Client,
    send: String,
    dead_letters: String,
}

impl Queues {
    /// The queues that `SEND_QUEUE_URL` and `SEND_DEAD_LETTER_QUEUE_URL` name.
    pub(crate) fn new(client: Client, environment: &Environment) -> Result<Self, MissingVariable> {
        Ok(Self {
            client,
            send: environment.required("SEND_QUEUE_URL")?,
            dead_letters: environment.required("SEND_DEAD_LETTER_QUEUE_URL")?,
        })
    }

    /// Puts a copy of the mail into the send queue, to come back after so many seconds. The caller acknowledges the
    /// original only after this; where it cannot, there are two, and the second one finds the first one's row.
    pub(crate) async fn put_back(&self, letter: &Letter, mail: &Mail, delay_s: i32) -> Result<(), QueueError> {
        let body =
            if mail.carries_first_seen { letter.body.clone() } else { letter.body_with_first_seen(mail.first_seen) };
        let copy = self
            .client
            .send_message()
            .queue_url(&self.send)
            .message_body(body)
            // What makes the queue fair: a tenant with much mail does not hold up the others.
            .message_group_id(mail.provider_id.as_str())
            .delay_seconds(delay_s);
        send(copy, &[(HOPS, "Number", &letter.hops.saturating_add(1).to_string())])
            .await
            .map_err(|code| QueueError::PutBack { message_id: letter.message_id.clone(), code })
    }

    /// Puts a copy of the message into the dead-letter queue, with what is wrong with it. Attributes that it came with
    /// are left behind, so that there is always room for ours.
    pub(crate) async fn set_aside(&self, letter: &Letter, refusal: &Refusal) -> Result<(), QueueError> {
        let copy = self.client.send_message().queue_url(&self.dead_letters).message_body(letter.body_to_set_aside());
        let attributes = [
            ("reason", "String", refusal.reason),
            ("field", "String", &refusal.field),
            ("problem", "String", &refusal.problem),
            ("message_id", "String", &letter.message_id),
            (HOPS, "Number", &letter.hops.to_string()),
        ];
        send(copy, &attributes)
            .await
            .map_err(|code| QueueError::SetAside { message_id: letter.message_id.clone(), code })
    }
}

/// Sends a message with attributes of a name, a data type and a value each. Where that fails, answers SQS's code.
async fn send(mut message: SendMessageFluentBuilder, attributes: &[(&str, &str, &str)]) -> Result<(), String> {
    for (name, data_type, value) in attributes {
        let attribute = MessageAttributeValue::builder().data_type(*data_type).string_value(*value).build();
        message = message.message_attributes(*name, attribute.map_err(|_| "not built".to_owned())?);
    }
    message.send().await.map(drop).map_err(|error| code(&error))
}

/// SQS's code and not its text, which may quote the body.
fn code<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> String {
    error.as_service_error().and_then(|error| error.code()).unwrap_or("no answer").to_owned()
}
