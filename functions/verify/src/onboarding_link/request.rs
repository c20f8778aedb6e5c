//! What `POST /onboarding-links` takes.

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use shared::http::{FieldError, Problem};
use shared::id::{ProviderId, TenantId};
use shared::record::{LinkIntent, LinkPurpose};
use shared::tenant::Region;

use super::{DEFAULT_LENGTH, MAX_LENGTH, MIN_LENGTH, ReturnUrls};
use crate::page::Language;
use crate::submission::check_name;

/// More Regions than anybody means; the page has to offer them.
const MAX_REGIONS: usize = 40;

/// The body.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LinkRequest {
    tenant_id: String,
    name: String,
    intent: String,
    provider_id: Option<String>,
    #[serde(default)]
    regions: Vec<String>,
    account_id: Option<String>,
    return_url: Option<String>,
    locale: Option<String>,
    expires_in: Option<u32>,
}

impl LinkRequest {
    /// The purpose that is asked for, and until when the link can be opened.
    ///
    /// # Errors
    /// 400 names the field that is wrong.
    pub(crate) fn check(self, return_urls: &ReturnUrls, now: Timestamp) -> Result<(LinkPurpose, Timestamp), Problem> {
        let invalid = |field: &str, problem: &str| Problem::bad_request(&FieldError::new(field, problem));
        let bad = |error: FieldError| Problem::bad_request(&error);
        let tenant_id = TenantId::parse(&self.tenant_id).map_err(FieldError::from_display("tenant_id")).map_err(bad)?;
        check_name(&self.name).map_err(bad)?;
        let intent = LinkIntent::parse(&self.intent).ok_or_else(|| {
            invalid("intent", &format!("must be one of {}", LinkIntent::ALL.map(LinkIntent::as_str).join(", ")))
        })?;
        let provider_id = match (intent, self.provider_id) {
            (LinkIntent::Connect, None) => None,
            (LinkIntent::Connect, Some(_)) => {
                return Err(invalid(
                    "provider_id",
                    "belongs to the intents `rotate` and `repair`; a new provider has no id yet",
                ));
            }
            (LinkIntent::Rotate | LinkIntent::Repair, None) => return Err(invalid("provider_id", "is missing")),
            (LinkIntent::Rotate | LinkIntent::Repair, Some(id)) => {
                Some(ProviderId::parse(&id).map_err(FieldError::from_display("provider_id")).map_err(bad)?)
            }
        };
        if intent != LinkIntent::Connect && !(self.regions.is_empty() && self.account_id.is_none()) {
            let field = if self.regions.is_empty() { "account_id" } else { "regions" };
            return Err(invalid(field, "belongs to the intent `connect`; every other keeps the provider's"));
        }
        if self.regions.len() > MAX_REGIONS {
            return Err(invalid("regions", &format!("has more than {MAX_REGIONS} entries")));
        }
        let region = |(index, name): (usize, &String)| {
            Region::parse(name).map_err(FieldError::from_display(format!("regions[{index}]"))).map_err(bad)
        };
        let mut regions = self.regions.iter().enumerate().map(region).collect::<Result<Vec<_>, _>>()?;
        let mut seen = Vec::new();
        regions.retain(|region| {
            !seen.contains(region) && {
                seen.push(*region);
                true
            }
        });
        if self.account_id.as_deref().is_some_and(|id| !is_account_id(id)) {
            return Err(invalid("account_id", "must be the twelve digits of an AWS account"));
        }
        if self.return_url.as_deref().is_some_and(|url| !return_urls.allow(url)) {
            return Err(invalid("return_url", "is not among those that the parameter OnboardingReturnUrls allows"));
        }
        if self.locale.as_deref().is_some_and(|locale| Language::parse(locale).is_none()) {
            return Err(invalid("locale", &format!("must be one of {}", Language::codes())));
        }
        let length = match self.expires_in {
            None => DEFAULT_LENGTH,
            Some(seconds) => SignedDuration::from_secs(i64::from(seconds)),
        };
        if !(MIN_LENGTH..=MAX_LENGTH).contains(&length) {
            let (min, max) = (MIN_LENGTH.as_secs(), MAX_LENGTH.as_secs());
            return Err(invalid("expires_in", &format!("must be {min} to {max} seconds")));
        }
        let expires_at = now.saturating_add(length).unwrap_or(now);
        let purpose = LinkPurpose {
            tenant_id,
            name: self.name,
            intent,
            provider_id,
            regions,
            account_id: self.account_id,
            return_url: self.return_url,
            locale: self.locale,
        };
        Ok((purpose, expires_at))
    }
}

