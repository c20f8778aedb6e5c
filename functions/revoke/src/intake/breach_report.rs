//! Breach reports: the scope, the reason and the reporter, from a request's body or an event's detail.

use serde::Deserialize;
use serde_json::Value;
use shared::http::FieldError;
use shared::id::{AccessKeyId, ProviderId};
use shared::record::BreachScope;

/// A valid report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BreachReport {
    pub(super) scope: BreachScope,
    pub(super) reason: String,
    pub(super) reported_by: String,
    /// Who signed the request. Absent for events.
    pub(super) signed_by: Option<String>,
}

/// The body of `POST /revocations`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RevocationRequest {
    scope: Value,
    reason: String,
    reported_by: Option<String>,
}

/// The `detail` of a `Credential Breach` event.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BreachDetail {
    scope: Value,
    reason: String,
    reported_by: Option<String>,
}

/// What an error says about the scopes that are supported.
const SUPPORTED_SCOPES: &str = "`access_key_id` and `provider_id` are supported";

/// Scopes that will be supported.
const PLANNED_SCOPES: [&str; 3] = ["tenant_id", "account_id", "all"];

/// A sentence or two.
const MAX_REASON_CHARS: usize = 1_000;

/// An ARN with its session name.
const MAX_REPORTED_BY_CHARS: usize = 2_048;

impl RevocationRequest {
    /// The report in a request that `signer` signed.
    ///
    /// # Errors
    /// The field that is wrong.
    pub(super) fn into_report(self, signer: &str) -> Result<BreachReport, FieldError> {
        Ok(BreachReport {
            scope: parse_scope("scope", &self.scope)?,
            reason: checked_text("reason", self.reason, MAX_REASON_CHARS)?,
            reported_by: reported_by("reported_by", self.reported_by, signer)?,
            signed_by: Some(signer.to_owned()),
        })
    }
}

impl BreachDetail {
    /// The report in an event of `source`.
    ///
    /// # Errors
    /// The field that is wrong.
    pub(super) fn into_report(self, source: &str) -> Result<BreachReport, FieldError> {
        Ok(BreachReport {
            scope: parse_scope("detail.scope", &self.scope)?,
            reason: checked_text("detail.reason", self.reason, MAX_REASON_CHARS)?,
            reported_by: reported_by("detail.reported_by", self.reported_by, source)?,
            signed_by: None,
        })
    }
}

fn parse_scope(field: &str, value: &Value) -> Result<BreachScope, FieldError> {
    let members = value.as_object().into_iter().flatten().collect::<Vec<_>>();
    let [(word, value)] = members.as_slice() else {
        return Err(FieldError::new(field, format!("must be an object with exactly one member; {SUPPORTED_SCOPES}")));
    };
    let field_of = |word: &str| format!("{field}.{word}");
    let id = value.as_str().unwrap_or_default();
    match word.as_str() {
        "access_key_id" => AccessKeyId::from_pasted(id)
            .map(BreachScope::AccessKeyId)
            .map_err(FieldError::from_display(field_of("access_key_id"))),
        "provider_id" => ProviderId::parse(id)
            .map(BreachScope::ProviderId)
            .map_err(FieldError::from_display(field_of("provider_id"))),
        word => match PLANNED_SCOPES.iter().find(|planned| **planned == word) {
            Some(planned) => {
                Err(FieldError::new(field, format!("`{planned}` is not supported yet; {SUPPORTED_SCOPES}")))
            }
            // The member's name is not repeated: people paste secrets into the wrong place.
            None => Err(FieldError::new(field, format!("has an unknown member; {SUPPORTED_SCOPES}"))),
        },
    }
}

/// Who reports it: the name in the report, or else whoever sent it. A breach report without a name is not refused.
fn reported_by(field: &str, name: Option<String>, sender: &str) -> Result<String, FieldError> {
    name.map_or_else(|| Ok(sender.to_owned()), |name| checked_text(field, name, MAX_REPORTED_BY_CHARS))
}

