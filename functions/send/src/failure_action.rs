//! What a failure of SES means for the mail and its provider.

use shared::record::SuspensionReason;
use shared::tenant::{Denial, FailureKind};

use crate::delay::Delay;
use crate::rejection::{RejectionCode, RejectionReason};
use crate::suspicion::Suspicion;
use shared::mail::{Mail, MailContent};

/// What is to be done. Only [`FailureAction::Doubt`] leaves open whether SES accepted the mail; every other action is for
/// failures that prove that it did not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FailureAction {
    /// SES may or may not have accepted the mail.
    Doubt,
    /// The mail will never be sent.
    Reject(RejectionCode),
    /// The mail is tried again after this delay; the word says why.
    Retry(&'static str, Delay),
    /// The mail is tried again, and the account's pace slows down.
    SlowDown,
    /// The mail waits until the account's daily quota may be less than used up.
    QuotaUsedUp,
    /// The mail is tried again after this delay, and an operator has to know what is wrong.
    Report(&'static str, Delay),
    /// Something is wrong with the account or the key. A second look has to confirm it before the provider is suspended.
    LookAgain(Suspicion, SuspensionReason),
    /// The key may not use a resource.
    Denied(ResourceDenial),
    /// A Deny statement met a message or a template, which need actions of their own. Whether it is about the key, and the
    /// provider suspended for this reason, depends on whether it meets text too.
    LookAtText(ResourceDenial, SuspensionReason),
}

/// A denial of what a mail uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ResourceDenial {
    /// What it is remembered by, such as `identity/jane@example.com`.
    pub(crate) name: String,
    /// The reason, should the mail be rejected for it.
    pub(crate) code: RejectionCode,
}

/// The action for each kind of failure (SES v2 API, `SendEmail`, "Errors").
pub(crate) fn action_for(kind: &FailureKind, mail: &Mail) -> FailureAction {
    match kind {
        FailureKind::Unknown => FailureAction::Doubt,
        FailureKind::NotWritten => FailureAction::Retry("not_written", Delay::NOT_WRITTEN),
        FailureKind::Throttled => FailureAction::SlowDown,
        FailureKind::DailyQuota => FailureAction::QuotaUsedUp,
        FailureKind::SendingPaused => {
            FailureAction::LookAgain(Suspicion::SendingPaused, SuspensionReason::SendingPaused)
        }
        // The tenant resumes it, and other mail is not affected.
        FailureKind::ConfigurationSetPaused => {
            FailureAction::Retry("configuration_set_paused", Delay::CONFIGURATION_SET_PAUSED)
        }
        FailureKind::AccountSuspended => {
            FailureAction::LookAgain(Suspicion::SendingPaused, SuspensionReason::AccountSuspended)
        }
        // SES checks the sender's identity first; in the sandbox also the recipients', with the same text.
        FailureKind::NotVerified(identities) => {
            let recipients = mail.to.iter().chain(&mail.cc).chain(&mail.bcc);
            let names_recipient = recipients.into_iter().any(|recipient| identities.contains(recipient.address()));
            match identities.contains(mail.from.address()) {
                false if names_recipient => reject(RejectionReason::SandboxRecipient),
                _ => reject(RejectionReason::IdentityNotVerified),
            }
        }
        FailureKind::MessageRejected => reject(RejectionReason::MessageRejected),
        FailureKind::MailFromNotVerified => reject(RejectionReason::MailFromNotVerified),
        // SES's text is not kept, so all that it may mean are named.
        FailureKind::NotFound => match looked_up(mail).as_str() {
            "" => reject(RejectionReason::NotFound),
            fields => FailureAction::Reject(RejectionCode::new(RejectionReason::NotFound, fields)),
        },
        FailureKind::TenantNotAssociated => {
            FailureAction::Reject(RejectionCode::new(RejectionReason::PermissionMissing, "tenant_name"))
        }
        FailureKind::BadRequest => reject(RejectionReason::BadRequest),
        FailureKind::RejectedInput(fault) => {
            FailureAction::Reject(RejectionCode::new(RejectionReason::BadRequest, fault.as_str()))
        }
        FailureKind::Denied(denial) if denial.is_of_key() => {
            let reason = if denial.may_be_quarantine() {
                SuspensionReason::Quarantined
            } else {
                SuspensionReason::PermissionMissing
            };
            if mail.content.as_text().is_some() || denial.names_quarantine {
                FailureAction::LookAgain(Suspicion::DeniedExplicitly, reason)
            } else {
                FailureAction::LookAtText(resource_denial(denial, mail), reason)
            }
        }
        FailureKind::Denied(denial) => FailureAction::Denied(resource_denial(denial, mail)),
        FailureKind::KeyRefused | FailureKind::SignatureRefused => {
            FailureAction::LookAgain(Suspicion::KeyRefused, SuspensionReason::KeyRejected)
        }
        FailureKind::Clock => FailureAction::Report("AWS says that our clock is wrong", Delay::CLOCK),
        FailureKind::Forbidden => {
            FailureAction::Report("SES refuses the caller for an unknown reason", Delay::FORBIDDEN)
        }
    }
}

