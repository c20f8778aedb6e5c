//! Breach reports: the scope, the reason and the reporter, from a request's body or an event's detail.
//!
//! The two are not read alike. Whoever sends a request is told by a 400 which field is wrong, and sends it again. Nobody
//! reads the answer to an event, so an event is acted on if its scope can be read, however odd the rest is; what was odd is
//! noted in the order.

use serde::Deserialize;
use serde_json::{Map, Value};
use shared::http::FieldError;
use shared::id::{AccessKeyId, ProviderId, TenantId};
use shared::record::{AllProviders, BreachScope};

/// A report that can be acted on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BreachReport {
    pub(super) scope: BreachScope,
    pub(super) reason: String,
    pub(super) reported_by: String,
    /// Who signed the request. Absent for events.
    pub(super) signed_by: Option<String>,
    /// Whether the key removes identity policies that name other accounts before it deletes itself.
    pub(super) remove_identity_policies: bool,
    /// What was odd beside the scope, without values.
    pub(super) oddities: Vec<String>,
    /// The id of the event; absent for requests.
    pub(super) event_id: Option<String>,
}

/// The body of `POST /revocations`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RevocationRequest {
    pub(super) scope: Value,
    pub(super) reason: String,
    pub(super) reported_by: Option<String>,
    pub(super) remove_identity_policies: Option<bool>,
    /// The scope's value once more, if it is of more than one provider.
    pub(super) confirm: Option<String>,
}

/// The report in the `detail` of a `Credential Breach` event.
pub(super) struct BreachDetail {
    pub(super) report: BreachReport,
    /// Set if the scope names more than the one key or provider that is acted on: a person has to look.
    pub(super) other_scope: Option<FieldError>,
}

/// What an error says about the scopes that are supported.
const SCOPES: &str = "one of `access_key_id`, `provider_id`, `tenant_id`, `account_id`, and `all` as true";

/// The words of the scopes.
pub(super) const SCOPE_WORDS: [&str; 5] = ["access_key_id", "provider_id", "tenant_id", "account_id", "all"];

/// A sentence or two.
const MAX_REASON_CHARS: usize = 1_000;

/// An ARN with its session name.
pub(super) const MAX_REPORTED_BY_CHARS: usize = 2_048;

/// The reason of an event that gives none.
const NO_REASON: &str = "not given";

/// The members of a detail.
const DETAIL_MEMBERS: [&str; 4] = ["scope", "reason", "reported_by", "remove_identity_policies"];

impl RevocationRequest {
    /// The report in a request that `signer` signed.
    ///
    /// # Errors
    /// The field that is wrong.
    pub(super) fn into_report(self, signer: &str) -> Result<BreachReport, FieldError> {
        let scope = parse_scope("scope", &self.scope)?;
        // A slip must not cost a tenant all its keys.
        if let Some(confirmation) = scope.confirmation()
            && self.confirm.as_deref() != Some(confirmation)
        {
            return Err(FieldError::new("confirm", format!("must repeat the scope `{}`", scope.word())));
        }
        Ok(BreachReport {
            scope,
            reason: checked_reason("reason", &self.reason)?,
            // A breach report without a name is not refused: whoever signed it reports it.
            reported_by: match self.reported_by {
                Some(name) => checked_text("reported_by", &name, MAX_REPORTED_BY_CHARS)?,
                None => signer.to_owned(),
            },
            signed_by: Some(signer.to_owned()),
            remove_identity_policies: self.remove_identity_policies.unwrap_or_default(),
            oddities: Vec::new(),
            event_id: None,
        })
    }
}

