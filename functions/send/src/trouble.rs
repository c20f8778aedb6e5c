//! Why a mail could not be dealt with now.
//!
//! Most troubles pass, and the message comes back after the visibility timeout. SQS moves a message that was received too
//! often to the dead-letter queue without a word, so it must not come to that: what a person has to mend first goes back
//! into the queue as a new message ([`Trouble::is_broken`]), and a message that nothing can be done with is given up by our
//! own hand ([`Trouble::is_of_message`]).

use shared::custody::CustodyError;
use shared::record::RecordError;
use shared::telemetry::PutEventFailed;
use thiserror::Error;

use crate::fate::Fate;
use crate::queues::QueueError;
use crate::snapshot::SnapshotError;

/// What went wrong on our side, or what the mail has to wait for.
#[derive(Debug, Error)]
pub(crate) enum Trouble {
    /// The ledger, the pace or a provider could not be read or written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Nobody can say whether mail may go out.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The secret could not be opened.
    #[error(transparent)]
    Custody(#[from] CustodyError),
    /// A queue did not take a message.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The bus did not take an event.
    #[error(transparent)]
    Event(#[from] PutEventFailed),
    /// An active provider has no secret, twice in a row.
    #[error("the provider is active and its secret is not there")]
    Torn,
    /// A provider's item is not what this version writes.
    #[error("the provider's item cannot be read")]
    Unreadable,
    /// Another delivery is sending it.
    #[error("another delivery holds the claim")]
    Busy,
    /// The row changed under every attempt to write it.
    #[error("the row changed again and again")]
    Contended,
    /// The invocation ended first.
    #[error("the invocation ran out of time")]
    OutOfTime,
    /// The task panicked.
    #[error("the task panicked")]
    Panicked,
    /// The message has no id to answer for.
    #[error("the message has no id")]
    NoId,
}

impl Trouble {
    /// Whether something of ours is not what it should be. That says nothing about the mail.
    pub(crate) fn is_broken(&self) -> bool {
        matches!(
            self,
            Self::Torn
                | Self::Unreadable
                | Self::Custody(CustodyError::Refused { .. } | CustodyError::Content { .. })
                | Self::Record(RecordError::Shape { .. })
        )
    }

    /// Whether it may be the message itself that is at fault, and not what we depend on.
    pub(crate) fn is_of_message(&self) -> bool {
        match self {
            Self::Panicked => true,
            Self::Queue(error) => error.is_of_content(),
            _ => false,
        }
    }
}

/// Why a delivery goes no further: because it is done, or because it cannot.
pub(crate) enum Stop {
    /// This became of the mail.
    Done(Fate),
    /// It has to come back.
    Trouble(Trouble),
}

impl<E> From<E> for Stop
where
    Trouble: From<E>,
{
    fn from(error: E) -> Self {
        Self::Trouble(error.into())
    }
}

#[cfg(test)]
mod tests {
    use shared::custody::Lane;

    use super::*;

    #[test]
    fn only_the_message_itself_is_given_up_and_only_what_is_broken_is_put_back() {
        let shape = RecordError::Shape { pk: "mail#1".to_owned() };
        let queue = QueueError::PutBack { message_id: "m".to_owned(), code: "InvalidMessageContents".to_owned() };
        let no_answer = QueueError::PutBack { message_id: "m".to_owned(), code: "no answer".to_owned() };
        let custody = |code: &str| {
            let access_key_id = "AKIA…1234".to_owned();
            match code {
                "" => CustodyError::Unavailable { lane: Lane::Send, access_key_id },
                code => CustodyError::Refused { lane: Lane::Send, access_key_id, code: code.to_owned() },
            }
        };
        let throttled = RecordError::dynamodb("GetItem", "mail#1")("throttled");
        let cases = [
            (Trouble::Torn, (true, false)),
            (Trouble::Unreadable, (true, false)),
            (Trouble::Record(shape), (true, false)),
            (Trouble::Record(throttled), (false, false)),
            (Trouble::Snapshot(SnapshotError::Slow), (false, false)),
            (Trouble::Custody(custody("DisabledException")), (true, false)),
            (Trouble::Custody(custody("")), (false, false)),
            (Trouble::Queue(queue), (false, true)),
            (Trouble::Queue(no_answer), (false, false)),
            (Trouble::Panicked, (false, true)),
            (Trouble::OutOfTime, (false, false)),
            (Trouble::Busy, (false, false)),
            (Trouble::Contended, (false, false)),
        ];
        for (trouble, expected) in cases {
            assert_eq!((trouble.is_broken(), trouble.is_of_message()), expected, "{trouble}");
        }
    }
}
