//! Messages that another service of AWS puts into a queue.

use std::collections::HashMap;

use fakecloud_core::delivery::SqsDelivery as _;

use super::Sqs;
use crate::service::{RequiredPermission, allows_service};

/// A service that delivers to queues.
pub(crate) struct DeliveringService<'a> {
    /// Its principal, such as `events.amazonaws.com`.
    pub(crate) principal: &'static str,
    /// What it delivers for (`aws:SourceArn`): a rule, a topic.
    pub(crate) source_arn: &'a str,
}

/// Why a message was not delivered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum QueueDeliveryError {
    /// The queue's policy does not let the service in, or there is no such queue.
    #[error("the queue's policy does not allow it")]
    Refused,
    /// The queue did not take the message.
    #[error("the queue did not take the message")]
    Failed,
}

impl Sqs {
    /// Puts a message into a queue, if the queue's policy lets the service.
    ///
    /// # Errors
    /// The message is not in the queue.
    pub(crate) fn deliver(
        &self,
        by: &DeliveringService<'_>,
        queue_arn: &str,
        body: &str,
    ) -> Result<(), QueueDeliveryError> {
        let policy = self.policies.resource_policy("sqs", queue_arn).ok_or(QueueDeliveryError::Refused)?;
        let permission = RequiredPermission::new("sqs:SendMessage", queue_arn);
        if !allows_service(&policy, by.principal, permission, by.source_arn, &self.setup.region) {
            return Err(QueueDeliveryError::Refused);
        }
        self.deliveries
            .try_deliver_to_queue_with_attrs(queue_arn, body, &HashMap::new(), None, None)
            .map_err(|_| QueueDeliveryError::Failed)?;
        self.arrivals.notify_waiters();
        Ok(())
    }
}
