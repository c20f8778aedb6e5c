//! Why a mail's delivery failed.
//!
//! Most failures pass, and SQS delivers the message again after the visibility timeout. SQS moves a message that was
//! received too often to the dead-letter queue without telling anybody, so it must not come to that: a mail that waits for
//! a repair by a person is requeued as a new message ([`DeliveryError::is_broken`]), and a message that cannot be processed
//! is given up by our own code ([`DeliveryError::is_caused_by_message`]).

use shared::custody::CustodyError;
use shared::queue::{Interrupted, QueueError};
use shared::record::RecordError;
use shared::telemetry::PutEventFailed;
use thiserror::Error;

use crate::snapshot::SnapshotError;

/// What failed on our side, or what the mail has to wait for.
#[derive(Debug, Error)]
pub(crate) enum DeliveryError {
    /// The ledger, the rate item or a provider could not be read or written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// It is unknown whether mail may go out.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The secret could not be opened.
    #[error(transparent)]
    Custody(#[from] CustodyError),
    /// A queue did not accept a message.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The bus did not accept an event.
    #[error(transparent)]
    Event(#[from] PutEventFailed),
    /// The handler panicked or ran out of time.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// An active provider has no secret, twice in a row.
    #[error("the provider is active and its secret is not there")]
    SecretMissing,
    /// A provider's item is not what this version writes.
    #[error("the provider's item cannot be read")]
    ProviderUnreadable,
    /// Another delivery is sending the mail.
    #[error("another delivery holds the claim")]
    ClaimHeld,
    /// Another delivery changed the row before each attempt to write it.
    #[error("the row changed again and again")]
    Contended,
}

impl DeliveryError {
    /// Whether something on our side is broken. That says nothing about the mail.
    pub(crate) fn is_broken(&self) -> bool {
        matches!(
            self,
            Self::SecretMissing
                | Self::ProviderUnreadable
                | Self::Custody(CustodyError::Refused { .. } | CustodyError::Content { .. })
                | Self::Record(RecordError::Shape { .. })
        )
    }

    /// Whether the message itself may be the cause, and not what we depend on.
    pub(crate) fn is_caused_by_message(&self) -> bool {
        match self {
            Self::Interrupted(Interrupted::Panicked) => true,
            Self::Queue(error) => error.is_permanent(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use shared::custody::Lane;

    use super::*;

    #[test]
    fn only_the_message_itself_is_given_up_and_only_what_is_broken_is_requeued() {
        let shape = RecordError::Shape { pk: "mail#1".to_owned() };
        let queue_error = |code: &str| QueueError { subject: "m".to_owned(), queue: "send", code: code.to_owned() };
        let queue = queue_error("InvalidMessageContents");
        let no_answer = queue_error("no answer");
        let custody = |code: &str| {
            let access_key_id = "AKIA…1234".to_owned();
            match code {
                "" => CustodyError::Unavailable { lane: Lane::Send, access_key_id },
                code => CustodyError::Refused { lane: Lane::Send, access_key_id, code: code.to_owned() },
            }
        };
        let throttled = RecordError::dynamodb("GetItem", "mail#1")("throttled");
        let cases = [
            (DeliveryError::SecretMissing, (true, false)),
            (DeliveryError::ProviderUnreadable, (true, false)),
            (DeliveryError::Record(shape), (true, false)),
            (DeliveryError::Record(throttled), (false, false)),
            (DeliveryError::Snapshot(SnapshotError::Slow), (false, false)),
            (DeliveryError::Custody(custody("DisabledException")), (true, false)),
            (DeliveryError::Custody(custody("")), (false, false)),
            (DeliveryError::Queue(queue), (false, true)),
            (DeliveryError::Queue(no_answer), (false, false)),
            (DeliveryError::Interrupted(Interrupted::Panicked), (false, true)),
            (DeliveryError::Interrupted(Interrupted::OutOfTime), (false, false)),
            (DeliveryError::ClaimHeld, (false, false)),
            (DeliveryError::Contended, (false, false)),
        ];
        for (error, expected) in cases {
            assert_eq!((error.is_broken(), error.is_caused_by_message()), expected, "{error}");
        }
    }
}
