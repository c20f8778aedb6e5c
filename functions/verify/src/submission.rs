//! What a caller submits: a key, and whose it is.

use serde::{Deserialize, Deserializer};
use shared::http::{FieldError, Problem, Request, body, signer};
use shared::id::{AccessKeyId, InvalidAccessKeyId, TenantId};
use shared::record::Provider;
use shared::tenant::{InvalidSecret, Region, SecretAccessKey};
use zeroize::{Zeroize as _, Zeroizing};

use crate::check::pasted::PastedKind;

/// The longest name of a provider in characters. Names are shown in lists.
const MAX_NAME_CHARS: usize = 100;

/// The body of `POST /providers`. It has no `Debug`, because people paste secrets into the wrong field.
pub(crate) struct Submission {
    /// The operator's name for the tenant.
    pub(crate) tenant_id: TenantId,
    /// What the tenant calls the provider.
    pub(crate) name: String,
    /// SES's Region.
    pub(crate) region: Region,
    /// Who says that the tenant agrees to containment, if anybody does.
    pub(crate) consent_signed_by: Option<String>,
    /// Who says that the tenant agrees to the configuration of its SES, if anybody does.
    pub(crate) configure_signed_by: Option<String>,
    /// Whether drills may take the provider.
    pub(crate) canary: bool,
    /// As pasted. Its shape is a check of the report, not a bad request.
    pub(crate) access_key_id: PastedText,
    /// As pasted. Its shape is a check of the report, not a bad request.
    pub(crate) secret_access_key: PastedText,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SubmissionBody {
    tenant_id: String,
    name: String,
    region: String,
    access_key_id: PastedText,
    secret_access_key: PastedText,
    #[serde(default)]
    consent: ConsentBody,
    #[serde(default)]
    canary: bool,
}

/// What a tenant agrees to. Nothing is agreed to unless it says so.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConsentBody {
    #[serde(default)]
    pause_sending: bool,
    #[serde(default)]
    configure: bool,
}

/// A text as a person pasted it. It is wiped when dropped, and it has neither `Debug` nor `Display`.
pub(crate) struct PastedText(Zeroizing<String>);

impl Submission {
    /// A key that is to replace the one of a provider: the rest is the provider's.
    pub(crate) fn for_provider(provider: &Provider, access_key_id: PastedText, secret_access_key: PastedText) -> Self {
        Self {
            tenant_id: provider.tenant_id.clone(),
            name: provider.name.clone(),
            region: provider.region,
            consent_signed_by: provider.consent.as_ref().map(|consent| consent.signed_by.clone()),
            // It is the provider's, whatever its key is.
            configure_signed_by: None,
            canary: provider.canary,
            access_key_id,
            secret_access_key,
        }
    }

    /// Reads the body and wipes it from the request.
    ///
    /// # Errors
    /// A 400 problem that names the invalid field and repeats no value.
    pub(crate) fn from_request(request: &mut Request) -> Result<Self, Problem> {
        let body = body::<SubmissionBody>(request);
        request.body.zeroize();
        let body = body?;
        let signer = signer(request).map(str::to_owned);
        if (body.consent.pause_sending || body.consent.configure) && signer.is_none() {
            return Err(Problem::new(
                403,
                "A consent is accepted only from requests that are signed with IAM credentials.",
            ));
        }
        Self::from_body(body, signer).map_err(|error| Problem::bad_request(&error))
    }

    fn from_body(body: SubmissionBody, signer: Option<String>) -> Result<Self, FieldError> {
        check_name(&body.name)?;
        Ok(Self {
            tenant_id: TenantId::parse(&body.tenant_id).map_err(FieldError::from_display("tenant_id"))?,
            name: body.name,
            region: Region::parse(&body.region).map_err(FieldError::from_display("region"))?,
            consent_signed_by: signer.clone().filter(|_| body.consent.pause_sending),
            configure_signed_by: signer.filter(|_| body.consent.configure),
            canary: body.canary,
            access_key_id: body.access_key_id,
            secret_access_key: body.secret_access_key,
        })
    }
}

/// Whether a provider may have this name.
///
/// # Errors
/// The field `name`, with what a name looks like.
pub(crate) fn check_name(name: &str) -> Result<(), FieldError> {
    let good = (1..=MAX_NAME_CHARS).contains(&name.chars().count())
        && !name.chars().any(char::is_control)
        && name.trim() == name;
    let problem =
        || format!("must be 1 to {MAX_NAME_CHARS} characters, without control characters or blanks around it");
    good.then_some(()).ok_or_else(|| FieldError::new("name", problem()))
}

impl PastedText {
    /// The text as the id of a long-term key, cleaned of what pasting leaves.
    pub(crate) fn access_key_id(&self) -> Result<AccessKeyId, InvalidAccessKeyId> {
        AccessKeyId::from_pasted(&self.0)
    }

    /// What the text looks like.
    pub(crate) fn kind(&self) -> PastedKind {
        PastedKind::of(&self.0)
    }

