//! What SES's answer means for the mail and for its provider: one row of the table for each kind of failure.

use shared::tenant::{Denial, Kind};

use crate::delay::Delay;
use crate::mail::Mail;

/// What is to be done. Only [`Outcome::Doubt`] leaves open whether SES took the mail; every other one proves that it did
/// not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nobody can say whether SES took it.
    Doubt,
    /// It will never be sent, for this reason.
    Reject(String),
    /// It is tried again after this delay; the word says why.
    Later(&'static str, Delay),
    /// It is tried again, and the account's pace slows down.
    Throttled,
    /// It is tried again after this delay, and an operator has to know what is wrong.
    Report(&'static str, Delay),
    /// It is tried again when the provider is active again, which is suspended for this reason.
    Suspend(&'static str),
    /// SES refuses the key; STS has to confirm it before the provider is suspended.
    Suspect,
}

/// The table (SES v2 API, `SendEmail`, "Errors").
pub(crate) fn outcome(kind: &Kind, mail: &Mail) -> Outcome {
    match kind {
        Kind::Unknown => Outcome::Doubt,
        Kind::NotWritten => Outcome::Later("not_written", Delay::NOT_WRITTEN),
        Kind::Throttled => Outcome::Throttled,
        Kind::DailyQuota => Outcome::Later("daily_quota", Delay::DAILY_QUOTA),
        Kind::SendingPaused => Outcome::Suspend("sending_paused"),
        Kind::AccountSuspended => Outcome::Suspend("account_suspended"),
        // SES asks the sender's identity first; in the sandbox it asks the recipients' too, under the same text.
        Kind::NotVerified(identities) => {
            let recipients = mail.to.iter().chain(&mail.cc).chain(&mail.bcc);
            let names_recipient = recipients.into_iter().any(|recipient| identities.name(recipient.address()));
            let word = match identities.name(mail.from.address()) {
                false if names_recipient => "sandbox_recipient",
                _ => "identity_not_verified",
            };
            Outcome::Reject(word.to_owned())
        }
        Kind::MessageRejected => Outcome::Reject("message_rejected".to_owned()),
        Kind::MailFromNotVerified => Outcome::Reject("mail_from_not_verified".to_owned()),
        // The one thing that a mail of Simple content names and SES looks up is its configuration set.
        Kind::NotFound if mail.configuration_set.is_some() => Outcome::Reject("not_found:configuration_set".to_owned()),
        Kind::NotFound => Outcome::Reject("not_found".to_owned()),
        Kind::BadRequest => Outcome::Reject("bad_request".to_owned()),
        Kind::Denied(denial) => match resource_of_mail(denial) {
            Some(arn) => Outcome::Reject(format!("permission_missing:{arn}")),
            None if denial.may_be_quarantine() => Outcome::Suspend("quarantined"),
            None => Outcome::Suspend("permission_missing"),
        },
        Kind::KeyRefused | Kind::SignatureRefused => Outcome::Suspect,
        Kind::Clock => Outcome::Report("AWS says that our clock is off", Delay::CLOCK),
        Kind::Forbidden => Outcome::Report("SES does not let the caller in", Delay::FORBIDDEN),
    }
}

/// The ARN that was denied, if it is of something that this mail chose: another mail may well pass. The local part of an
/// address is left out of it, because reasons are shown.
fn resource_of_mail(denial: &Denial) -> Option<String> {
    let arn = denial.resource.as_deref()?;
    let (head, name) = arn
        .split_once(":configuration-set/")
        .or_else(|| arn.split_once(":template/"))
        .map_or_else(|| arn.split_once(":identity/"), Some)?;
    if name.is_empty() || name == "*" {
        return None;
    }
    let kind = &arn[head.len()..arn.len() - name.len()];
    Some(match name.rsplit_once('@') {
        Some((_, domain)) => format!("{head}{kind}*@{domain}"),
        None => arn.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::mail::tests::{sample, sample_with};

    fn of(code: &str, text: &str, status: u16) -> Outcome {
        outcome(&Kind::of_answer(code, text, status), &sample())
    }

    fn reject(reason: &str) -> Outcome {
        Outcome::Reject(reason.to_owned())
    }

    #[test]
    fn every_answer_of_ses_has_one_outcome() {
        let unverified = |identity: &str| {
            format!(
                "Email address is not verified. The following identities failed the check in region EU-CENTRAL-1: {identity}"
            )
        };
        let denied = |resource: &str| {
            format!(
                "User `arn:aws:iam::171436882533:user/u' is not authorized to perform `ses:SendEmail' on resource `{resource}'"
            )
        };
        let denied_by = |policy: &str| {
            format!(
                "User: arn:aws:iam::171436882533:user/u is not authorized to perform: ses:SendEmail with an explicit deny in {policy}"
            )
        };
        let ses = "arn:aws:ses:eu-central-1:171436882533";
        let cases = [
            ("TooManyRequestsException", "Maximum sending rate exceeded.".to_owned(), 429, Outcome::Throttled),
            (
                "LimitExceededException",
                "Daily message quota exceeded.".to_owned(),
                400,
                Outcome::Later("daily_quota", Delay::DAILY_QUOTA),
            ),
            ("SendingPausedException", String::new(), 400, Outcome::Suspend("sending_paused")),
            ("AccountSuspendedException", String::new(), 400, Outcome::Suspend("account_suspended")),
            ("MessageRejected", unverified("jane@example.com"), 400, reject("identity_not_verified")),
            ("MessageRejected", unverified("example.com"), 400, reject("identity_not_verified")),
            ("MessageRejected", unverified("a@example.org"), 400, reject("sandbox_recipient")),
            ("MessageRejected", unverified("example.com, a@example.org"), 400, reject("identity_not_verified")),
            ("MessageRejected", unverified("elsewhere.example"), 400, reject("identity_not_verified")),
            ("MessageRejected", "virus".to_owned(), 400, reject("message_rejected")),
            ("MailFromDomainNotVerifiedException", String::new(), 400, reject("mail_from_not_verified")),
            ("NotFoundException", String::new(), 404, reject("not_found")),
            ("BadRequestException", String::new(), 400, reject("bad_request")),
            (
                "AccessDeniedException",
                denied(&format!("{ses}:configuration-set/x")),
                403,
                reject(&format!("permission_missing:{ses}:configuration-set/x")),
            ),
            (
                "AccessDeniedException",
                denied(&format!("{ses}:identity/example.com")),
                403,
                reject(&format!("permission_missing:{ses}:identity/example.com")),
            ),
            (
                "AccessDeniedException",
                denied(&format!("{ses}:identity/jane@example.com")),
                403,
                reject(&format!("permission_missing:{ses}:identity/*@example.com")),
            ),
            (
                "AccessDeniedException",
                denied(&format!("{ses}:template/x")),
                403,
                reject(&format!("permission_missing:{ses}:template/x")),
            ),
            ("AccessDeniedException", denied("*"), 403, Outcome::Suspend("permission_missing")),
            (
                "AccessDeniedException",
                denied(&format!("{ses}:identity/*")),
                403,
                Outcome::Suspend("permission_missing"),
            ),
            ("AccessDeniedException", String::new(), 403, Outcome::Suspend("permission_missing")),
            ("AccessDeniedException", denied_by("an identity-based policy"), 403, Outcome::Suspend("quarantined")),
            (
                "AccessDeniedException",
                denied_by("a service control policy"),
                403,
                Outcome::Suspend("permission_missing"),
            ),
            ("OptInRequired", String::new(), 403, Outcome::Report("SES does not let the caller in", Delay::FORBIDDEN)),
            ("InvalidClientTokenId", String::new(), 403, Outcome::Suspect),
            ("SignatureDoesNotMatch", String::new(), 403, Outcome::Suspect),
            (
                "SignatureDoesNotMatch",
                "Signature expired: x".to_owned(),
                403,
                Outcome::Report("AWS says that our clock is off", Delay::CLOCK),
            ),
            ("InternalFailure", String::new(), 500, Outcome::Doubt),
            ("", String::new(), 503, Outcome::Doubt),
        ];
        for (code, text, status, expected) in cases {
            assert_eq!(of(code, &text, status), expected, "{code} {text}");
        }
        assert_eq!(outcome(&Kind::NotWritten, &sample()), Outcome::Later("not_written", Delay::NOT_WRITTEN));
        let with_set = sample_with(json!({"configuration_set": "x"}));
        assert_eq!(outcome(&Kind::NotFound, &with_set), reject("not_found:configuration_set"));
    }
}
