//! The sweep: keys whose next attempt is due go to the worker again.
//!
//! Rows hold what is still to be done, messages only bring it about. So whatever became of a message or its worker, a key
//! comes back within minutes, and a pause of hours needs no message at all.

use jiff::SignedDuration;
use shared::telemetry::chain;

use super::Intake;
use crate::queue::Deadline;

/// A key that was handed on is not handed on again for so long. The worker sets the time anew with its first record; this
/// is for a queue that nobody reads, which must not fill with copies.
const NOT_AGAIN_FOR: SignedDuration = SignedDuration::from_mins(5);

/// One key takes at most this long: a message and a write, three tries each.
const ONE_KEY: SignedDuration = SignedDuration::from_secs(18);

impl Intake {
    /// Hands on every key that is due, longest due first, as far as the time allows; the next sweep takes the others.
    pub(super) async fn sweep(&self, deadline: Deadline) {
        let started = self.ambient.now();
        let (mut handed_on, mut failed) = (0_u32, 0_u32);
        let mut start = None;
        'pages: loop {
            let page = match self.providers.due(started, start.take()).await {
                Ok(page) => page,
                Err(error) => {
                    tracing::error!(error = chain(&error), "the sweep could not read what is due");
                    break;
                }
            };
            for due in &page.keys {
                let now = self.ambient.now();
                if !deadline.leaves(ONE_KEY, now) {
                    tracing::warn!("the sweep ran out of time; the next one goes on");
                    break 'pages;
                }
                // Sent before it is postponed: dying in between costs a copy, the other order would cost minutes.
                if let Err(error) = self.queue.due(&due.access_key_id).await {
                    failed += 1;
                    tracing::error!(
                        access_key_id = due.access_key_id.masked(),
                        error = chain(&error),
                        "a key that is due was not handed on"
                    );
                    continue;
                }
                handed_on += 1;
                let until = now.saturating_add(NOT_AGAIN_FOR).unwrap_or(now);
                if let Err(error) = self.providers.postpone(due, until).await {
                    tracing::error!(
                        access_key_id = due.access_key_id.masked(),
                        error = chain(&error),
                        "a key that was handed on stays due"
                    );
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
}
