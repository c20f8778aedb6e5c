//! Copies that go back to the queue, ten in a request.
//!
//! The mails of a batch that find no start go back at the same moment, each by a task of its own. The first one waits for the
//! others for a moment and sends for all of them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use shared::queue::{Outgoing, Queue, QueueError};
use tokio::sync::oneshot;
use tokio::time::sleep;

/// How long the first copy waits for others: longer than the mails of a batch are apart, and nothing beside a delay in
/// seconds.
const COLLECTED_FOR: Duration = Duration::from_millis(5);

/// A copy of a message.
pub(crate) struct MailCopy {
    /// The id of the message that it is a copy of, for errors.
    pub(crate) subject: String,
    /// The body.
    pub(crate) body: String,
    /// The group of the fair queue.
    pub(crate) group: String,
    /// How long SQS hides it.
    pub(crate) delay: Duration,
    /// How often the message was requeued.
    pub(crate) hops: u32,
    /// Whether the mail has stood in a line, and comes back at its turn.
    pub(crate) lined_up: bool,
}

/// A copy, and who waits for its being sent.
type Collected = Vec<(MailCopy, oneshot::Sender<Result<(), QueueError>>)>;

/// The copies that are being collected.
pub(crate) struct PutBacks {
    queue: Queue,
    collected: Arc<Mutex<Collected>>,
}

impl PutBacks {
    /// Copies that go to this queue.
    pub(crate) fn new(queue: Queue) -> Self {
        Self { queue, collected: Arc::default() }
    }

    /// Sends a copy, together with those that others send now.
    ///
    /// # Errors
    /// SQS did not accept it in three attempts.
    pub(crate) async fn send(&self, copy: MailCopy) -> Result<(), QueueError> {
        let subject = copy.subject.clone();
        let (sender, receiver) = oneshot::channel();
        let is_first = {
            let mut collected = self.collected.lock().unwrap_or_else(PoisonError::into_inner);
            collected.push((copy, sender));
            collected.len() == 1
        };
        if is_first {
            // A task of its own: the mail that began it may be given up, and the others are sent all the same.
            tokio::spawn(send_collected(self.queue.clone(), Arc::clone(&self.collected)));
        }
        receiver.await.unwrap_or_else(|_| Err(QueueError { subject, queue: "send", code: "no answer".to_owned() }))
    }
}

async fn send_collected(queue: Queue, collected: Arc<Mutex<Collected>>) {
    sleep(COLLECTED_FOR).await;
    let (copies, senders): (Vec<_>, Vec<_>) =
        std::mem::take(&mut *collected.lock().unwrap_or_else(PoisonError::into_inner)).into_iter().unzip();
    let outgoing: Vec<_> = copies.iter().map(MailCopy::outgoing).collect();
    for (sender, result) in senders.into_iter().zip(queue.send_all(&outgoing).await) {
        // Who waits for it no longer needs no answer.
        sender.send(result).ok();
    }
}

impl MailCopy {
    /// The copy as the queue takes it.
    pub(crate) fn outgoing(&self) -> Outgoing<'_> {
        let Self { subject, body, group, delay, hops, lined_up } = self;
        Outgoing { subject, body, group, delay: *delay, hops: Some(*hops), lined_up: *lined_up }
    }
}
