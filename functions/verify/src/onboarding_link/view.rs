//! How links are shown to the operator: without anything that opens them, but for the answer that made one.

use jiff::Timestamp;
use serde::Serialize;
use shared::id::{LinkId, ProviderId, RotationId, TenantId};
use shared::record::OnboardingLink;
use shared::tenant::Region;

/// A link that was just made. Its URL opens it, and is shown this once.
#[derive(Serialize)]
pub(crate) struct NewLinkView<'a> {
    pub(crate) link_id: &'a LinkId,
    pub(crate) url: &'a str,
    pub(crate) expires_at: Timestamp,
    /// The link that it replaces, which nobody can open any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) replaces: Option<LinkId>,
}

/// A tenant's links.
#[derive(Serialize)]
pub(crate) struct LinkList<'a> {
    pub(crate) links: Vec<LinkView<'a>>,
}

/// One of them.
#[derive(Serialize)]
pub(crate) struct LinkView<'a> {
    link_id: &'a LinkId,
    tenant_id: &'a TenantId,
    name: &'a str,
    intent: &'static str,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_id: Option<&'a ProviderId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rotation_id: Option<&'a RotationId>,
    #[serde(skip_serializing_if = "<[Region]>::is_empty")]
    regions: &'a [Region],
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<&'a str>,
    made_at: Timestamp,
    made_by: &'a str,
    expires_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    opened_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed_at: Option<Timestamp>,
    submissions: u32,
    refusals: u32,
}

impl<'a> LinkView<'a> {
    /// A link as it stands at `now`.
    pub(crate) fn new(link: &'a OnboardingLink, now: Timestamp) -> Self {
        Self {
            link_id: &link.link_id,
            tenant_id: &link.purpose.tenant_id,
            name: &link.purpose.name,
            intent: link.purpose.intent.as_str(),
            state: link.state(now).as_str(),
            provider_id: link.completed_provider.as_ref().or(link.purpose.provider_id.as_ref()),
            rotation_id: link.completed_rotation.as_ref(),
            regions: &link.purpose.regions,
            account_id: link.purpose.account_id.as_deref(),
            made_at: link.made_at,
            made_by: &link.made_by,
            expires_at: link.expires_at,
            opened_at: link.opened_at,
            completed_at: link.completed_at,
            submissions: link.submissions,
            refusals: link.refusals,
        }
    }
}
