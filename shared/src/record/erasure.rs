//! The erasure of what is kept about a tenant: its mails' rows, its parked mail, and what says who its people are.
//!
//! An index on the tenant would cost a write for each mail, for what is asked once in a tenant's life. So the rows are found by reading the
//! whole table, in pages, and how far it got stands in an item of its own (`erasure#<tenant>` / `erasure`): any number of calls go on.
//! Only rows of providers that are revoked are deleted: the row of a mail that may still be sent is what keeps it from being sent twice.

use std::collections::HashSet;

use aws_sdk_dynamodb::types::Select;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::item::{string, to_attribute, to_item};
use super::item_update::{ItemUpdate, is_made};
use super::rotation_change::RotationItem;
use super::transaction::contended;
use super::{
    AskedVerification, AuditEvent, Configuration, Item, KeyItem, Mails, Provider, Providers, RecordError, Rotation,
    StatusName, VerificationReport, VerifiedProvider,
};
use crate::id::{AccessKeyId, ProviderId, TenantId};
use crate::runtime::Ambient;

/// What stands in the place of a name that was erased.
pub const ERASED: &str = "erased";

/// How many rows are deleted at the same time.
const DELETIONS: usize = 16;

/// The most parked mails of a page. A mail in parts has three of them at most.
const PARKED_PAGE: i32 = 25;

/// How far the erasure of a tenant's data is, and afterwards what was erased. It stays, as what proves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erasure {
    /// The tenant.
    pub tenant_id: TenantId,
    /// The ARN that asked for it first.
    pub asked_by: String,
    /// When.
    pub asked_at: Timestamp,
    /// When all of it was done; absent while something is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// Mails that were set aside and are deleted.
    pub dead_letters: u64,
    /// Parked mails that are deleted.
    pub parked_mails: u64,
    /// Files in the bucket that are deleted.
    #[serde(default)]
    pub files: u64,
    /// Rows of the ledger that are deleted.
    pub rows: u64,
    /// Providers whose names and reports are erased.
    pub providers: u64,
    /// Up to where the ledger is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_up_to: Option<RowKey>,
    /// Whether all of it is read.
    #[serde(default)]
    pub all_rows_read: bool,
}

/// The key of an item of Mails.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowKey {
    pk: String,
    sk: String,
}

impl Erasure {
    /// One that begins.
    pub fn begins(tenant_id: TenantId, asked_by: String, now: Timestamp) -> Self {
        Self {
            tenant_id,
            asked_by,
            asked_at: now,
            finished_at: None,
            dead_letters: 0,
            parked_mails: 0,
            files: 0,
            rows: 0,
            providers: 0,
            read_up_to: None,
            all_rows_read: false,
        }
    }

    const SK: &'static str = "erasure";

    fn pk(tenant_id: &TenantId) -> String {
        format!("erasure#{tenant_id}")
    }
}

impl RowKey {
    fn from_item(item: &Item) -> Option<Self> {
        let text = |name: &str| item.get(name)?.as_s().ok().cloned();
        Some(Self { pk: text("pk")?, sk: text("sk")? })
    }

    fn to_item(&self) -> Item {
        Item::from([("pk".to_owned(), string(&self.pk)), ("sk".to_owned(), string(&self.sk))])
    }
}

impl Mails {
    /// Reads a page of the whole table after `start`, and deletes the rows of this tenant's mails that these providers were to send. How many
    /// were deleted, and where the next page starts if there is more. It can be repeated.
    ///
    /// # Errors
    /// DynamoDB did not answer.
    pub async fn erase_rows(
        &self,
        tenant_id: &TenantId,
        provider_ids: &HashSet<ProviderId>,
        start: Option<&RowKey>,
    ) -> Result<(u64, Option<RowKey>), RecordError> {
        let answer = self
            .client
            .scan()
            .table_name(&self.table)
            .consistent_read(true)
            .select(Select::SpecificAttributes)
            .projection_expression("pk, sk, provider_id, tenant_id")
            .filter_expression("tenant_id = :tenant_id")
            .expression_attribute_values(":tenant_id", string(tenant_id.as_str()))
            .set_exclusive_start_key(start.map(RowKey::to_item))
            .send()
            .await
            .map_err(RecordError::dynamodb("Scan", Erasure::pk(tenant_id)))?;
        let next = answer.last_evaluated_key.as_ref().and_then(RowKey::from_item);
        let rows = answer.items.unwrap_or_default().into_iter().filter_map(|item| {
            let key = RowKey::from_item(&item).filter(|key| key.pk.starts_with("mail#"))?;
            let provider_id = ProviderId::parse(item.get("provider_id")?.as_s().ok()?).ok()?;
            provider_ids.contains(&provider_id).then_some((key, provider_id))
        });
        let (mut deleted, mut deletions) = (0, JoinSet::new());
        for (key, provider_id) in rows {
            if deletions.len() >= DELETIONS {
                deleted += joined(deletions.join_next().await)?;
            }
            let mails = self.clone();
            deletions.spawn(async move { mails.delete_row(key, &provider_id).await });
        }
        while !deletions.is_empty() {
            deleted += joined(deletions.join_next().await)?;
        }
        Ok((deleted, next))
    }

