//! The resolved stack: what `template.yaml` says once parameters, conditions and intrinsics have their values.
//!
//! Every physical name, ARN and URL here is known before anything is created, so the parts of `local` (the AWS
//! stand-in, the function host, the gateway) can be built from it in any order.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

/// The whole stack.
#[derive(Clone, Debug)]
pub(crate) struct Stack {
    /// The operator's account, 12 digits.
    pub(crate) account_id: String,
    /// The Region the stack is deployed to.
    pub(crate) region: String,
    /// DynamoDB tables in template order.
    pub(crate) tables: Vec<Table>,
    /// SQS queues in template order.
    pub(crate) queues: Vec<Queue>,
    /// KMS keys in template order, with their aliases.
    pub(crate) keys: Vec<Key>,
    /// EventBridge buses apart from the account's default bus.
    pub(crate) buses: Vec<Bus>,
    /// EventBridge rules in template order.
    pub(crate) rules: Vec<Rule>,
    /// IAM roles in template order.
    pub(crate) roles: Vec<Role>,
    /// Lambda functions in template order.
    pub(crate) functions: Vec<Function>,
    /// The HTTP API, where the template has one.
    pub(crate) http_api: Option<HttpApi>,
    /// The template's Outputs, by name.
    pub(crate) outputs: BTreeMap<String, String>,
}

/// A DynamoDB table.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    /// Its name in the template.
    pub(crate) logical_id: String,
    /// The table's name.
    pub(crate) name: String,
    /// The attributes that keys are made of, in template order.
    pub(crate) attributes: Vec<(String, AttributeType)>,
    /// The primary key.
    pub(crate) key: TableKey,
    /// Global secondary indexes.
    pub(crate) indexes: Vec<Index>,
    /// The attribute that holds an item's expiry, where TTL is enabled.
    pub(crate) ttl_attribute: Option<String>,
    /// Whether deleted items can be restored (PITR).
    pub(crate) point_in_time_recovery: bool,
    /// Whether DeleteTable is refused.
    pub(crate) deletion_protection: bool,
}

/// The type of a key attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AttributeType {
    /// A string.
    S,
    /// A number.
    N,
    /// Bytes.
    B,
}

impl AttributeType {
    /// The letter DynamoDB's API uses.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::S => "S",
            Self::N => "N",
            Self::B => "B",
        }
    }
}

/// A table's or an index's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TableKey {
    /// The partition key's attribute.
    pub(crate) hash: String,
    /// The sort key's attribute.
    pub(crate) range: Option<String>,
}

/// A global secondary index.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    /// The index's name.
    pub(crate) name: String,
    /// Its key.
    pub(crate) key: TableKey,
    /// Which attributes it holds.
    pub(crate) projection: Projection,
}

/// The attributes an index holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Projection {
    /// All of the item's.
    All,
    /// The keys alone.
    KeysOnly,
    /// The keys and the named ones.
    Include(Vec<String>),
}

/// An SQS standard queue.
#[derive(Clone, Debug)]
pub(crate) struct Queue {
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
    pub(crate) redrive: Option<Redrive>,
    /// The document that says which queues may use this one as a dead-letter queue.
    pub(crate) redrive_allow_policy: Option<Value>,
    /// The queue's resource policy, of `AWS::SQS::QueuePolicy`.
    pub(crate) policy: Option<Value>,
}

impl Queue {
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
            let policy = serde_json::json!({
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

/// A queue's redrive policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Redrive {
    /// The dead-letter queue.
    pub(crate) dead_letter_arn: String,
    /// After how many receives a message goes there.
    pub(crate) max_receive_count: u32,
}

/// A symmetric KMS key.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    /// Its name in the template.
    pub(crate) logical_id: String,
    /// The key id, a UUID that is the same at every start.
    pub(crate) id: String,
    /// The key's ARN.
    pub(crate) arn: String,
    /// What the template says the key is for.
    pub(crate) description: String,
    /// The key policy.
    pub(crate) policy: Value,
    /// Aliases, each with its `alias/` prefix.
    pub(crate) aliases: Vec<String>,
}

/// An EventBridge bus.
#[derive(Clone, Debug)]
pub(crate) struct Bus {
    /// Its name in the template.
    pub(crate) logical_id: String,
    /// The bus's name.
    pub(crate) name: String,
}

/// An EventBridge rule.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    /// Its name in the template.
    pub(crate) logical_id: String,
    /// The rule's name.
    pub(crate) name: String,
    /// The name of the bus it listens on, `default` for the account's own.
    pub(crate) bus: String,
    /// The events that it matches.
    pub(crate) pattern: Value,
    /// Whether it is switched on.
    pub(crate) enabled: bool,
    /// Whom it tells.
    pub(crate) targets: Vec<Target>,
}

