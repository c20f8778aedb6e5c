//! `GET /policy?account_id=&consent=&style=&version=`: the policies that tenants attach to their users, ready to paste into IAM.

use aws_lambda_events::encodings::Body;
use http::header::{CONTENT_TYPE, ETAG};
use http::{HeaderName, HeaderValue};
use shared::http::{Problem, QueryParameters, Request, Response, invalid};
use shared::policy::{self, AttachAs, PolicyStyle};

/// The version of the document in the body. A provider's report names the version that was current at the time.
const POLICY_VERSION: HeaderName = HeaderName::from_static("policy-version");

/// How the document can be attached: `inline` (a managed policy does as well) or `managed`.
const POLICY_ATTACH_AS: HeaderName = HeaderName::from_static("policy-attach-as");

/// Answers with the document itself as the body, byte for byte, so that it can be piped into
/// `aws iam put-user-policy`. Its version is in `Policy-Version` and `ETag`, and whether it fits a user's inline quota in
/// `Policy-Attach-As`. `consent` asks for the document of tenants who agree to `pause_sending`, `configure` or both, and `version` for an
/// earlier document, which a provider's report may name.
pub(crate) fn get_policy(request: &Request) -> Result<Response, Problem> {
    let query = QueryParameters::from_request(request, &["style", "account_id", "consent", "version"])?;
    let style = query.required("style")?;
    let style = PolicyStyle::parse(&style).ok_or_else(|| invalid("style", "must be `classic` or `hardened`"))?;
    let account_id = query.get("account_id");
    let version = query.get("version");
    let consent = query.get("consent");
    if consent.is_some() && version.is_some() {
        return Err(invalid("consent", "goes without `version`, which names the document"));
    }
    let (pause, configure) = match consent.as_deref() {
        None => (false, false),
        Some("pause_sending") => (true, false),
        Some("configure") => (false, true),
        Some("pause_sending,configure" | "configure,pause_sending") => (true, true),
        Some(_) => {
            return Err(invalid("consent", "must be `pause_sending`, `configure`, or both with a comma between"));
        }
    };
    let current = style.version_with(pause, configure);
    let policy = policy::published(version.as_deref().unwrap_or(current))
        .filter(|policy| policy.style == style)
        .ok_or_else(|| invalid("version", "is no version of this policy"))?;
    let document = match (style, account_id) {
        (PolicyStyle::Hardened, None) => {
            return Err(invalid("account_id", "is missing: the hardened policy names the account"));
        }
        (_, account_id) => policy
            .document(account_id.as_deref().unwrap_or_default())
            .ok_or_else(|| invalid("account_id", "must be 12 digits"))?,
    };
    let attach_as = HeaderValue::from_static(AttachAs::of_text(&document).as_str());
    let version = HeaderValue::from_static(policy.version);
    let etag = HeaderValue::from_str(&format!("\"{}\"", policy.version)).map_err(|_| Problem::internal())?;
    let mut response = Response::default();
    response.status_code = 200;
    response.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers.insert(POLICY_VERSION, version);
    response.headers.insert(POLICY_ATTACH_AS, attach_as);
    response.headers.insert(ETAG, etag);
    response.body = Some(Body::Text(document));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn get(parameters: Value) -> Result<(String, String), u16> {
        let mut event: Value = serde_json::from_str(include_str!("../../../../events/verify-get-policy.json")).unwrap();
        event["queryStringParameters"] = parameters;
        let request: Request = serde_json::from_value(event).unwrap();
        let response = get_policy(&request).map_err(|problem| problem.status())?;
        let Some(Body::Text(document)) = response.body else { panic!("no body") };
        let version = response.headers["policy-version"].to_str().unwrap().to_owned();
        assert_eq!(response.headers["etag"], format!("\"{version}\""));
        assert_eq!(response.headers["policy-attach-as"], "inline");
        Ok((document, version))
    }

    #[test]
    fn the_classic_policy_is_served_byte_for_byte() {
        let (document, version) = get(json!({"style": "classic"})).unwrap();
        assert_eq!(document, policy::classic());
        assert_eq!(version, policy::CLASSIC_VERSION);
    }

    #[test]
    fn the_hardened_policy_is_served_for_an_account() {
        let (document, version) = get(json!({"style": "hardened", "account_id": "171436882533"})).unwrap();
        assert!(document.contains("arn:aws:ses:*:171436882533:identity/*"));
        assert!(!document.contains("ACCOUNT"));
        assert!(serde_json::from_str::<Value>(&document).is_ok());
        assert_eq!(version, policy::HARDENED_VERSION);
    }

    #[test]
    fn an_earlier_version_is_still_served() {
        let ask = |version: &str| get(json!({"style": "hardened", "account_id": "171436882533", "version": version}));
        let (old, version) = ask("hardened-1").unwrap();
        assert_eq!(version, "hardened-1");
        assert!(!old.contains("iam:ListUserPolicies"));
        let (new, _) = ask(policy::HARDENED_VERSION).unwrap();
        assert_eq!(Some(new), policy::hardened("171436882533"));
    }

    #[test]
    fn a_tenant_who_agrees_to_a_pause_gets_the_document_that_allows_it() {
        let account = "171436882533";
        let ask = |parameters: Value| get(parameters).unwrap();
        let (pause, version) = ask(json!({"style": "hardened", "account_id": account, "consent": "pause_sending"}));
        assert_eq!(version, policy::HARDENED_PAUSE_VERSION);
        assert_eq!(pause.matches("ses:PutAccountSendingAttributes").count(), 2);
        assert_eq!(ask(json!({"style": "hardened", "account_id": account, "version": version})).0, pause);
        let (plain, _) = ask(json!({"style": "hardened", "account_id": account}));
        assert!(!plain.contains("PutAccountSendingAttributes"));
        // It allows all of SES.
        assert_eq!(ask(json!({"style": "classic", "consent": "pause_sending"})).1, policy::CLASSIC_VERSION);
    }

    #[test]
    fn a_tenant_who_agrees_to_the_configuration_gets_the_document_that_allows_it() {
        let account = "171436882533";
        let ask = |consent: &str| get(json!({"style": "hardened", "account_id": account, "consent": consent})).unwrap();
        let (configure, version) = ask("configure");
        assert_eq!(version, policy::HARDENED_CONFIGURE_VERSION);
        assert!(configure.contains("ses:GetEmailIdentity") && !configure.contains("PutAccountSendingAttributes"));
        for both in ["pause_sending,configure", "configure,pause_sending"] {
            let (document, version) = ask(both);
            assert_eq!(version, policy::HARDENED_CONFIGURE_PAUSE_VERSION);
            assert!(document.contains("ses:GetEmailIdentity") && document.contains("PutAccountSendingAttributes"));
        }
        let classic = get(json!({"style": "classic", "consent": "configure"})).unwrap();
        assert_eq!(classic.1, policy::CLASSIC_VERSION);
    }

    #[test]
    fn an_unknown_style_or_account_is_a_bad_request() {
        for parameters in [
            json!({}),
            json!({"style": "strict"}),
            json!({"style": "hardened"}),
            json!({"style": "hardened", "account_id": "17143688253"}),
            json!({"style": "hardened", "account_id": "17143688253x"}),
            json!({"style": "classic", "account": "171436882533"}),
            json!({"style": "classic", "version": "hardened-1"}),
            json!({"style": "classic", "consent": "everything"}),
            json!({"style": "classic", "consent": "configure,configure"}),
            json!({"style": "classic", "consent": "configure", "version": "classic-1"}),
            json!({"style": "classic", "consent": "pause_sending", "version": "classic-1"}),
            json!({"style": "hardened", "account_id": "171436882533", "version": "hardened-0"}),
        ] {
            assert_eq!(get(parameters.clone()), Err(400), "{parameters}");
        }
    }
}
