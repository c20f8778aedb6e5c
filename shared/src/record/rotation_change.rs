//! The writes of a rotation. Each change is one transaction: the provider's item, under the condition that provider and
//! rotation are still as they were read, an event of the audit trail, and when the rotation is looked at next.
//!
//! Beside the provider's item each rotation has one of its own ([`RotationItem`]). It says when the rotation is looked at, and
//! by whom: a candidate by `send`, which can prove that its key works, and every other one by the sweep of `revoke`, which
//! revokes the key that is not used any more. When nothing is left to do it keeps what became of the rotation.

use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, TransactWriteItem};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::item::{string, timestamp, to_item};
use super::item_update::ItemUpdate;
use super::transaction::{KEY_ITEM, Transaction, contended};
use super::{
    AuditEvent, Due, DueSubject, Failing, Fences, Item, KeyItem, PromotedBy, Provider, Providers, RecordError,
    Rotation, RotationPhase, RotationReports, RotationRole, Secrets, Status, StatusName, sweep_index,
};
use crate::custody::{Lane, Sealed};
use crate::id::{ProviderId, RotationId};
use crate::runtime::Ambient;

/// When a candidate is looked at that no mail has promoted: mail that flows does it sooner.
const FIRST_PROBE_AFTER: SignedDuration = SignedDuration::from_secs(60);

/// The beginning of a rotation's sort key.
const ROTATION: &str = "rotation#";

/// What is stored when a rotation begins.
pub struct RotationStart {
    /// The provider, as it was read before the new key was verified.
    pub provider: Provider,
    /// The old key's item, as it was read then.
    pub old_key: KeyItem,
    /// The rotation as it begins: a candidate, or completed at once.
    pub rotation: Rotation,
    /// The reports of both keys.
    pub reports: RotationReports,
    /// The new key's item.
    pub key: KeyItem,
    /// The new key's secret for sending.
    pub send_lane: Sealed,
    /// The new key's secret for revoking.
    pub revoke_lane: Sealed,
    /// The fences, as they were read before the new key was verified.
    pub fences: Fences,
}

/// How the beginning of a rotation ended.
#[derive(Clone, Debug, PartialEq)]
pub enum RotationStarted {
    /// All of it is stored.
    Stored,
    /// The new key has an item: it was handed over before, or it was reported.
    KeyExists(Box<KeyItem>),
    /// The provider or its key has changed while the new key was verified: another rotation, an order, a suspension.
    Changed,
    /// An order that covers the new key was placed while it was verified.
    FenceMoved,
}

/// What became of a cancellation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CancelOutcome {
    /// The new key signs nothing any more, and the sweep orders its revocation.
    Cancelled(Box<Rotation>),
    /// The provider has changed since it was read.
    Changed,
}

/// A rotation's own item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotationItem {
    /// The rotation as it began; once it is closed, as it ended.
    pub rotation: Rotation,
    /// Whether operators were told of the promotion.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub promotion_told: bool,
}

/// A change of a provider in rotation.
struct RotationChange<'a> {
    /// The provider as it was read.
    provider: &'a Provider,
    /// The rotation after the change.
    rotation: &'a Rotation,
    /// The key that it sends with from now on, if that changes.
    serve: Option<RotationRole>,
}

impl RotationItem {
    /// Sort key of a rotation, beside its provider.
    pub fn sk(rotation_id: &RotationId) -> String {
        format!("{ROTATION}{rotation_id}")
    }

    /// The rotation of a sort key; `None` if it is that of something else.
    pub(super) fn rotation_id(sk: &str) -> Option<RotationId> {
        RotationId::parse(sk.strip_prefix(ROTATION)?).ok()
    }
}

impl Providers {
    /// Reads a rotation's own item, consistently.
    ///
    /// # Errors
    /// DynamoDB did not answer, or the item cannot be read.
    pub async fn rotation_item(
        &self,
        provider_id: &ProviderId,
        rotation_id: &RotationId,
    ) -> Result<Option<RotationItem>, RecordError> {
        self.get(&Provider::pk(provider_id), &RotationItem::sk(rotation_id)).await
    }

