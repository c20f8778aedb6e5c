//! The ledger: one row for each mail, with its state.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::item::{from_item, string, to_item};
use super::transaction::IF_ABSENT;
use super::{Item, RecordError};
use crate::id::{MailId, ProviderId, TenantId};
use crate::mail::UNPARSED_DIGEST;
use crate::runtime::{Environment, MissingVariable};

/// The Mails table.
#[derive(Clone, Debug)]
pub struct Mails {
    pub(super) client: Client,
    pub(super) table: String,
    row_life: SignedDuration,
}

/// The row still has the epoch that was read. `state` is a reserved word.
const IF_AS_READ: &str = "#state = :state AND attempts = :attempts AND takeovers = :takeovers";

/// How long a row lives after its last write, in days, if `MAIL_RETENTION_DAYS` does not say it. More than a mail may wait.
const ROW_LIFE_DAYS: i64 = 90;

/// The state of a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailState {
    /// It has not been sent yet and waits; the reason says for what, `eta` for how long at least.
    Waiting,
    /// A worker is sending it until the lease ends; after that it is in doubt.
    Claimed,
    /// SES did not accept it; it will be tried again.
    NotAccepted,
    /// SES accepted it.
    Sent,
    /// It will never be sent; the reason says why.
    Rejected,
    /// SES may or may not have accepted it, and it will not be sent again.
    InDoubt,
    /// It was not sent in time.
    Expired,
    /// Its caller took it back before it was sent. Whatever is handed over under its id is not sent.
    Cancelled,
}

/// A row of the ledger. No address, subject or body: only a digest of the content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerRow {
    /// The tenant.
    pub tenant_id: TenantId,
    /// The caller's idempotency key, unique among the tenant's mails.
    pub mail_id: MailId,
    /// The provider that sends it, or was to.
    pub provider_id: ProviderId,
    /// The mail's state.
    pub state: MailState,
    /// Digest of the content, with the digest's version: other content under the same id is another mail.
    pub digest: String,
    /// When it was first handed over.
    pub first_seen: Timestamp,
    /// When the row last changed.
    pub updated_at: Timestamp,
    /// How often it was claimed.
    pub attempts: u32,
    /// How often a claim in doubt was taken over. Each of those claims may have sent a copy.
    #[serde(default)]
    pub takeovers: u32,
    /// The delivery that holds the claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// When the claim ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_until: Option<Timestamp>,
    /// SES's id of the mail, if SES accepted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ses_message_id: Option<String>,
    /// Why it was rejected, is in doubt, waits or was not accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The earliest time at which a mail that waits is tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta: Option<Timestamp>,
    /// Where the index lists it: `<provider id>#<state>`, if somebody may want to know who missed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listing: Option<String>,
    /// DynamoDB's TTL, in epoch seconds. A row past its TTL counts as long as it exists.
    pub expires_at: i64,
}

impl Mails {
    /// The table that `MAILS_TABLE` names.
    ///
    /// # Errors
    /// The variable is missing.
    pub fn new(client: Client, environment: &Environment) -> Result<Self, MissingVariable> {
        let days = environment.optional("MAIL_RETENTION_DAYS").and_then(|days| days.parse().ok());
        let row_life = SignedDuration::from_hours(24 * days.unwrap_or(ROW_LIFE_DAYS));
        Ok(Self { client, table: environment.required("MAILS_TABLE")?, row_life })
    }

    /// When a row that is written now ends, as DynamoDB's TTL takes it.
    pub fn expiry(&self, now: Timestamp) -> i64 {
        (now + self.row_life).as_second()
    }

    /// A mail's row, read consistently.
    ///
    /// # Errors
    /// DynamoDB did not answer, or the row cannot be read.
    pub async fn get(&self, tenant_id: &TenantId, mail_id: &MailId) -> Result<Option<LedgerRow>, RecordError> {
        let pk = mail_pk(tenant_id, mail_id);
        self.item(&pk).await?.map(|item| from_item(&pk, item)).transpose()
    }

    /// An item that is alone under its partition key, read consistently.
    ///
    /// # Errors
    /// DynamoDB did not answer.
    pub async fn item(&self, pk: &str) -> Result<Option<Item>, RecordError> {
        let request = self.client.get_item().table_name(&self.table).key("pk", string(pk)).key("sk", string(sk(pk)));
        Ok(Box::pin(request.consistent_read(true).send()).await.map_err(RecordError::dynamodb("GetItem", pk))?.item)
    }