    /// A text that came otherwise than as JSON.
    pub(crate) fn new(text: Zeroizing<String>) -> Self {
        Self(text)
    }

    /// The text as a secret, cleaned of what pasting leaves.
    pub(crate) fn secret_access_key(&self) -> Result<SecretAccessKey, InvalidSecret> {
        SecretAccessKey::from_pasted(&self.0)
    }
}

impl<'de> Deserialize<'de> for PastedText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const SECRET: &str = "s3cretMARKERs3cretMARKERs3cretMARKERs3cr";

    fn parse(body: &str) -> Result<Submission, Value> {
        let mut request = Request::default();
        request.body = Some(body.to_owned());
        let parsed = Submission::from_request(&mut request).map_err(|problem| {
            let response = shared::http::Response::from(problem);
            assert_eq!(response.status_code, 400);
            let Some(aws_lambda_events::encodings::Body::Text(text)) = response.body else { panic!("no body") };
            assert!(!text.contains("MARKER"), "{text}");
            serde_json::from_str(&text).unwrap()
        });
        assert!(request.body.unwrap_or_default().is_empty(), "the body is still there");
        parsed
    }

    fn with(name: &str, value: Value) -> String {
        let mut body = json!({"tenant_id": "acme", "name": "Main", "region": "eu-central-1",
            "access_key_id": "AKIASP2TPHJSQH3FJRUX", "secret_access_key": SECRET});
        body[name] = value;
        body.to_string()
    }

    #[test]
    fn an_invalid_field_is_named_and_no_value_is_repeated() {
        let cases = [
            (with("tenant_id", json!("a MARKER")), "tenant_id"),
            (with("tenant_id", json!(1)), "tenant_id"),
            (with("name", json!("")), "name"),
            (with("name", json!(" MARKER")), "name"),
            (with("name", json!("MAR\nKER")), "name"),
            (with("name", json!("x".repeat(101))), "name"),
            (with("region", json!("mars-MARKER-1")), "region"),
            (with("access_key_id", json!(null)), "access_key_id"),
            (with("secret_access_key", json!({"MARKER": 1})), "secret_access_key"),
            (with("session_token", json!("MARKER")), "session_token"),
            (with("consent", json!(true)), "consent"),
            (with("canary", json!("MARKER")), "canary"),
            (with("canary", json!(null)), "canary"),
            (with("consent", json!(null)), "consent"),
            (with("consent", json!({"configure": "MARKER"})), "consent.configure"),
            (with("consent", json!({"pause_sending": "MARKER"})), "consent.pause_sending"),
            (with("consent", json!({"pause_sending": true, "MARKER": 1})), "consent"),
            (json!({"tenant_id": "acme"}).to_string(), "name"),
            (with("name", json!("x")) + "MARKER", "body"),
            ("MARKER".to_owned(), "body"),
            (String::new(), "body"),
        ];
        for (body, field) in cases {
            let problem = parse(&body).map(drop).unwrap_err();
            assert_eq!(problem["field"], field, "{body}");
        }
    }

    #[test]
    fn a_consent_counts_only_with_its_signer() {
        let signed = |consent: Value| {
            let sample = include_str!("../../../events/verify-create-provider.json");
            let mut request: Request = serde_json::from_str(sample).unwrap();
            request.body = Some(with("consent", consent));
            Submission::from_request(&mut request).map_err(|problem| problem.status())
        };
        let signer = "arn:aws:sts::111122223333:assumed-role/operator-backend/backend";
        let Ok(agreed) = signed(json!({"pause_sending": true})) else { panic!("refused") };
        assert_eq!(agreed.consent_signed_by.as_deref(), Some(signer));
        let Ok(refused) = signed(json!({"pause_sending": false})) else { panic!("refused") };
        assert_eq!((&refused.consent_signed_by, &refused.configure_signed_by), (&None, &None));
        let Ok(configured) = signed(json!({"configure": true})) else { panic!("refused") };
        assert_eq!(
            (configured.configure_signed_by.as_deref(), configured.consent_signed_by.as_deref()),
            (Some(signer), None)
        );
        let Ok(nothing) = signed(json!({})) else { panic!("refused") };
        assert_eq!((nothing.configure_signed_by, nothing.consent_signed_by), (None, None));
        for consent in [json!({"pause_sending": true}), json!({"configure": true})] {
            let mut unsigned = Request::default();
            unsigned.body = Some(with("consent", consent));
            assert_eq!(Submission::from_request(&mut unsigned).map(drop).map_err(|problem| problem.status()), Err(403));
        }
    }

    #[test]
    fn a_valid_body_is_read_and_wiped_from_the_request() {
        let Ok(submission) = parse(&with("name", json!("Main"))) else { panic!("refused") };
        assert_eq!(submission.region.as_str(), "eu-central-1");
        assert!(submission.secret_access_key.secret_access_key().is_ok());
    }
}