    /// Begins a rotation in one transaction: the new key's item if it is absent, both its sealed secrets, the rotation in the
    /// provider's item if provider and old key are as they were read, and no fence may have moved. Of two rotations that
    /// begin at the same time one wins.
    ///
    /// # Errors
    /// DynamoDB did not answer, or another transaction came first: it may be tried again.
    pub async fn start_rotation(
        &self,
        start: &RotationStart,
        secrets: &Secrets,
        ambient: &Ambient,
    ) -> Result<RotationStarted, RecordError> {
        let RotationStart { provider, rotation, key, .. } = start;
        let pk = KeyItem::pk(&key.access_key_id);
        let secret = |lane, sealed: &Sealed| secrets.put_in_transaction(&key.access_key_id, lane, sealed);
        let is_completed = rotation.phase == RotationPhase::Completed;
        let change = RotationChange { provider, rotation, serve: is_completed.then_some(RotationRole::New) };
        let mut update = change.update(rotation.started_at)?;
        let reports = serde_dynamo::to_attribute_value(&start.reports)
            .map_err(|_| RecordError::Shape { pk: Provider::pk(&provider.provider_id) })?;
        update.expression = match is_completed {
            // Before it begins there are no reports to take the new key's from.
            true => update.expression.replace(REPORT_OF_NEW_KEY, "report = :new_report"),
            false => update.expression.replacen("SET ", "SET rotation_reports = :reports, ", 1),
        };
        let update = match (is_completed, reports) {
            (true, AttributeValue::M(mut reports)) => {
                update.value(":new_report", reports.remove("new_key").unwrap_or(AttributeValue::Null(true)))
            }
            (_, reports) => update.value(":reports", reports),
        };
        let mut item = to_item(
            &Provider::pk(&provider.provider_id),
            &RotationItem::sk(&rotation.rotation_id),
            &RotationItem { rotation: rotation.clone(), promotion_told: false },
        )?;
        match is_completed {
            true => sweep_index::add(&mut item, rotation.started_at),
            false => {
                let first_probe = rotation.started_at.saturating_add(FIRST_PROBE_AFTER).unwrap_or(rotation.started_at);
                sweep_index::add_to(&mut item, sweep_index::CANDIDATES, first_probe);
            }
        }
        let mut writes = vec![
            self.put_if_absent(key.to_item()?)?,
            self.update_in_transaction(update)?,
            self.put_if_absent(item)?,
            secret(Lane::Send, &start.send_lane)?,
            secret(Lane::Revoke, &start.revoke_lane)?,
            self.rotation_audit(&provider.provider_id, rotation, "rotation_started", "verify", ambient)?,
            self.key_as_read(&start.old_key)?,
        ];
        if provider.is_stopped() {
            // A provider comes back to life, and with it the watch that its stop has ended.
            writes.push(self.watch_again(&provider.provider_id, rotation.started_at)?);
        }
        let first_fence = writes.len();
        writes.extend(self.fences_unmoved(&start.fences)?);
        match self.transact(&pk, writes).await? {
            Transaction::Committed => Ok(RotationStarted::Stored),
            Transaction::Contended => Err(contended(pk)),
            Transaction::ConditionFailed(failed) => match failed.into_iter().next() {
                Some((KEY_ITEM, Some(item))) => Ok(RotationStarted::KeyExists(Box::new(KeyItem::from_item(item)?))),
                Some((place, _)) if place >= first_fence => Ok(RotationStarted::FenceMoved),
                _ => Ok(RotationStarted::Changed),
            },
        }
    }