    /// Deletes a row that is still this provider's.
    async fn delete_row(&self, key: RowKey, provider_id: &ProviderId) -> Result<bool, RecordError> {
        let request = self
            .client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(key.to_item()))
            .condition_expression("provider_id = :provider_id")
            .expression_attribute_values(":provider_id", string(provider_id.as_str()));
        is_made(request.send().await, "DeleteItem", key.pk)
    }

    /// Deletes some of a provider's parked mail. How many, and whether there may be more. It can be repeated.
    ///
    /// # Errors
    /// DynamoDB did not answer.
    pub async fn erase_parked(&self, provider_id: &ProviderId) -> Result<(u64, bool), RecordError> {
        let pk = format!("parked#{provider_id}");
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk")
            .select(Select::SpecificAttributes)
            .projection_expression("pk, sk, parts")
            .expression_attribute_values(":pk", string(&pk))
            .limit(PARKED_PAGE)
            .send()
            .await
            .map_err(RecordError::dynamodb("Query", &pk))?;
        let mut deleted = 0;
        for item in answer.items.unwrap_or_default() {
            let Some(key) = RowKey::from_item(&item) else { continue };
            let parts = item.get("parts").and_then(|parts| parts.as_n().ok()?.parse::<u32>().ok()).unwrap_or(0);
            let hash = key.sk.rsplit('#').next().unwrap_or_default();
            // The mail itself last: what leads to its parts.
            for part in 0..parts {
                let part = RowKey { pk: format!("parked-part#{hash}"), sk: format!("{part:03}") };
                self.delete(&part).await?;
            }
            self.delete(&key).await?;
            deleted += 1;
        }
        if answer.last_evaluated_key.is_none() {
            self.delete(&RowKey { pk: "parking".to_owned(), sk: provider_id.to_string() }).await?;
        }
        Ok((deleted, answer.last_evaluated_key.is_some()))
    }

    async fn delete(&self, key: &RowKey) -> Result<(), RecordError> {
        let request = self.client.delete_item().table_name(&self.table).set_key(Some(key.to_item()));
        request.send().await.map_err(RecordError::dynamodb("DeleteItem", &key.pk))?;
        Ok(())
    }
}

/// One deletion that has ended, as a count.
fn joined(ended: Option<Result<Result<bool, RecordError>, tokio::task::JoinError>>) -> Result<u64, RecordError> {
    match ended {
        None => Ok(0),
        Some(Ok(deleted)) => deleted.map(u64::from),
        Some(Err(error)) => Err(RecordError::dynamodb("DeleteItem", "mail")(error)),
    }
}

impl Providers {
    /// How far the erasure of a tenant's data is.
    ///
    /// # Errors
    /// DynamoDB did not answer, or the item cannot be read.
    pub async fn erasure(&self, tenant_id: &TenantId) -> Result<Option<Erasure>, RecordError> {
        self.get(&Erasure::pk(tenant_id), Erasure::SK).await
    }

