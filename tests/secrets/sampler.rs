//! Reads every queue repeatedly while the stack works.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_sqs::Client;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::support::Stack;

/// A message that was in a queue.
pub(super) struct SampledMessage {
    /// The queue's URL.
    pub(super) queue: String,
    /// The body.
    pub(super) body: String,
    /// The message attributes.
    pub(super) attributes: String,
}

/// Reads the queues in the background.
pub(super) struct Sampler {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Vec<SampledMessage>>,
}

impl Sampler {
    /// Starts to read. The messages stay visible in their queues.
    pub(super) async fn start(stack: &Stack) -> Self {
        let sqs = stack.sqs.clone();
        let queues = sqs.list_queues().send().await.unwrap().queue_urls.unwrap();
        let (stop, mut stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let mut messages = BTreeMap::new();
            loop {
                let last = stopped.try_recv().is_ok();
                for queue in &queues {
                    for message in read_queue(&sqs, queue).await {
                        messages.insert((queue.clone(), message.body.clone(), message.attributes.clone()), message);
                    }
                }
                if last {
                    return messages.into_values().collect();
                }
                tokio::time::sleep(Duration::from_millis(150)).await;
            }
        });
        Self { stop, task }
    }

    /// Reads once more and stops. Returns all messages.
    pub(super) async fn stop(self) -> Vec<SampledMessage> {
        self.stop.send(()).unwrap();
        self.task.await.unwrap()
    }
}

async fn read_queue(sqs: &Client, queue: &str) -> Vec<SampledMessage> {
    let response = sqs
        .receive_message()
        .queue_url(queue)
        .max_number_of_messages(10)
        .visibility_timeout(0)
        .message_attribute_names("All")
        .send()
        .await
        .unwrap();
    response
        .messages()
        .iter()
        .map(|message| SampledMessage {
            queue: queue.to_owned(),
            body: message.body().unwrap_or_default().to_owned(),
            attributes: format!("{:?}", message.message_attributes()),
        })
        .collect()
}
