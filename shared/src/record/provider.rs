//! The provider record: a tenant's SES account, Region and credential.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::item::{from_item, to_item};
use super::rounds::LONG;
use super::{
    Consent, Hold, Item, RecordError, Revocability, Rotation, RotationReports, Status, StatusName, Suspension,
    VerificationReport,
};
use crate::id::{AccessKeyId, ProviderId, TenantId};
use crate::tenant::Region;

/// What a [`Provider`] is read from. Its record has the reports beside it, which are most of its bytes.
pub(super) const PROVIDER_ATTRIBUTES: [&str; 21] = [
    "provider_id",
    "tenant_id",
    "name",
    "region",
    "account_id",
    "user_name",
    "user_arn",
    "access_key_id",
    "status",
    "reason",
    "max_send_rate",
    "max_24_hour_send",
    "sandbox",
    "consent",
    "canary",
    "rotation",
    "suspension",
    "hold",
    "revocability",
    "created_at",
    "updated_at",
];

/// A tenant's delivery provider. It does not hold the secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Provider {
    /// Its id.
    pub provider_id: ProviderId,
    /// The tenant that it belongs to.
    pub tenant_id: TenantId,
    /// What the tenant calls it.
    pub name: String,
    /// SES's Region.
    pub region: Region,
    /// The tenant's AWS account, 12 digits.
    pub account_id: String,
    /// The IAM user of the key.
    pub user_name: String,
    /// The IAM user's ARN.
    pub user_arn: String,
    /// The key it sends with.
    pub access_key_id: AccessKeyId,
    /// Whether it may send, and why not.
    #[serde(flatten)]
    pub status: Status,
    /// Recipients a second, from SES at verification.
    pub max_send_rate: f64,
    /// Recipients in 24 hours, from SES at verification; -1 = unlimited.
    pub max_24_hour_send: f64,
    /// Verified recipients only.
    pub sandbox: bool,
    /// What the tenant agreed to, if to anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent: Option<Consent>,
    /// Whether drills may take it: it is the operator's own, and its key dies in one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub canary: bool,
    /// The latest replacement of its key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Rotation>,
    /// Its latest suspension, over or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspension: Option<Suspension>,
    /// The operator's latest hold, in force or lifted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// Whether the revocation of its key would work, as it was seen last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocability: Option<Revocability>,
    /// When it was taken.
    pub created_at: Timestamp,
    /// When its status last changed.
    pub updated_at: Timestamp,
}

/// The whole provider record: with the report that its key was accepted on. `send` and `revoke` read it as a
/// [`Provider`]: they need no report and must not fail because of one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VerifiedProvider {
    /// The provider.
    #[serde(flatten)]
    pub provider: Provider,
    /// The report that its key was accepted on.
    pub report: VerificationReport,
    /// The reports of both keys, while they are being rotated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation_reports: Option<RotationReports>,
}

/// One page of a tenant's providers.
#[derive(Clone, Debug, PartialEq)]
pub struct ProviderPage {
    /// The providers in the order of their ids, oldest first.
    pub providers: Vec<VerifiedProvider>,
    /// The id of the last provider, if there are more: the next page starts after it.
    pub next: Option<ProviderId>,
}

impl Provider {
    /// Partition key of a provider and its audit trail.
    pub fn pk(provider_id: &ProviderId) -> String {
        format!("provider#{provider_id}")
    }

    /// Whether the revocation of the key that it sends with would work; `None` if nothing is known of that key.
    pub fn shown_revocability(&self) -> Option<&Revocability> {
        self.revocability.as_ref().filter(|seen| seen.access_key_id == self.access_key_id)
    }

    /// Sort key of the provider's own item; its audit trail has the same partition key.
    pub const SK: &'static str = "provider";

    /// Until when a mail that was handed over at `first_seen` waits for a hold or a suspension, or for its turn after their end.
    pub fn waits_until(&self, first_seen: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let held = self.hold.as_ref().and_then(|hold| hold.wait_until(first_seen, now));
        // A rotation ends a suspension without saying so.
        let is_known =
            |suspension: &Suspension| suspension.ended_at.is_some() || self.status.status == StatusName::Suspended;
        let suspended = self.suspension.filter(is_known).and_then(|suspension| suspension.wait_until(first_seen, now));
        held.max(suspended)
    }

    /// Whether an operator holds it.
    pub fn is_held(&self) -> bool {
        self.hold.as_ref().is_some_and(Hold::is_in_force)
    }

    /// Whether its mail has waited for so long, for a hold or a suspension that lasts, that it is parked.
    pub fn has_waited_long(&self, now: Timestamp) -> bool {
        let held_since = self.hold.as_ref().filter(|hold| hold.is_in_force()).map(|hold| hold.held_at);
        let suspended_since = match self.status.status {
            StatusName::Suspended => Some(self.suspension.map_or(self.updated_at, |suspension| suspension.since)),
            _ => None,
        };
        held_since.into_iter().chain(suspended_since).any(|since| now.duration_since(since) >= LONG)
    }

