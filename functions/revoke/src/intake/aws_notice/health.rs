//! AWS Health: AWS found a key where it should not be.

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use serde_json::{Map, Value};
use shared::http::FieldError;
use shared::id::AccessKeyId;

use super::{NoticeContent, NoticeSubject, finding, text};

/// All event type codes about exposed or compromised credentials begin so. `detail.service` is no help: rules that people
/// published match `RISK`, `ABUSE` and `IAM` for the same codes.
const EVENT_TYPE_PREFIX: &str = "AWS_RISK_";

/// Reads times with the wrong day of the week too, as one of AWS's samples has.
static START_TIMES: DateTimeParser = DateTimeParser::new().relaxed_weekday(true);

/// Reads a detail. The fields are those of "Reference: AWS Health events Amazon EventBridge schema",
/// <https://docs.aws.amazon.com/health/latest/ug/aws-health-events-eventbridge-schema.html>.
///
/// # Errors
/// It is about something else than credentials.
pub(super) fn parse(
    envelope: &Map<String, Value>,
    detail: &Map<String, Value>,
    account_id: &str,
) -> Result<NoticeContent, FieldError> {
    let code = text(detail, "eventTypeCode")
        .filter(|code| code.starts_with(EVENT_TYPE_PREFIX))
        .ok_or_else(|| FieldError::new("detail.eventTypeCode", format!("must begin with `{EVENT_TYPE_PREFIX}`")))?;
    // In the organizational view, the account that is told is not the one that has the key.
    let is_of_other_account = text(detail, "affectedAccount").is_some_and(|affected| affected != account_id);
    Ok(NoticeContent {
        finding: finding(code),
        subjects: subjects(envelope, detail),
        alert_only: is_of_other_account.then_some("other_account"),
        copies_id: copies_id(detail),
        copies_time: text(detail, "startTime").and_then(start_time),
    })
}

/// All affected entities; the envelope's resources if there are none, which hold the same.
fn subjects(envelope: &Map<String, Value>, detail: &Map<String, Value>) -> Vec<NoticeSubject> {
    let list = |members: &Map<String, Value>, name: &str| -> Vec<NoticeSubject> {
        members.get(name).and_then(Value::as_array).into_iter().flatten().map(subject).collect()
    };
    let entities = list(detail, "affectedEntities");
    if entities.is_empty() { list(envelope, "resources") } else { entities }
}

/// An entity: an access key id, alone or at the end of an ARN. Everything else is for people.
fn subject(entity: &Value) -> NoticeSubject {
    let value = entity.get("entityValue").unwrap_or(entity).as_str().unwrap_or_default();
    let last = value.rsplit(['/', ':']).next().unwrap_or_default();
    AccessKeyId::from_pasted(value)
        .or_else(|_| AccessKeyId::from_pasted(last))
        .map_or(NoticeSubject::Unreadable, NoticeSubject::Key)
}

/// What all pages and copies of a notice have in common. "Each communicationId includes the hyphenated page number after the
/// communicationId", <https://docs.aws.amazon.com/health/latest/ug/pagnation-of-health-events.html>; an event's ARN "isn't
/// unique to a specific AWS account or Region", so it does not do.
fn copies_id(detail: &Map<String, Value>) -> Option<String> {
    let id = text(detail, "communicationId")?;
    let page = match detail.get("page") {
        Some(Value::String(page)) => page.clone(),
        Some(Value::Number(page)) => page.to_string(),
        _ => String::new(),
    };
    let whole = id.strip_suffix(&page).and_then(|id| id.strip_suffix('-')).filter(|_| !page.is_empty());
    Some(whole.unwrap_or(id).to_owned())
}

