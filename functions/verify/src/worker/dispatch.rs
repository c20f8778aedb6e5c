//! The schedule: providers whose verification is due are enqueued, so many a minute.

use std::time::Duration;

use jiff::SignedDuration;
use shared::queue::Deadline;
use shared::record::{Due, DueSubject};
use shared::telemetry::chain;
use tokio::task::JoinSet;

use super::VerifyWorker;
use super::task::WorkerTask;

/// Verifications that are enqueued in a minute: over a day, those of 1.1 million providers.
const MAX_A_MINUTE: usize = 800;

/// Items on a page of the index, which are enqueued at the same time.
const PAGE: i32 = 50;

/// When a provider that was enqueued is due again, if its verification is not recorded: the worker died, or the message is lost.
const DUE_AGAIN_AFTER: SignedDuration = SignedDuration::from_mins(15);

/// The time for a page.
const PAGE_TIMEOUT: Duration = Duration::from_secs(5);

impl VerifyWorker {
    /// Enqueues the verifications that are due, longest due first.
    pub(super) async fn dispatch(&self, deadline: Deadline) {
        let now = self.ambient.now();
        let (mut enqueued, mut start) = (0, None);
        while enqueued < MAX_A_MINUTE && deadline.remaining(self.ambient.now()) > PAGE_TIMEOUT * 2 {
            let (due, next) = match self.providers.list_due_watches(now, start, PAGE).await {
                Ok(page) => page,
                Err(error) => {
                    tracing::error!(error = chain(&error), "providers whose verification is due not listed");
                    break;
                }
            };
            let listed = due.len();
            let done = self.enqueue_page(due).await;
            enqueued += done;
            // What fails for one fails for all: the next minute goes on.
            if done < listed {
                break;
            }
            start = next;
            if start.is_none() {
                break;
            }
        }
        if enqueued > 0 {
            tracing::info!(enqueued, "verifications enqueued");
        }
    }

    /// Enqueues a page. Returns how many were.
    async fn enqueue_page(&self, due: Vec<Due>) -> usize {
        let mut steps = JoinSet::new();
        for due in due {
            let DueSubject::Watch(provider_id) = &due.subject else { continue };
            let (queue, providers) = (self.queue.clone(), self.providers.clone());
            let again_at = self.ambient.now().saturating_add(DUE_AGAIN_AFTER).ok();
            let task = WorkerTask::Verification(provider_id.clone());
            let provider_id = provider_id.clone();
            steps.spawn(async move {
                // In this order a process that dies in between costs a second verification; in the other, it would be late.
                let step = async {
                    task.enqueue(&queue).await.map_err(|error| chain(&error))?;
                    providers.reschedule(&due, again_at).await.map_err(|error| chain(&error))
                };
                let failure = match tokio::time::timeout(PAGE_TIMEOUT, step).await {
                    Ok(Ok(())) => return true,
                    Ok(Err(error)) => error,
                    Err(elapsed) => elapsed.to_string(),
                };
                tracing::error!(provider_id = %provider_id, error = failure, "verification not enqueued");
                false
            });
        }
        let mut enqueued = 0;
        while let Some(step) = steps.join_next().await {
            enqueued += usize::from(step.unwrap_or(false));
        }
        enqueued
    }
}