    /// The suspension as it ends.
    pub(super) fn ended_suspension(&self, now: Timestamp) -> Suspension {
        let since = self.suspension.map_or(self.updated_at, |suspension| suspension.since);
        Suspension { since, ended_at: Some(now) }
    }

    /// Whether an order has stopped it.
    pub fn is_stopped(&self) -> bool {
        !matches!(self.status.status, StatusName::Active | StatusName::Suspended)
    }

    /// Reads a provider's item.
    ///
    /// # Errors
    /// [`RecordError::Shape`], if the item is not a provider.
    pub fn from_item(item: Item) -> Result<Self, RecordError> {
        from_item("provider", item)
    }
}

impl VerifiedProvider {
    /// The record as an item.
    ///
    /// # Errors
    /// [`RecordError::Shape`] if it cannot be written as an item.
    pub fn to_item(&self) -> Result<Item, RecordError> {
        to_item(&Provider::pk(&self.provider.provider_id), Provider::SK, self)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use super::*;

    /// The record as it is stored: both types read it, and writing it again changes nothing.
    #[test]
    fn the_report_is_stored_beside_the_providers_own_attributes() {
        let stored = json!({
            "provider_id": "prv_01ARZ3NDEKTSV4RRFFQ69G5FAV", "tenant_id": "acme", "name": "Main",
            "region": "eu-central-1", "account_id": "171436882533", "user_name": "mailer",
            "user_arn": "arn:aws:iam::171436882533:user/mailer", "access_key_id": "AKIASP2TPHJSQH3FJRUX",
            "status": "suspended", "reason": "sending_paused", "max_send_rate": 14.0, "max_24_hour_send": -1.0,
            "sandbox": false, "consent": {
                "pause_sending": true, "given_at": "2026-11-23T09:00:00Z",
                "signed_by": "arn:aws:sts::111122223333:assumed-role/operator-backend/backend",
            },
            "suspension": {"since": "2026-11-23T09:00:00Z"}, "hold": {
                "reason": "a complaint", "held_by": "arn:aws:iam::111122223333:user/ops", "held_at": "2026-11-23T09:00:00Z",
            },
            "revocability": {
                "access_key_id": "AKIASP2TPHJSQH3FJRUX", "fault": "delete_denied", "since": "2026-11-23T10:00:00Z",
            },
            "created_at": "2026-11-23T09:00:00Z", "updated_at": "2026-11-23T09:00:00Z",
            "report": {
                "checked_at": "2026-11-23T09:00:00Z", "verdict": "accepted", "policy_breadth": "all_users",
                "recommended_policy": "hardened-1",
                "checks": [
                    {"name": "live", "outcome": "passed", "evidence": "sts:GetCallerIdentity", "remedy": null},
                    {"name": "breadth", "outcome": "warning", "evidence": "NoSuchEntity (404)", "remedy": "Replace it."}
                ],
                "findings": [
                    {"kind": "notice", "severity": "medium", "action": "iam:DeleteAccessKey", "conditional": false,
                     "source": "observed", "explanation": "Whoever has the key can delete others."}
                ]
            }
        });
        let record: VerifiedProvider = serde_json::from_value(stored.clone()).unwrap();
        let item = record.to_item().unwrap();
        assert_eq!(from_item::<VerifiedProvider>("provider", item.clone()).unwrap(), record);
        assert_eq!(Provider::from_item(item).unwrap(), record.provider);
        assert_eq!(serde_json::to_value(&record).unwrap(), stored);

        macro_rules! names_of_all {
            ($type:ident of $value:expr; $($field:ident)*) => {{
                let $type { $($field: _),* } = $value;
                [$(stringify!($field)),*]
            }};
        }
        // Whoever adds a field adds it to what is read: a hold that is not read holds nothing.
        let of_provider = names_of_all!(Provider of &record.provider;
            provider_id tenant_id name region account_id user_name user_arn access_key_id status max_send_rate max_24_hour_send
            sandbox consent canary rotation suspension hold revocability created_at updated_at);
        let of_status = names_of_all!(Status of &record.provider.status; status reason);
        let all: BTreeSet<&str> = of_provider.into_iter().chain(of_status).collect();
        assert_eq!(BTreeSet::from(PROVIDER_ATTRIBUTES), all);

        let mut unreadable: Value = stored;
        unreadable["report"] = json!({"verdict": "a word of a later version"});
        let item = to_item("provider", Provider::SK, &unreadable).unwrap();
        assert!(Provider::from_item(item.clone()).is_ok(), "sending does not depend on the report");
        assert!(from_item::<VerifiedProvider>("provider", item).is_err());
    }
}
