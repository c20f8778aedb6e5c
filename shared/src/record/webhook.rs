//! Senders of webhooks: who may report a breach by a signature of Standard Webhooks, and with which secrets.
//!
//! The item lies in the Providers table, `webhook#<name>` / `webhook`, and beside it the audit events of its changes.

use std::collections::BTreeSet;
use std::fmt;

use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

use super::item::{string, to_item};
use super::transaction::{IF_ABSENT, Transaction, contended};
use super::{AuditEvent, Item, Providers, RecordError};
use crate::custody::Sealed;
use crate::runtime::Ambient;

/// How many secrets of a sender are valid at once: the newest, and the one before it until its sender has the new one.
pub const MAX_LIVE_SECRETS: usize = 2;

/// The text is no name of a sender. It is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be 1 to 64 lower-case letters, digits, `-` and `_`, and begin with a letter or digit")]
pub struct InvalidSenderName;

/// A sender's name, which its URL ends with: 1 to 64 lower-case letters, digits, `-` and `_`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SenderName(String);

/// A scope that a sender may be allowed to report. An AWS account and everything are not among them: whoever steals the
/// secret of a scanner must not be able to stop the whole service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookScope {
    /// One key.
    AccessKeyId,
    /// A provider.
    ProviderId,
    /// All providers of a tenant.
    TenantId,
}

/// A secret of a sender, sealed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveSecret {
    /// When it was made.
    pub created_at: Timestamp,
    /// KMS's ciphertext.
    #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
    pub sealed: Sealed,
}

/// A registered sender.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookSender {
    /// Its name.
    pub name: SenderName,
    /// What it may report.
    pub allowed_scopes: BTreeSet<WebhookScope>,
    /// Its valid secrets, the newest first; at most [`MAX_LIVE_SECRETS`].
    pub secrets: Vec<LiveSecret>,
    /// When it was registered.
    pub created_at: Timestamp,
    /// The ARN that registered it.
    pub created_by: String,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// The ARN that changed it.
    pub updated_by: String,
    /// Counts the changes, so that of two at once only one is made.
    pub revision: u32,
}

/// What is asked for by a registration.
pub struct WebhookChange {
    /// What the sender may report from now on.
    pub allowed_scopes: BTreeSet<WebhookScope>,
    /// A new secret, if there is to be one.
    pub new_secret: Option<Sealed>,
    /// The ARN that asks.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

impl SenderName {
    /// The sender of this name.
    ///
    /// # Errors
    /// [`InvalidSenderName`] says what a name looks like.
    pub fn parse(text: &str) -> Result<Self, InvalidSenderName> {
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let good = (1..=64).contains(&text.len())
            && text.bytes().all(|byte| is_plain(byte) || matches!(byte, b'-' | b'_'))
            && text.bytes().next().is_some_and(is_plain);
        good.then(|| Self(text.to_owned())).ok_or(InvalidSenderName)
    }

    /// The name's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SenderName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl TryFrom<String> for SenderName {
    type Error = InvalidSenderName;

    fn try_from(text: String) -> Result<Self, InvalidSenderName> {
        Self::parse(&text)
    }
}

impl From<SenderName> for String {
    fn from(name: SenderName) -> Self {
        name.0
    }
}

impl WebhookScope {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::AccessKeyId, Self::ProviderId, Self::TenantId];

    /// The word of the scope in a report.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AccessKeyId => "access_key_id",
            Self::ProviderId => "provider_id",
            Self::TenantId => "tenant_id",
        }
    }

    /// The scope of this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == word)
    }
}

impl WebhookSender {
    /// Partition key of a sender.
    pub fn pk(name: &SenderName) -> String {
        format!("webhook#{name}")
    }

    /// Sort key of a sender.
    pub const SK: &'static str = "webhook";

    /// A new sender. Without a secret nobody can sign for it.
    pub fn registered(name: SenderName, change: WebhookChange) -> Self {
        Self {
            name,
            allowed_scopes: change.allowed_scopes,
            secrets: change.new_secret.into_iter().map(|sealed| LiveSecret { created_at: change.at, sealed }).collect(),
            created_at: change.at,
            created_by: change.by.clone(),
            updated_at: change.at,
            updated_by: change.by,
            revision: 1,
        }
    }

    /// The sender after a change. A new secret makes the newest one the other, and ends the other.
    #[must_use]
    pub fn changed(&self, change: WebhookChange) -> Self {
        let new = change.new_secret.map(|sealed| LiveSecret { created_at: change.at, sealed });
        Self {
            name: self.name.clone(),
            allowed_scopes: change.allowed_scopes,
            secrets: new.into_iter().chain(self.secrets.iter().cloned()).take(MAX_LIVE_SECRETS).collect(),
            created_at: self.created_at,
            created_by: self.created_by.clone(),
            updated_at: change.at,
            updated_by: change.by,
            revision: self.revision.saturating_add(1),
        }
    }
}

impl Providers {
    /// Reads a sender, consistently.
    ///
    /// # Errors
    /// DynamoDB did not answer, or the item cannot be read.
    pub async fn webhook_sender(&self, name: &SenderName) -> Result<Option<WebhookSender>, RecordError> {
        self.get(&WebhookSender::pk(name), WebhookSender::SK).await
    }

