//! The task that goes on with the configuration of a tenant's SES.

use shared::id::ProviderId;
use shared::queue::{Deadline, Message, MessageOutcome};
use shared::telemetry::chain;

use super::VerifyWorker;
use super::task::WorkerTask;
use crate::configuration::run::{ConfigurationRun, RunOutcome};

impl VerifyWorker {
    /// Does what is to be done about a configuration, as far as the time goes. What is left is enqueued; if that fails, it is due within a
    /// minute all the same.
    pub(super) async fn configure(
        &self,
        provider_id: &ProviderId,
        message: &Message,
        deadline: Deadline,
    ) -> MessageOutcome {
        let run = ConfigurationRun {
            providers: &self.providers,
            secrets: &self.secrets,
            custody: &self.send_lane,
            tenants: &self.tenants,
            bus: &self.bus,
            ambient: &self.ambient,
        };
        match run.run(provider_id, deadline).await {
            Ok(RunOutcome::Done) => {}
            Ok(RunOutcome::Unfinished) => {
                if let Err(error) = WorkerTask::Configuration(provider_id.clone()).enqueue(&self.queue).await {
                    tracing::warn!(provider_id = %provider_id, error = chain(&error), "configuration not enqueued again");
                }
            }
            Err(error) => {
                tracing::warn!(
                    message_id = message.message_id,
                    provider_id = %provider_id,
                    error = chain(&error),
                    "configuration of a tenant's SES not recorded: the message is retried"
                );
                return MessageOutcome::Retry;
            }
        }
        MessageOutcome::Done
    }
}
