//! Resources that `local` leaves out as a whole, and why that changes nothing on one machine. They are still resolved: a
//! reference in them that leads nowhere fails the start.

use super::left_out::left_out;
use super::resource_type::{PhysicalName, ResourceType};

/// The types.
pub(crate) const RESOURCE_TYPES: &[ResourceType] = &[
    ResourceType {
        left_out: &[left_out("*", "nothing is measured over time here; tests look at the queues themselves")],
        ..ResourceType::new("AWS::CloudWatch::Alarm", PhysicalName::Property("AlarmName"), |_, _| Ok(()))
    },
    ResourceType {
        left_out: &[left_out("*", "it feeds an alarm")],
        ..ResourceType::new("AWS::Logs::MetricFilter", PhysicalName::Unnamed, |_, _| Ok(()))
    },
    ResourceType {
        // CloudFormation: AWS::Logs::LogGroup, "Arn" ends in `:*`.
        attributes: &[("Arn", |id| Ok(id.arn("logs", &format!("log-group:{}:*", id.name))))],
        left_out: &[left_out("*", "local keeps the functions' lines itself, as long as it runs")],
        ..ResourceType::new("AWS::Logs::LogGroup", PhysicalName::Property("LogGroupName"), |_, _| Ok(()))
    },
];
