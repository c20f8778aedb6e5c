//! Alarms: what has to be watched is, by a metric that is really written, and somebody is told.
//!
//! The metrics and their dimensions are those of "Available CloudWatch metrics for Amazon SQS" (SQS developer guide) and
//! "Types of metrics for Lambda functions" (Lambda developer guide).

use std::collections::BTreeSet;

use super::{ALARM_TOPIC, EMBEDDED, dead_letter_queues, settings, stack};
use crate::serverless::FunctionResource;
use crate::service::sqs::QueueResource;
use crate::stack::resource_types;
use crate::template::{Fields, TemplateError, TemplateScope, YamlEntry, YamlNode};

/// The log lines of errors.
const ERRORS: &str = r#"{ $.level = "ERROR" }"#;

/// What is watched: namespace, metric, and the dimension's name and value, both empty for a metric without one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Metric {
    namespace: String,
    name: String,
    dimension: (String, String),
}

/// What is watched, and what makes the alarm fire.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Alarm {
    metric: Metric,
    statistic: String,
    comparison: String,
    threshold: u32,
}

/// A metric that the template makes of log lines.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Filter {
    log_group: String,
    /// Counts errors; otherwise the metric is a field that is a number.
    counts_errors: bool,
    metric: Metric,
}

impl Metric {
    fn of(namespace: &str, name: &str, dimension: &str, value: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            dimension: (dimension.to_owned(), value.to_owned()),
        }
    }

    fn at_least(self, statistic: &str, threshold: u32) -> Alarm {
        let comparison = "GreaterThanOrEqualToThreshold".to_owned();
        Alarm { metric: self, statistic: statistic.to_owned(), comparison, threshold }
    }

    fn above(self, statistic: &str, threshold: u32) -> Alarm {
        Alarm { comparison: "GreaterThanThreshold".to_owned(), ..self.at_least(statistic, threshold) }
    }
}

#[test]
fn every_dead_letter_queue_has_an_alarm_for_its_first_message() {
    let (stack, alarms) = (stack(), alarms());
    for queue in dead_letter_queues(&stack) {
        let metric = Metric::of("AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", &queue.name);
        assert!(alarms.contains(&metric.at_least("Maximum", 1)), "{}", queue.logical_id);
    }
}

#[test]
fn a_revocation_that_is_stuck_is_told_within_minutes() {
    let (stack, alarms) = (stack(), alarms());
    let functions = stack.all::<FunctionResource>().filter(|function| function.binary.starts_with("revoke"));
    for function in functions {
        let errors = Metric::of("AWS/Lambda", "Errors", "FunctionName", &function.name);
        assert!(alarms.contains(&errors.at_least("Sum", 1)), "{}", function.logical_id);
        for mapping in &function.mappings {
            let queue = QueueResource::find(&stack, &mapping.queue_arn).unwrap();
            let age = Metric::of("AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", &queue.name);
            assert!(alarms.contains(&age.above("Maximum", 300)), "{}", queue.logical_id);
        }
    }
}

#[test]
fn an_error_that_a_function_logs_is_told() {
    let (stack, alarms, filters) = (stack(), alarms(), filters());
    for binary in ["send", "revoke", "revoke-worker"] {
        let function = stack.all::<FunctionResource>().find(|function| function.binary == binary).unwrap();
        let counts = |filter: &&Filter| filter.counts_errors && filter.log_group == function.log_group;
        let errors = filters.iter().find(counts).unwrap_or_else(|| panic!("{binary}")).metric.clone();
        assert!(alarms.contains(&errors.at_least("Sum", 1)), "{binary}");
    }
}

#[test]
fn every_alarm_watches_a_metric_that_is_written() {
    let stack = stack();
    let mut written: BTreeSet<Metric> = filters().into_iter().map(|filter| filter.metric).collect();
    for queue in stack.all::<QueueResource>() {
        for name in ["ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"] {
            written.insert(Metric::of("AWS/SQS", name, "QueueName", &queue.name));
        }
    }
    for function in stack.all::<FunctionResource>() {
        written.insert(Metric::of("AWS/Lambda", "Errors", "FunctionName", &function.name));
    }
    for alarm in alarms() {
        assert!(written.contains(&alarm.metric), "{alarm:?}");
    }
}

/// The template's alarms. Each is read strictly, so a property that CloudWatch does not know fails here, and each tells
/// somebody within minutes.
fn alarms() -> BTreeSet<Alarm> {
    resources("AWS::CloudWatch::Alarm", |fields| {
        fields.required("AlarmDescription")?;
        assert_eq!(fields.strings("AlarmActions")?, [ALARM_TOPIC]);
        assert_eq!(fields.required("TreatMissingData")?, "notBreaching");
        assert_eq!(fields.number("EvaluationPeriods")?, Some(1));
        assert!(fields.number("Period")?.is_some_and(|seconds| [60, 300].contains(&seconds)));
        let mut dimension = (String::new(), String::new());
        for written in fields.maps("Dimensions")? {
            dimension = (written.required("Name")?, written.required("Value")?);
            written.finish()?;
        }
        let (namespace, name) = (fields.required("Namespace")?, fields.required("MetricName")?);
        Ok(Alarm {
            metric: Metric { namespace, name, dimension },
            statistic: fields.required("Statistic")?,
            comparison: fields.required("ComparisonOperator")?,
            threshold: fields.number("Threshold")?.unwrap(),
        })
    })
}

/// The metrics that the template makes of the functions' log lines.
fn filters() -> BTreeSet<Filter> {
    let stack = stack();
    resources("AWS::Logs::MetricFilter", |fields| {
        let log_group = fields.required("LogGroupName")?;
        assert!(stack.all::<FunctionResource>().any(|function| function.log_group == log_group), "{log_group}");
        let pattern = fields.required("FilterPattern")?;
        let [made] = <[Fields<'_>; 1]>::try_from(fields.maps("MetricTransformations")?).ok().unwrap();
        let value = made.required("MetricValue")?;
        let counts_errors = value == "1";
        let expected = if counts_errors { ERRORS.to_owned() } else { format!("{{ {value} = * }}") };
        assert_eq!(pattern, expected);
        let metric = Metric::of(&made.required("MetricNamespace")?, &made.required("MetricName")?, "", "");
        made.finish()?;
        Ok(Filter { log_group, counts_errors, metric })
    })
}

/// What `read` makes of each resource of a type, its properties resolved and all of them read.
fn resources<T: Ord>(kind: &str, read: impl Fn(&Fields<'_>) -> Result<T, TemplateError>) -> BTreeSet<T> {
    let (template, settings) = (YamlNode::parse(EMBEDDED).unwrap(), settings());
    let types = resource_types();
    let scope = TemplateScope::new(&template, &settings, &types).unwrap();
    let mut made = BTreeSet::new();
    for YamlEntry { key, value, .. } in template.get("Resources").and_then(YamlNode::entries).unwrap() {
        if value.get("Type").and_then(YamlNode::text).as_deref() == Some(kind) {
            let properties = scope.resolve(value.get("Properties").unwrap(), key).unwrap().unwrap();
            let fields = Fields::new(&[], key, &properties).unwrap();
            let one = read(&fields).unwrap();
            fields.finish().unwrap();
            assert!(made.insert(one), "{key} is there twice");
        }
    }
    assert!(!made.is_empty(), "{kind}");
    made
}
