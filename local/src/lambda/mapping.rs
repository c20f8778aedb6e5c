//! Event source mappings: messages of a queue, in batches, to a function, under the function's role.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, Message, MessageSystemAttributeName};
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use super::InvokeResult;
use super::lineage::Lineage;
use super::pool::Pool;
use super::role_client::reason;
use super::runtime_api::PAYLOAD_LIMIT;
use super::sqs_event::{done, event};
use crate::template::stack::{Mapping, Queue, RecursiveLoop};

/// SQS's longest long poll.
const LONG_POLL: Duration = Duration::from_secs(20);
/// SQS gives at most so many messages at once, and takes so many deletions.
const RECEIVE_LIMIT: usize = 10;
/// The pause after a poll that failed.
const PAUSE: Duration = Duration::from_secs(1);
/// What a record's other fields may take of the payload beside its body.
const RECORD_OVERHEAD: usize = 4 * 1024;

/// A mapping at work.
pub(super) struct Source {
    /// What the template says.
    pub(super) mapping: Mapping,
    /// Where the messages are.
    pub(super) queue: Queue,
    /// Where messages of an endless loop go, if there is such a queue.
    pub(super) dead_letter_url: Option<String>,
    /// Who takes them.
    pub(super) pool: Arc<Pool>,
    /// Signs as the function's role.
    pub(super) client: Client,
    /// Acts as Lambda itself.
    pub(super) service: Client,
    /// The stack's Region.
    pub(super) region: String,
}

