//! AWS's own notices about keys, which rules in tenants' accounts forward to the notice bus.
//!
//! EventBridge's envelope says in which account AWS made the event. Nobody else can write it: PutEvents takes no source that
//! begins with `aws.`, and the bus's policy lets nothing else in. So an account reports its own keys and no others, and
//! what a notice says of another account's key is told to operators and acted on by nobody.
//!
//! What a notice names is read leniently: nobody reads an answer to it, and AWS changes its shapes.

mod cloud_trail;
mod guard_duty;
mod handling;
mod health;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};
use shared::http::{FieldError, decode};
use shared::id::{AccessKeyId, OrderId};
use shared::queue::Message;

use self::guard_duty::FindingType;

/// How far from an onboarding a finding may be about the probes that it made: those of attempts that failed before it count too.
/// GuardDuty publishes new findings within minutes and repeated ones after hours.
const OWN_PROBES_WINDOW: SignedDuration = SignedDuration::from_hours(24);

/// The longest text of AWS's that is repeated to operators. The longest finding type has some 70 characters.
const MAX_FINDING_CHARS: usize = 128;

/// What AWS said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AwsNotice {
    /// The service that said it.
    source: NoticeSource,
    /// The account that it said it in.
    account_id: String,
    /// An event type code, a finding type, the name of a policy.
    finding: String,
    /// EventBridge's id of this delivery.
    event_id: Option<String>,
    /// When EventBridge got it.
    at: Timestamp,
    /// What it is about, each once.
    subjects: Vec<NoticeSubject>,
    /// Why nothing that it names is acted on, if so.
    alert_only: Option<&'static str>,
    copies: NoticeCopies,
}

/// The services whose notices are taken, by EventBridge's `source`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NoticeSource {
    Health,
    GuardDuty,
    CloudTrail,
}

/// What a notice names.
#[derive(Clone, Debug, PartialEq, Eq)]
enum NoticeSubject {
    Key(AccessKeyId),
    /// An IAM user of the account, by name.
    User(String),
    /// Something else, or nothing.
    Unreadable,
}

/// What all copies of a notice have in common, so that they lead to the same orders. AWS delivers pages, updates and copies from
/// backup Regions as events of their own, with ids and times of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
struct NoticeCopies {
    id: String,
    /// A time that is the same in each copy. The Unix epoch where AWS gives none.
    time: Timestamp,
}

/// What is done about a provider that a notice reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NoticeReaction {
    Revoke,
    /// A person has to judge; this is why.
    Alert(&'static str),
    /// Our own probes caused it.
    Ignore,
}

impl NoticeSource {
    /// The source of an envelope.
    fn from_envelope(envelope: &Map<String, Value>) -> Option<Self> {
        [Self::Health, Self::GuardDuty, Self::CloudTrail]
            .into_iter()
            .find(|source| text(envelope, "source") == Some(source.as_str()))
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Health => "aws.health",
            Self::GuardDuty => "aws.guardduty",
            // EventBridge names the service that was called.
            Self::CloudTrail => "aws.iam",
        }
    }

    /// As people call it.
    fn name(self) -> &'static str {
        match self {
            Self::Health => "AWS Health",
            Self::GuardDuty => "GuardDuty",
            Self::CloudTrail => "CloudTrail",
        }
    }
}

impl AwsNotice {
    /// Whether a message of the breach queue is a notice; else it is a report of the operator's own.
    pub(super) fn is_in(message: &Message) -> bool {
        decode::<Map<String, Value>>(message.body.as_bytes())
            .is_ok_and(|envelope| NoticeSource::from_envelope(&envelope).is_some())
    }

    /// Reads a message of the breach queue. Only the account has to be readable, and what makes it a notice.
    ///
    /// # Errors
    /// The field that is wrong, without its value.
    pub(super) fn parse(message: &Message) -> Result<Self, FieldError> {
        let envelope: Map<String, Value> = decode(message.body.as_bytes())?;
        let source = NoticeSource::from_envelope(&envelope)
            .ok_or_else(|| FieldError::new("source", "is no service whose notices are taken"))?;
        let account_id = text(&envelope, "account")
            .filter(|id| id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit()))
            .ok_or_else(|| FieldError::new("account", "must be 12 digits"))?;
        let event_id = text(&envelope, "id");
        let at = time(&envelope, "time");
        let detail = envelope
            .get("detail")
            .and_then(Value::as_object)
            .ok_or_else(|| FieldError::new("detail", "must be an object"))?;
        let content = match source {
            NoticeSource::Health => health::parse(&envelope, detail, account_id)?,
            NoticeSource::GuardDuty => guard_duty::parse(detail)?,
            NoticeSource::CloudTrail => cloud_trail::parse(detail)?,
        };
        // Without an id of its own, each delivery of the message is a copy, and nothing else.
        let copies_id = content.copies_id.as_deref().or(event_id).unwrap_or(&message.body);
        let mut subjects: Vec<NoticeSubject> = Vec::new();
        for subject in content.subjects {
            if !subjects.contains(&subject) {
                subjects.push(subject);
            }
        }
        if subjects.is_empty() {
            subjects.push(NoticeSubject::Unreadable);
        }
        Ok(Self {
            source,
            account_id: account_id.to_owned(),
            finding: content.finding,
            event_id: event_id.map(str::to_owned),
            at: at.unwrap_or(message.sent_at),
            subjects,
            alert_only: content.alert_only,
            copies: NoticeCopies {
                id: format!("{} {account_id} {copies_id}", source.as_str()),
                time: content.copies_time.unwrap_or_default(),
            },
        })
    }

    /// What to do about a provider that was taken at `onboarded_at`.
    fn reaction(&self, onboarded_at: Timestamp) -> NoticeReaction {
        match (self.alert_only, self.source) {
            (Some(reason), _) => NoticeReaction::Alert(reason),
            (None, NoticeSource::GuardDuty) => {
                let own_probes_possible = self.at.duration_since(onboarded_at).abs() < OWN_PROBES_WINDOW;
                FindingType::new(&self.finding).reaction(own_probes_possible)
            }
            (None, NoticeSource::Health | NoticeSource::CloudTrail) => NoticeReaction::Revoke,
        }
    }

    /// The id of the order for one thing that the notice leads to the revocation of: the same in each copy of the notice.
    fn order_id(&self, of: &str) -> OrderId {
        OrderId::from_event(&format!("{} {of}", self.copies.id), self.copies.time)
    }
}

