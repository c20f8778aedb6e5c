//! Acceptances that could not be recorded in time.
//!
//! SES has the mail, and its message must be acknowledged: sent again, it would be a second copy. If the ledger does not
//! take the record, a message of its own brings it to a later invocation. It holds ids and a digest, no address and no
//! secret. It is handled as often as it is received, each time with the same result.
//!
//! `{"version": 1, "settle": {"tenant_id": …, "provider_id": …, "mail_id": …, "digest": …, "first_seen": …, "attempts": …,
//! "takeovers": …, "ses_message_id": …, "at": …}}`

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shared::id::{MailId, ProviderId, TenantId};
use shared::queue::Outgoing;
use shared::record::LedgerRow;

use crate::context::Services;
use crate::delay::Delay;
use crate::delivery_error::DeliveryError;
use crate::disposition::Disposition;
use crate::ledger::{RowWrite, SettleDecision, decide_settle};

/// The version that this code writes and accepts.
const VERSION: u32 = 1;

/// How often a decision is repeated because somebody else wrote the row first.
const MAX_DECISIONS: usize = 4;

/// What SES accepted, and the claim under which it did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settlement {
    /// The tenant.
    pub(crate) tenant_id: TenantId,
    /// The provider.
    pub(crate) provider_id: ProviderId,
    /// The caller's idempotency key.
    pub(crate) mail_id: MailId,
    /// The content's digest.
    pub(crate) digest: String,
    /// When the mail was first handed over.
    pub(crate) first_seen: Timestamp,
    /// How often it had been claimed.
    pub(crate) attempts: u32,
    /// How many of these claims were taken over in doubt.
    pub(crate) takeovers: u32,
    /// SES's id of the mail, if it gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ses_message_id: Option<String>,
    /// When SES accepted it.
    pub(crate) at: Timestamp,
}

/// The body of the message.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SettleDocument {
    version: u32,
    settle: Settlement,
}

impl Settlement {
    /// SES accepted the mail of this claim.
    pub(crate) fn new(claim: &LedgerRow, ses_message_id: Option<String>, at: Timestamp) -> Self {
        Self {
            tenant_id: claim.tenant_id.clone(),
            provider_id: claim.provider_id.clone(),
            mail_id: claim.mail_id.clone(),
            digest: claim.digest.clone(),
            first_seen: claim.first_seen,
            attempts: claim.attempts,
            takeovers: claim.takeovers,
            ses_message_id,
            at,
        }
    }

    /// Reads a message; `None` if it is none of these. No mail is one: a mail has no field `settle`.
    pub(crate) fn parse(body: &str) -> Option<Self> {
        // Mails are by far the most, and may be long.
        if body.len() > 4096 || !body.contains("\"settle\"") {
            return None;
        }
        serde_json::from_str::<SettleDocument>(body)
            .ok()
            .filter(|document| document.version == VERSION)
            .map(|document| document.settle)
    }

    /// Puts it into the send queue. `subject` names the mail's message in errors.
    pub(crate) async fn send(self, services: &Services, subject: &str) -> Result<(), DeliveryError> {
        let group = self.provider_id.to_string();
        let body = serde_json::to_string(&SettleDocument { version: VERSION, settle: self }).unwrap_or_default();
        let delay = Delay::SETTLE.with_jitter(&services.ambient);
        services
            .send_queue
            .send(Outgoing { subject, body: &body, group: &group, delay, hops: None, lined_up: false })
            .await?;
        Ok(())
    }

    /// Writes the row. If that fails, SQS delivers the message again.
    pub(crate) async fn record(&self, services: &Services) -> Result<Disposition, DeliveryError> {
        let mut seen = services.ledger.read(&self.tenant_id, &self.mail_id).await?.map(Box::new);
        for _ in 0..MAX_DECISIONS {
            match decide_settle(seen.as_deref(), self, services.ambient.now()) {
                SettleDecision::Write(row) => match services.ledger.write(&row, seen.as_deref()).await? {
                    RowWrite::Done => return Ok(Disposition::Settled),
                    RowWrite::Lost(found) => seen = found,
                },
                SettleDecision::Settled => return Ok(Disposition::Settled),
                SettleDecision::Conflict => {
                    tracing::error!(
                        provider_id = %self.provider_id,
                        mail_id = %self.mail_id,
                        ses_message_id = self.ses_message_id,
                        "SES accepted a mail whose row now belongs to other content"
                    );
                    return Ok(Disposition::Settled);
                }
            }
        }
        Err(DeliveryError::Contended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{SAMPLE, time};

    #[test]
    fn a_settlement_is_read_as_it_was_written_and_no_mail_is_one() {
        let settlement = Settlement {
            tenant_id: TenantId::parse("acme").unwrap(),
            provider_id: ProviderId::parse("prv_01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap(),
            mail_id: MailId::parse("m").unwrap(),
            digest: "1:aa".to_owned(),
            first_seen: time("2026-11-23T10:00:00Z"),
            attempts: 1,
            takeovers: 0,
            ses_message_id: Some("id".to_owned()),
            at: time("2026-11-23T10:00:00Z"),
        };
        let body = serde_json::to_string(&SettleDocument { version: VERSION, settle: settlement.clone() }).unwrap();
        assert_eq!(Settlement::parse(&body), Some(settlement));
        assert_eq!(Settlement::parse(&body.replacen("\"version\":1", "\"version\":2", 1)), None);
        assert_eq!(Settlement::parse(SAMPLE), None);
        assert_eq!(Settlement::parse("{\"settle\": 1}"), None);
    }
}