    /// Stores a sender with an audit event, if it is still as it was read: `None`, or its former state. Returns whether it
    /// was stored.
    ///
    /// # Errors
    /// DynamoDB did not answer: it may or may not have been stored.
    pub async fn put_webhook_sender(
        &self,
        former: Option<&WebhookSender>,
        sender: &WebhookSender,
        event: &'static str,
        ambient: &Ambient,
    ) -> Result<bool, RecordError> {
        let pk = WebhookSender::pk(&sender.name);
        let put = Put::builder().table_name(&self.table).set_item(Some(to_item(&pk, WebhookSender::SK, sender)?));
        let put = match former {
            None => put.condition_expression(IF_ABSENT),
            Some(former) => put
                .condition_expression("#revision = :revision")
                .expression_attribute_names("#revision", "revision")
                .expression_attribute_values(":revision", AttributeValue::N(former.revision.to_string())),
        };
        let put = put.build().map_err(RecordError::dynamodb("build Put", &pk))?;
        let audit = self.put(audit_item(&pk, event, &sender.updated_by, ambient)?)?;
        self.is_committed(&pk, vec![TransactWriteItem::builder().put(put).build(), audit]).await
    }

    /// Deletes a sender with its secrets. The audit events stay. Returns whether there was one.
    ///
    /// # Errors
    /// DynamoDB did not answer: it may or may not have been deleted.
    pub async fn delete_webhook_sender(
        &self,
        name: &SenderName,
        by: &str,
        ambient: &Ambient,
    ) -> Result<bool, RecordError> {
        let pk = WebhookSender::pk(name);
        let delete = Delete::builder()
            .table_name(&self.table)
            .key("pk", string(&pk))
            .key("sk", string(WebhookSender::SK))
            .condition_expression("attribute_exists(pk)")
            .build()
            .map_err(RecordError::dynamodb("build Delete", &pk))?;
        let audit = self.put(audit_item(&pk, "webhook_deleted", by, ambient)?)?;
        self.is_committed(&pk, vec![TransactWriteItem::builder().delete(delete).build(), audit]).await
    }

    /// Makes the writes if their conditions hold. A person asks for them and can ask again, so they are not repeated here.
    pub(super) async fn is_committed(&self, pk: &str, writes: Vec<TransactWriteItem>) -> Result<bool, RecordError> {
        match self.transact(pk, writes).await? {
            Transaction::Committed => Ok(true),
            Transaction::ConditionFailed(_) => Ok(false),
            Transaction::Contended => Err(contended(pk)),
        }
    }
}

fn audit_item(pk: &str, event: &'static str, by: &str, ambient: &Ambient) -> Result<Item, RecordError> {
    let event = AuditEvent { event, at: ambient.now(), by: by.to_owned(), reason: None };
    to_item(pk, &format!("audit#{}", ambient.ulid()), &event)
}

fn to_base64<S: Serializer>(sealed: &Sealed, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(sealed.bytes()))
}

fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Sealed, D::Error> {
    let text = String::deserialize(deserializer)?;
    STANDARD.decode(text).map(Sealed::new).map_err(|_| de::Error::custom("no base64"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::item::from_item;

    fn change(scopes: &[WebhookScope], secret: Option<&[u8]>, second: i64) -> WebhookChange {
        WebhookChange {
            allowed_scopes: scopes.iter().copied().collect(),
            new_secret: secret.map(|bytes| Sealed::new(bytes.to_vec())),
            by: format!("arn-{second}"),
            at: Timestamp::from_second(second).unwrap(),
        }
    }

    #[test]
    fn a_name_is_safe_in_a_url_a_key_and_a_log() {
        for good in ["a", "0", "git-guardian_2", &"x".repeat(64)] {
            assert!(SenderName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "_a", "A", "a.b", "a#b", "a/b", "a b", "é", "a\n", &"x".repeat(65)] {
            assert!(SenderName::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_rotation_leaves_the_secret_before_it_valid_and_ends_the_older_one() {
        let name = SenderName::parse("scanner").unwrap();
        let first = WebhookSender::registered(name, change(&[WebhookScope::AccessKeyId], Some(b"one"), 1));
        let widened = first.changed(change(&[WebhookScope::AccessKeyId, WebhookScope::TenantId], None, 2));
        let rotated = widened.changed(change(&[WebhookScope::TenantId], Some(b"two"), 3));
        let again = rotated.changed(change(&[WebhookScope::TenantId], Some(b"three"), 4));
        let secrets =
            |sender: &WebhookSender| sender.secrets.iter().map(|live| live.sealed.bytes().to_vec()).collect::<Vec<_>>();
        assert_eq!(secrets(&widened), [b"one".to_vec()]);
        assert_eq!(secrets(&rotated), [b"two".to_vec(), b"one".to_vec()]);
        assert_eq!(secrets(&again), [b"three".to_vec(), b"two".to_vec()]);
        assert_eq!((again.created_by.as_str(), again.updated_by.as_str(), again.revision), ("arn-1", "arn-4", 4));
        assert_eq!(again.created_at, first.created_at);
    }

    #[test]
    fn an_item_is_read_as_it_was_written() {
        let name = SenderName::parse("scanner").unwrap();
        let sender = WebhookSender::registered(name.clone(), change(&WebhookScope::ALL, Some(&[0, 255]), 1));
        let item = to_item(&WebhookSender::pk(&name), WebhookSender::SK, &sender).unwrap();
        assert_eq!(item["pk"], string("webhook#scanner"));
        let read: WebhookSender = from_item("webhook#scanner", item).unwrap();
        assert!(read == sender);
    }

    #[test]
    fn a_scope_has_one_word() {
        for scope in WebhookScope::ALL {
            assert_eq!(WebhookScope::parse(scope.as_str()), Some(scope));
            assert_eq!(serde_json::to_value(scope).unwrap(), scope.as_str());
        }
        for word in ["all", "account_id", "", "AccessKeyId"] {
            assert_eq!(WebhookScope::parse(word), None);
        }
    }
}
