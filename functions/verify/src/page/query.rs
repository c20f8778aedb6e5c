//! What the page's own links carry along. Whatever else a URL has is ignored: mail programs add things.

use shared::http::Request;
use shared::policy::PolicyStyle;
use shared::record::LinkIntent;

use super::Language;
use crate::onboarding_link::is_account_id;

/// A step of the guide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PageStep {
    /// Create a policy.
    Policy,
    /// Create a user.
    User,
    /// Create an access key.
    Key,
    /// Paste it.
    Paste,
    /// What came of it.
    Result,
}

/// What a URL says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PageQuery {
    /// The step, if it names one.
    pub(crate) step: Option<PageStep>,
    /// Which policy is shown.
    pub(crate) style: PolicyStyle,
    /// The tenant's account, as it was typed.
    pub(crate) account: Option<String>,
    /// The language that was chosen on the page.
    pub(crate) language: Option<Language>,
    /// Whether a code was typed that did not open the link.
    pub(crate) wrong_code: bool,
}

impl PageStep {
    const ALL: [Self; 5] = [Self::Policy, Self::User, Self::Key, Self::Paste, Self::Result];

    /// The steps of an intent. Who replaces a key has policy and user already; who repairs a provider may have lost any of it.
    pub(crate) fn of(intent: LinkIntent) -> &'static [Self] {
        match intent {
            LinkIntent::Connect | LinkIntent::Repair => &Self::ALL,
            LinkIntent::Rotate => &[Self::Key, Self::Paste, Self::Result],
        }
    }

    /// The word in URLs.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::User => "user",
            Self::Key => "key",
            Self::Paste => "paste",
            Self::Result => "result",
        }
    }
}

impl PageQuery {
    /// The query of a request.
    pub(crate) fn from_request(request: &Request) -> Self {
        let get = |name: &str| request.query_string_parameters.first(name);
        let step = get("step").and_then(|word| PageStep::ALL.into_iter().find(|step| step.as_str() == word));
        Self {
            step,
            style: get("style").and_then(PolicyStyle::parse).unwrap_or(PolicyStyle::Hardened),
            account: get("account").map(|text| text.replace([' ', '-'], "").chars().take(20).collect()),
            language: get("lang").and_then(Language::parse),
            wrong_code: get("code") == Some("wrong"),
        }
    }

    /// The account, if it is one.
    pub(crate) fn account_id(&self) -> Option<&str> {
        self.account.as_deref().filter(|text| is_account_id(text))
    }

    /// The same for another step.
    pub(crate) fn to(&self, step: PageStep) -> Self {
        Self { step: Some(step), wrong_code: false, ..self.clone() }
    }

    /// As a URL has it, for an attribute of HTML.
    pub(crate) fn to_href(&self) -> String {
        let style = (self.style == PolicyStyle::Classic).then(|| "style=classic".to_owned());
        let parts = [
            self.step.map(|step| format!("step={}", step.as_str())),
            style,
            self.account_id().map(|account| format!("account={account}")),
            self.language.map(|language| format!("lang={}", language.code())),
        ];
        format!("?{}", parts.into_iter().flatten().collect::<Vec<_>>().join("&amp;"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_link_carries_is_read_again_and_everything_else_is_dropped() {
        let mut event: serde_json::Value =
            serde_json::from_str(include_str!("../../../../events/verify-get-page.json")).unwrap();
        event["queryStringParameters"] = serde_json::json!({"step": "key", "style": "classic", "lang": "de",
            "account": "1714-3688-2533", "utm_source": "<mail>"});
        let request: Request = serde_json::from_value(event.clone()).unwrap();
        let query = PageQuery::from_request(&request);
        assert_eq!(query.to_href(), "?step=key&amp;style=classic&amp;account=171436882533&amp;lang=de");
        assert_eq!(query.to(PageStep::Paste).to_href().split("&amp;").next(), Some("?step=paste"));
        event["queryStringParameters"] = serde_json::json!({"step": "<b>", "account": "\"><script>", "lang": "xx"});
        let query = PageQuery::from_request(&serde_json::from_value(event).unwrap());
        assert_eq!((query.to_href().as_str(), query.account_id()), ("?", None));
    }
}
