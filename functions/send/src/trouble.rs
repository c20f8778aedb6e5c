//! Why a mail could not be dealt with now: its message comes back after the visibility timeout.

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