fn checked_text(field: &str, text: String, max_chars: usize) -> Result<String, FieldError> {
    let length = text.trim().chars().count();
    if length == 0 || length > max_chars || text.chars().any(char::is_control) {
        return Err(FieldError::new(field, format!("must be 1 to {max_chars} characters without control characters")));
    }
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::http::decode;

    use super::*;

    fn parse(body: &Value) -> Result<BreachReport, FieldError> {
        decode::<RevocationRequest>(body.to_string().as_bytes())?.into_report("arn:aws:iam::123456789012:user/ops")
    }

    #[test]
    fn a_body_is_accepted_or_its_field_is_named() {
        let key = json!({"access_key_id": "AKIASP2TPHJSQH3FJRUX"});
        let cases = [
            (json!({"scope": key, "reason": "leaked"}), "accepted"),
            (json!({"scope": {"provider_id": "prv_01ARZ3NDEKTSV4RRFFQ69G5FAV"}, "reason": "leaked"}), "accepted"),
            (json!({"scope": key, "reason": "leaked", "as_of": "2026-11-23T09:00:00Z"}), "as_of"),
            (json!({"scope": key, "reason": " "}), "reason"),
            (json!({"scope": key, "reason": "a\nb"}), "reason"),
            (json!({"scope": key, "reason": "x".repeat(1_001)}), "reason"),
            (json!({"scope": key}), "reason"),
            (json!({"reason": "leaked"}), "scope"),
            (json!({"scope": {}, "reason": "leaked"}), "scope"),
            (json!({"scope": "all", "reason": "leaked"}), "scope"),
            (json!({"scope": {"all": true}, "reason": "leaked"}), "scope"),
            (json!({"scope": {"tenant_id": "acme"}, "reason": "leaked"}), "scope"),
            (json!({"scope": {"account_id": "171436882533"}, "reason": "leaked"}), "scope"),
            (json!({"scope": {"region": "eu-central-1"}, "reason": "leaked"}), "scope"),
            (json!({"scope": {"access_key_id": "AKIASP2TPHJSQH3FJRUX", "all": true}, "reason": "leaked"}), "scope"),
            (json!({"scope": {"access_key_id": "ASIASP2TPHJSQH3FJRUX"}, "reason": "leaked"}), "scope.access_key_id"),
            (json!({"scope": {"access_key_id": 1}, "reason": "leaked"}), "scope.access_key_id"),
            (json!({"scope": {"provider_id": "prv_1"}, "reason": "leaked"}), "scope.provider_id"),
            (json!({"scope": key, "reason": "leaked", "reported_by": "me"}), "accepted"),
            (json!({"scope": key, "reason": "leaked", "reported_by": ""}), "reported_by"),
            (json!({"scope": key, "reason": "leaked", "by": "me"}), "by"),
        ];
        for (body, expected) in cases {
            let field = parse(&body).map_or_else(|error| error.field, |_| "accepted".to_owned());
            assert_eq!(field, expected, "{body}");
        }
    }

    #[test]
    fn the_signer_is_kept_beside_the_name_in_the_report() {
        let signer = "arn:aws:iam::123456789012:user/ops";
        let mut body = json!({"scope": {"access_key_id": "AKIASP2TPHJSQH3FJRUX"}, "reason": "leaked"});
        for (name, reported_by) in [(Value::Null, signer), (json!("security desk"), "security desk")] {
            body["reported_by"] = name;
            let report = parse(&body).unwrap();
            assert_eq!((report.reported_by.as_str(), report.signed_by.as_deref()), (reported_by, Some(signer)));
        }
    }

    #[test]
    fn an_error_names_a_scope_that_is_not_supported_yet() {
        let error = parse(&json!({"scope": {"all": true}, "reason": "leaked"})).unwrap_err();
        assert_eq!(
            error.to_string(),
            "scope: `all` is not supported yet; `access_key_id` and `provider_id` are supported"
        );
    }
}
