//! What `local` leaves out on purpose, and why that changes nothing on one machine.
//!
//! A property that is neither read in [`super::resource`] nor listed here fails the start.

/// A resource type, or a property of one, that is left out.
pub(super) struct Ignored {
    /// The resource type.
    pub(super) kind: &'static str,
    /// The dotted path of the property, `[]` for any item of a list; `*` leaves out the whole resource.
    pub(super) property: &'static str,
    /// Why it may be left out.
    pub(super) reason: &'static str,
}

/// The list.
pub(super) const IGNORED: &[Ignored] = &[
    entry("AWS::CloudWatch::Alarm", "*", "nothing is measured over time here; tests look at the queues themselves"),
    entry("AWS::Logs::MetricFilter", "*", "it feeds an alarm"),
    entry("AWS::Logs::LogGroup", "*", "local keeps the functions' lines itself, as long as it runs"),
    entry("AWS::DynamoDB::Table", "BillingMode", "nothing is billed"),
    entry("AWS::DynamoDB::Table", "SSESpecification", "data lives in memory"),
    entry("AWS::DynamoDB::Table", "Tags", "nothing reads them"),
    entry("AWS::SQS::Queue", "SqsManagedSseEnabled", "messages live in memory"),
    entry("AWS::SQS::Queue", "Tags", "nothing reads them"),
    entry("AWS::KMS::Key", "EnableKeyRotation", "the stand-in's keys end with the process"),
    entry("AWS::KMS::Key", "PendingWindowInDays", "the stand-in's keys end with the process"),
    entry("AWS::KMS::Key", "Tags", "nothing reads them"),
    entry("AWS::Events::EventBus", "Description", "for people"),
    entry("AWS::Events::EventBus", "Tags", "nothing reads them"),
    entry("AWS::Events::Rule", "Description", "for people"),
    entry("AWS::Events::Rule", "Targets.RetryPolicy", "a delivery within this process is not tried again"),
    entry("AWS::IAM::Role", "Description", "for people"),
    entry("AWS::IAM::Role", "MaxSessionDuration", "sessions are only issued to functions"),
    entry("AWS::IAM::Role", "Tags", "nothing reads them"),
    entry("AWS::Serverless::HttpApi", "Name", "for people; the API's id is what ARNs hold"),
    entry("AWS::Serverless::HttpApi", "Description", "for people"),
    entry("AWS::Serverless::HttpApi", "Tags", "nothing reads them"),
    entry("AWS::Serverless::Function", "Description", "for people"),
    entry("AWS::Serverless::Function", "Architectures", "the binaries run on this machine"),
    entry("AWS::Serverless::Function", "Tags", "nothing reads them"),
    entry("AWS::Serverless::Function", "Tracing", "no trace is collected"),
    entry("AWS::Serverless::Function", "LoggingConfig.LogFormat", "lines are kept as they are written"),
    entry("AWS::Serverless::Function", "Events.Properties.Description", "for people"),
    entry(
        "AWS::Serverless::Function",
        "Events.Properties.RetryPolicy",
        "a delivery within this process is not tried again",
    ),
];

const fn entry(kind: &'static str, property: &'static str, reason: &'static str) -> Ignored {
    Ignored { kind, property, reason }
}

/// Whether a property (or with `*` the whole type) is left out.
pub(super) fn is_ignored(kind: &str, property: &str) -> bool {
    let found = IGNORED.iter().find(|ignored| ignored.kind == kind && ignored.property == property);
    if let Some(Ignored { reason, .. }) = found {
        tracing::debug!(kind, property, reason, "left out");
    }
    found.is_some()
}

#[cfg(test)]
mod tests {
    use super::IGNORED;

    #[test]
    fn everything_left_out_has_a_reason_and_is_listed_once() {
        for (index, ignored) in IGNORED.iter().enumerate() {
            assert!(!ignored.reason.is_empty(), "{} {}", ignored.kind, ignored.property);
            let again = IGNORED[..index].iter().any(|o| o.kind == ignored.kind && o.property == ignored.property);
            assert!(!again, "{} {} is listed twice", ignored.kind, ignored.property);
        }
    }
}
