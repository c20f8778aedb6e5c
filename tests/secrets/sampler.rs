//! Looks into every queue again and again while the stack works.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_sqs::Client;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::support::Stack;

/// A message that was seen in a queue.
pub(super) struct Seen {
    /// The queue's URL.
    pub(super) queue: String,
    /// The body.
    pub(super) body: String,
    /// The attributes, SQS's and ours.
    pub(super) attributes: String,
}

/// The look-out.
pub(super) struct Sampler {
    stop: oneshot::Sender<()>,
    work: JoinHandle<Vec<Seen>>,
}

impl Sampler {
    /// Begins to look. What it sees stays where it is.
    pub(super) async fn start(stack: &Stack) -> Self {
        let sqs = stack.sqs.clone();
        let queues = sqs.list_queues().send().await.unwrap().queue_urls.unwrap();
        let (stop, mut stopped) = oneshot::channel();
        let work = tokio::spawn(async move {
            let mut seen = BTreeMap::new();
            loop {
                let last = stopped.try_recv().is_ok();
                for queue in &queues {
                    for message in look(&sqs, queue).await {
                        seen.insert((queue.clone(), message.body.clone(), message.attributes.clone()), message);
                    }
                }
                if last {
                    return seen.into_values().collect();
                }
                tokio::time::sleep(Duration::from_millis(150)).await;
            }
        });
        Self { stop, work }
    }

    /// Looks once more. Answers all that was seen.
    pub(super) async fn stop(self) -> Vec<Seen> {
        self.stop.send(()).unwrap();
        self.work.await.unwrap()
    }
}

async fn look(sqs: &Client, queue: &str) -> Vec<Seen> {
    let answer = sqs
        .receive_message()
        .queue_url(queue)
        .max_number_of_messages(10)
        .visibility_timeout(0)
        .message_attribute_names("All")
        .send()
        .await
        .unwrap();
    answer
        .messages()
        .iter()
        .map(|message| Seen {
            queue: queue.to_owned(),
            body: message.body().unwrap_or_default().to_owned(),
            attributes: format!("{:?}", message.message_attributes()),
        })
        .collect()
}
