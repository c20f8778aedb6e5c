//! Mail that was set aside in the dead-letter queue of `send`: what each one's reason is, and whether it can be sent by now.

mod redrive;

use jiff::Timestamp;
use serde::Serialize;
use shared::mail::{Mail, MailIds};
use shared::queue::SetAsideMessage;
use shared::record::Provider;

pub(crate) use redrive::DeadLetterFilter;

/// What a message is called that SQS itself moved, after too many receives: it has no reason of ours.
pub(crate) const MOVED_BY_SQS: &str = "moved_by_sqs";

/// The reason that `send` gives for a mail whose id another one has.
const MAIL_ID_CONFLICT: &str = "mail_id_conflict";

/// A message that was set aside, as far as its text says something.
pub(crate) struct SetAsideMail {
    pub(crate) message: SetAsideMessage,
    pub(crate) ids: MailIds,
    /// What it is now: a version that was deployed later may know more fields.
    pub(crate) mail: Result<Box<Mail>, shared::http::FieldError>,
}

/// Whether a dead letter is sent if it is moved back, and what has to be done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Prospect {
    /// Whether it is worth moving back.
    pub(crate) redrivable: bool,
    /// What is to be mended first, or done instead.
    pub(crate) advice: String,
}

/// A dead letter as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct DeadLetterView {
    pub(crate) message_id: String,
    pub(crate) reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mail_id: Option<String>,
    first_sent_at: Timestamp,
    redrivable: bool,
    advice: String,
}

impl SetAsideMail {
    /// Reads a message as `send` would.
    pub(crate) fn new(message: SetAsideMessage) -> Self {
        let ids = MailIds::from_body(&message.body);
        let mail = Mail::parse(&message.body, message.sent_at).map(Box::new);
        Self { message, ids, mail }
    }

    /// Why it was set aside.
    pub(crate) fn reason(&self) -> &str {
        self.message.reason.as_deref().unwrap_or(MOVED_BY_SQS)
    }

    /// Decides whether it is worth moving back. `provider` is the one that it names.
    pub(crate) fn prospect(&self, provider: Option<&Provider>, now: Timestamp) -> Prospect {
        let mail = match &self.mail {
            Ok(mail) => mail,
            Err(error) => {
                let advice = format!(
                    "It is no valid mail: `{}` {}. Hand it over anew, corrected; it may have the same mail_id.",
                    error.field, error.problem
                );
                return Prospect { redrivable: false, advice };
            }
        };
        let never = |advice: &str| Prospect { redrivable: false, advice: advice.to_owned() };
        let Some(provider) = provider else {
            return never("There is no such provider. Hand it over anew with the id of one.");
        };
        if provider.tenant_id != mail.tenant_id {
            return never("The provider belongs to another tenant. Hand it over anew with a provider of its tenant.");
        }
        if provider.is_stopped() {
            return never("An order has stopped the provider. Hand it over anew with another provider.");
        }
        if self.reason() == MAIL_ID_CONFLICT {
            return never("A mail with other content has its mail_id. Hand it over anew with an id of its own.");
        }
        if mail.expiry() <= now {
            return never("Its time is over. Hand it over anew, if it is still wanted.");
        }
        let advice = match self.reason() {
            "given_up" => "Move it back once what the log of `send` names is mended.",
            MOVED_BY_SQS => {
                "SQS moved it after a hundred receives: `send` was down for long, or this message ends its process. Move \
                 it back once the log of `send` shows neither."
            }
            _ => "What was wrong is right by now: move it back.",
        };
        Prospect { redrivable: true, advice: advice.to_owned() }
    }

    /// The letter as it is shown.
    pub(crate) fn view(&self, prospect: Prospect) -> DeadLetterView {
        let Prospect { redrivable, advice } = prospect;
        DeadLetterView {
            message_id: self.message.message_id.clone(),
            reason: self.reason().to_owned(),
            field: self.message.field.clone(),
            problem: self.message.problem.clone(),
            tenant_id: self.ids.tenant_id.clone().map(String::from),
            provider_id: self.ids.provider_id.clone().map(String::from),
            mail_id: self.ids.mail_id.clone().map(String::from),
            first_sent_at: self.message.sent_at,
            redrivable,
            advice,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use shared::queue::MessageReceipt;
    use shared::record::{Status, StatusName};

    use super::*;
    use crate::fixtures;

    const NOW: &str = "2026-11-27T10:00:00Z";

    fn letter(reason: Option<&str>, fields: &Value) -> SetAsideMail {
        let mut mail = json!({
            "version": 1, "tenant_id": "acme", "provider_id": "prv_01KAQX5D8E3C9V7N2M4R6T8W0Y", "mail_id": "m",
            "from": "jane@example.com", "to": ["ann@example.org"], "subject": "s", "text": "t",
        });
        mail.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        SetAsideMail::new(SetAsideMessage {
            message_id: "1".to_owned(),
            receipt: MessageReceipt::new("handle"),
            body: mail.to_string(),
            reason: reason.map(str::to_owned),
            field: None,
            problem: None,
            sent_at: "2026-11-26T10:00:00Z".parse().unwrap(),
        })
    }

    #[test]
    fn what_would_only_come_back_is_not_moved_and_what_to_do_instead_is_said() {
        let now: Timestamp = NOW.parse().unwrap();
        let active = fixtures::provider();
        let revoked = Provider { status: Status::plain(StatusName::Revoked), ..active.clone() };
        let none = json!({});
        let cases = [
            (Some("given_up"), none.clone(), Some(&active), true, "log of `send`"),
            (None, none.clone(), Some(&active), true, "hundred receives"),
            (Some("invalid"), none.clone(), Some(&active), true, "right by now"),
            (Some("provider_unknown"), none.clone(), Some(&active), true, "right by now"),
            (Some("invalid"), json!({"to": ["nobody"]}), Some(&active), false, "`to[0]`"),
            (Some("malformed"), json!({"version": 9}), Some(&active), false, "`version` must be 1"),
            (Some("given_up"), none.clone(), None, false, "no such provider"),
            (Some("given_up"), none.clone(), Some(&revoked), false, "has stopped"),
            (Some("tenant_mismatch"), json!({"tenant_id": "other"}), Some(&active), false, "another tenant"),
            (Some("mail_id_conflict"), none.clone(), Some(&active), false, "id of its own"),
            (Some("given_up"), json!({"expires_at": "2026-11-27T09:00:00Z"}), Some(&active), false, "time is over"),
        ];
        for (reason, fields, provider, redrivable, advice) in cases {
            let prospect = letter(reason, &fields).prospect(provider, now);
            assert_eq!(prospect.redrivable, redrivable, "{reason:?} {fields}: {prospect:?}");
            assert!(prospect.advice.contains(advice), "{reason:?} {fields}: {prospect:?}");
        }
    }

    #[test]
    fn nothing_of_the_content_is_shown() {
        let fields = json!({"to": ["marker@example.org"], "subject": "marker", "html": "marker"});
        let letter = letter(Some("given_up"), &fields);
        let view = letter.view(letter.prospect(None, NOW.parse().unwrap()));
        let text = serde_json::to_string(&view).unwrap();
        assert!(!text.contains("marker") && text.contains("\"mail_id\":\"m\""), "{text}");
    }
}
