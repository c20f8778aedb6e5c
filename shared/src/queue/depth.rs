//! How many messages a queue holds.

use aws_sdk_sqs::types::QueueAttributeName;
use serde::Serialize;

use super::Queue;
use super::reader::QueueReadError;

/// How many messages a queue holds, as SQS counts them: about, because its servers agree with each other within a minute (SQS API,
/// `GetQueueAttributes`: "eventually consistent"). SQS answers no age there: CloudWatch has that of the oldest message
/// (`ApproximateAgeOfOldestMessage`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct QueueDepth {
    /// Messages that can be received.
    pub visible: u64,
    /// Messages that somebody has received and not deleted yet.
    pub in_flight: u64,
    /// Messages whose delay has not passed.
    pub delayed: u64,
}

impl Queue {
    /// How many messages the queue holds.
    ///
    /// # Errors
    /// SQS did not answer in three attempts.
    pub async fn depth(&self) -> Result<QueueDepth, QueueReadError> {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        ];
        let request = self.client.get_queue_attributes().queue_url(&self.url);
        let answer = request.set_attribute_names(Some(names.to_vec())).send().await;
        let answer = answer.map_err(|error| QueueReadError::new("count", self.name, &error))?;
        let count = |name: &QueueAttributeName| {
            let count = answer.attributes().and_then(|attributes| attributes.get(name)?.parse().ok());
            count.ok_or(QueueReadError { operation: "count", queue: self.name, code: "no number".to_owned() })
        };
        Ok(QueueDepth { visible: count(&names[0])?, in_flight: count(&names[1])?, delayed: count(&names[2])? })
    }
}