    /// Makes a candidate the key that its provider sends with, if the rotation is still as it was read. Returns whether this
    /// call did it.
    ///
    /// # Errors
    /// DynamoDB did not answer: it may or may not have been written.
    pub async fn promote(&self, provider: &Provider, by: PromotedBy, ambient: &Ambient) -> Result<bool, RecordError> {
        let Some(candidate) = candidate(provider) else { return Ok(false) };
        let rotation = candidate.promoted(by, ambient.now());
        let change = RotationChange { provider, rotation: &rotation, serve: Some(RotationRole::New) };
        self.end_candidate(&change, "rotation_promoted", "send", ambient).await
    }

    /// Ends a candidate that was refused for too long. Returns whether this call did it.
    ///
    /// # Errors
    /// DynamoDB did not answer: it may or may not have been written.
    pub async fn fail_rotation(
        &self,
        provider: &Provider,
        reason: &str,
        ambient: &Ambient,
    ) -> Result<bool, RecordError> {
        let Some(candidate) = candidate(provider) else { return Ok(false) };
        let rotation = candidate.ended(RotationPhase::Failed, Some(reason.to_owned()), ambient.now());
        let change = RotationChange { provider, rotation: &rotation, serve: None };
        self.end_candidate(&change, "rotation_failing_for_too_long", "send", ambient).await
    }

    /// Cancels a candidate. `by` is whoever wanted so.
    ///
    /// # Errors
    /// DynamoDB did not answer: it may or may not have been written.
    pub async fn cancel_rotation(
        &self,
        provider: &Provider,
        by: &str,
        ambient: &Ambient,
    ) -> Result<CancelOutcome, RecordError> {
        let Some(candidate) = candidate(provider) else { return Ok(CancelOutcome::Changed) };
        let rotation = candidate.ended(RotationPhase::Cancelled, None, ambient.now());
        let change = RotationChange { provider, rotation: &rotation, serve: None };
        Ok(match self.end_candidate(&change, "rotation_cancelled", by, ambient).await? {
            true => CancelOutcome::Cancelled(Box::new(rotation)),
            false => CancelOutcome::Changed,
        })
    }

    /// Completes a promoted rotation whose old key is stopped. Returns whether this call did it.
    ///
    /// # Errors
    /// DynamoDB did not answer: it may or may not have been written.
    pub async fn complete_rotation(&self, provider: &Provider, ambient: &Ambient) -> Result<bool, RecordError> {
        let promoted = provider.rotation.as_ref().filter(|rotation| rotation.phase == RotationPhase::Promoted);
        let Some(promoted) = promoted else { return Ok(false) };
        let now = ambient.now();
        let rotation = promoted.ended(RotationPhase::Completed, None, now);
        let writes = self.rotation_writes_of_stop(provider, None, &rotation, now)?;
        let pk = Provider::pk(&provider.provider_id);
        match self.transact(&pk, writes).await? {
            Transaction::Committed => Ok(true),
            Transaction::ConditionFailed(_) => Ok(false),
            Transaction::Contended => Err(contended(pk)),
        }
    }

    /// A candidate becomes something else: from now on the sweep of `revoke` looks at it, at once.
    async fn end_candidate(
        &self,
        change: &RotationChange<'_>,
        event: &'static str,
        by: &str,
        ambient: &Ambient,
    ) -> Result<bool, RecordError> {
        let now = ambient.now();
        let RotationChange { provider, rotation, .. } = change;
        let writes = vec![
            self.update_in_transaction(change.update(now)?)?,
            self.rotation_audit(&provider.provider_id, rotation, event, by, ambient)?,
            self.look_at_rotation_at(&provider.provider_id, &rotation.rotation_id, now)?,
        ];
        let pk = Provider::pk(&provider.provider_id);
        match self.transact(&pk, writes).await? {
            Transaction::Committed => Ok(true),
            Transaction::ConditionFailed(_) => Ok(false),
            Transaction::Contended => Err(contended(pk)),
        }
    }

    /// Notes that a new key is refused, if nobody has since it was read. Returns whether this call did it.
    ///
    /// # Errors
    /// DynamoDB did not answer: it may or may not have been written.
    pub async fn note_failing(&self, provider: &Provider, failing: &Failing) -> Result<bool, RecordError> {
        let Some(rotation) = provider.running_rotation() else { return Ok(false) };
        let after = Rotation { failing: Some(failing.clone()), ..rotation.clone() };
        self.update_failing(provider, rotation, &after).await
    }

