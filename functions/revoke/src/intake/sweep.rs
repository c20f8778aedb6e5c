//! The sweep: keys whose next attempt is due go to the worker again, and orders are carried out once more.
//!
//! Rows hold what is still to be done, messages only bring it about. So whatever became of a message, of a worker or of
//! whoever wrote an order, it is taken up within minutes, and a pause of hours needs no message at all.

use std::time::Duration;

use jiff::SignedDuration;
use shared::id::OrderId;
use shared::record::{Due, DueSubject, RecordError};
use shared::telemetry::chain;
use thiserror::Error;
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use super::Intake;
use crate::queue::{Deadline, NotQueued};

/// A key that was handed on is not handed on again for so long. The worker sets the time anew with its first record; this
/// is for a queue that nobody reads, which must not fill with copies.
const KEY_AGAIN_AFTER: SignedDuration = SignedDuration::from_mins(5);

/// What could not be taken up is tried again after so long, and is not in the way of the others until then.
const FAILED_AGAIN_AFTER: SignedDuration = SignedDuration::from_mins(1);

/// The longest that one of them may take, where calls are answered at the third try. What an order's has done by then is
/// done.
const ONE: Duration = Duration::from_secs(12);

/// The longest that putting it off may take.
const PUT_OFF: Duration = Duration::from_secs(3);

/// What is due was not taken up, and stays due.
#[derive(Debug, Error)]
enum NotTakenUp {
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Queue(#[from] NotQueued),
    #[error("it took too long")]
    TooLong(#[from] Elapsed),
    #[error("a key of the order could not be stopped, or the order not be handed on")]
    Incomplete,
}

impl Intake {
    /// Takes up everything that is due, longest due first, as far as the time allows; the next sweep takes the rest.
    pub(super) async fn sweep(&self, deadline: Deadline) {
        let started = self.ambient.now();
        let (mut handed_on, mut failed) = (0_u32, 0_u32);
        let mut start = None;
        'pages: loop {
            let page = match self.providers.list_due(started, start.take()).await {
                Ok(page) => page,
                Err(error) => {
                    tracing::error!(error = chain(&error), "the sweep could not read what is due");
                    break;
                }
            };
            for due in &page.due {
                if deadline.left(self.ambient.now()) < ONE + PUT_OFF {
                    tracing::warn!("the sweep ran out of time; the next one goes on");
                    break 'pages;
                }
                match timeout(ONE, self.take_up(due)).await.map_err(NotTakenUp::from).flatten() {
                    Ok(()) => handed_on += 1,
                    Err(error) => {
                        failed += 1;
                        tracing::error!(subject = %due.subject, error = chain(&error), "what is due was not taken up");
                        self.put_off(due).await;
                    }
                }
            }
            start = page.next;
            if start.is_none() {
                break;
            }
        }
        if handed_on > 0 || failed > 0 {
            tracing::info!(handed_on, failed, "swept");
        }
    }

    /// Takes up one thing. It is done before it is put off: dying in between costs a repetition, the other order would
    /// cost minutes.
    async fn take_up(&self, due: &Due) -> Result<(), NotTakenUp> {
        let again_at = match &due.subject {
            DueSubject::Key(access_key_id) => {
                self.queue.due(access_key_id).await?;
                Some(self.ambient.now() + KEY_AGAIN_AFTER)
            }
            DueSubject::Order(order_id) => {
                self.repeat(order_id).await?;
                None
            }
        };
        Ok(self.providers.reschedule(due, again_at).await?)
    }

    /// Carries an order out again. Its keys are pinned, so it means no key that came later.
    async fn repeat(&self, order_id: &OrderId) -> Result<(), NotTakenUp> {
        let Some(order) = self.providers.order(order_id).await? else { return Ok(()) };
        let ordered = Box::pin(self.carry_out(order)).await;
        if ordered.is_complete() { Ok(()) } else { Err(NotTakenUp::Incomplete) }
    }

    async fn put_off(&self, due: &Due) {
        let again_at = self.ambient.now() + FAILED_AGAIN_AFTER;
        let put_off = timeout(PUT_OFF, self.providers.reschedule(due, Some(again_at)));
        if let Err(error) = put_off.await.map_err(NotTakenUp::from).and_then(|done| Ok(done?)) {
            tracing::warn!(subject = %due.subject, error = chain(&error), "it stays in the way of what is due later");
        }
    }
}
