//! AWS::SQS::Queue and AWS::SQS::QueuePolicy.

use std::time::Duration;

use super::Resource;
use crate::template::intrinsic::Scope;
use crate::template::stack::{Queue, Redrive, Stack};
use crate::template::{TemplateError, policy};

/// A standard queue. What is not said has SQS's default (SQS API reference, CreateQueue).
pub(super) fn queue(resource: &Resource<'_>, scope: &Scope<'_>) -> Result<Queue, TemplateError> {
    let fields = resource.fields()?;
    fields.string("QueueName")?;
    let mut redrive = None;
    if let Some(policy) = fields.map("RedrivePolicy")? {
        let dead_letter_arn = policy.required("deadLetterTargetArn")?;
        let Some(max_receive_count) = policy.number("maxReceiveCount")? else {
            return Err(policy.error("maxReceiveCount is missing"));
        };
        policy.finish()?;
        redrive = Some(Redrive { dead_letter_arn, max_receive_count });
    }
    let queue = Queue {
        logical_id: resource.logical_id.to_owned(),
        name: resource.attribute(scope, "QueueName")?,
        url: resource.reference(scope)?,
        arn: resource.attribute(scope, "Arn")?,
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
    Ok(queue)
}

/// Gives queues their policy. A queue has one: a second would replace the first without a word.
pub(super) fn apply_policy(resource: &Resource<'_>, stack: &mut Stack) -> Result<(), TemplateError> {
    let fields = resource.fields()?;
    let document = fields
        .policy("PolicyDocument", policy::check_resource)?
        .ok_or_else(|| fields.error("PolicyDocument is missing"))?;
    for url in fields.strings("Queues")? {
        let Some(queue) = stack.queues.iter_mut().find(|queue| queue.url == url) else {
            return Err(fields.error(format!("there is no queue {url}")));
        };
        if queue.policy.replace(document.clone()).is_some() {
            return Err(fields.error(format!("{} has a policy already", queue.logical_id)));
        }
    }
    fields.finish()
}