/// `Sat, 05 Jun 2016 15:10:09 GMT`, or RFC 3339.
fn start_time(text: &str) -> Option<Timestamp> {
    START_TIMES.parse_timestamp(text).ok().or_else(|| text.parse().ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::AwsNotice;
    use super::super::tests::{message, sample};
    use super::*;

    const KEY: &str = "AKIASP2TPHJSQH3FJRUX";
    const OTHER_KEY: &str = "AKIASP2TPHJSQH3FJRUY";

    fn notice(change: impl Fn(&mut Value)) -> AwsNotice {
        let mut event = sample(include_str!("../../../../../events/revoke-aws-health.json"));
        change(&mut event);
        AwsNotice::parse(&message(&event)).unwrap()
    }

    fn keys(notice: &AwsNotice) -> Vec<&str> {
        let names = notice.subjects.iter().map(|subject| match subject {
            NoticeSubject::Key(id) => id.as_str(),
            NoticeSubject::User(_) => "a user",
            NoticeSubject::Unreadable => "?",
        });
        names.collect()
    }

    #[test]
    fn both_detail_types_and_every_service_are_read_alike() {
        let first = notice(|_| ());
        assert_eq!((keys(&first), first.finding.as_str()), (vec![KEY], "AWS_RISK_CREDENTIALS_EXPOSED"));
        for detail_type in ["AWS Health Event", "AWS Health Abuse Event", ""] {
            for service in ["RISK", "ABUSE", "IAM"] {
                let same = notice(|event| {
                    event["detail-type"] = json!(detail_type);
                    event["detail"]["service"] = json!(service);
                });
                assert_eq!(same, first);
            }
        }
    }

    #[test]
    fn every_code_about_credentials_is_taken_and_no_other() {
        for code in [
            "AWS_RISK_CREDENTIALS_COMPROMISED",
            "AWS_RISK_CREDENTIALS_COMPROMISE_SUSPECTED",
            "AWS_RISK_CREDENTIALS_EXPOSED",
            "AWS_RISK_CREDENTIALS_EXPOSURE_SUSPECTED",
            "AWS_RISK_IAM_QUARANTINE",
        ] {
            let taken = notice(|event| event["detail"]["eventTypeCode"] = json!(code));
            assert_eq!((taken.finding.as_str(), taken.alert_only), (code, None));
        }
        let mut event = sample(include_str!("../../../../../events/revoke-aws-health.json"));
        for code in [json!("AWS_EC2_OPERATIONAL_ISSUE"), json!(null), json!(1)] {
            event["detail"]["eventTypeCode"] = code;
            assert_eq!(AwsNotice::parse(&message(&event)).unwrap_err().field, "detail.eventTypeCode");
        }
    }

    #[test]
    fn every_affected_entity_is_read() {
        let arn = format!("arn:aws:iam::171436882533:access-key/{OTHER_KEY}");
        let cases = [
            (json!([{"entityValue": KEY}, {"entityValue": OTHER_KEY}]), vec![KEY, OTHER_KEY]),
            (json!([{"entityValue": KEY}, {"entityValue": KEY}]), vec![KEY]),
            (json!([{"entityValue": KEY, "status": "IMPAIRED"}, {"entityValue": arn}]), vec![KEY, OTHER_KEY]),
            (json!([{"entityValue": "mailer"}, {"entityValue": KEY}, {"entityValue": 7}]), vec!["?", KEY]),
            (json!([{"entityValue": "arn:aws:iam::171436882533:user/mailer"}]), vec!["?"]),
            (json!([format!(" {KEY} "), {}]), vec![KEY, "?"]),
            // A session's key: it dies with the key that it was minted with, which is not known from it.
            (json!([{"entityValue": "ASIASP2TPHJSQH3FJRUX"}]), vec!["?"]),
            // None: the envelope's resources are read.
            (json!([]), vec![OTHER_KEY]),
            (json!(null), vec![OTHER_KEY]),
            (json!(KEY), vec![OTHER_KEY]),
        ];
        for (entities, expected) in cases {
            let read = notice(|event| {
                event["resources"] = json!([OTHER_KEY]);
                event["detail"]["affectedEntities"] = entities.clone();
            });
            assert_eq!(keys(&read), expected, "{entities}");
        }
        let nothing = notice(|event| {
            event["resources"] = json!([]);
            event["detail"]["affectedEntities"] = json!([]);
        });
        assert_eq!(keys(&nothing), ["?"]);
    }

    #[test]
    fn pages_and_copies_from_backup_regions_share_their_orders() {
        let id = |detail: Value| {
            let read = notice(|event| {
                event["id"] = json!(detail.to_string());
                for (name, value) in detail.as_object().unwrap() {
                    event["detail"][name] = value.clone();
                }
            });
            read.order_id(KEY)
        };
        let first = id(json!({"communicationId": "01b0993207d81a09dcd552ebd1e633e36cf1f09a-1", "page": "1"}));
        for copy in [
            json!({"communicationId": "01b0993207d81a09dcd552ebd1e633e36cf1f09a-2", "page": "2"}),
            json!({"communicationId": "01b0993207d81a09dcd552ebd1e633e36cf1f09a-12", "page": 12}),
            json!({"communicationId": "01b0993207d81a09dcd552ebd1e633e36cf1f09a", "page": null}),
        ] {
            assert_eq!(id(copy.clone()), first, "{copy}");
        }
        let other = id(json!({"communicationId": "01b0993207d81a09dcd552ebd1e633e36cf1f09b-1", "page": "1"}));
        assert_ne!(other, first);
        // Without it, an event is a notice of its own.
        let without = |page: u8| id(json!({"communicationId": null, "page": page}));
        assert_ne!(without(1), without(2));
    }

    #[test]
    fn a_notice_about_another_account_of_the_organization_is_for_people() {
        let own = |affected: Value| notice(|event| event["detail"]["affectedAccount"] = affected.clone()).alert_only;
        assert_eq!(own(json!("171436882533")), None);
        assert_eq!(own(json!(null)), None);
        assert_eq!(own(json!("111122223333")), Some("other_account"));
    }

    #[test]
    fn times_are_read_as_aws_writes_them() {
        for text in ["Sun, 05 Jun 2016 15:10:09 GMT", "Sat, 05 Jun 2016 15:10:09 GMT", "2016-06-05T15:10:09Z"] {
            assert_eq!(start_time(text).map(Timestamp::as_second), Some(1_465_139_409), "{text}");
        }
        assert_eq!(start_time("yesterday"), None);
    }
}
