//! What happens to onboarding links: each change in one transaction with its audit event.

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::item::{expire, from_item, string, timestamp, to_item};
use super::item_update::ItemUpdate;
use super::onboarding_link::LINK_KEPT_FOR;
use super::{AuditEvent, Item, LinkEnd, OnboardingLink, Providers, RecordError, sweep_index};
use crate::custody::PageToken;
use crate::id::{LinkId, ProviderId, RotationId, TenantId};
use crate::runtime::Ambient;

/// Which link is the current one of a purpose.
#[derive(Serialize, Deserialize)]
struct CurrentLink {
    link_id: LinkId,
}

/// Links that are looked at in one round.
const MAX_DUE: i32 = 100;

/// It was neither completed nor ended otherwise.
pub(super) const IF_LIVE: &str = "attribute_not_exists(completed_at) AND attribute_not_exists(ended_at)";

impl Providers {
    /// Reads a link, consistently.
    ///
    /// # Errors
    /// DynamoDB did not answer, or the item cannot be read.
    pub async fn onboarding_link(&self, link_id: &LinkId) -> Result<Option<OnboardingLink>, RecordError> {
        self.get(&OnboardingLink::pk(link_id), OnboardingLink::SK).await
    }

    /// Stores a new link in the place of the current one of its purpose, which ends. Returns the link that it replaces, unless
    /// that had ended before, and `None` if somebody else replaced it meanwhile.
    ///
    /// # Errors
    /// DynamoDB did not answer: it may or may not have been stored.
    pub async fn put_onboarding_link(
        &self,
        link: &OnboardingLink,
        session_length: SignedDuration,
        ambient: &Ambient,
    ) -> Result<Option<Option<LinkId>>, RecordError> {
        let (tenant_pk, sk) = (OnboardingLink::tenant_pk(&link.purpose.tenant_id), link.purpose.sk());
        let current: Option<CurrentLink> = self.get(&tenant_pk, &sk).await?;
        let current = current.map(|current| current.link_id);
        let former = match &current {
            Some(link_id) => self.onboarding_link(link_id).await?,
            None => None,
        };
        let former = former.filter(|former| former.completed_at.is_none() && former.ended_at.is_none());
        let mut pointer = to_item(&tenant_pk, &sk, &CurrentLink { link_id: link.link_id.clone() })?;
        expire(&mut pointer, link.made_at, LINK_KEPT_FOR);
        let mut writes = vec![
            match &current {
                None => self.put_if_absent(pointer)?,
                Some(current) => {
                    self.put_if(pointer, Some("link_id = :current"), Some((":current", string(current.as_str()))))?
                }
            },
            self.put_if_absent(link.to_item(session_length)?)?,
            self.link_audit(&link.link_id, "link_made", &link.made_by, ambient)?,
        ];
        if let Some(former) = &former {
            writes.extend(self.end_writes(&former.link_id, LinkEnd::Replaced, &link.made_by, ambient)?);
        }
        Ok(self
            .is_committed(&OnboardingLink::pk(&link.link_id), writes)
            .await?
            .then(|| former.map(|former| former.link_id)))
    }

    /// The current links of a tenant, each read consistently, by purpose.
    ///
    /// # Errors
    /// DynamoDB did not answer, or an item cannot be read.
    pub async fn onboarding_links(&self, tenant_id: &TenantId) -> Result<Vec<OnboardingLink>, RecordError> {
        let pk = OnboardingLink::tenant_pk(tenant_id);
        let values = Item::from([(":first".to_owned(), string(" "))]);
        let current: Vec<CurrentLink> = self.read_all(&pk, "sk >= :first", values).await?;
        let mut links = Vec::new();
        // At most 100 keys in a request.
        for some in current.chunks(100) {
            let key = |current: &CurrentLink| {
                Item::from([
                    ("pk".to_owned(), string(OnboardingLink::pk(&current.link_id))),
                    ("sk".to_owned(), string(OnboardingLink::SK)),
                ])
            };
            for item in self.batch_get(some.iter().map(key).collect()).await? {
                links.push(from_item::<OnboardingLink>(&pk, item)?);
            }
        }
        links.sort_by(|one, other| other.link_id.cmp(&one.link_id));
        Ok(links)
    }

    /// Exchanges a link's token for a session, once. Returns whether it was exchanged.
    ///
    /// # Errors
    /// DynamoDB did not answer: it may or may not have been exchanged.
    pub async fn exchange_link_token(
        &self,
        link_id: &LinkId,
        token: &PageToken,
        session: &PageToken,
        ends_at: Timestamp,
        ambient: &Ambient,
    ) -> Result<bool, RecordError> {
        let update = ItemUpdate::new(
            OnboardingLink::pk(link_id),
            OnboardingLink::SK,
            "SET session_digest = :session, session_ends_at = :ends, opened_at = :now REMOVE token_digest",
            format!("token_digest = :token AND {IF_LIVE}"),
        )
        .value(":token", string(token.digest()))
        .value(":session", string(session.digest()))
        .value(":ends", timestamp(ends_at))
        .value(":now", timestamp(ambient.now()));
        let audit = self.link_audit(link_id, "link_opened", "page", ambient)?;
        self.is_committed(&OnboardingLink::pk(link_id), vec![self.update_in_transaction(update)?, audit]).await
    }

