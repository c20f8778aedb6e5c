//! The queues of a stack.

use aws_sdk_sqs::types::{Message, QueueAttributeName, SendMessageBatchRequestEntry};

use super::{Stack, eventually};

/// How many messages a queue holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QueueDepth {
    /// Messages that can be received.
    pub visible: u32,
    /// Messages that are received and not deleted.
    pub in_flight: u32,
    /// Messages whose delay has not passed.
    pub delayed: u32,
}

impl Stack {
    /// The URL of the queue with this logical id.
    pub(crate) async fn queue_url(&self, logical_id: &str) -> String {
        let queues = self.sqs.list_queues().send().await.unwrap().queue_urls.unwrap();
        queues.into_iter().find(|url| url.contains(logical_id)).unwrap()
    }

    /// Sends messages in as few requests as SQS allows. Returns the ids of the messages in the order of their bodies.
    pub(crate) async fn send_messages<B: ToString>(&self, queue_url: &str, bodies: &[B]) -> Vec<String> {
        let mut ids = Vec::new();
        for chunk in bodies.chunks(10) {
            let entries = chunk.iter().enumerate().map(|(index, body)| {
                SendMessageBatchRequestEntry::builder()
                    .id(index.to_string())
                    .message_body(body.to_string())
                    .build()
                    .unwrap()
            });
            let request = self.sqs.send_message_batch().queue_url(queue_url);
            let output = request.set_entries(Some(entries.collect())).send().await.unwrap();
            assert!(output.failed().is_empty(), "{:?}", output.failed());
            let mut sent: Vec<(usize, String)> = output
                .successful()
                .iter()
                .map(|entry| (entry.id().parse().unwrap(), entry.message_id().to_owned()))
                .collect();
            sent.sort();
            ids.extend(sent.into_iter().map(|(_, id)| id));
        }
        ids
    }

    /// How many mails the send queue holds.
    pub(crate) async fn send_queue_depth(&self) -> QueueDepth {
        let output = self
            .sqs
            .get_queue_attributes()
            .queue_url(&self.outputs.send_queue_url)
            .attribute_names(QueueAttributeName::All)
            .send()
            .await
            .unwrap();
        let count = |name: QueueAttributeName| output.attributes().unwrap()[&name].parse().unwrap();
        QueueDepth {
            visible: count(QueueAttributeName::ApproximateNumberOfMessages),
            in_flight: count(QueueAttributeName::ApproximateNumberOfMessagesNotVisible),
            delayed: count(QueueAttributeName::ApproximateNumberOfMessagesDelayed),
        }
    }

    /// Waits until the send queue holds this many delayed mails and no others.
    pub(crate) async fn eventually_delayed(&self, delayed: u32) {
        let expected = QueueDepth { visible: 0, in_flight: 0, delayed };
        eventually(&format!("a send queue with {expected:?}"), || async {
            (self.send_queue_depth().await == expected).then_some(())
        })
        .await;
    }

    /// The field and the problem with which a message was dead-lettered by `revoke`, once it is in the dead-letter queue with this logical id.
    pub(crate) async fn dead_letter_reason(&self, logical_id: &str, is_body: impl Fn(&str) -> bool) -> String {
        let url = self.queue_url(logical_id).await;
        let message: Message = eventually(&format!("a message in {logical_id}"), || async {
            // The message stays visible, so that concurrent tests find theirs.
            let request = self.sqs.receive_message().queue_url(&url).visibility_timeout(0).max_number_of_messages(10);
            let messages = request.message_attribute_names("All").send().await.unwrap().messages.unwrap_or_default();
            messages.into_iter().find(|message| message.body().is_some_and(&is_body))
        })
        .await;
        let attribute = |name| attribute(&message, name).unwrap();
        assert!(
            ["invalid_report", "unknown_provider", "partly_acted_on", "invalid_message"].contains(&attribute("reason"))
        );
        format!("{}: {}", attribute("field"), attribute("problem"))
    }
}

/// The value of a message attribute.
pub(crate) fn attribute<'a>(message: &'a Message, name: &str) -> Option<&'a str> {
    message.message_attributes()?.get(name)?.string_value()
}
