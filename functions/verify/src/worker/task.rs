//! Tasks: the messages on the verification queue.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use shared::http::{FieldError, decode};
use shared::id::ProviderId;
use shared::queue::{Outgoing, Queue, QueueError};

/// What `verify-worker` has to do. Messages hold ids and no state; the state is in the records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum WorkerTask {
    /// Verify a provider.
    Verification(ProviderId),
    /// Go on with the configuration of a tenant's SES.
    Configuration(ProviderId),
}

/// A [`WorkerTask`] with the version of its format.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct TaskMessage {
    version: u32,
    task: WorkerTask,
}

/// The message format version that this code writes, and the only one that it accepts.
const VERSION: u32 = 1;

impl WorkerTask {
    /// Reads a message's body.
    ///
    /// # Errors
    /// The field that is wrong, without its value.
    pub(crate) fn parse(body: &str) -> Result<Self, FieldError> {
        let message: TaskMessage = decode(body.as_bytes())?;
        if message.version != VERSION {
            return Err(FieldError::new("version", format!("must be {VERSION}")));
        }
        Ok(message.task)
    }

    fn provider_id(&self) -> &ProviderId {
        match self {
            Self::Verification(provider_id) | Self::Configuration(provider_id) => provider_id,
        }
    }

    /// Enqueues the task. Each provider is a group of the fair queue.
    ///
    /// # Errors
    /// SQS refused it or did not answer.
    pub(crate) async fn enqueue(self, queue: &Queue) -> Result<(), QueueError> {
        let provider_id = self.provider_id().clone();
        let subject = provider_id.as_str();
        let body = serde_json::to_string(&TaskMessage { version: VERSION, task: self }).map_err(|_| QueueError {
            subject: subject.to_owned(),
            queue: "verification",
            code: "not serialized".to_owned(),
        })?;
        queue
            .send(Outgoing { subject, body: &body, group: subject, delay: Duration::ZERO, hops: None, lined_up: false })
            .await
    }
}

#[cfg(test)]
mod tests {
    use shared::queue::Batch;

    use super::*;

    #[test]
    fn a_message_is_parsed_in_its_one_form() {
        let sample = serde_json::from_str(include_str!("../../../../events/verify-worker-verification.json")).unwrap();
        let body = &Batch::from_json(sample, jiff::Timestamp::UNIX_EPOCH).unwrap().messages[0].body;
        let task = WorkerTask::parse(body).unwrap();
        assert_eq!(task, WorkerTask::Verification(ProviderId::parse("prv_01KAQX5D8E3C9V7N2M4R6T8W0Y").unwrap()));
        let sample = serde_json::from_str(include_str!("../../../../events/verify-worker-configuration.json")).unwrap();
        let body = &Batch::from_json(sample, jiff::Timestamp::UNIX_EPOCH).unwrap().messages[0].body;
        let task = WorkerTask::parse(body).unwrap();
        assert_eq!(task, WorkerTask::Configuration(ProviderId::parse("prv_01KAQX5D8E3C9V7N2M4R6T8W0Y").unwrap()));
        for (body, field) in [
            ("", "body"),
            (r#"{"version":2,"task":{"verification":"prv_01KAQX5D8E3C9V7N2M4R6T8W0Y"}}"#, "version"),
            (r#"{"version":1}"#, "task"),
            (r#"{"version":1,"task":{"verification":"prv_1"}}"#, "task"),
            (r#"{"version":1,"task":{"verify":"prv_01KAQX5D8E3C9V7N2M4R6T8W0Y"}}"#, "task"),
        ] {
            let error = WorkerTask::parse(body).unwrap_err();
            assert!(error.field.starts_with(field), "{body}: {error}");
        }
    }
}