impl Source {
    /// Polls until told to stop. Batches that are being worked on are left to the pool.
    pub(super) async fn run(self, mut stop: watch::Receiver<bool>) {
        let most = self.mapping.maximum_concurrency.unwrap_or(u32::MAX).min(self.pool.concurrency());
        let slots = Arc::new(Semaphore::new(usize::try_from(most).unwrap_or(Semaphore::MAX_PERMITS)));
        let source = Arc::new(self);
        loop {
            let next = async {
                // The slot comes first: a message that is received waits for nobody.
                let slot = Arc::clone(&slots).acquire_owned().await.ok()?;
                Some((slot, source.gather().await))
            };
            let next = tokio::select! {
                next = next => next,
                _ = stop.wait_for(|stop| *stop) => return,
            };
            let Some((slot, batch)) = next else { return };
            match batch {
                Ok(batch) if batch.is_empty() => {}
                Ok(batch) => {
                    let source = Arc::clone(&source);
                    tokio::spawn(async move {
                        for chunk in split(batch) {
                            source.process(chunk).await;
                        }
                        drop(slot);
                    });
                }
                Err(error) => {
                    let (function, queue) = (&source.pool.function.name, &source.queue.name);
                    tracing::warn!(function, queue, error, "a queue could not be polled");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// One batch: a single receive without a window, else until the batch or the window is full.
    async fn gather(&self) -> Result<Vec<Message>, String> {
        let size = usize::try_from(self.mapping.batch_size).unwrap_or(usize::MAX);
        let mut batch = self.receive(size.min(RECEIVE_LIMIT), LONG_POLL).await?;
        if batch.is_empty() || self.mapping.batching_window.is_zero() {
            return Ok(batch);
        }
        let end = Instant::now() + self.mapping.batching_window;
        while batch.len() < size && batch.iter().map(weight).sum::<usize>() < PAYLOAD_LIMIT {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            // What is received already is worked on, whatever becomes of the rest.
            match self.receive((size - batch.len()).min(RECEIVE_LIMIT), left.min(LONG_POLL)).await {
                Ok(messages) => batch.extend(messages),
                Err(_) => break,
            }
        }
        Ok(batch)
    }

    async fn receive(&self, most: usize, wait: Duration) -> Result<Vec<Message>, String> {
        let output = self
            .client
            .receive_message()
            .queue_url(&self.queue.url)
            .max_number_of_messages(i32::try_from(most).unwrap_or(1))
            .wait_time_seconds(i32::try_from(wait.as_secs().max(1)).unwrap_or(1))
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .message_attribute_names("All")
            .send()
            .await
            .map_err(|error| reason(&error))?;
        Ok(output.messages.unwrap_or_default())
    }

    async fn process(&self, batch: Vec<Message>) {
        let function = &self.pool.function;
        let mut lineage = Lineage::default();
        let mut kept = Vec::with_capacity(batch.len());
        for message in batch {
            let chain = lineage_of(&message);
            if function.recursive_loop == RecursiveLoop::Terminate && chain.is_exhausted(&function.arn) {
                self.stop_loop(message).await;
                continue;
            }
            lineage = lineage.join(chain);
            kept.push(message);
        }
        if kept.is_empty() {
            return;
        }
        let payload = event(&kept, &self.queue.arn, &self.region);
        match self.pool.invoke(payload, lineage).await {
            InvokeResult::Response(response) => {
                let done = done(&kept, &response, self.mapping.report_batch_item_failures);
                let failed = kept.len() - done.len();
                if failed > 0 {
                    tracing::debug!(
                        function = function.name,
                        failed,
                        "messages come back after the visibility timeout"
                    );
                }
                let done: Vec<&Message> =
                    kept.iter().filter(|message| message.message_id().is_some_and(|id| done.contains(id))).collect();
                self.delete(&done).await;
            }
            InvokeResult::FunctionError(_) => {
                tracing::warn!(function = function.name, messages = kept.len(), "a batch failed and comes back");
            }
            InvokeResult::Throttled => {
                tracing::warn!(function = function.name, messages = kept.len(), "a batch was throttled and comes back");
            }
            InvokeResult::TooLarge | InvokeResult::NoSuchFunction => {
                tracing::error!(function = function.name, messages = kept.len(), "a batch cannot be handed over");
            }
        }
    }

    async fn delete(&self, messages: &[&Message]) {
        for chunk in messages.chunks(RECEIVE_LIMIT) {
            let entries = chunk.iter().enumerate().filter_map(|(index, message)| {
                DeleteMessageBatchRequestEntry::builder()
                    .id(index.to_string())
                    .receipt_handle(message.receipt_handle()?)
                    .build()
                    .ok()
            });
            let request = self.client.delete_message_batch().queue_url(&self.queue.url);
            match request.set_entries(Some(entries.collect())).send().await {
                Ok(output) if output.failed().is_empty() => {}
                Ok(output) => {
                    let code = output.failed().first().map(|failed| failed.code());
                    tracing::warn!(
                        queue = self.queue.name,
                        failed = output.failed().len(),
                        code,
                        "messages were not deleted"
                    );
                }
                Err(error) => {
                    let error = reason(&error);
                    tracing::warn!(queue = self.queue.name, error, "messages were not deleted");
                }
            }
        }
    }

    /// Lambda sends the message of an endless loop to the queue's dead-letter queue, or drops it where there is none.
    async fn stop_loop(&self, message: Message) {
        let function = &self.pool.function.name;
        tracing::error!(
            function,
            queue = self.queue.name,
            "Lambda would stop this recursive loop; RecursiveLoop is not Allow"
        );
        if let Some(url) = &self.dead_letter_url {
            let sent = self
                .service
                .send_message()
                .queue_url(url)
                .message_body(message.body().unwrap_or_default())
                .set_message_attributes(message.message_attributes().cloned())
                .send()
                .await;
            if let Err(error) = sent {
                let error = reason(&error);
                tracing::warn!(function, error, "the message of a recursive loop was not set aside");
                return;
            }
        }
        self.delete(&[&message]).await;
    }
}

fn lineage_of(message: &Message) -> Lineage {
    let header =
        message.attributes().and_then(|attributes| attributes.get(&MessageSystemAttributeName::AwsTraceHeader));
    header.map(|header| Lineage::parse(header)).unwrap_or_default()
}

/// What a message takes of an event's payload: its body once more escaped, its attributes, and the rest of its record.
fn weight(message: &Message) -> usize {
    let body = serde_json::to_string(message.body().unwrap_or_default()).map_or(0, |body| body.len());
    let attributes = message.message_attributes().into_iter().flatten().map(|(name, value)| {
        let bytes = value.binary_value().map_or(0, |bytes| bytes.as_ref().len() * 4 / 3 + 4);
        let text = value.string_value().and_then(|text| serde_json::to_string(text).ok()).map_or(0, |text| text.len());
        name.len() + bytes + text + 128
    });
    body + attributes.sum::<usize>() + RECORD_OVERHEAD
}

/// Batches whose payload stays below Lambda's limit.
fn split(batch: Vec<Message>) -> Vec<Vec<Message>> {
    let mut chunks = Vec::new();
    let (mut chunk, mut total) = (Vec::new(), 0);
    for message in batch {
        let weight = weight(&message);
        if !chunk.is_empty() && total + weight > PAYLOAD_LIMIT {
            chunks.push(std::mem::take(&mut chunk));
            total = 0;
        }
        total += weight;
        chunk.push(message);
    }
    chunks.push(chunk);
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_beyond_the_payload_limit_is_split_in_order() {
        let message = |id: usize| Message::builder().message_id(id.to_string()).body("\n".repeat(900_000)).build();
        // Each newline is two bytes in the event.
        let chunks = split((0..7).map(message).collect());
        let sizes: Vec<usize> = chunks.iter().map(Vec::len).collect();
        assert_eq!(sizes, [3, 3, 1]);
        assert_eq!(chunks[1][0].message_id(), Some("3"));
        for chunk in &chunks {
            assert!(event(chunk, "arn", "us-east-1").len() <= PAYLOAD_LIMIT);
        }
    }
}
