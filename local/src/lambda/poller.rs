//! Event source mappings: polls a queue under the function's role and gives the messages to the function in batches.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, Message, MessageSystemAttributeName};
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use super::InvokeResult;
use super::lineage::Lineage;
use super::pool::Pool;
use super::runtime_api::MAX_PAYLOAD_BYTES;
use super::sqs_client::describe_error;
use super::sqs_event::{build_event, processed_message_ids};
use crate::serverless::{MappingResource, RecursiveLoop};
use crate::service::sqs::QueueResource;

/// The longest long poll of SQS.
const MAX_LONG_POLL: Duration = Duration::from_secs(20);
/// The most messages that one ReceiveMessage returns and one DeleteMessageBatch deletes.
const MAX_BATCH_ENTRIES: usize = 10;
/// The delay after a poll that failed.
const POLL_RETRY_DELAY: Duration = Duration::from_secs(1);
/// How many bytes of the payload the other fields of a record need at most, beside its body and attributes.
const MAX_RECORD_OVERHEAD: usize = 4 * 1024;

/// The poller of one event source mapping.
pub(super) struct QueuePoller {
    /// The mapping as the template describes it.
    pub(super) mapping: MappingResource,
    /// The queue to poll.
    pub(super) queue: QueueResource,
    /// The queue's dead-letter queue, if it has one. The messages of a recursive loop go there.
    pub(super) dead_letter_url: Option<String>,
    /// The function that processes the messages.
    pub(super) pool: Arc<Pool>,
    /// Signs with the credentials of the function's role.
    pub(super) client: Client,
    /// Acts as the Lambda service itself.
    pub(super) service: Client,
    /// The stack's Region.
    pub(super) region: String,
}

impl QueuePoller {
    /// Polls until `stop` is true, while `polls` is. Batches that are being processed are left to the pool.
    pub(super) async fn run(self, mut polls: watch::Receiver<bool>, mut stop: watch::Receiver<bool>) {
        let max_concurrency = self.mapping.maximum_concurrency.unwrap_or(u32::MAX).min(self.pool.max_concurrency());
        let permits = Arc::new(Semaphore::new(usize::try_from(max_concurrency).unwrap_or(Semaphore::MAX_PERMITS)));
        let poller = Arc::new(self);
        // A long poll is given up with the mapping. One that has gathered part of a batch goes on: what it holds would wait
        // for its visibility timeout.
        let can_give_up = poller.mapping.batching_window.is_zero();
        loop {
            tokio::select! {
                enabled = polls.wait_for(|polls| *polls) => if enabled.is_err() { return },
                _ = stop.wait_for(|stop| *stop) => return,
            }
            let next = async {
                // The permit comes first, so that a message that is received does not wait for a free function.
                let permit = Arc::clone(&permits).acquire_owned().await.ok()?;
                Some((permit, poller.collect_batch().await))
            };
            let next = tokio::select! {
                next = next => next,
                _ = polls.wait_for(|polls| !*polls), if can_give_up => continue,
                _ = stop.wait_for(|stop| *stop) => return,
            };
            let Some((permit, batch)) = next else { return };
            match batch {
                Ok(batch) if batch.is_empty() => {}
                Ok(batch) => {
                    let poller = Arc::clone(&poller);
                    tokio::spawn(async move {
                        for chunk in split_by_payload_size(batch) {
                            poller.process_batch(chunk).await;
                        }
                        drop(permit);
                    });
                }
                Err(error) => {
                    let (function, queue) = (&poller.pool.function.name, &poller.queue.name);
                    tracing::warn!(
                        function,
                        queue,
                        error,
                        "ReceiveMessage from a function's event source queue failed"
                    );
                    tokio::time::sleep(POLL_RETRY_DELAY).await;
                }
            }
        }
    }

    /// Collects one batch: with a single receive if there is no batching window, otherwise until the batch is full or the
    /// window has passed.
    async fn collect_batch(&self) -> Result<Vec<Message>, String> {
        let size = usize::try_from(self.mapping.batch_size).unwrap_or(usize::MAX);
        let mut batch = self.receive(size.min(MAX_BATCH_ENTRIES), MAX_LONG_POLL).await?;
        if batch.is_empty() || self.mapping.batching_window.is_zero() {
            return Ok(batch);
        }
        let end = Instant::now() + self.mapping.batching_window;
        while batch.len() < size && batch.iter().map(payload_size).sum::<usize>() < MAX_PAYLOAD_BYTES {
            let remaining = end.saturating_duration_since(Instant::now());
            if remaining.is_zero() {
                break;
            }
            // Messages that are already received are processed even if no more can be received.
            match self.receive((size - batch.len()).min(MAX_BATCH_ENTRIES), remaining.min(MAX_LONG_POLL)).await {
                Ok(messages) => batch.extend(messages),
                Err(_) => break,
            }
        }
        Ok(batch)
    }

