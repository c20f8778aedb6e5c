//! What `revoke-worker` opens, and what it does where there is nothing to open.

use super::breach::assert_receipt;
use super::order::{answers, has_key, key_in, order, told};
use super::records::Records;
use crate::support::Stack;
use operator::Tenant;

#[tokio::test]
async fn a_secret_that_was_moved_opens_nothing_and_a_key_is_revoked_when_it_is_back() {
    let stack = Stack::shared().await;
    let records = Records::of(&stack).await;
    let (tenant, provider_id) = stack.provider("acme").await;
    let (other, _) = stack.provider("globex").await;
    let own = records.sealed(&tenant, "revoke").await;
    for moved in [records.sealed(&other, "revoke").await, records.sealed(&tenant, "send").await] {
        records.put_sealed(&tenant, "revoke", moved).await;
        let order_id = order(&stack, &tenant).await;
        key_in(&stack, &order_id, "revocation_blocked{secret_unreadable}").await;
    }
    let event = told(&stack, "Revocation Blocked", &provider_id).await;
    assert_eq!(event["detail"]["reason"], "secret_unreadable");
    assert_untouched(&stack, &tenant).await;
    assert_untouched(&stack, &other).await;

    records.put_sealed(&tenant, "revoke", own).await;
    let order_id = order(&stack, &tenant).await;
    assert_receipt(&key_in(&stack, &order_id, "revoked").await, "deleted");
    assert_untouched(&stack, &other).await;
}

#[tokio::test]
async fn a_key_without_its_secret_is_told_to_be_blocked() {
    let stack = Stack::shared().await;
    let records = Records::of(&stack).await;
    let (tenant, provider_id) = stack.provider("acme").await;
    records.delete_sealed(&tenant, "revoke").await;
    let order_id = order(&stack, &tenant).await;
    key_in(&stack, &order_id, "revocation_blocked{secret_missing}").await;
    let event = told(&stack, "Revocation Blocked", &provider_id).await;
    assert_eq!(event["detail"]["reason"], "secret_missing");
    assert_untouched(&stack, &tenant).await;
}

/// The tenant has its key, and nobody has deleted it with it. (Onboarding asks for a key that is not there.)
async fn assert_untouched(stack: &Stack, tenant: &Tenant) {
    assert!(has_key(stack, tenant).await);
    let codes = answers(stack, tenant, "DeleteAccessKey").await;
    assert!(codes.iter().all(|code| code.as_deref() == Some("NoSuchEntity")), "{codes:?}");
}
