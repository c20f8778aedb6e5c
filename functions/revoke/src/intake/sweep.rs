//! The sweep: keys whose next attempt is due are enqueued again, orders that are due are executed again, drills that run are
//! looked at, and rotations that have come somewhere are taken on.
//!
//! The records hold what is left to do; messages only trigger it. So whatever happens to a message, to a worker or to
//! the writer of an order, the work goes on within minutes, and a retry hours later does not need a message.

use std::time::Duration;

use jiff::SignedDuration;
use shared::id::OrderId;
use shared::queue::{Deadline, QueueError};
use shared::record::{Due, DueSubject, OrderMilestone, Pass, RecordError};
use shared::telemetry::{PutEventFailed, chain};
use thiserror::Error;
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use super::Intake;
use super::drill::DrillError;
use crate::order_counts::{order_counts, pass};
use crate::work_item::enqueue_key;

/// When a key that was enqueued is due again. The worker replaces this time with its first write; it only keeps a queue
/// that nobody reads from filling up with copies.
const KEY_DUE_AGAIN_AFTER: SignedDuration = SignedDuration::from_mins(5);

/// When an item is due again that could not be processed. Until then it does not delay the others.
const FAILED_DUE_AGAIN_AFTER: SignedDuration = SignedDuration::from_mins(1);

/// The time for one item, if each call is answered at the third attempt. What an order's execution has done by then stays
/// done.
const ITEM_TIMEOUT: Duration = Duration::from_secs(12);

/// The time for rescheduling an item that failed.
const RESCHEDULE_TIMEOUT: Duration = Duration::from_secs(3);

/// An item was not processed and stays due.
#[derive(Debug, Error)]
pub(super) enum SweepError {
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error("it took too long")]
    Timeout(#[from] Elapsed),
    #[error(transparent)]
    Drill(#[from] DrillError),
    #[error("a key of the order was not stopped, or the order was not enqueued")]
    Incomplete,
    #[error("operators were not told")]
    Event(#[from] PutEventFailed),
}

impl Intake {
    /// Processes everything that is due, longest due first, while there is time; the next sweep continues.
    pub(super) async fn sweep(&self, deadline: Deadline) {
        let started = self.ambient.now();
        let (mut processed, mut failed) = (0_u32, 0_u32);
        let mut start = None;
        'pages: loop {
            let page = match self.providers.list_due(started, start.take()).await {
                Ok(page) => page,
                Err(error) => {
                    tracing::error!(error = chain(&error), "the sweep could not list what is due");
                    break;
                }
            };
            for due in &page.due {
                if deadline.remaining(self.ambient.now()) < ITEM_TIMEOUT + RESCHEDULE_TIMEOUT {
                    tracing::warn!("the sweep ran out of time: the next one continues");
                    break 'pages;
                }
                match timeout(ITEM_TIMEOUT, self.process_due(due)).await.map_err(SweepError::from).flatten() {
                    Ok(()) => processed += 1,
                    Err(error) => {
                        failed += 1;
                        tracing::error!(subject = %due.subject, error = chain(&error), "due key or order not processed");
                        self.reschedule_failed(due).await;
                    }
                }
            }
            start = page.next;
            if start.is_none() {
                break;
            }
        }
        if processed > 0 || failed > 0 {
            tracing::info!(processed, failed, "sweep finished");
        }
    }

    /// Processes one item, then reschedules it. In this order a process that dies in between costs a repetition; in the
    /// other order it would cost minutes.
    async fn process_due(&self, due: &Due) -> Result<(), SweepError> {
        let again_at = match &due.subject {
            DueSubject::Key(access_key_id) => {
                enqueue_key(&self.queue, access_key_id, None, Duration::ZERO).await?;
                Some(self.ambient.now() + KEY_DUE_AGAIN_AFTER)
            }
            // What is left to do for these says itself when it is due again.
            DueSubject::Order(order_id) => return self.look_at_order(order_id).await,
            DueSubject::Page(order_id, page) => return self.execute_page_again(order_id, *page).await,
            DueSubject::Drill(drill_id) => match self.look_at_drill(drill_id).await? {
                Some(again_at) => Some(again_at),
                // Its end has taken it off the sweep.
                None => return Ok(()),
            },
            DueSubject::Rotation(provider_id, rotation_id) => {
                return Box::pin(self.look_at_rotation(due, provider_id, rotation_id)).await;
            }
            // In partitions that only `verify-worker` lists.
            DueSubject::Watch(_) | DueSubject::Configuration(_) => return Ok(()),
        };
        Ok(self.providers.reschedule(due, again_at).await?)
    }

    /// Executes an order again if that was not finished, with the keys that were written with it, lists its providers on, and
    /// tells operators how far it has come.
    async fn look_at_order(&self, order_id: &OrderId) -> Result<(), SweepError> {
        let Some(mut order) = self.providers.order(order_id).await? else { return Ok(()) };
        if order.told == OrderMilestone::Nothing || pass(&order) != Pass::Over {
            let execution = Box::pin(self.execute(order)).await;
            if !execution.is_complete() {
                return Err(SweepError::Incomplete);
            }
            order = execution.order;
        }
        let counts = order_counts(&self.providers, &order).await?;
        Ok(self.tell_progress(&mut order, &counts).await?)
    }

    async fn execute_page_again(&self, order_id: &OrderId, page: u32) -> Result<(), SweepError> {
        let (Some(order), Some(page)) =
            (self.providers.order(order_id).await?, self.providers.page(order_id, page).await?)
        else {
            return Ok(());
        };
        let is_finished = self.fan_out_run().execute_page(&order, &page).await;
        if is_finished { Ok(()) } else { Err(SweepError::Incomplete) }
    }

    async fn reschedule_failed(&self, due: &Due) {
        let again_at = self.ambient.now() + FAILED_DUE_AGAIN_AFTER;
        let rescheduled = timeout(RESCHEDULE_TIMEOUT, self.providers.reschedule(due, Some(again_at)));
        if let Err(error) = rescheduled.await.map_err(SweepError::from).and_then(|result| Ok(result?)) {
            tracing::warn!(
                subject = %due.subject,
                error = chain(&error),
                "failed key or order not rescheduled: it delays what is due later"
            );
        }
    }
}
