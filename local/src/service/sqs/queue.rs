//! AWS::SQS::Queue and AWS::SQS::QueuePolicy.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::Sqs;
use crate::template::{
    DeclaredResource, PhysicalId, PhysicalName, ResourceType, Stack, TemplateError, check_resource, left_out,
};

pub(super) const RESOURCE_TYPE: ResourceType = ResourceType {
    reference: url,
    attributes: &[
        ("Arn", |id| Ok(id.arn("sqs", &id.name))),
        ("QueueName", |id| Ok(id.name.clone())),
        ("QueueUrl", url),
    ],
    left_out: &[left_out("SqsManagedSseEnabled", "messages live in memory"), left_out("Tags", "nothing reads them")],
    ..ResourceType::new("AWS::SQS::Queue", PhysicalName::Property("QueueName"), read_queue)
};

pub(super) const POLICY_TYPE: ResourceType = ResourceType {
    is_dependent: true,
    ..ResourceType::new("AWS::SQS::QueuePolicy", PhysicalName::Unnamed, read_policy)
};

/// An SQS standard queue.
#[derive(Clone, Debug)]
pub(crate) struct QueueResource {
    /// Its name in the template.
    pub(crate) logical_id: String,
    /// The queue's name.
    pub(crate) name: String,
    /// The queue's URL at the stand-in: `{aws_endpoint}/{account}/{name}`.
    pub(crate) url: String,
    /// The queue's ARN.
    pub(crate) arn: String,
    /// How long a received message stays hidden.
    pub(crate) visibility_timeout: Duration,
    /// How long a new message stays hidden.
    pub(crate) delay: Duration,
    /// How long a message is kept.
    pub(crate) retention: Duration,
    /// The default long-poll time.
    pub(crate) receive_wait: Duration,
    /// The largest message, in bytes.
    pub(crate) maximum_message_size: u32,
    /// Where messages go that were received too often.
    pub(crate) redrive: Option<RedrivePolicy>,
    /// The document that says which queues may use this one as a dead-letter queue.
    pub(crate) redrive_allow_policy: Option<Value>,
    /// The queue's resource policy, of `AWS::SQS::QueuePolicy`.
    pub(crate) policy: Option<Value>,
}

/// A queue's redrive policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RedrivePolicy {
    /// The dead-letter queue.
    pub(crate) dead_letter_arn: String,
    /// After how many receives a message goes there.
    pub(crate) max_receive_count: u32,
}

impl QueueResource {
    /// The stack's queue with this ARN.
    pub(crate) fn find<'a>(stack: &'a Stack, arn: &str) -> Option<&'a Self> {
        stack.all::<Self>().find(|queue| queue.arn == arn)
    }

    /// The queue's attributes under the names of SQS CreateQueue, durations in seconds.
    pub(crate) fn attributes(&self) -> BTreeMap<String, String> {
        let mut attributes = BTreeMap::from([
            ("VisibilityTimeout".to_owned(), self.visibility_timeout.as_secs().to_string()),
            ("DelaySeconds".to_owned(), self.delay.as_secs().to_string()),
            ("MessageRetentionPeriod".to_owned(), self.retention.as_secs().to_string()),
            ("ReceiveMessageWaitTimeSeconds".to_owned(), self.receive_wait.as_secs().to_string()),
            ("MaximumMessageSize".to_owned(), self.maximum_message_size.to_string()),
        ]);
        if let Some(redrive) = &self.redrive {
            let policy = json!({
                "deadLetterTargetArn": redrive.dead_letter_arn,
                "maxReceiveCount": redrive.max_receive_count,
            });
            attributes.insert("RedrivePolicy".to_owned(), policy.to_string());
        }
        if let Some(policy) = &self.redrive_allow_policy {
            attributes.insert("RedriveAllowPolicy".to_owned(), policy.to_string());
        }
        if let Some(policy) = &self.policy {
            attributes.insert("Policy".to_owned(), policy.to_string());
        }
        attributes
    }
}