    /// Notes that a new key that was refused is accepted again.
    ///
    /// # Errors
    /// DynamoDB did not answer: it may or may not have been written.
    pub async fn clear_failing(&self, provider: &Provider) -> Result<(), RecordError> {
        let Some(rotation) = provider.running_rotation() else { return Ok(()) };
        let after = Rotation { failing: None, ..rotation.clone() };
        self.update_failing(provider, rotation, &after).await.map(drop)
    }

    /// Writes the whole rotation, whose other attributes change with its phase only.
    async fn update_failing(
        &self,
        provider: &Provider,
        before: &Rotation,
        after: &Rotation,
    ) -> Result<bool, RecordError> {
        let pk = Provider::pk(&provider.provider_id);
        let unchanged = match &before.failing {
            None => "attribute_not_exists(rotation.failing)",
            Some(_) => "rotation.failing.retry_at = :retry_at",
        };
        let condition = format!("{IF_SAME_PHASE} AND {unchanged}");
        let value = stored(after, &pk)?;
        let update = ItemUpdate::new(pk, Provider::SK, "SET rotation = :rotation", condition);
        let update = with_phase(update, before).value(":rotation", value);
        self.update(match &before.failing {
            None => update,
            Some(failing) => update.value(":retry_at", timestamp(failing.retry_at)),
        })
        .await
    }

    /// Notes that operators were told of a promotion, and when the rotation is looked at again, unless somebody has made it due
    /// meanwhile.
    ///
    /// # Errors
    /// DynamoDB did not answer: it may or may not have been written.
    pub async fn note_promotion_told(&self, due: &Due, next: Timestamp) -> Result<(), RecordError> {
        let DueSubject::Rotation(provider_id, rotation_id) = &due.subject else { return Ok(()) };
        let expression = "SET promotion_told = :told, next_attempt_at = :next";
        let (pk, sk) = (Provider::pk(provider_id), RotationItem::sk(rotation_id));
        let update = ItemUpdate::new(pk, sk, expression, "next_attempt_at = :read")
            .value(":read", string(&due.next_attempt_at))
            .value(":told", AttributeValue::Bool(true))
            .value(":next", timestamp(next));
        self.update(update).await.map(drop)
    }

    /// Closes a rotation that has ended: its own item keeps it, and another one may begin. It can be repeated.
    ///
    /// # Errors
    /// DynamoDB did not answer: it may or may not have been written.
    pub async fn close_rotation(
        &self,
        provider_id: &ProviderId,
        closed: &Rotation,
        ambient: &Ambient,
    ) -> Result<bool, RecordError> {
        let pk = Provider::pk(provider_id);
        let rotation = stored(closed, &pk)?;
        let condition = format!("{IF_SAME_PHASE} AND attribute_not_exists(rotation.closed_at)");
        let of_provider =
            ItemUpdate::new(pk.clone(), Provider::SK, "SET rotation = :rotation REMOVE rotation_reports", condition);
        let of_provider = with_phase(of_provider, closed).value(":rotation", rotation.clone());
        let sk = RotationItem::sk(&closed.rotation_id);
        let expression = "SET rotation = :rotation REMOVE sweep, next_attempt_at";
        let own = ItemUpdate::new(pk.clone(), sk, expression, "attribute_exists(pk)").value(":rotation", rotation);
        let event = match closed.phase {
            RotationPhase::Completed => "rotation_completed",
            _ => "rotation_failed",
        };
        let writes = vec![
            self.update_in_transaction(of_provider)?,
            self.update_in_transaction(own)?,
            self.rotation_audit(provider_id, closed, event, "revoke", ambient)?,
        ];
        match self.transact(&pk, writes).await? {
            Transaction::Committed => Ok(true),
            Transaction::ConditionFailed(_) => Ok(false),
            Transaction::Contended => Err(contended(pk)),
        }
    }

