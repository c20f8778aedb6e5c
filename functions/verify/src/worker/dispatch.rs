//! The schedule: providers whose verification is due are enqueued, and configurations that are, so many of each a minute.

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

/// Configurations that are enqueued in a minute: over a day, those of 280,000 providers.
const MAX_CONFIGURATIONS_A_MINUTE: usize = 200;

/// Items on a page of the index, which are enqueued at the same time.
const PAGE: i32 = 50;

/// When a provider that was enqueued is due again, if its verification is not recorded: the worker died, or the message is lost.
pub(crate) const DUE_AGAIN_AFTER: SignedDuration = SignedDuration::from_mins(15);

/// The time for a page.
const PAGE_TIMEOUT: Duration = Duration::from_secs(5);

/// What can be due.
#[derive(Clone, Copy, Debug)]
enum DueList {
    Watches,
    Configurations,
}

impl VerifyWorker {
    /// Enqueues what is due, longest due first.
    pub(super) async fn dispatch(&self, deadline: Deadline) {
        let verifications = self.dispatch_list(DueList::Watches, MAX_A_MINUTE, deadline).await;
        let configurations = self.dispatch_list(DueList::Configurations, MAX_CONFIGURATIONS_A_MINUTE, deadline).await;
        if verifications + configurations > 0 {
            tracing::info!(enqueued = verifications, configurations, "verifications enqueued");
        }
    }

    /// Enqueues what is due of one list. Returns how many were.
    async fn dispatch_list(&self, list: DueList, max: usize, deadline: Deadline) -> usize {
        let now = self.ambient.now();
        let (mut enqueued, mut start) = (0, None);
        while enqueued < max && deadline.remaining(self.ambient.now()) > PAGE_TIMEOUT * 2 {
            let page = match list {
                DueList::Watches => self.providers.list_due_watches(now, start, PAGE).await,
                DueList::Configurations => self.providers.list_due_configurations(now, start, PAGE).await,
            };
            let (due, next) = match page {
                Ok(page) => page,
                Err(error) => {
                    tracing::error!(error = chain(&error), ?list, "providers that are due not listed");
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
        enqueued
    }

    /// Enqueues a page. Returns how many were.
    async fn enqueue_page(&self, due: Vec<Due>) -> usize {
        let mut steps = JoinSet::new();
        for due in due {
            let (task, provider_id) = match &due.subject {
                DueSubject::Watch(provider_id) => (WorkerTask::Verification(provider_id.clone()), provider_id.clone()),
                DueSubject::Configuration(provider_id) => {
                    (WorkerTask::Configuration(provider_id.clone()), provider_id.clone())
                }
                _ => continue,
            };
            let (queue, providers) = (self.queue.clone(), self.providers.clone());
            let again_at = self.ambient.now().saturating_add(DUE_AGAIN_AFTER).ok();
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
                tracing::error!(provider_id = %provider_id, error = failure, "task of a provider not enqueued");
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
