//! Changes of a provider's status.

use aws_sdk_dynamodb::types::TransactWriteItem;
use jiff::Timestamp;

use super::item::{string, timestamp, to_attribute};
use super::item_update::ItemUpdate;
use super::transaction::{Transaction, contended};
use super::{AuditEvent, Provider, Providers, RecordError, Status, StatusName, Suspension, SuspensionReason};
use crate::id::{AccessKeyId, ProviderId};
use crate::runtime::Ambient;

/// The provider may send with another key by now, and then the change is not about it.
const IF_WITH_KEY: &str = "access_key_id = :access_key_id";

impl Providers {
    /// Suspends a provider if it is active with the key that it was read with. Returns whether this call did it.
    ///
    /// # Errors
    /// DynamoDB did not answer.
    pub async fn suspend(
        &self,
        provider: &Provider,
        reason: SuspensionReason,
        ambient: &Ambient,
    ) -> Result<bool, RecordError> {
        let (provider_id, access_key_id) = (&provider.provider_id, &provider.access_key_id);
        let now = ambient.now();
        let to = Status::because(StatusName::Suspended, reason.as_str());
        let audit = AuditEvent { event: "suspended", at: now, by: "send".to_owned(), reason: to.reason.clone() };
        let writes = vec![
            // Only an active provider is suspended, so a stop that came first stays.
            self.provider_status((provider_id, access_key_id), &[StatusName::Active], &to, now)?,
            self.put(audit.to_item(provider_id, ambient)?)?,
        ];
        let pk = Provider::pk(provider_id);
        match self.transact(&pk, writes).await? {
            Transaction::Committed => Ok(true),
            Transaction::ConditionFailed(_) => Ok(false),
            Transaction::Contended => Err(contended(pk)),
        }
    }

    /// Ends a suspension, if the provider is still suspended for this reason with the key that it was read with: an order, or somebody
    /// else's suspension, stays. Returns whether this call did it.
    ///
    /// # Errors
    /// DynamoDB did not answer.
    pub async fn resume(
        &self,
        provider: &Provider,
        reason: SuspensionReason,
        ambient: &Ambient,
    ) -> Result<bool, RecordError> {
        let (provider_id, access_key_id) = (&provider.provider_id, &provider.access_key_id);
        let now = ambient.now();
        let pk = Provider::pk(provider_id);
        let audit =
            AuditEvent { event: "resumed", at: now, by: "send".to_owned(), reason: Some(reason.as_str().to_owned()) };
        let condition = format!("{IF_WITH_KEY} AND #status = :suspended AND reason = :reason");
        let expression = "SET #status = :active, updated_at = :now, suspension = :suspension REMOVE reason";
        let update = ItemUpdate::new(pk.clone(), Provider::SK, expression, condition)
            .name("#status", "status")
            .value(":suspended", string(StatusName::Suspended.as_str()))
            .value(":active", string(StatusName::Active.as_str()))
            .value(":reason", string(reason.as_str()))
            .value(":now", timestamp(now))
            .value(":suspension", to_attribute(&provider.ended_suspension(now), &pk)?)
            .value(":access_key_id", string(access_key_id.as_str()));
        let writes = vec![self.update_in_transaction(update)?, self.put(audit.to_item(provider_id, ambient)?)?];
        match self.transact(&pk, writes).await? {
            Transaction::Committed => Ok(true),
            Transaction::ConditionFailed(_) => Ok(false),
            Transaction::Contended => Err(contended(pk)),
        }
    }

    /// A change of a provider's status as a part of a transaction. It is made if the provider sends with this key and,
    /// unless `from` is empty, has one of these statuses.
    pub(super) fn provider_status(
        &self,
        (provider_id, access_key_id): (&ProviderId, &AccessKeyId),
        from: &[StatusName],
        to: &Status,
        at: Timestamp,
    ) -> Result<TransactWriteItem, RecordError> {
        let is_suspension = to.status == StatusName::Suspended;
        let expression = match &to.reason {
            Some(_) if is_suspension => {
                "SET #status = :status, updated_at = :now, suspension = :suspension, reason = :reason"
            }
            Some(_) => "SET #status = :status, updated_at = :now, reason = :reason",
            None => "SET #status = :status, updated_at = :now REMOVE reason",
        };
        let placeholders: Vec<String> = from.iter().map(|status| format!(":{}", status.as_str())).collect();
        let mut condition = IF_WITH_KEY.to_owned();
        if !placeholders.is_empty() {
            condition.push_str(&format!(" AND #status IN ({})", placeholders.join(", ")));
        }
        let mut update = ItemUpdate::new(Provider::pk(provider_id), Provider::SK, expression, condition)
            .name("#status", "status")
            .value(":status", string(to.status.as_str()))
            .value(":now", timestamp(at))
            .value(":access_key_id", string(access_key_id.as_str()));
        if let Some(reason) = &to.reason {
            update = update.value(":reason", string(reason));
        }
        if is_suspension {
            update = update.value(":suspension", to_attribute(&Suspension::begins(at), &Provider::pk(provider_id))?);
        }
        for (placeholder, status) in placeholders.into_iter().zip(from) {
            update = update.value(placeholder, string(status.as_str()));
        }
        self.update_in_transaction(update)
    }
}