/// The fields that name what SES looks up, separated by commas.
fn looked_up(mail: &Mail) -> String {
    let fields = [
        ("configuration_set", mail.configuration_set.is_some()),
        ("template", matches!(mail.content, MailContent::Template(_))),
        ("list_management", mail.list_management.is_some()),
        ("tenant_name", mail.tenant_name.is_some()),
        ("endpoint_id", mail.endpoint_id.is_some()),
    ];
    let named: Vec<&str> = fields.into_iter().filter(|(_, is_named)| *is_named).map(|(field, _)| field).collect();
    named.join(",")
}

fn reject(reason: RejectionReason) -> FailureAction {
    FailureAction::Reject(reason.into())
}

fn resource_denial(denial: &Denial, mail: &Mail) -> ResourceDenial {
    let code = match resource_of_mail(denial) {
        Some(arn) => RejectionCode::new(RejectionReason::PermissionMissing, &arn),
        None => RejectionReason::PermissionMissing.into(),
    };
    ResourceDenial { name: resource_name(denial, mail), code }
}

/// What a denial is remembered by: the configuration set or the recipient that AWS names (in the sandbox, recipients are
/// authorized too), and else the sender, of which AWS may name the address, the domain or a parent domain, or nothing.
fn resource_name(denial: &Denial, mail: &Mail) -> String {
    let named = denial.resource.as_deref().and_then(|arn| arn.splitn(6, ':').nth(5)).map(str::to_ascii_lowercase);
    named.filter(|name| is_not_of_sender(name, mail)).unwrap_or_else(|| mail.sender_resource())
}

fn is_not_of_sender(name: &str, mail: &Mail) -> bool {
    if let Some(set) = name.strip_prefix("configuration-set/") {
        return set != "*";
    }
    if let Some(template) = name.strip_prefix("template/") {
        return template != "*" && matches!(mail.content, MailContent::Template(_));
    }
    let Some(identity) = name.strip_prefix("identity/") else { return false };
    let mut recipients = mail.to.iter().chain(&mail.cc).chain(&mail.bcc);
    !covers(identity, mail.from.address()) && recipients.any(|recipient| covers(identity, recipient.address()))
}

/// Whether a verified identity lets mail of this address pass: the address, with a tag or without, its domain, or a parent
/// of that (SES developer guide, "Verified identities").
fn covers(identity: &str, address: &str) -> bool {
    let address = address.to_ascii_lowercase();
    let Some((local, domain)) = address.rsplit_once('@') else { return false };
    match identity.rsplit_once('@') {
        Some((identity_local, identity_domain)) => {
            let untagged = local.split_once('+').map_or(local, |(untagged, _)| untagged);
            identity_domain == domain && (identity_local == local || identity_local == untagged)
        }
        None => domain.strip_suffix(identity).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')),
    }
}