    /// What a stop does to the rotation of a provider that goes on: the provider's item, and when the rotation is looked at.
    pub(super) fn rotation_writes_of_stop(
        &self,
        provider: &Provider,
        serve: Option<RotationRole>,
        rotation: &Rotation,
        at: Timestamp,
    ) -> Result<Vec<TransactWriteItem>, RecordError> {
        let change = RotationChange { provider, rotation, serve };
        Ok(vec![
            self.update_in_transaction(change.update(at)?)?,
            self.look_at_rotation_at(&provider.provider_id, &rotation.rotation_id, at)?,
        ])
    }

    /// The same for a provider that is stopped with its key. Without a rotation it is stopped only if none has begun since it
    /// was read.
    pub(super) fn provider_writes_of_stop(
        &self,
        provider: &Provider,
        failed: Option<&Rotation>,
        at: Timestamp,
    ) -> Result<Vec<TransactWriteItem>, RecordError> {
        let pk = Provider::pk(&provider.provider_id);
        let mut expression = "SET #status = :to, updated_at = :now".to_owned();
        if failed.is_some() {
            expression.push_str(", rotation = :rotation");
        }
        expression.push_str(" REMOVE reason");
        let update = ItemUpdate::new(pk.clone(), Provider::SK, expression, condition_as_read(provider));
        let mut update =
            as_read(update, provider).value(":to", string(StatusName::Revoking.as_str())).value(":now", timestamp(at));
        if let Some(failed) = failed {
            update = update.value(":rotation", stored(failed, &pk)?);
        }
        let mut writes = vec![self.update_in_transaction(update)?];
        if let Some(failed) = failed {
            writes.push(self.look_at_rotation_at(&provider.provider_id, &failed.rotation_id, at)?);
        }
        Ok(writes)
    }

    /// Makes a rotation due for the sweep of `revoke`.
    fn look_at_rotation_at(
        &self,
        provider_id: &ProviderId,
        rotation_id: &RotationId,
        at: Timestamp,
    ) -> Result<TransactWriteItem, RecordError> {
        let expression = "SET sweep = :sweep, next_attempt_at = :next";
        let sk = RotationItem::sk(rotation_id);
        let update = ItemUpdate::new(Provider::pk(provider_id), sk, expression, "attribute_exists(pk)")
            .value(":sweep", string(sweep_index::PARTITION))
            .value(":next", timestamp(at));
        self.update_in_transaction(update)
    }

    fn rotation_audit(
        &self,
        provider_id: &ProviderId,
        rotation: &Rotation,
        event: &'static str,
        by: &str,
        ambient: &Ambient,
    ) -> Result<TransactWriteItem, RecordError> {
        let reason = match &rotation.reason {
            Some(reason) => format!("{}: {reason}", rotation.rotation_id),
            None => rotation.rotation_id.to_string(),
        };
        let audit = AuditEvent { event, at: ambient.now(), by: by.to_owned(), reason: Some(reason) };
        self.put(audit.to_item(provider_id, ambient)?)
    }

    /// The condition that no order has reached a key since it was read.
    fn key_as_read(&self, key: &KeyItem) -> Result<TransactWriteItem, RecordError> {
        let pk = KeyItem::pk(&key.access_key_id);
        let item = Item::from([("pk".to_owned(), string(&pk)), ("sk".to_owned(), string(KeyItem::SK))]);
        let check = ConditionCheck::builder()
            .table_name(&self.table)
            .set_key(Some(item))
            .condition_expression("#status = :status AND order_count = :order_count")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":status", string(key.state.name().as_str()))
            .expression_attribute_values(":order_count", AttributeValue::N(key.order_count.to_string()))
            .build()
            .map_err(RecordError::dynamodb("build ConditionCheck", &pk))?;
        Ok(TransactWriteItem::builder().condition_check(check).build())
    }
}

