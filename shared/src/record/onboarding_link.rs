//! Onboarding links: what a tenant's administrator may hand over on the page, and how far that has come.
//!
//! A link lies in the Providers table, `onboarding#<link id>` / `link`, and beside it the audit events of what happened to it.
//! `onboarding#tenant#<tenant id>` / `<purpose>` says which link is the current one of a purpose, and lists a tenant's links.
//! What is asked for lies one level down in the item, because `tenant_id` and `provider_id` at the top would put it into the
//! indexes of providers.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::item::{expire, string, timestamp, to_item};
use super::{Item, RecordError, sweep_index};
use crate::custody::PageToken;
use crate::id::{LinkId, ProviderId, RotationId, TenantId};
use crate::tenant::Region;

/// How long a link and what is written about it are kept: far longer than its time and its session last, so that nothing that is
/// still looked at is gone.
pub(super) const LINK_KEPT_FOR: SignedDuration = SignedDuration::from_hours(365 * 24);

/// What a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkIntent {
    /// A key of a new provider.
    Connect,
    /// Another key for a provider.
    Rotate,
    /// A provider that does not work, or may not: it is checked again.
    Repair,
}

/// What is asked for, and on whose behalf.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkPurpose {
    /// The operator's name for the tenant.
    pub tenant_id: TenantId,
    /// What the tenant calls the provider.
    pub name: String,
    /// What the link is for.
    pub intent: LinkIntent,
    /// The provider whose key is replaced, or that is checked again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<ProviderId>,
    /// The Regions that may be meant. Empty: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<Region>,
    /// The tenant's AWS account, which makes the policy exact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    /// Where the page leads back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_url: Option<String>,
    /// The page's language, unless the browser asks for another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
}

/// How a link has ended before it was completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkEnd {
    /// Another link for the same purpose was made.
    Replaced,
    /// The operator has taken it back.
    Revoked,
    /// Nobody has completed it in time.
    Abandoned,
}

/// How a link stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkState {
    /// Nobody has opened it.
    Unopened,
    /// Its token was exchanged for a session.
    Opened,
    /// A key was accepted, or the provider has passed its checks.
    Completed,
    /// Its time is over, which operators have not been told yet.
    Expired,
    /// It has ended otherwise.
    Ended(LinkEnd),
}

/// A link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnboardingLink {
    /// Its id, which is in its URL.
    pub link_id: LinkId,
    /// What it is for.
    pub purpose: LinkPurpose,
    /// The digest of its token, until that was exchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_digest: Option<String>,
    /// The digest of the session that the token was exchanged for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_digest: Option<String>,
    /// When the session ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_ends_at: Option<Timestamp>,
    /// When it was made.
    pub made_at: Timestamp,
    /// The ARN that made it.
    pub made_by: String,
    /// Until when its token can be exchanged.
    pub expires_at: Timestamp,
    /// When its token was exchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened_at: Option<Timestamp>,
    /// When a key was accepted, or the provider passed its checks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
    /// The provider that it was completed with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_provider: Option<ProviderId>,
    /// The rotation that the accepted key began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_rotation: Option<RotationId>,
    /// When it ended without a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// How.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<LinkEnd>,
    /// How many keys were submitted, and how many checks asked for, with it.
    #[serde(default)]
    pub submissions: u32,
    /// How many of them were refused.
    #[serde(default)]
    pub refusals: u32,
}

impl LinkIntent {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Connect, Self::Rotate, Self::Repair];

    /// The intent of a word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|intent| intent.as_str() == word)
    }

    /// The word in requests, events and keys.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Rotate => "rotate",
            Self::Repair => "repair",
        }
    }
}

impl LinkPurpose {
    /// Two links of one purpose differ at most in what the page proposes. A provider's rotation is one purpose, whatever the
    /// provider is called.
    pub(super) fn sk(&self) -> String {
        match &self.provider_id {
            Some(provider_id) => format!("{}#{provider_id}", self.intent.as_str()),
            None => format!("{}#{}", self.intent.as_str(), self.name),
        }
    }
}

impl LinkEnd {
    /// The word in events and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Replaced => "replaced",
            Self::Revoked => "revoked",
            Self::Abandoned => "abandoned",
        }
    }

    pub(super) fn audit_event(self) -> &'static str {
        match self {
            Self::Replaced => "link_replaced",
            Self::Revoked => "link_revoked",
            Self::Abandoned => "link_abandoned",
        }
    }
}

impl LinkState {
    /// The word in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unopened => "unopened",
            Self::Opened => "opened",
            Self::Completed => "completed",
            Self::Expired => "expired",
            Self::Ended(end) => end.as_str(),
        }
    }
}

impl fmt::Display for LinkState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl OnboardingLink {
    /// Sort key of a link.
    pub const SK: &'static str = "link";

    /// Partition key of a link.
    pub fn pk(link_id: &LinkId) -> String {
        format!("onboarding#{link_id}")
    }

    pub(super) fn tenant_pk(tenant_id: &TenantId) -> String {
        format!("onboarding#tenant#{tenant_id}")
    }

