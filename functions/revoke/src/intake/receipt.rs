//! The receipt: an order, its keys, and what proves their death.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use shared::record::{AccessKeyId, Key, Order};

/// An order as it is shown. `keys` are its keys as they are now; `None` where a key item is missing. All counts are
/// computed from them.
///
/// Access key ids are shown whole: a receipt is for comparing with the tenant's IAM console and CloudTrail, and an id is no
/// secret.
pub(super) fn receipt(order: &Order, keys: &[(AccessKeyId, Option<Key>)]) -> Value {
    let mut counts = BTreeMap::<&str, usize>::new();
    for (_, key) in keys {
        *counts.entry(key.as_ref().map_or("not_stopped", status)).or_default() += 1;
    }
    let done = keys.iter().all(|(_, key)| key.as_ref().is_some_and(is_done));
    let mut shown = Map::new();
    if let Ok(Value::Object(order)) = serde_json::to_value(order) {
        shown = order;
    }
    shown.remove("access_key_ids");
    shown.insert("done".to_owned(), done.into());
    shown.insert("counts".to_owned(), json!(counts));
    shown.insert("keys".to_owned(), keys.iter().map(|(id, key)| shown_key(id, key.as_ref())).collect());
    Value::Object(shown)
}

/// The state in one word, with a stop that is not committed told apart.
fn status(key: &Key) -> &'static str {
    if key.state.status.is_stopped() { key.state.status.as_str() } else { "not_stopped" }
}

/// Whether nothing is left to do: dead on proof, or kept out before anybody handed it over.
fn is_done(key: &Key) -> bool {
    use shared::record::StatusName::{Reported, Revoked};
    matches!(key.state.status, Reported) || (key.state.status == Revoked && key.state.reason.is_none())
}

fn shown_key(access_key_id: &AccessKeyId, key: Option<&Key>) -> Value {
    let Some(key) = key else {
        return json!({ "access_key_id": access_key_id, "status": "not_stopped" });
    };
    let mut shown = json!({
        "access_key_id": access_key_id,
        "status": status(key),
        "updated_at": key.updated_at,
        "attempts": key.attempts,
    });
    let mut add = |name: &str, value: Value| {
        if !value.is_null() {
            shown[name] = value;
        }
    };
    add("reason", json!(key.state.reason));
    add("next_attempt_at", json!(key.next_attempt_at));
    if let Some(owner) = &key.owner {
        add("provider_id", json!(owner.provider_id));
        add("tenant_id", json!(owner.tenant_id));
        add("account_id", json!(owner.account_id));
        add("receipt", json!(key.receipt));
        add("last_seen_alive", json!(key.seen_alive));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_counts_its_keys_and_shows_what_proves_their_death() {
        let order: Order = serde_json::from_value(json!({
            "order_id": "rvk_01ARZ3NDEKTSV4RRFFQ69G5FAV", "scope": {"access_key_id": "AKIASP2TPHJSQH3FJRUX"},
            "reason": "leaked", "reported_by": "ops", "as_of": "2026-11-23T10:00:00Z",
            "created_at": "2026-11-23T10:00:01Z", "access_key_ids": ["AKIASP2TPHJSQH3FJRUX"],
        }))
        .unwrap();
        let key = |status: &str, reason: Option<&str>| -> Key {
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
            (Some(key("revoked", Some("refused_unproven"))), "revoked", false),
            (Some(key("revoking", None)), "revoking", false),
            (Some(key("revocation_blocked", Some("quarantined"))), "revocation_blocked", false),
            (Some(key("reported", None)), "reported", true),
            (Some(key("active", None)), "not_stopped", false),
            (None, "not_stopped", false),
        ];
        for (key, status, done) in cases {
            let shown = receipt(&order, &[(id.clone(), key)]);
            assert_eq!(shown["counts"], json!({ status: 1 }));
            assert_eq!(shown["keys"][0]["status"], status);
            assert_eq!(shown["done"], done, "{status}");
        }
        let shown = receipt(&order, &[(id.clone(), Some(key("revoked", None)))]);
        assert_eq!(shown["keys"][0]["receipt"]["delete_request_id"], "request-1");
        assert_eq!(shown["scope"], json!({"access_key_id": "AKIASP2TPHJSQH3FJRUX"}));
    }
}