    /// Lets a link's session end later. Changes nothing if the link has another session, or none.
    ///
    /// # Errors
    /// DynamoDB did not answer.
    pub async fn prolong_link_session(
        &self,
        link_id: &LinkId,
        session: &PageToken,
        ends_at: Timestamp,
    ) -> Result<(), RecordError> {
        let update = ItemUpdate::new(
            OnboardingLink::pk(link_id),
            OnboardingLink::SK,
            "SET session_ends_at = :ends",
            "session_digest = :session AND attribute_not_exists(ended_at)",
        );
        let update = update.value(":session", string(session.digest())).value(":ends", timestamp(ends_at));
        self.update(update).await.map(drop)
    }

    /// Ends a link that is neither completed nor ended. Returns whether it was ended.
    ///
    /// # Errors
    /// DynamoDB did not answer: it may or may not have been ended.
    pub async fn end_onboarding_link(
        &self,
        link_id: &LinkId,
        end: LinkEnd,
        by: &str,
        ambient: &Ambient,
    ) -> Result<bool, RecordError> {
        self.is_committed(&OnboardingLink::pk(link_id), self.end_writes(link_id, end, by, ambient)?.into()).await
    }

    /// Completes a link with the provider, and the rotation, that its key was accepted for. It is due until operators are told.
    ///
    /// # Errors
    /// DynamoDB did not answer: it may or may not have been completed.
    pub async fn complete_onboarding_link(
        &self,
        link_id: &LinkId,
        provider_id: &ProviderId,
        rotation_id: Option<&RotationId>,
        ambient: &Ambient,
    ) -> Result<bool, RecordError> {
        let now = ambient.now();
        let mut update = ItemUpdate::new(
            OnboardingLink::pk(link_id),
            OnboardingLink::SK,
            "SET completed_at = :now, completed_provider = :provider, sweep = :sweep, next_attempt_at = :due",
            "attribute_exists(pk) AND attribute_not_exists(completed_at)",
        )
        .value(":now", timestamp(now))
        .value(":provider", string(provider_id.as_str()))
        .value(":sweep", string(sweep_index::LINKS))
        .value(":due", timestamp(sweep_index::due_after(now)));
        if let Some(rotation_id) = rotation_id {
            update.expression.push_str(", completed_rotation = :rotation");
            update = update.value(":rotation", string(rotation_id.as_str()));
        }
        update.expression.push_str(" REMOVE token_digest");
        let audit = self.link_audit(link_id, "link_completed", "page", ambient)?;
        self.is_committed(&OnboardingLink::pk(link_id), vec![self.update_in_transaction(update)?, audit]).await
    }

    /// The links of whose end operators have to be told, from the index: one that ended a moment ago may be missing.
    ///
    /// # Errors
    /// DynamoDB did not answer, or an item cannot be read.
    pub async fn due_onboarding_links(&self, now: Timestamp) -> Result<Vec<LinkId>, RecordError> {
        let (items, _) = self.query_sweep(sweep_index::LINKS, now, None, MAX_DUE).await?;
        let id = |item: &Item| LinkId::parse(item.get("pk")?.as_s().ok()?.strip_prefix("onboarding#")?).ok();
        Ok(items.iter().filter_map(id).collect())
    }

    /// Has a link looked at next at this time, unless it has ended or another submission has begun since it was read.
    ///
    /// # Errors
    /// DynamoDB did not answer.
    pub async fn look_at_link_again(&self, link: &OnboardingLink, at: Timestamp) -> Result<(), RecordError> {
        let update = ItemUpdate::new(
            OnboardingLink::pk(&link.link_id),
            OnboardingLink::SK,
            "SET next_attempt_at = :at",
            format!("{IF_LIVE} AND attribute_exists(sweep) AND submissions = :submissions"),
        )
        .value(":at", timestamp(at))
        .value(":submissions", AttributeValue::N(link.submissions.to_string()));
        self.update(update).await.map(drop)
    }

    /// Notes that operators were told of a link's end.
    ///
    /// # Errors
    /// DynamoDB did not answer.
    pub async fn onboarding_link_told(&self, link_id: &LinkId) -> Result<(), RecordError> {
        let update = ItemUpdate::new(
            OnboardingLink::pk(link_id),
            OnboardingLink::SK,
            "REMOVE sweep, next_attempt_at",
            "attribute_exists(pk)",
        );
        self.update(update).await.map(drop)
    }

    fn end_writes(
        &self,
        link_id: &LinkId,
        end: LinkEnd,
        by: &str,
        ambient: &Ambient,
    ) -> Result<[TransactWriteItem; 2], RecordError> {
        let update = ItemUpdate::new(
            OnboardingLink::pk(link_id),
            OnboardingLink::SK,
            "SET ended_at = :now, #end = :end REMOVE token_digest, session_digest, session_ends_at, sweep, next_attempt_at",
            format!("attribute_exists(pk) AND {IF_LIVE}"),
        )
        .name("#end", "end")
        .value(":now", timestamp(ambient.now()))
        .value(":end", string(end.as_str()));
        Ok([self.update_in_transaction(update)?, self.link_audit(link_id, end.audit_event(), by, ambient)?])
    }

    fn link_audit(
        &self,
        link_id: &LinkId,
        event: &'static str,
        by: &str,
        ambient: &Ambient,
    ) -> Result<TransactWriteItem, RecordError> {
        let event = AuditEvent { event, at: ambient.now(), by: by.to_owned(), reason: None };
        let mut item = to_item(&OnboardingLink::pk(link_id), &format!("audit#{}", ambient.ulid()), &event)?;
        expire(&mut item, event.at, LINK_KEPT_FOR);
        self.put(item)
    }
}