/// A rule's target: a queue.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// The target's id within the rule.
    pub(crate) id: String,
    /// The queue's ARN.
    pub(crate) arn: String,
    /// The queue that undeliverable events go to.
    pub(crate) dead_letter_arn: Option<String>,
}

/// An IAM role.
#[derive(Clone, Debug)]
pub(crate) struct Role {
    /// The role's name: given, or `{stack}-{LogicalId}-{suffix}` as CloudFormation makes it.
    pub(crate) name: String,
    /// The role's path, `/` by default.
    pub(crate) path: String,
    /// The role's ARN.
    pub(crate) arn: String,
    /// Who may assume it.
    pub(crate) assume_role_policy: Value,
    /// Inline policies: name and document.
    pub(crate) policies: Vec<(String, Value)>,
    /// ARNs of managed policies attached to it.
    pub(crate) managed_policy_arns: Vec<String>,
}

/// A Lambda function.
#[derive(Clone, Debug)]
pub(crate) struct Function {
    /// Its name in the template.
    pub(crate) logical_id: String,
    /// The function's name.
    pub(crate) name: String,
    /// The function's ARN.
    pub(crate) arn: String,
    /// The binary it runs: the last folder of `CodeUri` (`target/lambda/verify/` runs `verify`).
    pub(crate) binary: String,
    /// The template's Handler (`_HANDLER`).
    pub(crate) handler: String,
    /// After which an invocation is killed.
    pub(crate) timeout: Duration,
    /// The memory it is given, in MB.
    pub(crate) memory_mb: u32,
    /// The template's environment variables.
    pub(crate) environment: BTreeMap<String, String>,
    /// The execution role.
    pub(crate) role_arn: String,
    /// How many environments it has at most (and has for itself).
    pub(crate) reserved_concurrency: Option<u32>,
    /// What Lambda does when the function feeds its own queue.
    pub(crate) recursive_loop: RecursiveLoop,
    /// The log group it writes to.
    pub(crate) log_group: String,
    /// Its HTTP routes.
    pub(crate) routes: Vec<Route>,
    /// The queues it takes messages from.
    pub(crate) mappings: Vec<Mapping>,
    /// The schedules that invoke it.
    pub(crate) schedules: Vec<Schedule>,
}

/// Lambda's answer to queue -> function -> same queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecursiveLoop {
    /// Go on for ever.
    Allow,
    /// Stop after about 16 hops (the default).
    Terminate,
}

/// A route of the HTTP API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    /// An upper-case method, or `ANY`.
    pub(crate) method: String,
    /// The path, with `{name}` and a trailing `{name+}` for what varies.
    pub(crate) path: String,
    /// Who is let in.
    pub(crate) authorizer: Authorizer,
}

/// Who is let in to a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Authorizer {
    /// Everybody.
    None,
    /// Who signs with IAM credentials and is allowed `execute-api:Invoke`.
    AwsIam,
}

/// An event source mapping from a queue.
#[derive(Clone, Debug)]
pub(crate) struct Mapping {
    /// The queue.
    pub(crate) queue_arn: String,
    /// Messages an invocation is given at most.
    pub(crate) batch_size: u32,
    /// How long a batch may be gathered.
    pub(crate) batching_window: Duration,
    /// Whether the function names the messages that failed (ReportBatchItemFailures).
    pub(crate) report_batch_item_failures: bool,
    /// Concurrent invocations at most (ScalingConfig.MaximumConcurrency).
    pub(crate) maximum_concurrency: Option<u32>,
    /// Whether it is switched on.
    pub(crate) enabled: bool,
}

/// A schedule that invokes a function.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    /// The ARN of the rule that SAM makes of it.
    pub(crate) rule_arn: String,
    /// A `rate(…)` or `cron(…)` expression.
    pub(crate) expression: String,
    /// Whether it is switched on.
    pub(crate) enabled: bool,
}

/// The HTTP API (API Gateway v2).
#[derive(Clone, Debug)]
pub(crate) struct HttpApi {
    /// The API's id.
    pub(crate) id: String,
    /// The stage, `$default`.
    pub(crate) stage: String,
    /// Whether routes may ask for IAM signatures.
    pub(crate) iam_enabled: bool,
    /// Who is let in to routes that say nothing themselves.
    pub(crate) default_authorizer: Authorizer,
}

impl Stack {
    /// The queue with this ARN.
    pub(crate) fn queue_by_arn(&self, arn: &str) -> Option<&Queue> {
        self.queues.iter().find(|queue| queue.arn == arn)
    }

    /// The role with this ARN.
    pub(crate) fn role_by_arn(&self, arn: &str) -> Option<&Role> {
        self.roles.iter().find(|role| role.arn == arn)
    }
}