impl Sqs {
    /// Creates the stack's queues.
    pub(super) async fn create_queues(&self, stack: &Stack) -> anyhow::Result<()> {
        // A dead-letter queue has to be there before the queue that names it.
        let (plain, redriving): (Vec<_>, Vec<_>) =
            stack.all::<QueueResource>().partition(|queue| queue.redrive.is_none());
        for queue in plain.into_iter().chain(redriving) {
            let body = json!({"QueueName": queue.name, "Attributes": queue.attributes()});
            let created = self.embedded.ask(&self.setup, "CreateQueue", body).await;
            let url = created.with_context(|| format!("queue {}", queue.logical_id))?;
            anyhow::ensure!(
                url["QueueUrl"].as_str().is_some_and(|url| url.ends_with(&format!("/{}", queue.name))),
                "queue {} was created under another name",
                queue.logical_id
            );
        }
        Ok(())
    }
}

fn url(id: &PhysicalId<'_>) -> Result<String, TemplateError> {
    let settings = id.template.settings();
    Ok(format!("{}/{}/{}", settings.aws_endpoint, settings.account_id, id.name))
}

/// Reads a queue. Properties that are absent have SQS's defaults (SQS API reference, CreateQueue).
fn read_queue(resource: &DeclaredResource<'_>, stack: &mut Stack) -> Result<(), TemplateError> {
    let fields = resource.fields()?;
    fields.string("QueueName")?;
    let mut redrive = None;
    if let Some(policy) = fields.map("RedrivePolicy")? {
        let dead_letter_arn = policy.required("deadLetterTargetArn")?;
        let Some(max_receive_count) = policy.number("maxReceiveCount")? else {
            return Err(policy.error("maxReceiveCount is missing"));
        };
        policy.finish()?;
        redrive = Some(RedrivePolicy { dead_letter_arn, max_receive_count });
    }
    let queue = QueueResource {
        logical_id: resource.logical_id.to_owned(),
        name: resource.attribute("QueueName")?,
        url: resource.reference()?,
        arn: resource.attribute("Arn")?,
        visibility_timeout: fields.seconds("VisibilityTimeout")?.unwrap_or(Duration::from_secs(30)),
        delay: fields.seconds("DelaySeconds")?.unwrap_or_default(),
        retention: fields.seconds("MessageRetentionPeriod")?.unwrap_or(Duration::from_secs(4 * 24 * 3600)),
        receive_wait: fields.seconds("ReceiveMessageWaitTimeSeconds")?.unwrap_or_default(),
        maximum_message_size: fields.number("MaximumMessageSize")?.unwrap_or(1024 * 1024),
        redrive,
        redrive_allow_policy: fields.document("RedriveAllowPolicy")?,
        policy: None,
    };
    let bounds = [
        ("VisibilityTimeout", queue.visibility_timeout.as_secs(), 0..=43_200),
        ("DelaySeconds", queue.delay.as_secs(), 0..=900),
        ("MessageRetentionPeriod", queue.retention.as_secs(), 60..=1_209_600),
        ("ReceiveMessageWaitTimeSeconds", queue.receive_wait.as_secs(), 0..=20),
        ("MaximumMessageSize", queue.maximum_message_size.into(), 1024..=1_048_576),
    ];
    for (name, value, bounds) in bounds {
        if !bounds.contains(&value) {
            return Err(fields.error(format!("{name} is from {} to {}", bounds.start(), bounds.end())));
        }
    }
    fields.finish()?;
    stack.add(queue);
    Ok(())
}

/// Gives queues their policy. A queue has one: AWS would replace the first by a second without a word.
fn read_policy(resource: &DeclaredResource<'_>, stack: &mut Stack) -> Result<(), TemplateError> {
    let fields = resource.fields()?;
    let document =
        fields.policy("PolicyDocument", check_resource)?.ok_or_else(|| fields.error("PolicyDocument is missing"))?;
    super::policy::check(&document).map_err(|reason| fields.error(format!("PolicyDocument: {reason}")))?;
    for url in fields.strings("Queues")? {
        let Some(queue) = stack.all_mut::<QueueResource>().find(|queue| queue.url == url) else {
            return Err(fields.error(format!("there is no queue {url}")));
        };
        if queue.policy.replace(document.clone()).is_some() {
            return Err(fields.error(format!("{} has a policy already", queue.logical_id)));
        }
    }
    fields.finish()
}