impl BreachDetail {
    /// Reads the detail of an event of `source`.
    ///
    /// # Errors
    /// The scope cannot be read.
    pub(super) fn parse(detail: &Value, source: &str) -> Result<Self, FieldError> {
        let members =
            detail.as_object().ok_or_else(|| FieldError::new("detail", "must be an object with a member `scope`"))?;
        let scope = members.get("scope").ok_or_else(|| FieldError::new("detail.scope", "is missing"))?;
        let (scope, rest) = find_scope(scope)?;
        let mut oddities = Vec::new();
        if members.keys().any(|name| !DETAIL_MEMBERS.contains(&name.as_str())) {
            // The member's name is not repeated: people paste secrets into the wrong place.
            oddities.push("detail: has an unknown member".to_owned());
        }
        oddities.extend(rest.error().as_ref().map(ToString::to_string));
        let report = BreachReport {
            scope,
            reason: text_or(NO_REASON, "reason", members, MAX_REASON_CHARS, &mut oddities),
            reported_by: match members.get("reported_by") {
                None | Some(Value::Null) => source.to_owned(),
                Some(_) => text_or(source, "reported_by", members, MAX_REPORTED_BY_CHARS, &mut oddities),
            },
            signed_by: None,
            remove_identity_policies: match members.get("remove_identity_policies") {
                None | Some(Value::Null) => false,
                Some(Value::Bool(remove)) => *remove,
                Some(_) => {
                    oddities.push("detail.remove_identity_policies: must be true or false; taken as false".to_owned());
                    false
                }
            },
            oddities,
            event_id: None,
        };
        let other_scope = if matches!(rest, RestOfScope::Scope(_)) { rest.error() } else { None };
        Ok(Self { report, other_scope })
    }
}

/// A text of a detail, cut and cleaned; `default` if there is none.
fn text_or(
    default: &str,
    name: &str,
    members: &Map<String, Value>,
    max_chars: usize,
    oddities: &mut Vec<String>,
) -> String {
    let field = format!("detail.{name}");
    let given = members.get(name).and_then(Value::as_str).unwrap_or_default();
    match checked_text(&field, given, max_chars) {
        Ok(text) => text,
        Err(error) => {
            oddities.push(error.to_string());
            let cleaned: String = given.chars().filter(|character| !character.is_control()).take(max_chars).collect();
            match cleaned.trim() {
                "" => default.to_owned(),
                text => text.to_owned(),
            }
        }
    }
}

/// The scope of an event: the key if it names one, else the provider.
fn find_scope(value: &Value) -> Result<(BreachScope, RestOfScope), FieldError> {
    let strict = parse_scope("detail.scope", value);
    let (Some(members), Err(error)) = (value.as_object(), &strict) else {
        return strict.map(|scope| (scope, RestOfScope::Nothing));
    };
    // Nothing wider than that is read out of a scope that is wrong.
    let found = ["access_key_id", "provider_id"].into_iter().find_map(|word| {
        let only = Map::from_iter([(word.to_owned(), members.get(word)?.clone())]);
        Some((word, parse_scope("detail.scope", &Value::Object(only)).ok()?))
    });
    let Some((acted_on, scope)) = found else { return Err(error.clone()) };
    let names_more = members.keys().any(|name| name != acted_on && SCOPE_WORDS.contains(&name.as_str()));
    Ok((scope, if names_more { RestOfScope::Scope(acted_on) } else { RestOfScope::UnknownMember }))
}