/// What a service's `detail` says.
struct NoticeContent {
    finding: String,
    subjects: Vec<NoticeSubject>,
    alert_only: Option<&'static str>,
    /// An id that each copy has.
    copies_id: Option<String>,
    /// A time that each copy has.
    copies_time: Option<Timestamp>,
}

/// A text that is there and not empty.
fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    members.get(name)?.as_str().filter(|text| !text.is_empty())
}

/// A time as AWS writes it in most places, RFC 3339.
fn time(members: &Map<String, Value>, name: &str) -> Option<Timestamp> {
    text(members, name)?.parse().ok()
}

/// What AWS calls something, as it may be shown: letters, digits and the signs that AWS's names have.
fn finding(name: &str) -> String {
    name.chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ':' | '/' | '.' | '&' | '!'))
        .take(MAX_FINDING_CHARS)
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::queue::Batch;

    use super::*;

    pub(super) fn message(event: &Value) -> Message {
        Message {
            message_id: "m".to_owned(),
            body: event.to_string(),
            sent_at: Timestamp::UNIX_EPOCH,
            receives: 1,
            hops: 0,
            lined_up: false,
            queue_arn: None,
        }
    }

    pub(super) fn sample(json: &str) -> Value {
        let batch = Batch::from_json(serde_json::from_str(json).unwrap(), Timestamp::UNIX_EPOCH).unwrap();
        serde_json::from_str(&batch.messages[0].body).unwrap()
    }

    #[test]
    fn only_the_services_whose_rules_we_have_make_notices() {
        let of = |source: &str| AwsNotice::is_in(&message(&json!({"source": source})));
        assert!(of("aws.health") && of("aws.guardduty") && of("aws.iam"));
        assert!(!of("sendingbee.security") && !of("aws.ec2") && !of("") && !of("AWS.HEALTH"));
        let garbage = Message { body: "garbage".to_owned(), ..message(&Value::Null) };
        assert!(!AwsNotice::is_in(&garbage));
    }

    #[test]
    fn a_notice_needs_an_account_and_a_detail() {
        let health = sample(include_str!("../../../../../events/revoke-aws-health.json"));
        for (name, value) in [
            ("account", json!("1")),
            ("account", json!(171_436_882_533_u64)),
            ("detail", json!("x")),
            ("source", json!(1)),
        ] {
            let mut event = health.clone();
            event[name] = value;
            assert_eq!(AwsNotice::parse(&message(&event)).unwrap_err().field, name);
        }
    }

    #[test]
    fn copies_differ_in_their_envelope_and_lead_to_one_order_a_key() {
        for json in [
            include_str!("../../../../../events/revoke-aws-health.json"),
            include_str!("../../../../../events/revoke-guard-duty.json"),
            include_str!("../../../../../events/revoke-quarantine-attached.json"),
        ] {
            let first = sample(json);
            let mut copy = first.clone();
            copy["id"] = json!("another");
            copy["region"] = json!("us-west-2");
            copy["time"] = json!("2026-11-23T10:07:00Z");
            let [first, copy] = [first, copy].map(|event| AwsNotice::parse(&message(&event)).unwrap());
            assert_eq!(first.order_id("a"), copy.order_id("a"));
            assert_ne!(first.order_id("a"), first.order_id("b"));
            assert_ne!(first.at, copy.at);
        }
    }

    #[test]
    fn the_same_text_of_two_accounts_leads_to_two_orders() {
        let first = sample(include_str!("../../../../../events/revoke-aws-health.json"));
        let mut other = first.clone();
        other["account"] = json!("111122223333");
        let [first, other] = [first, other].map(|event| AwsNotice::parse(&message(&event)).unwrap());
        assert_ne!(first.order_id("a"), other.order_id("a"));
    }

    #[test]
    fn a_finding_is_shown_without_signs_that_no_name_of_awss_has() {
        assert_eq!(finding("Recon:IAMUser/TorIPCaller"), "Recon:IAMUser/TorIPCaller");
        assert_eq!(finding("<b>x\n</b> y"), "bx/by");
        assert_eq!(finding(&"x".repeat(1_000)).len(), MAX_FINDING_CHARS);
    }
}