    /// A PutItem of a row, on the condition that the row is still the one that was read, or that there still is none.
    ///
    /// # Errors
    /// [`RecordError::Shape`], if the row is no item.
    pub fn put_row(&self, row: &LedgerRow, read: Option<&LedgerRow>) -> Result<PutItemFluentBuilder, RecordError> {
        let pk = mail_pk(&row.tenant_id, &row.mail_id);
        let put = self.client.put_item().table_name(&self.table).set_item(Some(to_item(&pk, sk(&pk), row)?));
        Ok(match read {
            None => put.condition_expression(IF_ABSENT),
            Some(read) => {
                let (state, attempts, takeovers) = read.epoch();
                put.condition_expression(IF_AS_READ)
                    .expression_attribute_names("#state", "state")
                    .expression_attribute_values(":state", string(state.as_str()))
                    .expression_attribute_values(":attempts", AttributeValue::N(attempts.to_string()))
                    .expression_attribute_values(":takeovers", AttributeValue::N(takeovers.to_string()))
            }
        })
    }

    /// An UpdateItem of the item that is alone under `pk`, still without expressions.
    pub fn update(&self, pk: &str) -> UpdateItemFluentBuilder {
        self.client.update_item().table_name(&self.table).key("pk", string(pk)).key("sk", string(sk(pk)))
    }
}

impl MailState {
    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Claimed => "claimed",
            Self::NotAccepted => "not_accepted",
            Self::Sent => "sent",
            Self::Rejected => "rejected",
            Self::InDoubt => "in_doubt",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether mails in it are listed: those of which somebody may want to know who missed them. Not what is written for
    /// every mail, because an index that cannot keep up throttles its table.
    pub const fn is_listed(self) -> bool {
        matches!(self, Self::Rejected | Self::InDoubt | Self::Expired | Self::Cancelled)
    }
}

impl LedgerRow {
    /// Identifies a version of a row, for the condition of a write. Every claim increments `attempts`, and a claim never returns to an
    /// earlier state, so two rows with one epoch are the same step of the same claim.
    pub fn epoch(&self) -> (MailState, u32, u32) {
        (self.state, self.attempts, self.takeovers)
    }

    /// The partition of the index in which the mails of a provider in a state are listed.
    pub fn listing_of(provider_id: &ProviderId, state: MailState) -> Option<String> {
        state.is_listed().then(|| format!("{provider_id}#{}", state.as_str()))
    }

    /// The row of a mail whose content nobody has read, which is over. Mails take the time of its end when they write it.
    #[must_use]
    pub fn of_unread(
        (tenant_id, provider_id, mail_id): (TenantId, ProviderId, MailId),
        state: MailState,
        first_seen: Timestamp,
        now: Timestamp,
    ) -> Self {
        Self {
            listing: Self::listing_of(&provider_id, state),
            tenant_id,
            mail_id,
            provider_id,
            state,
            digest: UNPARSED_DIGEST.to_owned(),
            first_seen,
            updated_at: now,
            attempts: 0,
            takeovers: 0,
            owner: None,
            lease_until: None,
            ses_message_id: None,
            reason: None,
            eta: None,
            expires_at: 0,
        }
    }
}

/// Sort key of an item that is alone under its partition key: the word that the partition key begins with.
fn sk(pk: &str) -> &str {
    pk.split('#').next().unwrap_or(pk)
}

/// Partition key of a mail's row. A hash, because callers choose the mail ids, and they may say something about people.
///
/// The tenant's mail and not the provider's: one that names several providers has one row, so that it is sent by one.
pub fn mail_pk(tenant_id: &TenantId, mail_id: &MailId) -> String {
    let digest =
        Sha256::new().chain_update(tenant_id.as_str()).chain_update([0]).chain_update(mail_id.as_str()).finalize();
    format!("mail#{}", base16ct::lower::encode_string(&digest))
}

/// Partition key of the rate item of an account and Region, which is what SES's quota applies to.
pub fn rate_pk(account_id: &str, region: &str) -> String {
    format!("rate#{account_id}#{region}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_lives_as_long_as_the_operator_says() {
        let day = 24 * 3600;
        for (variable, days) in [("", 90), ("31", 31), ("365", 365)] {
            let client = aws_sdk_dynamodb::Client::from_conf(
                aws_sdk_dynamodb::Config::builder().behavior_version_latest().build(),
            );
            let variables = [("MAILS_TABLE", "mails"), ("MAIL_RETENTION_DAYS", variable)];
            let mails = Mails::new(client, &Environment::from_variables(&variables)).unwrap();
            assert_eq!(mails.expiry(Timestamp::UNIX_EPOCH), days * day, "{variable}");
        }
    }
}
