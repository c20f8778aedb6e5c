//! SQS: long polls that end when a message comes, not at the next tenth of a second.

use std::sync::Arc;
use std::time::Duration;

use fakecloud_core::service::AwsService;
use fakecloud_sqs::SharedSqsState;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::answer::Answer;
use super::call::Call;
use super::caller::Caller;

/// Messages become visible by themselves when a delay or a visibility timeout ends; both are whole seconds.
const TICK: Duration = Duration::from_millis(200);

/// Wakes the polls that wait for a message.
#[derive(Clone, Default)]
pub(crate) struct Arrivals(Arc<Notify>);

impl Arrivals {
    /// Tells all waiting polls to look again.
    pub(crate) fn announce(&self) {
        self.0.notify_waiters();
    }

    /// Answers ReceiveMessage on a queue of an account, waiting as long as it asks for.
    pub(crate) async fn receive(
        &self,
        service: &dyn AwsService,
        call: &Call,
        caller: &Caller,
        account_id: &str,
        region: &str,
        wait: Duration,
    ) -> Answer {
        let deadline = Instant::now() + wait;
        let mut body = call.json.clone();
        body["WaitTimeSeconds"] = Value::from(0);
        let body = axum::body::Bytes::from(body.to_string());
        loop {
            // Registered before looking, so that a message that comes in between is not slept through.
            let arrival = self.0.notified();
            tokio::pin!(arrival);
            arrival.as_mut().enable();

            let mut request = call.to_request(caller, account_id, region);
            request.body = body.clone();
            let answer = Answer::of_service(call, service.handle(request).await);
            if answer.error.is_some() || !is_empty(&answer) || Instant::now() >= deadline {
                return answer;
            }
            let _ = timeout_at(deadline.min(Instant::now() + TICK), arrival).await;
        }
    }
}

/// The account whose queue a call is about, where the call says it: in the queue's URL, or in GetQueueUrl's own field
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueUrl.html>).
pub(crate) fn owner(call: &Call) -> Option<&str> {
    let of_url = call.json["QueueUrl"].as_str().and_then(|url| url.rsplit('/').nth(1));
    of_url.or_else(|| call.json["QueueOwnerAWSAccountId"].as_str())
}

/// How long a ReceiveMessage waits: as it says, else as the queue says.
pub(crate) fn wait_time(call: &Call, sqs: &SharedSqsState, account_id: &str, region: &str) -> Duration {
    let asked = call.json["WaitTimeSeconds"].as_u64();
    let seconds = asked.or_else(|| {
        let name = call.json["QueueUrl"].as_str()?.rsplit('/').next()?;
        let accounts = sqs.read();
        let state = accounts.regional(account_id, region)?;
        let queue = state.queues.get(state.name_to_url.get(name)?)?;
        queue.attributes.get("ReceiveMessageWaitTimeSeconds")?.parse().ok()
    });
    Duration::from_secs(seconds.unwrap_or(0).min(20))
}

fn is_empty(answer: &Answer) -> bool {
    serde_json::from_slice::<Value>(&answer.body)
        .is_ok_and(|answer| answer["Messages"].as_array().is_none_or(Vec::is_empty))
}
