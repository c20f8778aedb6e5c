//! An order as the API shows it: its keys, and what proves their death.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use shared::id::{AccessKeyId, OrderId, ProviderId, TenantId};
use shared::record::{BreachScope, KeyItem, Order, Pass, Plane, Receipt};

use crate::order_counts::{OrderCounts, pass, shown_status};

use crate::tenant_notice::tenant_notice;

/// An order as it is shown.
///
/// Access key ids are shown whole, because people compare them with the tenant's IAM console and CloudTrail, and an id is
/// not a secret.
#[derive(Debug, Serialize)]
pub(super) struct RevocationView<'a> {
    order_id: &'a OrderId,
    scope: &'a BreachScope,
    reason: &'a str,
    reported_by: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    signed_by: Option<&'a str>,
    created_at: Timestamp,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    remove_identity_policies: bool,
    /// What was odd in the report beside its scope.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    oddities: &'a [String],
    /// Whether every key is proved dead.
    pub(super) done: bool,
    /// How far the providers of a scope of more than one were listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    listing: Option<ListingView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stopped_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed_at: Option<Timestamp>,
    /// Of all its keys, not only of those shown.
    counts: OrderCounts,
    keys: Vec<KeyView<'a>>,
    /// The `page` that has the next keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next_page: Option<u32>,
}

/// How far the providers of an order were listed.
#[derive(Debug, Serialize)]
struct ListingView {
    pass: Pass,
    pages: u32,
}

/// One of its keys.
#[derive(Debug, Serialize)]
pub(super) struct KeyView<'a> {
    access_key_id: &'a AccessKeyId,
    status: &'static str,
    #[serde(flatten)]
    progress: Option<ProgressView<'a>>,
}

/// What its key item says.
#[derive(Debug, Serialize)]
struct ProgressView<'a> {
    updated_at: Timestamp,
    attempts: u32,
    /// How many orders there were for it.
    order_count: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt_at: Option<Timestamp>,
    #[serde(flatten)]
    proof: Option<ProofView<'a>>,
}

/// Whose key it is, and what is known of its life and death.
#[derive(Debug, Serialize)]
struct ProofView<'a> {
    provider_id: &'a ProviderId,
    tenant_id: &'a TenantId,
    account_id: &'a str,
    /// Whether the provider went on with another key.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    retired: bool,
    receipt: &'a Receipt,
    /// What the tenant has to be told, if anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant_notice: Option<String>,
    last_seen_alive: &'a BTreeMap<Plane, Timestamp>,
}

impl<'a> RevocationView<'a> {
    /// An order with the counts of all its keys, and some of them as they are now; `None` if a key item is missing.
    pub(super) fn with_counts(
        order: &'a Order,
        counts: OrderCounts,
        keys: &'a [(AccessKeyId, Option<KeyItem>)],
    ) -> Self {
        Self {
            order_id: &order.order_id,
            scope: &order.scope,
            reason: &order.reason,
            reported_by: &order.reported_by,
            signed_by: order.signed_by.as_deref(),
            created_at: order.created_at,
            remove_identity_policies: order.remove_identity_policies,
            oddities: &order.oddities,
            done: counts.is_done() && pass(order) == Pass::Over,
            listing: order.fan_out.as_ref().map(|fan_out| ListingView { pass: fan_out.pass, pages: fan_out.pages }),
            stopped_at: order.stopped_at,
            completed_at: order.completed_at,
            counts,
            keys: keys.iter().map(|(id, key)| KeyView::from_key(id, key.as_ref())).collect(),
            next_page: None,
        }
    }
}

impl<'a> KeyView<'a> {
    pub(super) fn from_key(access_key_id: &'a AccessKeyId, key: Option<&'a KeyItem>) -> Self {
        Self { access_key_id, status: shown_status(key), progress: key.map(ProgressView::from_key) }
    }
}

impl<'a> ProgressView<'a> {
    fn from_key(key: &'a KeyItem) -> Self {
        let proof = key.owner.as_ref().map(|owner| ProofView {
            provider_id: &owner.provider_id,
            tenant_id: &owner.tenant_id,
            account_id: &owner.account_id,
            retired: key.retired,
            receipt: &key.receipt,
            tenant_notice: tenant_notice(key),
            last_seen_alive: &key.seen_alive,
        });
        Self {
            updated_at: key.updated_at,
            attempts: key.attempts,
            order_count: key.order_count,
            reason: key.state.reason(),
            // Of a live key it is the next look at whether this would work.
            next_attempt_at: key.next_attempt_at.filter(|_| key.state.is_stopped()),
            proof,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn shown(order: &Order, keys: &[(AccessKeyId, Option<KeyItem>)]) -> Value {
        serde_json::to_value(RevocationView::with_counts(order, OrderCounts::of(keys), keys)).unwrap()
    }

    #[test]
    fn a_view_counts_its_keys_and_shows_what_proves_their_death() {
        let order: Order = serde_json::from_value(json!({
            "order_id": "rvk_01ARZ3NDEKTSV4RRFFQ69G5FAV", "scope": {"access_key_id": "AKIASP2TPHJSQH3FJRUX"},
            "reason": "leaked", "reported_by": "ops",
            "created_at": "2026-11-23T10:00:01Z", "access_key_ids": ["AKIASP2TPHJSQH3FJRUX"],
        }))
        .unwrap();
        let key = |status: &str, reason: Option<&str>| -> KeyItem {
            serde_json::from_value(json!({
                "access_key_id": "AKIASP2TPHJSQH3FJRUX", "status": status, "reason": reason,
                "owner": {
                    "provider_id": "prv_01ARZ3NDEKTSV4RRFFQ69G5FAV", "tenant_id": "acme",
                    "account_id": "171436882533", "region": "eu-central-1"
                },
                "updated_at": "2026-11-23T10:00:07Z",
                "receipt": {
                    "deleted_at": "2026-11-23T10:00:02Z", "deleted_by": "deleted", "delete_request_id": "request-1",
                    "refused": { "sts": { "at": "2026-11-23T10:00:07Z", "code": "InvalidClientTokenId" } },
                },
            }))
            .unwrap()
        };
        let id = &order.access_key_ids[0];
        let cases = [
            (Some(key("revoked", None)), "revoked", true),
            (Some(key("refused_unproven", None)), "refused_unproven", false),
            (Some(key("revoking", None)), "revoking", false),
            (Some(key("revocation_blocked", Some("quarantined"))), "revocation_blocked", false),
            (Some(key("unknown_key", None)), "unknown_key", false),
            (Some(key("active", None)), "not_stopped", false),
            (None, "not_stopped", false),
        ];
        for (key, status, done) in cases {
            let shown = shown(&order, &[(id.clone(), key)]);
            assert_eq!(shown["counts"]["by_status"], json!({ status: 1 }));
            assert_eq!(shown["keys"][0]["status"], status);
            assert_eq!(shown["done"], done, "{status}");
            assert_eq!(shown["keys"][0]["tenant_notice"].is_string(), status == "revocation_blocked", "{status}");
        }
        let shown = shown(&order, &[(id.clone(), Some(key("revoked", None)))]);
        assert_eq!(shown["keys"][0]["receipt"]["delete_request_id"], "request-1");
        assert_eq!(shown["scope"], json!({"access_key_id": "AKIASP2TPHJSQH3FJRUX"}));
    }
}
