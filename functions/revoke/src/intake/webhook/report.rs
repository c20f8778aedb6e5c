//! The report in a webhook whose signature is valid.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;
use shared::http::{FieldError, decode};
use shared::record::{SenderName, WebhookScope};

use crate::intake::breach_report::{BreachReport, MAX_REPORTED_BY_CHARS, checked_reason, checked_text, parse_scope};

/// Scopes that no webhook reports, whatever its sender is allowed.
const NEVER: [&str; 2] = ["all", "account_id"];

/// The body.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::intake) struct WebhookReport {
    scope: Value,
    reason: String,
    reported_by: Option<String>,
}

/// A report that is not acted on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::intake) enum ReportError {
    /// The sender may not report this scope.
    NotAllowed(FieldError),
    /// A field is wrong.
    Invalid(FieldError),
}

impl WebhookReport {
    /// The report in a body that `name` signed.
    ///
    /// # Errors
    /// The field that is wrong or not allowed.
    pub(in crate::intake) fn parse(
        body: &[u8],
        name: &SenderName,
        allowed: &BTreeSet<WebhookScope>,
    ) -> Result<BreachReport, ReportError> {
        let request: Self = decode(body).map_err(ReportError::Invalid)?;
        check_allowed(&request.scope, allowed).map_err(ReportError::NotAllowed)?;
        request.into_report(name).map_err(ReportError::Invalid)
    }

    fn into_report(self, name: &SenderName) -> Result<BreachReport, FieldError> {
        let signed_by = format!("webhook:{name}");
        Ok(BreachReport {
            scope: parse_scope("scope", &self.scope)?,
            reason: checked_reason("reason", &self.reason)?,
            // Behind the sender's name, so that no sender can report in the name of somebody else.
            reported_by: match self.reported_by {
                Some(text) => {
                    format!("{signed_by} ({})", checked_text("reported_by", &text, MAX_REPORTED_BY_CHARS)?)
                }
                None => signed_by.clone(),
            },
            signed_by: Some(signed_by),
            remove_identity_policies: false,
            oddities: Vec::new(),
            event_id: None,
        })
    }
}

/// By the words alone, before the scope is read: what a sender may not report is not looked at.
fn check_allowed(scope: &Value, allowed: &BTreeSet<WebhookScope>) -> Result<(), FieldError> {
    for word in scope.as_object().into_iter().flatten().map(|(word, _)| word.as_str()) {
        if let Some(never) = NEVER.iter().find(|never| **never == word) {
            return Err(FieldError::new("scope", format!("may not be `{never}` in a webhook")));
        }
        if let Some(scope) = WebhookScope::parse(word)
            && !allowed.contains(&scope)
        {
            return Err(FieldError::new(
                "scope",
                format!("may not be `{}` in a report of this sender", scope.as_str()),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(body: &Value, allowed: &[WebhookScope]) -> Result<BreachReport, ReportError> {
        let name = SenderName::parse("scanner").unwrap();
        WebhookReport::parse(body.to_string().as_bytes(), &name, &allowed.iter().copied().collect())
    }

    #[test]
    fn a_sender_reports_what_it_is_allowed_and_the_field_is_named_otherwise() {
        use WebhookScope::{AccessKeyId, ProviderId, TenantId};
        let key = json!({"access_key_id": "AKIASP2TPHJSQH3FJRUX"});
        let provider = json!({"provider_id": "prv_01ARZ3NDEKTSV4RRFFQ69G5FAV"});
        let report = |scope: &Value| json!({"scope": scope, "reason": "leaked"});
        let all = [AccessKeyId, ProviderId, TenantId];
        let cases = [
            (report(&key), &all[..1], "accepted"),
            (report(&key), &all[1..], "not allowed: scope"),
            (report(&provider), &all[..2], "accepted"),
            (report(&provider), &all[..1], "not allowed: scope"),
            (report(&json!({"tenant_id": "acme"})), &all[..2], "not allowed: scope"),
            (report(&json!({"tenant_id": "acme"})), &all, "accepted"),
            (report(&json!({"all": true})), &all, "not allowed: scope"),
            (report(&json!({"account_id": "171436882533"})), &all, "not allowed: scope"),
            (report(&json!({"access_key_id": "AKIASP2TPHJSQH3FJRUX", "all": true})), &all, "not allowed: scope"),
            (report(&json!("all")), &all, "invalid: scope"),
            (report(&json!({})), &all, "invalid: scope"),
            (report(&json!({"region": "eu-central-1"})), &all, "invalid: scope"),
            (report(&json!({"access_key_id": "nonsense"})), &all, "invalid: scope.access_key_id"),
            (json!({"scope": key}), &all, "invalid: reason"),
            (json!({"scope": key, "reason": " "}), &all, "invalid: reason"),
            (json!({"reason": "leaked"}), &all, "invalid: scope"),
            (json!({"scope": key, "reason": "leaked", "reported_by": ""}), &all, "invalid: reported_by"),
            (
                json!({"scope": key, "reason": "leaked", "remove_identity_policies": true}),
                &all,
                "invalid: remove_identity_policies",
            ),
            (json!([]), &all, "invalid: body"),
        ];
        for (body, allowed, expected) in cases {
            let outcome = match parse(&body, allowed) {
                Ok(_) => "accepted".to_owned(),
                Err(ReportError::NotAllowed(error)) => format!("not allowed: {}", error.field),
                Err(ReportError::Invalid(error)) => format!("invalid: {}", error.field),
            };
            assert_eq!(outcome, expected, "{body}");
        }
    }

    #[test]
    fn the_order_names_the_sender_whatever_the_report_says() {
        let mut body = json!({"scope": {"access_key_id": "AKIASP2TPHJSQH3FJRUX"}, "reason": "leaked"});
        for (reported_by, expected) in [
            (Value::Null, "webhook:scanner"),
            (json!("arn:aws:iam::123456789012:user/ops"), "webhook:scanner (arn:aws:iam::123456789012:user/ops)"),
        ] {
            body["reported_by"] = reported_by;
            let report = parse(&body, &WebhookScope::ALL).unwrap();
            assert_eq!(report.reported_by, expected);
            assert_eq!(report.signed_by.as_deref(), Some("webhook:scanner"));
        }
    }
}