    async fn receive(&self, max_messages: usize, wait: Duration) -> Result<Vec<Message>, String> {
        let output = self
            .client
            .receive_message()
            .queue_url(&self.queue.url)
            .max_number_of_messages(i32::try_from(max_messages).unwrap_or(1))
            .wait_time_seconds(i32::try_from(wait.as_secs().max(1)).unwrap_or(1))
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .message_attribute_names("All")
            .send()
            .await
            .map_err(|error| describe_error(&error))?;
        Ok(output.messages.unwrap_or_default())
    }

    async fn process_batch(&self, batch: Vec<Message>) {
        let function = &self.pool.function;
        let mut lineage = Lineage::default();
        let mut messages = Vec::with_capacity(batch.len());
        for message in batch {
            let message_lineage = lineage_of(&message);
            if function.recursive_loop == RecursiveLoop::Terminate && message_lineage.is_exhausted(&function.arn) {
                self.stop_recursive_loop(message).await;
                continue;
            }
            lineage = lineage.merge(message_lineage);
            messages.push(message);
        }
        if messages.is_empty() {
            return;
        }
        let payload = build_event(&messages, &self.queue.arn, &self.region);
        match self.pool.invoke(payload, lineage).await {
            InvokeResult::Response(response) => {
                let ids = processed_message_ids(&messages, &response, self.mapping.report_batch_item_failures);
                let failed = messages.len() - ids.len();
                if failed > 0 {
                    tracing::debug!(
                        function = function.name,
                        queue = self.queue.name,
                        failed,
                        "a function reported failed messages; SQS delivers them again after the visibility timeout"
                    );
                }
                let processed: Vec<&Message> =
                    messages.iter().filter(|message| message.message_id().is_some_and(|id| ids.contains(id))).collect();
                self.delete(&processed).await;
            }
            // In all these cases SQS delivers the messages again after the visibility timeout.
            InvokeResult::FunctionError(_) => {
                let (function, queue, messages) = (&function.name, &self.queue.name, messages.len());
                tracing::warn!(function, queue, messages, "a function failed on a batch of messages");
            }
            InvokeResult::Throttled => {
                let (function, queue, messages) = (&function.name, &self.queue.name, messages.len());
                tracing::warn!(function, queue, messages, "a batch exceeded the function's reserved concurrency");
            }
            InvokeResult::TooLarge | InvokeResult::NoSuchFunction => {
                let (function, queue, messages) = (&function.name, &self.queue.name, messages.len());
                tracing::error!(function, queue, messages, "a batch is too large, or there is no such function");
            }
        }
    }

    async fn delete(&self, messages: &[&Message]) {
        for chunk in messages.chunks(MAX_BATCH_ENTRIES) {
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
                        "DeleteMessageBatch left processed messages in the queue"
                    );
                }
                Err(error) => {
                    let error = describe_error(&error);
                    tracing::warn!(queue = self.queue.name, error, "DeleteMessageBatch of processed messages failed");
                }
            }
        }
    }

    /// Stops a recursive loop as Lambda does: the message goes to the queue's dead-letter queue, or is dropped if there is
    /// none.
    async fn stop_recursive_loop(&self, message: Message) {
        let function = &self.pool.function.name;
        tracing::error!(
            function,
            queue = self.queue.name,
            "stopped a recursive loop as Lambda does, because the function's RecursiveLoop is not Allow"
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
                let error = describe_error(&error);
                tracing::warn!(
                    function,
                    url,
                    error,
                    "SendMessage of a recursive loop's message to the dead-letter queue failed"
                );
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

/// The most bytes that a message adds to the event's payload: its body, which is escaped once more, its attributes and the
/// rest of its record.
fn payload_size(message: &Message) -> usize {
    let body = serde_json::to_string(message.body().unwrap_or_default()).map_or(0, |body| body.len());
    let attributes = message.message_attributes().into_iter().flatten().map(|(name, value)| {
        let bytes = value.binary_value().map_or(0, |bytes| bytes.as_ref().len() * 4 / 3 + 4);
        let text = value.string_value().and_then(|text| serde_json::to_string(text).ok()).map_or(0, |text| text.len());
        name.len() + bytes + text + 128
    });
    body + attributes.sum::<usize>() + MAX_RECORD_OVERHEAD
}

/// Splits a batch into batches whose payload is within Lambda's limit.
fn split_by_payload_size(batch: Vec<Message>) -> Vec<Vec<Message>> {
    let mut chunks = Vec::new();
    let (mut chunk, mut total) = (Vec::new(), 0);
    for message in batch {
        let size = payload_size(&message);
        if !chunk.is_empty() && total + size > MAX_PAYLOAD_BYTES {
            chunks.push(std::mem::take(&mut chunk));
            total = 0;
        }
        total += size;
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
        // In the event, each newline is two bytes.
        let chunks = split_by_payload_size((0..7).map(message).collect());
        let sizes: Vec<usize> = chunks.iter().map(Vec::len).collect();
        assert_eq!(sizes, [3, 3, 1]);
        assert_eq!(chunks[1][0].message_id(), Some("3"));
        for chunk in &chunks {
            assert!(build_event(chunk, "arn", "us-east-1").len() <= MAX_PAYLOAD_BYTES);
        }
    }
}
