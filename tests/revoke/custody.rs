//! Which secrets `revoke-worker` can open, and what it does if it can open none.

use crate::support::{Stack, Tables, assert_receipt};

#[tokio::test]
async fn a_key_is_not_revoked_with_the_secret_of_another_one_but_is_when_its_own_is_back() {
    let stack = Stack::shared().await;
    let tables = Tables::new(&stack).await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let (other, _) = stack.create_provider("globex").await;
    let own = tables.sealed_secret(&tenant, "revoke").await;
    for moved in [tables.sealed_secret(&other, "revoke").await, tables.sealed_secret(&tenant, "send").await] {
        tables.put_sealed_secret(&tenant, "revoke", moved).await;
        let order_id = stack.revoke_key(&tenant).await;
        stack.key_in_state(&order_id, "revocation_blocked{secret_unreadable}").await;
    }
    let event = stack.provider_event("Revocation Blocked", &provider_id).await;
    assert_eq!(event["detail"]["reason"], "secret_unreadable");
    stack.assert_key_untouched(&tenant).await;
    stack.assert_key_untouched(&other).await;

    tables.put_sealed_secret(&tenant, "revoke", own).await;
    let order_id = stack.revoke_key(&tenant).await;
    assert_receipt(&stack.key_in_state(&order_id, "revoked").await, "deleted");
    stack.assert_key_untouched(&other).await;
}

#[tokio::test]
async fn a_key_without_its_secret_is_reported_as_blocked() {
    let stack = Stack::shared().await;
    let tables = Tables::new(&stack).await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    tables.delete_sealed_secret(&tenant, "revoke").await;
    let order_id = stack.revoke_key(&tenant).await;
    stack.key_in_state(&order_id, "revocation_blocked{secret_missing}").await;
    let event = stack.provider_event("Revocation Blocked", &provider_id).await;
    assert_eq!(event["detail"]["reason"], "secret_missing");
    stack.assert_key_untouched(&tenant).await;
}