    /// A new link with this token.
    pub fn new(
        link_id: LinkId,
        purpose: LinkPurpose,
        token: &PageToken,
        by: &str,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Self {
        Self {
            link_id,
            purpose,
            token_digest: Some(token.digest()),
            session_digest: None,
            session_ends_at: None,
            made_at: now,
            made_by: by.to_owned(),
            expires_at,
            opened_at: None,
            completed_at: None,
            completed_provider: None,
            completed_rotation: None,
            ended_at: None,
            end: None,
            submissions: 0,
            refusals: 0,
        }
    }

    /// How it stands. A session that began in time may still complete it after that.
    pub fn state(&self, now: Timestamp) -> LinkState {
        match (self.completed_at, self.end) {
            (Some(_), _) => LinkState::Completed,
            (None, Some(end)) => LinkState::Ended(end),
            (None, None) if self.session_ends_at.is_some_and(|ends_at| now < ends_at) => LinkState::Opened,
            (None, None) if now >= self.expires_at => LinkState::Expired,
            (None, None) if self.opened_at.is_some() => LinkState::Opened,
            (None, None) => LinkState::Unopened,
        }
    }

    /// Whether this is the session that its token was exchanged for, and it has not ended.
    pub fn is_session(&self, session: &PageToken, now: Timestamp) -> bool {
        self.session_digest.as_deref() == Some(session.digest().as_str())
            && self.session_ends_at.is_some_and(|ends_at| now < ends_at)
            && !matches!(self.state(now), LinkState::Ended(_))
    }

    /// Whether its token can still be exchanged, if this is it.
    pub fn is_exchangeable(&self, token: &PageToken, now: Timestamp) -> bool {
        self.state(now) == LinkState::Unopened && self.token_digest.as_deref() == Some(token.digest().as_str())
    }

    /// When nobody can complete it any more: `grace` after it expires, for its session.
    pub fn over_at(&self, grace: SignedDuration) -> Timestamp {
        self.expires_at.saturating_add(grace).unwrap_or(self.expires_at)
    }

    /// The link as an item, which is not kept for ever. It is due when nobody can complete it any more.
    pub(super) fn to_item(&self, grace: SignedDuration) -> Result<Item, RecordError> {
        let mut item = to_item(&Self::pk(&self.link_id), Self::SK, self)?;
        item.insert("sweep".to_owned(), string(sweep_index::LINKS));
        item.insert("next_attempt_at".to_owned(), timestamp(self.over_at(grace)));
        expire(&mut item, self.made_at, LINK_KEPT_FOR);
        Ok(item)
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::AttributeValue;

    use super::*;
    use crate::record::item::from_item;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn link(token: &PageToken) -> OnboardingLink {
        let purpose = LinkPurpose {
            tenant_id: TenantId::parse("acme").unwrap(),
            name: "Main account".to_owned(),
            intent: LinkIntent::Connect,
            provider_id: None,
            regions: vec![Region::parse("eu-central-1").unwrap()],
            account_id: Some("171436882533".to_owned()),
            return_url: None,
            locale: None,
        };
        let id = LinkId::parse("lnk_01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap();
        OnboardingLink::new(id, purpose, token, "arn", at(0), at(100))
    }

    #[test]
    fn a_link_is_opened_once_in_time_and_its_session_may_outlive_it() {
        let (token, session) = (PageToken::generate().unwrap(), PageToken::generate().unwrap());
        let mut link = link(&token);
        assert!(link.is_exchangeable(&token, at(99)) && !link.is_exchangeable(&token, at(100)));
        assert!(!link.is_exchangeable(&session, at(99)));
        assert_eq!((link.state(at(99)), link.state(at(100))), (LinkState::Unopened, LinkState::Expired));

        link.token_digest = None;
        link.session_digest = Some(session.digest());
        (link.opened_at, link.session_ends_at) = (Some(at(90)), Some(at(130)));
        assert!(!link.is_exchangeable(&token, at(95)));
        assert!(link.is_session(&session, at(129)) && !link.is_session(&session, at(130)));
        assert!(!link.is_session(&token, at(95)));
        assert_eq!((link.state(at(129)), link.state(at(130))), (LinkState::Opened, LinkState::Expired));

        let mut ended = link.clone();
        ended.end = Some(LinkEnd::Revoked);
        assert!(!ended.is_session(&session, at(95)) && ended.state(at(95)).as_str() == "revoked");
        // What was completed stays so, and its session still shows the result.
        link.completed_at = Some(at(95));
        assert!(link.is_session(&session, at(96)));
        assert_eq!(link.state(at(500)), LinkState::Completed);
    }

    #[test]
    fn an_item_has_no_token_and_no_attribute_that_lists_it_as_a_provider() {
        let token = PageToken::generate().unwrap();
        let link = link(&token);
        let item = link.to_item(SignedDuration::from_secs(1800)).unwrap();
        for indexed in ["tenant_id", "account_id", "provider_id", "listing", "created_at", "unproven_since"] {
            assert!(!item.contains_key(indexed), "{indexed}");
        }
        assert_eq!(item["attempts_expire_at"], AttributeValue::N((365 * 86_400).to_string()));
        assert_eq!((&item["sweep"], &item["next_attempt_at"]), (&string("onboarding"), &timestamp(at(1900))));
        assert!(!format!("{item:?}").contains(token.to_text().as_str()));
        assert_eq!(from_item::<OnboardingLink>("onboarding", item).unwrap(), link);
    }

    #[test]
    fn a_purpose_is_the_name_of_a_new_provider_or_the_provider_itself() {
        let mut purpose = link(&PageToken::generate().unwrap()).purpose;
        assert_eq!(purpose.sk(), "connect#Main account");
        purpose.intent = LinkIntent::Rotate;
        purpose.provider_id = Some(ProviderId::parse("prv_01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap());
        assert_eq!(purpose.sk(), "rotate#prv_01ARZ3NDEKTSV4RRFFQ69G5FAV");
    }

    #[test]
    fn every_word_is_written_as_it_is_serialized() {
        for intent in LinkIntent::ALL {
            assert_eq!(serde_json::to_value(intent).unwrap(), intent.as_str());
            assert_eq!(LinkIntent::parse(intent.as_str()), Some(intent));
        }
        for end in [LinkEnd::Replaced, LinkEnd::Revoked, LinkEnd::Abandoned] {
            assert_eq!(serde_json::to_value(end).unwrap(), end.as_str());
        }
    }
}