/// What a scope has beside the key or provider that is acted on.
enum RestOfScope {
    Nothing,
    /// Something that is no scope: it is noted.
    UnknownMember,
    /// Another scope: only this one was acted on, and a person has to look.
    Scope(&'static str),
}

impl RestOfScope {
    fn error(&self) -> Option<FieldError> {
        let problem = match self {
            Self::Nothing => return None,
            Self::UnknownMember => "has an unknown member beside the one that was acted on".to_owned(),
            Self::Scope(acted_on) => format!("names more than one scope; only `{acted_on}` was acted on"),
        };
        Some(FieldError::new("detail.scope", problem))
    }
}

/// The one scope of a report, as requests must give it.
pub(super) fn parse_scope(field: &str, value: &Value) -> Result<BreachScope, FieldError> {
    let members = value.as_object().into_iter().flatten().collect::<Vec<_>>();
    let [(word, value)] = members.as_slice() else {
        return Err(FieldError::new(field, format!("must be an object with exactly one member, {SCOPES}")));
    };
    let field_of = |word: &str| format!("{field}.{word}");
    let id = value.as_str().unwrap_or_default();
    match word.as_str() {
        "access_key_id" => AccessKeyId::from_pasted(id)
            .map(BreachScope::AccessKeyId)
            .map_err(FieldError::from_display(field_of("access_key_id"))),
        "provider_id" => ProviderId::parse(id.trim())
            .map(BreachScope::ProviderId)
            .map_err(FieldError::from_display(field_of("provider_id"))),
        "tenant_id" => TenantId::parse(id.trim())
            .map(BreachScope::TenantId)
            .map_err(FieldError::from_display(field_of("tenant_id"))),
        "account_id" => parse_account_id(id.trim())
            .map(BreachScope::AccountId)
            .ok_or_else(|| FieldError::new(field_of("account_id"), "must be an AWS account id, 12 digits")),
        "all" => match value {
            Value::Bool(true) => Ok(BreachScope::All(AllProviders)),
            _ => Err(FieldError::new(field_of("all"), "must be true")),
        },
        // The member's name is not repeated: people paste secrets into the wrong place.
        _ => Err(FieldError::new(field, format!("has an unknown member; it must be {SCOPES}"))),
    }
}

fn parse_account_id(text: &str) -> Option<String> {
    (text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.to_owned())
}

/// A reason, as requests must give it.
pub(super) fn checked_reason(field: &str, text: &str) -> Result<String, FieldError> {
    checked_text(field, text, MAX_REASON_CHARS)
}

/// A text of at most `max_chars` characters on one line.
pub(super) fn checked_text(field: &str, text: &str, max_chars: usize) -> Result<String, FieldError> {
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
            (json!({"scope": {"all": true}, "reason": "leaked"}), "confirm"),
            (json!({"scope": {"all": true}, "reason": "leaked", "confirm": "all"}), "accepted"),
            (json!({"scope": {"all": false}, "reason": "leaked", "confirm": "all"}), "scope.all"),
            (json!({"scope": {"tenant_id": "acme"}, "reason": "leaked"}), "confirm"),
            (json!({"scope": {"tenant_id": "acme"}, "reason": "leaked", "confirm": "acme2"}), "confirm"),
            (json!({"scope": {"tenant_id": "acme"}, "reason": "leaked", "confirm": "acme"}), "accepted"),
            (json!({"scope": {"tenant_id": "a b"}, "reason": "leaked", "confirm": "a b"}), "scope.tenant_id"),
            (
                json!({"scope": {"account_id": "171436882533"}, "reason": "leaked", "confirm": "171436882533"}),
                "accepted",
            ),
            (json!({"scope": {"account_id": "17143688253"}, "reason": "leaked"}), "scope.account_id"),
            (json!({"scope": {"region": "eu-central-1"}, "reason": "leaked"}), "scope"),
            (json!({"scope": {"access_key_id": "AKIASP2TPHJSQH3FJRUX", "all": true}, "reason": "leaked"}), "scope"),
            (json!({"scope": {"access_key_id": "ASIASP2TPHJSQH3FJRUX"}, "reason": "leaked"}), "scope.access_key_id"),
            (json!({"scope": {"access_key_id": 1}, "reason": "leaked"}), "scope.access_key_id"),
            (json!({"scope": {"provider_id": "prv_1"}, "reason": "leaked"}), "scope.provider_id"),
            (json!({"scope": key, "reason": "leaked", "reported_by": "me"}), "accepted"),
            (json!({"scope": key, "reason": "leaked", "reported_by": ""}), "reported_by"),
            (json!({"scope": key, "reason": "leaked", "by": "me"}), "by"),
            (json!({"scope": key, "reason": "leaked", "remove_identity_policies": true}), "accepted"),
            (json!({"scope": key, "reason": "leaked", "remove_identity_policies": "yes"}), "remove_identity_policies"),
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
            assert!(!report.remove_identity_policies);
        }
        body["remove_identity_policies"] = json!(true);
        assert!(parse(&body).unwrap().remove_identity_policies);
    }

    #[test]
    fn an_event_is_acted_on_if_its_scope_can_be_read() {
        let key = json!({"access_key_id": "AKIASP2TPHJSQH3FJRUX"});
        let cases = [
            (json!({"scope": key, "reason": "leaked", "reported_by": "me"}), vec![], "leaked", "me"),
            (json!({"scope": key, "reason": "leaked"}), vec![], "leaked", "sendingbee.security"),
            (json!({"scope": key}), vec!["detail.reason"], NO_REASON, "sendingbee.security"),
            (json!({"scope": key, "reason": 7}), vec!["detail.reason"], NO_REASON, "sendingbee.security"),
            (json!({"scope": key, "reason": "a\nb"}), vec!["detail.reason"], "ab", "sendingbee.security"),
            (
                json!({"scope": key, "reason": "x", "reported_by": ["SECRET"]}),
                vec!["detail.reported_by"],
                "x",
                "sendingbee.security",
            ),
            (json!({"scope": key, "reason": "x", "SECRET": "SECRET"}), vec!["detail"], "x", "sendingbee.security"),
            (
                json!({"scope": key, "reason": "x", "remove_identity_policies": "SECRET"}),
                vec!["detail.remove_identity_policies"],
                "x",
                "sendingbee.security",
            ),
            (
                json!({"scope": {"access_key_id": " AKIASP2TPHJSQH3FJRUX\n", "SECRET": 1}, "reason": "x"}),
                vec!["detail.scope"],
                "x",
                "sendingbee.security",
            ),
        ];
        for (detail, odd, reason, reported_by) in cases {
            let BreachDetail { report, .. } = BreachDetail::parse(&detail, "sendingbee.security").unwrap();
            let fields: Vec<_> = report.oddities.iter().map(|oddity| oddity.split_once(": ").unwrap().0).collect();
            assert_eq!((fields, report.reason.as_str(), report.reported_by.as_str()), (odd, reason, reported_by));
            assert!(matches!(report.scope, BreachScope::AccessKeyId(_)), "{detail}");
            assert!(!format!("{report:?}").contains("SECRET"), "{report:?}");
        }
        let long = json!({"scope": key, "reason": "x".repeat(5_000)});
        assert_eq!(BreachDetail::parse(&long, "s").unwrap().report.reason.len(), MAX_REASON_CHARS);
    }

    #[test]
    fn what_a_scope_names_beside_the_key_is_left_to_a_person() {
        let provider = "prv_01ARZ3NDEKTSV4RRFFQ69G5FAV";
        let cases = [
            (json!({"access_key_id": "AKIASP2TPHJSQH3FJRUX", "all": true}), "names more"),
            (json!({"access_key_id": "AKIASP2TPHJSQH3FJRUX", "provider_id": provider}), "names more"),
            (json!({"access_key_id": "nonsense", "provider_id": provider}), "names more"),
            (json!({"provider_id": provider, "note": "x"}), "unknown member"),
        ];
        for (scope, says) in cases {
            let detail = BreachDetail::parse(&json!({"scope": scope, "reason": "x"}), "s").unwrap();
            assert!(detail.report.oddities[0].contains(says), "{scope}");
            assert_eq!(detail.other_scope.is_some(), says == "names more", "{scope}");
        }
        for scope in [json!({"access_key_id": "nonsense", "all": true}), json!({"all": 1}), json!({}), json!("x")] {
            assert!(BreachDetail::parse(&json!({"scope": scope, "reason": "x"}), "s").is_err(), "{scope}");
        }
        for scope in [json!({"all": true}), json!({"tenant_id": "acme"}), json!({"account_id": "171436882533"})] {
            let detail = BreachDetail::parse(&json!({"scope": scope, "reason": "x"}), "s").unwrap();
            assert_eq!(serde_json::to_value(&detail.report.scope).unwrap(), scope);
        }
    }
}
