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
    /// The metrics with their statistics: one, or those of the expression.
    watched: Vec<(Metric, String)>,
    /// The metric math; empty for an alarm on a metric itself.
    expression: String,
    periods: u32,
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
        Alarm {
            watched: vec![(self, statistic.to_owned())],
            expression: String::new(),
            periods: 1,
            comparison: "GreaterThanOrEqualToThreshold".to_owned(),
            threshold,
        }
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

/// A build for the wrong architecture is an error of every invocation; a function that is throttled leaves its callers and its
/// queue waiting.
#[test]
fn a_function_that_fails_or_is_throttled_is_told_within_minutes() {
    let (stack, alarms) = (stack(), alarms());
    for function in stack.all::<FunctionResource>() {
        for name in ["Errors", "Throttles"] {
            let metric = Metric::of("AWS/Lambda", name, "FunctionName", &function.name);
            assert!(alarms.contains(&metric.at_least("Sum", 1)), "{name} of {}", function.logical_id);
        }
    }
}

/// Messages wait and none is taken off.
#[test]
fn a_queue_that_nobody_consumes_is_told_within_minutes() {
    let (stack, alarms) = (stack(), alarms());
    for mapping in stack.all::<FunctionResource>().flat_map(|function| &function.mappings) {
        let queue = QueueResource::find(&stack, &mapping.queue_arn).unwrap();
        let metric = |name: &str| Metric::of("AWS/SQS", name, "QueueName", &queue.name);
        let stalled = Alarm {
            watched: vec![
                (metric("ApproximateNumberOfMessagesVisible"), "Maximum".to_owned()),
                (metric("NumberOfMessagesDeleted"), "Sum".to_owned()),
            ],
            expression: "IF(waiting > 0 AND FILL(deleted, 0) < 1, 1, 0)".to_owned(),
            periods: 5,
            comparison: "GreaterThanOrEqualToThreshold".to_owned(),
            threshold: 1,
        };
        assert!(alarms.contains(&stalled), "{}", queue.logical_id);
    }
}

#[test]
fn an_error_that_a_function_logs_is_told() {
    let (stack, alarms, filters) = (stack(), alarms(), filters());
    for function in stack.all::<FunctionResource>() {
        let binary = &function.binary;
        let counts = |filter: &&Filter| filter.counts_errors && filter.log_group == function.log_group;
        let errors = filters.iter().find(counts).unwrap_or_else(|| panic!("{binary}")).metric.clone();
        assert!(alarms.contains(&errors.at_least("Sum", 1)), "{binary}");
    }
}

/// `revoke` counts them in the field of a log line.
#[test]
fn keys_that_are_not_proved_revocable_are_told() {
    let (stack, alarms, filters) = (stack(), alarms(), filters());
    let revoke = stack.all::<FunctionResource>().find(|function| function.binary == "revoke").unwrap();
    let overdue = Metric::of("stack", "RevocabilityOverdue", "", "");
    let counted = Filter { log_group: revoke.log_group.clone(), counts_errors: false, metric: overdue.clone() };
    assert!(filters.contains(&counted), "{filters:?}");
    assert!(alarms.contains(&overdue.at_least("Maximum", 1)));
}

#[test]
fn every_alarm_watches_a_metric_that_is_written() {
    let stack = stack();
    let mut written: BTreeSet<Metric> = filters().into_iter().map(|filter| filter.metric).collect();
    for queue in stack.all::<QueueResource>() {
        for name in ["ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage", "NumberOfMessagesDeleted"] {
            written.insert(Metric::of("AWS/SQS", name, "QueueName", &queue.name));
        }
    }
    for function in stack.all::<FunctionResource>() {
        for name in ["Errors", "Throttles"] {
            written.insert(Metric::of("AWS/Lambda", name, "FunctionName", &function.name));
        }
    }
    for alarm in alarms() {
        assert!(alarm.watched.iter().all(|(metric, _)| written.contains(metric)), "{alarm:?}");
    }
}

/// The template's alarms. Each is read strictly, so a property that CloudWatch does not know fails here, and each tells
/// somebody within minutes.
fn alarms() -> BTreeSet<Alarm> {
    resources("AWS::CloudWatch::Alarm", |fields| {
        fields.required("AlarmDescription")?;
        assert_eq!(fields.strings("AlarmActions")?, [ALARM_TOPIC]);
        assert_eq!(fields.required("TreatMissingData")?, "notBreaching");
        let alarm = Alarm {
            watched: Vec::new(),
            expression: String::new(),
            periods: fields.number("EvaluationPeriods")?.unwrap(),
            comparison: fields.required("ComparisonOperator")?,
            threshold: fields.number("Threshold")?.unwrap(),
        };
        let queries = fields.maps("Metrics")?;
        if queries.is_empty() {
            assert_eq!(alarm.periods, 1);
            let (metric, statistic) = (metric(fields)?, fields.required("Statistic")?);
            assert!([60, 300].contains(&fields.number("Period")?.unwrap()));
            return Ok(Alarm { watched: vec![(metric, statistic)], ..alarm });
        }
        assert!(alarm.periods <= 5);
        metric_math(queries, alarm)
    })
}

/// An alarm on an expression: its metrics are looked at every minute, and the expression alone is what is compared.
fn metric_math(queries: Vec<Fields<'_>>, mut alarm: Alarm) -> Result<Alarm, TemplateError> {
    for query in queries {
        let id = query.required("Id")?;
        let is_result = query.flag("ReturnData")?.unwrap();
        if let Some(expression) = query.string("Expression")? {
            query.required("Label")?;
            assert!(is_result && alarm.expression.is_empty(), "{id}");
            alarm.expression = expression;
        } else {
            let stat = query.map("MetricStat")?.unwrap();
            let watched = stat.map("Metric")?.unwrap();
            assert!(!is_result, "{id}");
            assert_eq!(stat.number("Period")?, Some(60), "{id}");
            alarm.watched.push((metric(&watched)?, stat.required("Stat")?));
            watched.finish()?;
            stat.finish()?;
        }
        query.finish()?;
    }
    assert!(!alarm.expression.is_empty());
    Ok(alarm)
}

fn metric(fields: &Fields<'_>) -> Result<Metric, TemplateError> {
    let mut dimension = (String::new(), String::new());
    for written in fields.maps("Dimensions")? {
        dimension = (written.required("Name")?, written.required("Value")?);
        written.finish()?;
    }
    Ok(Metric { namespace: fields.required("Namespace")?, name: fields.required("MetricName")?, dimension })
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
