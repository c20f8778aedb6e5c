//! CloudTrail: AWS attached a quarantine policy to a user, because it found one of the user's keys.

use serde_json::{Map, Value};
use shared::http::FieldError;

use super::{NoticeContent, NoticeSubject, finding, text, time};

/// The names of AWS's quarantine policies begin so: `…`, `…V2`, `…V3`. The policies are AWS's own, of no account.
/// <https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSCompromisedKeyQuarantineV3.html>
const QUARANTINE: &str = "AWSCompromisedKeyQuarantine";

/// Reads the record of an API call, as "CloudTrail record contents for management, data, and network activity events" has it:
/// <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html>. It names
/// the user, but not which of the user's keys was found.
///
/// # Errors
/// It is another call.
pub(super) fn parse(detail: &Map<String, Value>) -> Result<NoticeContent, FieldError> {
    if text(detail, "eventName") != Some("AttachUserPolicy") {
        return Err(FieldError::new("detail.eventName", "must be `AttachUserPolicy`"));
    }
    let parameters = detail
        .get("requestParameters")
        .and_then(Value::as_object)
        .ok_or_else(|| FieldError::new("detail.requestParameters", "must be an object"))?;
    let policy = text(parameters, "policyArn")
        .and_then(|arn| arn.split_once(":iam::aws:policy/"))
        .map(|(_, name)| name)
        .filter(|name| name.starts_with(QUARANTINE))
        .ok_or_else(|| {
            FieldError::new("detail.requestParameters.policyArn", "must be one of AWS's quarantine policies")
        })?;
    Ok(NoticeContent {
        finding: finding(policy),
        subjects: text(parameters, "userName").map(|user| NoticeSubject::User(user.to_owned())).into_iter().collect(),
        // CloudTrail records calls that failed too: nothing was attached.
        alert_only: text(detail, "errorCode").map(|_| "call_failed"),
        copies_id: text(detail, "eventID").map(str::to_owned),
        copies_time: time(detail, "eventTime"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::AwsNotice;
    use super::super::tests::{message, sample};
    use super::*;

    fn notice(path: &str, value: Value) -> Result<AwsNotice, String> {
        let mut event = sample(include_str!("../../../../../events/revoke-quarantine-attached.json"));
        let (parent, name) = path.rsplit_once('/').unwrap();
        event.pointer_mut(parent).unwrap()[name] = value;
        AwsNotice::parse(&message(&event)).map_err(|error| error.field)
    }

    #[test]
    fn each_version_of_the_policy_names_the_user_in_each_partition() {
        for (arn, name) in [
            ("arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantine", "AWSCompromisedKeyQuarantine"),
            ("arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV2", "AWSCompromisedKeyQuarantineV2"),
            ("arn:aws-cn:iam::aws:policy/AWSCompromisedKeyQuarantineV3", "AWSCompromisedKeyQuarantineV3"),
        ] {
            let read = notice("/detail/requestParameters/policyArn", json!(arn)).unwrap();
            assert_eq!((read.finding.as_str(), read.alert_only), (name, None));
            assert_eq!(read.subjects, [NoticeSubject::User("mailer".to_owned())]);
        }
    }

    #[test]
    fn what_is_no_quarantine_is_refused_by_its_field() {
        let arn = "/detail/requestParameters/policyArn";
        let cases = [
            (
                arn,
                json!("arn:aws:iam::171436882533:policy/AWSCompromisedKeyQuarantineV3"),
                "detail.requestParameters.policyArn",
            ),
            (arn, json!("arn:aws:iam::aws:policy/AdministratorAccess"), "detail.requestParameters.policyArn"),
            (arn, json!(null), "detail.requestParameters.policyArn"),
            ("/detail/requestParameters", json!(null), "detail.requestParameters"),
            ("/detail/eventName", json!("DetachUserPolicy"), "detail.eventName"),
        ];
        for (path, value, field) in cases {
            assert_eq!(notice(path, value.clone()).unwrap_err(), field, "{path}: {value}");
        }
    }

    #[test]
    fn a_call_that_failed_and_one_without_a_user_are_for_people() {
        assert_eq!(notice("/detail/errorCode", json!("AccessDenied")).unwrap().alert_only, Some("call_failed"));
        let nobody = notice("/detail/requestParameters/userName", json!(7)).unwrap();
        assert_eq!(nobody.subjects, [NoticeSubject::Unreadable]);
    }
}