/// The ARN that was denied, if this mail chose the resource, so that another mail may pass. The local part of an address
/// is left out, because reasons are shown.
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
    use crate::fixtures::{sample, sample_with};

    /// An action with its words as operators see them.
    #[derive(Debug, PartialEq, Eq)]
    enum Shown {
        Rejected(String),
        LookedAtAgain(Suspicion, &'static str),
        Denied(String, String),
        /// The reason comes last.
        LookedAtText(String, String, &'static str),
        Other(FailureAction),
    }

    fn shown(kind: &FailureKind, mail: &Mail) -> Shown {
        match action_for(kind, mail) {
            FailureAction::Reject(code) => Shown::Rejected(code.into()),
            FailureAction::LookAgain(suspicion, reason) => Shown::LookedAtAgain(suspicion, reason.as_str()),
            FailureAction::Denied(ResourceDenial { name, code }) => Shown::Denied(name, code.into()),
            FailureAction::LookAtText(ResourceDenial { name, code }, reason) => {
                Shown::LookedAtText(name, code.into(), reason.as_str())
            }
            action => Shown::Other(action),
        }
    }

    fn reject(code: &str) -> Shown {
        Shown::Rejected(code.to_owned())
    }

    fn denied_on(name: &str, code: &str) -> Shown {
        Shown::Denied(name.to_owned(), code.to_owned())
    }

    fn retry(word: &'static str, delay: Delay) -> Shown {
        Shown::Other(FailureAction::Retry(word, delay))
    }

    fn report(what: &'static str, delay: Delay) -> Shown {
        Shown::Other(FailureAction::Report(what, delay))
    }

    #[test]
    fn every_failure_of_ses_has_one_action() {
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
            (
                "TooManyRequestsException",
                "Maximum sending rate exceeded.".to_owned(),
                429,
                Shown::Other(FailureAction::SlowDown),
            ),
            (
                "LimitExceededException",
                "Daily message quota exceeded.".to_owned(),
                400,
                Shown::Other(FailureAction::QuotaUsedUp),
            ),
            ("SendingPausedException", String::new(), 400, Shown::LookedAtAgain(Suspicion::SendingPaused, "sending_paused")),
            (
                "ConfigurationSetSendingPausedException",
                String::new(),
                400,
                retry("configuration_set_paused", Delay::CONFIGURATION_SET_PAUSED),
            ),
            // Case C6: SES names the identity, and the denial is about the key all the same.
            (
                "AccessDeniedException",
                "User: arn:aws:iam::111122223333:user/mailer is not authorized to perform: ses:SendEmail on resource: arn:aws:ses:us-east-1:111122223333:identity/example.com with an explicit deny in an identity-based policy".to_owned(),
                403,
                Shown::LookedAtAgain(Suspicion::DeniedExplicitly, "quarantined"),
            ),
            // A policy of the identity itself is about that identity.
            (
                "AccessDeniedException",
                format!("User: arn:aws:iam::1:user/u is not authorized to perform: ses:SendEmail on resource: {ses}:identity/Example.com with an explicit deny in a resource-based policy"),
                403,
                denied_on("identity/jane@example.com", &format!("permission_missing:{ses}:identity/Example.com")),
            ),
            ("AccountSuspendedException", String::new(), 400, Shown::LookedAtAgain(Suspicion::SendingPaused, "account_suspended")),
            ("MessageRejected", unverified("jane@example.com"), 400, reject("identity_not_verified")),
            ("MessageRejected", unverified("example.com"), 400, reject("identity_not_verified")),
            ("MessageRejected", unverified("a@example.org"), 400, reject("sandbox_recipient")),
            ("MessageRejected", unverified("example.com, a@example.org"), 400, reject("identity_not_verified")),
            ("MessageRejected", unverified("elsewhere.example"), 400, reject("identity_not_verified")),
            ("MessageRejected", "virus".to_owned(), 400, reject("message_rejected")),
            ("MailFromDomainNotVerifiedException", String::new(), 400, reject("mail_from_not_verified")),
            ("NotFoundException", String::new(), 404, reject("not_found")),
            ("BadRequestException", String::new(), 400, reject("bad_request")),
            ("BadRequestException", "Domain contains illegal character".to_owned(), 400, reject("bad_request:domain")),
            (
                "BadRequestException",
                "Invalid email address ann@example.org.".to_owned(),
                400,
                reject("bad_request:address"),
            ),
            (
                "AccessDeniedException",
                denied(&format!("{ses}:configuration-set/x")),
                403,
                denied_on("configuration-set/x", &format!("permission_missing:{ses}:configuration-set/x")),
            ),
            (
                "AccessDeniedException",
                denied(&format!("{ses}:identity/example.com")),
                403,
                denied_on("identity/jane@example.com", &format!("permission_missing:{ses}:identity/example.com")),
            ),
            // In the sandbox, the recipient's identity is authorized too.
            (
                "AccessDeniedException",
                denied(&format!("{ses}:identity/example.org")),
                403,
                denied_on("identity/example.org", &format!("permission_missing:{ses}:identity/example.org")),
            ),
            (
                "AccessDeniedException",
                denied(&format!("{ses}:configuration-set/Mail-Set")),
                403,
                denied_on("configuration-set/mail-set", &format!("permission_missing:{ses}:configuration-set/Mail-Set")),
            ),
            (
                "AccessDeniedException",
                denied(&format!("{ses}:identity/jane@example.com")),
                403,
                denied_on("identity/jane@example.com", &format!("permission_missing:{ses}:identity/*@example.com")),
            ),
            (
                "AccessDeniedException",
                denied(&format!("{ses}:template/x")),
                403,
                denied_on("identity/jane@example.com", &format!("permission_missing:{ses}:template/x")),
            ),
            ("AccessDeniedException", denied("*"), 403, denied_on("identity/jane@example.com", "permission_missing")),
            (
                "AccessDeniedException",
                denied(&format!("{ses}:identity/*")),
                403,
                denied_on("identity/jane@example.com", "permission_missing"),
            ),
            ("AccessDeniedException", String::new(), 403, denied_on("identity/jane@example.com", "permission_missing")),
            ("AccessDeniedException", denied_by("an identity-based policy"), 403, Shown::LookedAtAgain(Suspicion::DeniedExplicitly, "quarantined")),
            (
                "AccessDeniedException",
                denied_by("a service control policy"),
                403,
                Shown::LookedAtAgain(Suspicion::DeniedExplicitly, "permission_missing"),
            ),
            (
                "OptInRequired",
                String::new(),
                403,
                report("SES refuses the caller for an unknown reason", Delay::FORBIDDEN),
            ),
            ("InvalidClientTokenId", String::new(), 403, Shown::LookedAtAgain(Suspicion::KeyRefused, "key_rejected")),
            ("SignatureDoesNotMatch", String::new(), 403, Shown::LookedAtAgain(Suspicion::KeyRefused, "key_rejected")),
            (
                "SignatureDoesNotMatch",
                "Signature expired: x".to_owned(),
                403,
                report("AWS says that our clock is wrong", Delay::CLOCK),
            ),
            ("InternalFailure", String::new(), 500, Shown::Other(FailureAction::Doubt)),
            ("", String::new(), 503, Shown::Other(FailureAction::Doubt)),
        ];
        for (code, text, status, expected) in cases {
            assert_eq!(shown(&FailureKind::from_answer(code, &text, status), &sample()), expected, "{code} {text}");
        }
        assert_eq!(shown(&FailureKind::NotWritten, &sample()), retry("not_written", Delay::NOT_WRITTEN));
        let with_set = sample_with(json!({"configuration_set": "x"}));
        assert_eq!(shown(&FailureKind::NotFound, &with_set), reject("not_found:configuration_set"));
    }

    #[test]
    fn a_denial_is_remembered_by_what_the_next_mail_with_it_is_known_by() {
        let mail = sample_with(json!({"from": "Jane+News@Mail.Example.com", "configuration_set": "Mail-Set"}));
        let name = |resource: &str| {
            let text = format!(
                "User `arn:aws:iam::1:user/u' is not authorized to perform `ses:SendEmail' on resource `arn:aws:ses:eu-central-1:1:{resource}'"
            );
            resource_name(&Denial::parse(&text), &mail)
        };
        for resource in [
            "identity/jane+news@mail.example.com",
            "identity/jane@mail.example.com",
            "identity/mail.example.com",
            "identity/example.com",
            "identity/EXAMPLE.com",
            "identity/le.com",
            "identity/*",
            "*",
        ] {
            assert_eq!(name(resource), "identity/jane+news@mail.example.com", "{resource}");
        }
        assert_eq!(name("configuration-set/Mail-Set"), "configuration-set/mail-set");
        for resource in ["identity/jane+news@mail.example.com", "configuration-set/Mail-Set", "*"] {
            assert!(mail.resource_names().contains(&name(resource)), "mail with {resource} is not held");
        }
    }

    #[test]
    fn what_ses_does_not_find_is_named_as_far_as_the_mail_tells() {
        let not_found = |changes| shown(&FailureKind::NotFound, &sample_with(changes));
        assert_eq!(not_found(json!({})), reject("not_found"));
        let template = json!({"template": {"name": "t"}, "subject": null, "text": null, "html": null});
        assert_eq!(not_found(template.clone()), reject("not_found:template"));
        let several = json!({"configuration_set": "x", "list_management": {"contact_list": "a"}, "tenant_name": "t"});
        assert_eq!(not_found(several), reject("not_found:configuration_set,list_management,tenant_name"));
        let tenant = sample_with(json!({"tenant_name": "t"}));
        assert_eq!(shown(&FailureKind::TenantNotAssociated, &tenant), reject("permission_missing:tenant_name"));

        let mail = sample_with(template);
        let denied = |resource: &str| {
            let text = format!(
                "User `arn:aws:iam::171436882533:user/u' is not authorized to perform `ses:SendTemplatedEmail' on resource `{resource}'"
            );
            shown(&FailureKind::Denied(Denial::parse(&text)), &mail)
        };
        let ses = "arn:aws:ses:eu-central-1:171436882533";
        let identity =
            denied_on("template:identity/jane@example.com", &format!("permission_missing:{ses}:identity/example.com"));
        assert_eq!(denied(&format!("{ses}:identity/example.com")), identity);
        let template = denied_on("template/t", &format!("permission_missing:{ses}:template/t"));
        assert_eq!(denied(&format!("{ses}:template/t")), template);
    }

    /// SES names the action of the mail's own kind, whatever else a Deny statement meets.
    #[test]
    fn a_deny_that_meets_a_message_or_a_template_is_judged_by_whether_it_meets_text() {
        let text = sample();
        let mime = sample_with(json!({
            "from": "jane@example.com", "raw": "RnJvbTogamFuZUBleGFtcGxlLmNvbQoKYQ==", "subject": null, "text": null,
            "html": null, "headers": null,
        }));
        let template = sample_with(json!({"template": {"name": "t"}, "subject": null, "text": null, "html": null}));
        let ses = "arn:aws:ses:eu-central-1:171436882533";
        let (own, scp, named) = (
            "an identity-based policy",
            "a service control policy",
            "an identity-based policy: arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV4",
        );
        let key = |reason| Shown::LookedAtAgain(Suspicion::DeniedExplicitly, reason);
        let code = |resource: &str| format!("permission_missing:{ses}:{resource}");
        let look = |name: &str, resource: &str, reason| Shown::LookedAtText(name.to_owned(), code(resource), reason);
        let (domain, of_mime, of_template) =
            ("identity/example.com", "raw:identity/jane@example.com", "template:identity/jane@example.com");
        for (mail, action, resource, policy, expected) in [
            (&text, "SendEmail", domain, own, key("quarantined")),
            (&mime, "SendRawEmail", domain, own, look(of_mime, domain, "quarantined")),
            (&template, "SendTemplatedEmail", domain, own, look(of_template, domain, "quarantined")),
            (&template, "SendTemplatedEmail", "template/t", own, look("template/t", "template/t", "quarantined")),
            (&template, "SendTemplatedEmail", domain, scp, look(of_template, domain, "permission_missing")),
            // AWS has found the key, whatever it denies.
            (&mime, "SendRawEmail", domain, named, key("quarantined")),
            (&template, "SendTemplatedEmail", domain, named, key("quarantined")),
            (&template, "SendTemplatedEmail", domain, "a resource-based policy", denied_on(of_template, &code(domain))),
        ] {
            let denial = format!(
                "User: arn:aws:iam::171436882533:user/u is not authorized to perform: ses:{action} on resource: {ses}:{resource} with an explicit deny in {policy}"
            );
            let kind = FailureKind::from_answer("AccessDeniedException", &denial, 403);
            assert_eq!(shown(&kind, mail), expected, "{denial}");
        }
    }
}