    /// Keeps how far it is.
    ///
    /// # Errors
    /// DynamoDB did not answer.
    pub async fn keep_erasure(&self, erasure: &Erasure) -> Result<(), RecordError> {
        let pk = Erasure::pk(&erasure.tenant_id);
        let item = to_item(&pk, Erasure::SK, erasure)?;
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item));
        put.send().await.map_err(RecordError::dynamodb("PutItem", pk))?;
        Ok(())
    }

    /// Erases the names of a revoked provider, of its key and its user, and its reports. Whether this call did it, rather than one before.
    /// The provider's own item comes last, so whoever is killed begins again.
    ///
    /// # Errors
    /// DynamoDB did not answer: some of it may be erased.
    pub async fn erase_provider(
        &self,
        record: &VerifiedProvider,
        by: &str,
        ambient: &Ambient,
    ) -> Result<bool, RecordError> {
        let provider = &record.provider;
        let (provider_id, now) = (&provider.provider_id, ambient.now());
        let pk = Provider::pk(provider_id);
        let mut access_key_ids = self.erase_beside(&pk).await?;
        access_key_ids.insert(provider.access_key_id.clone());
        for access_key_id in &access_key_ids {
            self.erase_key(access_key_id).await?;
        }
        let has_names = provider.name != ERASED || provider.user_name != ERASED || provider.user_arn != ERASED;
        if !has_names && record.report == without_details(&record.report) {
            return Ok(false);
        }
        let set = "SET #name = :erased, user_name = :erased, user_arn = :erased, report = :report";
        let expression = match &provider.rotation {
            Some(_) => format!("{set}, rotation = :rotation REMOVE rotation_reports"),
            None => format!("{set} REMOVE rotation_reports"),
        };
        let condition = "#status = :revoked AND access_key_id = :access_key_id";
        let mut update = ItemUpdate::new(pk.clone(), Provider::SK, expression, condition)
            .name("#name", "name")
            .name("#status", "status")
            .value(":erased", string(ERASED))
            .value(":revoked", string(StatusName::Revoked.as_str()))
            .value(":access_key_id", string(provider.access_key_id.as_str()))
            .value(":report", to_attribute(&without_details(&record.report), &pk)?);
        if let Some(rotation) = &provider.rotation {
            update = update.value(":rotation", to_attribute(&without_users(rotation), &pk)?);
        }
        let audit = AuditEvent { event: "data_erased", at: now, by: by.to_owned(), reason: None };
        self.note(provider_id, &audit, ambient).await?;
        if self.update(update).await? { Ok(true) } else { Err(contended(pk)) }
    }

    /// Erases what the other items of a provider say. The keys that rotations name.
    async fn erase_beside(&self, pk: &str) -> Result<HashSet<AccessKeyId>, RecordError> {
        let mut access_key_ids = HashSet::new();
        let rotations = Item::from([(":begins".to_owned(), string("rotation#"))]);
        for item in self.read_all::<RotationItem>(pk, "begins_with(sk, :begins)", rotations).await? {
            let rotation = without_users(&item.rotation);
            access_key_ids.extend([&rotation.old_key, &rotation.new_key].map(|key| key.access_key_id.clone()));
            let sk = RotationItem::sk(&rotation.rotation_id);
            self.replace(pk, &sk, ("rotation", &item.rotation), &rotation).await?;
        }
        let verifications = Item::from([(":begins".to_owned(), string("verification#"))]);
        for item in self.read_all::<AskedVerification>(pk, "begins_with(sk, :begins)", verifications).await? {
            let Some(report) = item.report.filter(|report| !report.checks.is_empty()) else { continue };
            let sk = format!("verification#{}", item.verification_id);
            self.replace(pk, &sk, ("report", &report), &without_details(&report)).await?;
        }
        if let Some(item) = self.get::<ConfigurationOnly>(pk, "configuration").await? {
            let configuration = without_identities(&item.configuration);
            self.replace(pk, "configuration", ("configuration", &item.configuration), &configuration).await?;
        }
        Ok(access_key_ids)
    }

    /// Erases the name of a key's user.
    async fn erase_key(&self, access_key_id: &AccessKeyId) -> Result<(), RecordError> {
        let Some(owner) = self.key(access_key_id).await?.and_then(|key| key.owner) else { return Ok(()) };
        let erased = super::Owner { user_name: None, ..owner.clone() };
        self.replace(&KeyItem::pk(access_key_id), KeyItem::SK, ("owner", &owner), &erased).await
    }

    /// Replaces an attribute of an item, if it is as it was read.
    async fn replace<T: Serialize + PartialEq>(
        &self,
        pk: &str,
        sk: &str,
        (attribute, read): (&str, &T),
        erased: &T,
    ) -> Result<(), RecordError> {
        if read == erased {
            return Ok(());
        }
        let update = ItemUpdate::new(pk, sk, "SET #attribute = :erased", "#attribute = :read")
            .name("#attribute", attribute)
            .value(":erased", to_attribute(erased, pk)?)
            .value(":read", to_attribute(read, pk)?);
        // Not without a word: what was not erased must not be called so.
        if self.update(update).await? { Ok(()) } else { Err(contended(pk)) }
    }
}

/// The item of a provider's configuration.
#[derive(Deserialize)]
struct ConfigurationOnly {
    configuration: Configuration,
}

/// A report without what names users, policies and resources.
fn without_details(report: &VerificationReport) -> VerificationReport {
    VerificationReport { checks: Vec::new(), findings: Vec::new(), own_policies: None, ..report.clone() }
}

fn without_users(rotation: &Rotation) -> Rotation {
    let mut rotation = rotation.clone();
    for key in [&mut rotation.old_key, &mut rotation.new_key] {
        (key.user_name, key.user_arn) = (ERASED.to_owned(), ERASED.to_owned());
    }
    rotation
}

/// A configuration without the account's identities, which are addresses and domains, and what was done about them.
fn without_identities(configuration: &Configuration) -> Configuration {
    Configuration {
        identities: Vec::new(),
        missing_rights: Vec::new(),
        look: None,
        news: None,
        ..configuration.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_it_is_is_read_as_it_was_written() {
        let tenant_id = TenantId::parse("acme").unwrap();
        let mut erasure = Erasure::begins(tenant_id, "arn:aws:iam::1:user/ops".to_owned(), Timestamp::UNIX_EPOCH);
        let read = |erasure: &Erasure| {
            let item = to_item("erasure#acme", Erasure::SK, erasure).unwrap();
            super::super::item::from_item::<Erasure>("erasure#acme", item).unwrap()
        };
        assert_eq!(read(&erasure), erasure);
        erasure.read_up_to = Some(RowKey { pk: "mail#0a".to_owned(), sk: "mail".to_owned() });
        erasure.rows = 7;
        assert_eq!(read(&erasure), erasure);
        let mut key = erasure.read_up_to.as_ref().unwrap().to_item();
        assert_eq!(RowKey::from_item(&key), erasure.read_up_to);
        key.remove("sk");
        assert_eq!(RowKey::from_item(&key), None);
    }
}
