//! What is reported: a scope, a reason, and by whom; read from a request's body or an event's detail.

use serde::Deserialize;
use serde_json::Value;
use shared::http::FieldError;
use shared::id::{AccessKeyId, ProviderId};
use shared::record::BreachScope;

/// A report that can be acted on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) scope: BreachScope,
    pub(super) reason: String,
    pub(super) reported_by: String,
    /// Who signed it, where somebody did.
    pub(super) signed_by: Option<String>,
}

/// The body of `POST /revocations`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Body {
    scope: Value,
    reason: String,
    reported_by: Option<String>,
}

/// The `detail` of a `Credential Breach` event.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Detail {
    scope: Value,
    reason: String,
    reported_by: Option<String>,
}

/// Scopes that can be reported, and those that will be.
const TAKEN: &str = "`access_key_id` and `provider_id` are taken";
const KNOWN: [&str; 3] = ["tenant_id", "account_id", "all"];

/// Longest texts, in characters: a sentence or two, and an ARN with its session name.
const REASON: usize = 1_000;
const REPORTED_BY: usize = 2_048;

impl Body {
    /// The report that `signer` signed.
    ///
    /// # Errors
    /// The field that is wrong.
    pub(super) fn report(self, signer: &str) -> Result<Report, FieldError> {
        Ok(Report {
            scope: scope("scope", &self.scope)?,
            reason: text("reason", self.reason, REASON)?,
            reported_by: reported_by("reported_by", self.reported_by, signer)?,
            signed_by: Some(signer.to_owned()),
        })
    }
}

impl Detail {
    /// The report of an event of `source`.
    ///
    /// # Errors
    /// The field that is wrong.
    pub(super) fn report(self, source: &str) -> Result<Report, FieldError> {
        Ok(Report {
            scope: scope("detail.scope", &self.scope)?,
            reason: text("detail.reason", self.reason, REASON)?,
            reported_by: reported_by("detail.reported_by", self.reported_by, source)?,
            signed_by: None,
        })
    }
}

fn scope(field: &str, value: &Value) -> Result<BreachScope, FieldError> {
    let members = value.as_object().into_iter().flatten().collect::<Vec<_>>();
    let [(word, value)] = members.as_slice() else {
        return Err(FieldError::new(field, format!("must be an object with exactly one member; {TAKEN}")));
    };
    let field_of = |word: &str| format!("{field}.{word}");
    let id = value.as_str().unwrap_or_default();
    match word.as_str() {
        "access_key_id" => AccessKeyId::from_pasted(id)
            .map(BreachScope::AccessKeyId)
            .map_err(|error| FieldError::new(field_of("access_key_id"), error.to_string())),
        "provider_id" => ProviderId::parse(id)
            .map(BreachScope::ProviderId)
            .map_err(|error| FieldError::new(field_of("provider_id"), error.to_string())),
        word => match KNOWN.iter().find(|known| **known == word) {
            Some(known) => Err(FieldError::new(field, format!("`{known}` is not taken yet; {TAKEN}"))),
            None => Err(FieldError::new(field, format!("holds no known word; {TAKEN}"))),
        },
    }
}

/// Who reports it: as the report says, or else whoever it came from. A breach is not refused for want of a name.
fn reported_by(field: &str, said: Option<String>, from: &str) -> Result<String, FieldError> {
    said.map_or_else(|| Ok(from.to_owned()), |said| text(field, said, REPORTED_BY))
}

fn text(field: &str, text: String, longest: usize) -> Result<String, FieldError> {
    let length = text.trim().chars().count();
    if length == 0 || length > longest || text.chars().any(char::is_control) {
        return Err(FieldError::new(field, format!("must be 1 to {longest} characters without control characters")));
    }
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::http::decode;

    use super::*;

    fn read(body: &Value) -> Result<Report, FieldError> {
        decode::<Body>(body.to_string().as_bytes())?.report("arn:aws:iam::123456789012:user/ops")
    }

    #[test]
    fn a_body_is_taken_or_its_field_is_named() {
        let key = json!({"access_key_id": "AKIASP2TPHJSQH3FJRUX"});
        let cases = [
            (json!({"scope": key, "reason": "leaked"}), "taken"),
            (json!({"scope": {"provider_id": "prv_01ARZ3NDEKTSV4RRFFQ69G5FAV"}, "reason": "leaked"}), "taken"),
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
            (json!({"scope": key, "reason": "leaked", "reported_by": "me"}), "taken"),
            (json!({"scope": key, "reason": "leaked", "reported_by": ""}), "reported_by"),
            (json!({"scope": key, "reason": "leaked", "by": "me"}), "by"),
        ];
        for (body, expected) in cases {
            let field = read(&body).map_or_else(|error| error.field, |_| "taken".to_owned());
            assert_eq!(field, expected, "{body}");
        }
    }

    #[test]
    fn the_signer_is_kept_beside_whoever_is_said_to_report() {
        let signer = "arn:aws:iam::123456789012:user/ops";
        let mut body = json!({"scope": {"access_key_id": "AKIASP2TPHJSQH3FJRUX"}, "reason": "leaked"});
        for (said, reported_by) in [(Value::Null, signer), (json!("security desk"), "security desk")] {
            body["reported_by"] = said;
            let report = read(&body).unwrap();
            assert_eq!((report.reported_by.as_str(), report.signed_by.as_deref()), (reported_by, Some(signer)));
        }
    }

    #[test]
    fn a_scope_that_is_not_built_yet_is_said_to_be_so() {
        let error = read(&json!({"scope": {"all": true}, "reason": "leaked"})).unwrap_err();
        assert_eq!(error.to_string(), "scope: `all` is not taken yet; `access_key_id` and `provider_id` are taken");
    }
}