/// The rotation of a provider whose new key is a candidate.
fn candidate(provider: &Provider) -> Option<&Rotation> {
    provider.rotation.as_ref().filter(|rotation| rotation.phase == RotationPhase::Candidate)
}

/// The rotation is the one that was read, and in the phase that was read.
const IF_SAME_PHASE: &str = "rotation.rotation_id = :read_rotation AND rotation.phase = :read_phase";

/// The report of the new key, from where the beginning of the rotation put it.
const REPORT_OF_NEW_KEY: &str = "report = if_not_exists(rotation_reports.new_key, report)";
const REPORT_OF_OLD_KEY: &str = "report = if_not_exists(rotation_reports.old_key, report)";

fn with_phase(update: ItemUpdate, rotation: &Rotation) -> ItemUpdate {
    update
        .value(":read_rotation", string(rotation.rotation_id.as_str()))
        .value(":read_phase", string(rotation.phase.as_str()))
}

/// The condition that a provider is as it was read: its key, its status and its rotation.
fn condition_as_read(provider: &Provider) -> String {
    let mut condition = "access_key_id = :read_key AND #status = :read_status".to_owned();
    if provider.status.reason.is_some() {
        condition.push_str(" AND reason = :read_reason");
    }
    condition.push_str(" AND ");
    condition.push_str(match &provider.rotation {
        Some(_) => IF_SAME_PHASE,
        None => "attribute_not_exists(rotation)",
    });
    condition
}

/// The values of [`condition_as_read`].
fn as_read(update: ItemUpdate, provider: &Provider) -> ItemUpdate {
    let mut update = update
        .name("#status", "status")
        .value(":read_key", string(provider.access_key_id.as_str()))
        .value(":read_status", string(provider.status.status.as_str()));
    if let Some(reason) = &provider.status.reason {
        update = update.value(":read_reason", string(reason));
    }
    match &provider.rotation {
        Some(rotation) => with_phase(update, rotation),
        None => update,
    }
}

fn stored(rotation: &Rotation, pk: &str) -> Result<AttributeValue, RecordError> {
    serde_dynamo::to_attribute_value(rotation).map_err(|_| RecordError::Shape { pk: pk.to_owned() })
}

impl RotationChange<'_> {
    /// The update of the provider's item. Whichever key it sends with, the item says whose it is and has its report, and a
    /// suspension because of the other key ends. A provider whose key is dead comes back to life with another.
    fn update(&self, at: Timestamp) -> Result<ItemUpdate, RecordError> {
        let Self { provider, rotation, serve } = self;
        let pk = Provider::pk(&provider.provider_id);
        let mut set = vec!["rotation = :rotation"];
        let mut remove = "";
        let mut to = provider.status.clone();
        if let Some(role) = serve {
            set.extend(["access_key_id = :serving", "user_name = :user_name", "user_arn = :user_arn"]);
            set.push(match role {
                RotationRole::Old => REPORT_OF_OLD_KEY,
                RotationRole::New => REPORT_OF_NEW_KEY,
            });
            to = match provider.status.status {
                StatusName::Revoked => Status::plain(StatusName::Active),
                _ => provider.status_with_another_key(),
            };
            if to != provider.status {
                set.extend(["#status = :to", "updated_at = :now"]);
                remove = " REMOVE reason";
            }
        }
        let expression = format!("SET {}{remove}", set.join(", "));
        let update = ItemUpdate::new(pk.clone(), Provider::SK, expression, condition_as_read(provider));
        let mut update = as_read(update, provider).value(":rotation", stored(rotation, &pk)?);
        if let Some(role) = serve {
            let key = rotation.key(*role);
            update = update
                .value(":serving", string(key.access_key_id.as_str()))
                .value(":user_name", string(&key.user_name))
                .value(":user_arn", string(&key.user_arn));
        }
        if to != provider.status {
            update = update.value(":to", string(to.status.as_str())).value(":now", timestamp(at));
        }
        Ok(update)
    }
}
