//! Which of the API's routes a request is for.

mod check_policy;
mod create_provider;
mod get_mail;
pub(crate) mod get_policy;
mod get_provider;
mod list_providers;

use shared::http::{Problem, Request};
use shared::id::ProviderId;

/// A route of `template.yaml` that this function answers, with its path parameters as API Gateway decoded them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// `POST /providers`
    CreateProvider,
    /// `GET /providers`
    ListProviders,
    /// `GET /providers/{provider_id}`
    GetProvider {
        /// As the caller wrote it.
        provider_id: String,
    },
    /// `GET /providers/{provider_id}/mails/{mail_id}`
    GetMail {
        /// As the caller wrote it.
        provider_id: String,
        /// As the caller wrote it.
        mail_id: String,
    },
    /// `GET /policy`
    GetPolicy,
    /// `POST /policy/check`
    CheckPolicy,
}

impl Route {
    /// The route that API Gateway matched; `None` for one that this function does not answer.
    ///
    /// HTTP APIs hand path parameters over decoded (AWS: "AWS Lambda proxy integrations for HTTP APIs", payload format
    /// 2.0), so they are not decoded again: an id may hold a percent sign.
    pub(crate) fn of(request: &Request) -> Option<Self> {
        let parameter = |name: &str| request.path_parameters.get(name).cloned();
        match request.route_key.as_deref()? {
            "POST /providers" => Some(Self::CreateProvider),
            "GET /providers" => Some(Self::ListProviders),
            "GET /providers/{provider_id}" => Some(Self::GetProvider { provider_id: parameter("provider_id")? }),
            "GET /providers/{provider_id}/mails/{mail_id}" => {
                Some(Self::GetMail { provider_id: parameter("provider_id")?, mail_id: parameter("mail_id")? })
            }
            "GET /policy" => Some(Self::GetPolicy),
            "POST /policy/check" => Some(Self::CheckPolicy),
            _ => None,
        }
    }

    /// The route's name in log lines.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::CreateProvider => "create_provider",
            Self::ListProviders => "list_providers",
            Self::GetProvider { .. } => "get_provider",
            Self::GetMail { .. } => "get_mail",
            Self::GetPolicy => "get_policy",
            Self::CheckPolicy => "check_policy",
        }
    }
}

/// A provider's id out of a path. What cannot be one is answered as one that does not exist.
fn provider_id(text: &str) -> Result<ProviderId, Problem> {
    ProviderId::parse(text).map_err(|_| Problem::not_found("provider"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(json: &str) -> Request {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn every_sample_event_finds_its_route() {
        let cases = [
            (include_str!("../../../events/verify-create-provider.json"), "create_provider"),
            (include_str!("../../../events/verify-list-providers.json"), "list_providers"),
            (include_str!("../../../events/verify-get-provider.json"), "get_provider"),
            (include_str!("../../../events/verify-get-mail.json"), "get_mail"),
            (include_str!("../../../events/verify-get-policy.json"), "get_policy"),
            (include_str!("../../../events/verify-check-policy.json"), "check_policy"),
        ];
        for (event, expected) in cases {
            assert_eq!(Route::of(&request(event)).map(|route| route.as_str()), Some(expected));
        }
    }

    #[test]
    fn a_route_of_somebody_else_is_nobodys() {
        let mut other = request(include_str!("../../../events/verify-get-policy.json"));
        other.route_key = Some("DELETE /providers/{provider_id}".to_owned());
        assert_eq!(Route::of(&other), None);
        other.route_key = None;
        assert_eq!(Route::of(&other), None);
    }
}