/// Whether a text is the id of an AWS account.
pub(crate) fn is_account_id(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use aws_lambda_events::encodings::Body;
    use serde_json::{Value, json};
    use shared::http::Response;

    use super::*;

    fn check(change: &Value) -> Result<(LinkPurpose, Timestamp), (i64, Value)> {
        let mut body = json!({"tenant_id": "acme", "name": "Main account", "intent": "connect"});
        for (field, value) in change.as_object().unwrap() {
            body[field] = value.clone();
        }
        let urls = ReturnUrls::from_variable("https://app.example.com/").unwrap();
        let request: LinkRequest = serde_json::from_value(body).unwrap();
        request.check(&urls, Timestamp::UNIX_EPOCH).map_err(|problem| {
            let response = Response::from(problem);
            let Some(Body::Text(text)) = response.body else { panic!("no body") };
            (response.status_code, serde_json::from_str::<Value>(&text).unwrap()["field"].clone())
        })
    }

    #[test]
    fn a_link_lives_a_day_unless_it_says_otherwise() {
        let (purpose, expires_at) = check(&json!({})).unwrap();
        assert_eq!((purpose.intent, expires_at.as_second()), (LinkIntent::Connect, 86_400));
        let asked = json!({"expires_in": 604_800, "regions": ["eu-central-1", "us-east-1", "eu-central-1"],
            "account_id": "171436882533", "return_url": "https://app.example.com/x", "locale": "de"});
        let (purpose, expires_at) = check(&asked).unwrap();
        assert_eq!((purpose.regions.len(), expires_at.as_second()), (2, 604_800));
        let provider = "prv_01ARZ3NDEKTSV4RRFFQ69G5FAV";
        for intent in ["rotate", "repair"] {
            let (purpose, _) = check(&json!({"intent": intent, "provider_id": provider})).unwrap();
            assert_eq!((purpose.intent.as_str(), purpose.provider_id.unwrap().as_str()), (intent, provider));
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let provider = "prv_01ARZ3NDEKTSV4RRFFQ69G5FAV";
        for (change, field) in [
            (json!({"tenant_id": "a b"}), "tenant_id"),
            (json!({"name": " x"}), "name"),
            (json!({"name": ""}), "name"),
            (json!({"provider_id": provider}), "provider_id"),
            (json!({"intent": "rotate"}), "provider_id"),
            (json!({"intent": "rotate", "provider_id": "x"}), "provider_id"),
            (json!({"intent": "rotate", "provider_id": provider, "regions": ["eu-central-1"]}), "regions"),
            (json!({"intent": "rotate", "provider_id": provider, "account_id": "171436882533"}), "account_id"),
            (json!({"intent": "mend"}), "intent"),
            (json!({"intent": "repair"}), "provider_id"),
            (json!({"intent": "repair", "provider_id": provider, "regions": ["eu-central-1"]}), "regions"),
            (json!({"regions": ["eu-central-1", "mars-1"]}), "regions[1]"),
            (json!({"regions": vec!["eu-central-1"; 41]}), "regions"),
            (json!({"account_id": "17143688253"}), "account_id"),
            (json!({"return_url": "https://evil.test/"}), "return_url"),
            (json!({"locale": "xx"}), "locale"),
            (json!({"expires_in": 604_801}), "expires_in"),
            (json!({"expires_in": 0}), "expires_in"),
        ] {
            assert_eq!(check(&change), Err((400, json!(field))), "{change}");
        }
    }
}
