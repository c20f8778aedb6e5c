//! The calls of containment: the pause of the account's sending first, because it is one call and stops the most, then the
//! removal of identity policies that name other accounts.

use std::time::Duration;

use jiff::SignedDuration;
use shared::record::{KeyItem, Owner, RecordError};
use shared::telemetry::chain;
use shared::tenant::{Credential, Failure};

use super::Worker;
use super::call_result::PauseResult;
use super::key_step::{FollowUp, after_containment, is_policy_survey_due, shows_breach};
use super::revocation::{CALL_TIMEOUT, within_timeout};
use super::survey::REMOVAL_TIMEOUT;

/// The time for reading identity policies, one a second. What is not read in it is said to be unknown.
const READ_TIMEOUT: Duration = Duration::from_secs(8);

/// The longest that containment takes, with the reads and writes around it.
pub(super) const MAX_CONTAINMENT_DURATION: SignedDuration = SignedDuration::from_secs(
    (CALL_TIMEOUT.as_secs() + READ_TIMEOUT.as_secs() + REMOVAL_TIMEOUT.as_secs() + 5).cast_signed(),
);

impl Worker {
    /// Contains the breach in the account of a key that AWS does not let us delete. Every step of it can be repeated. Whatever
    /// comes of it is recorded, so that operators are notified next.
    pub(super) async fn contain(&self, key: &KeyItem, owner: &Owner) -> Result<FollowUp, RecordError> {
        let tried_at = self.ambient.now();
        let (key, result) = match self.is_breach_reported(key).await {
            Some(true) => match self.open_secret(key, owner).await? {
                Ok(credential) => match self.make_calls(key, owner, &credential).await? {
                    Some(made) => made,
                    None => return Ok(FollowUp::Now),
                },
                Err(_) => (key.clone(), PauseResult::NotPaused { code: None, request_id: None }),
            },
            Some(false) => (key.clone(), PauseResult::Withheld),
            None => (key.clone(), PauseResult::NotPaused { code: None, request_id: None }),
        };
        let now = self.ambient.now();
        self.record_if_unchanged(&key, |key| after_containment(key, &result, tried_at, now), &result).await
    }

    /// Pauses the account's sending and removes identity policies. Returns the key with what became of the policies; `None` if
    /// another worker wrote progress in between.
    async fn make_calls(
        &self,
        key: &KeyItem,
        owner: &Owner,
        credential: &Credential,
    ) -> Result<Option<(KeyItem, PauseResult)>, RecordError> {
        let answer = within_timeout(self.tenants.pause_sending(credential)).await;
        log_pause(key, owner, &answer);
        let result = PauseResult::from_answer(&answer);
        if !is_policy_survey_due(key, self.ambient.now()) {
            return Ok(Some((key.clone(), result)));
        }
        let surveyed = self.take_survey(key, owner, credential, true, READ_TIMEOUT).await?;
        Ok(surveyed.map(|key| (key, result)))
    }

    /// Whether somebody reported a breach, so that more is at stake than an off-boarding that does not succeed. `None`: it
    /// cannot be found out now.
    pub(super) async fn is_breach_reported(&self, key: &KeyItem) -> Option<bool> {
        if shows_breach(key) {
            return Some(true);
        }
        for order_id in key.orders.iter().rev() {
            match self.providers.order(order_id).await {
                Ok(order) if order.as_ref().is_some_and(|order| !order.is_without_breach()) => return Some(true),
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(
                        access_key_id = key.access_key_id.masked(),
                        %order_id,
                        error = chain(&error),
                        "order not read: whether a breach is reported is not known"
                    );
                    return None;
                }
            }
        }
        Some(false)
    }
}

fn log_pause(key: &KeyItem, owner: &Owner, answer: &Result<Option<String>, Failure>) {
    let (access_key_id, provider_id) = (key.access_key_id.masked(), owner.provider_id.as_str());
    match answer {
        Ok(request_id) => tracing::warn!(
            access_key_id,
            provider_id,
            region = %owner.region,
            request_id,
            "sending of the tenant's account paused: its key cannot be deleted"
        ),
        Err(failure) => tracing::error!(
            access_key_id,
            provider_id,
            region = %owner.region,
            error = %failure,
            request_id = failure.request_id,
            "sending of the tenant's account not paused although its key cannot be deleted"
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use serde_json::{Value, json};
    use shared::id::AccessKeyId;
    use shared::queue::Deadline;
    use shared::testing::FakeResponse;

    use super::*;
    use crate::fixtures::{Calls, NOW_MS, cold_start, item, operations};

    /// A key whose deletion has just been denied, before or after containment, as DynamoDB has it.
    fn denied_key(contained: bool) -> Value {
        let text = |text: &str| json!({ "S": text });
        let consent = json!({ "M": {
            "pause_sending": {"BOOL": true}, "given_at": text("2026-11-01T10:00:00Z"), "signed_by": text("arn"),
        } });
        let mut receipt = json!({ "deletion_denied_at": text("2026-11-23T09:59:59Z") });
        if contained {
            receipt["containment"] = json!({ "M": {
                "sending": text("paused"), "sending_paused_at": text("2026-11-23T10:00:00Z"),
                "tried_at": text("2026-11-23T10:00:00Z"), "order_count": {"N": "1"},
            } });
        }
        json!({
            "access_key_id": text("AKIASP2TPHJSQH3FJRUX"), "updated_at": text("2026-11-23T09:59:59Z"),
            "owner": {"M": {
                "provider_id": text("prv_01KAQX5D8E3C9V7N2M4R6T8W0Y"), "tenant_id": text("acme"),
                "account_id": text("171436882533"), "region": text("eu-central-1"), "consent": consent,
            }},
            "status": text("revocation_blocked"), "reason": text("quarantined"), "receipt": {"M": receipt},
            "order_count": {"N": "1"}, "attempts": {"N": "2"}, "notification_pending": {"BOOL": true},
        })
    }

    /// Takes the key's steps in an invocation of 30 s. `tenant` answers its AWS, and KMS.
    async fn take_steps(tenant: impl Fn(&str) -> Option<FakeResponse> + Send + Sync + 'static) -> Calls {
        let is_recorded = AtomicBool::new(false);
        let (start, calls) = cold_start(move |operation| match operation {
            "GetItem providers" => Some(item(&denied_key(is_recorded.load(Ordering::SeqCst)))),
            "GetItem secrets" => Some(item(&json!({"ciphertext": {"B": "c2VhbGVk"}}))),
            "UpdateItem" => {
                is_recorded.store(true, Ordering::SeqCst);
                None
            }
            // The notification ends this test: nothing that comes after it is looked at.
            "PutEvents" => Some((200, json!({"FailedEntryCount": 1, "Entries": [{"ErrorCode": "x"}]}).to_string())),
            other => tenant(other),
        });
        let deadline = Deadline::from_millis(u64::try_from(NOW_MS + 30_000).unwrap());
        let worker = Worker::new(&start).unwrap();
        worker.revoke(&AccessKeyId::from_pasted("AKIASP2TPHJSQH3FJRUX").unwrap(), deadline).await.unwrap();
        calls
    }

    /// The containment that was recorded.
    fn recorded(calls: &Calls) -> Value {
        let calls = calls.lock().unwrap();
        let (_, written) = calls.iter().find(|(operation, _)| operation == "UpdateItem").unwrap();
        let written: Value = serde_json::from_str(written).unwrap();
        written["ExpressionAttributeValues"][":receipt"]["M"]["containment"]["M"].clone()
    }

    #[tokio::test]
    async fn sending_is_paused_and_recorded_before_operators_are_notified() {
        let calls = take_steps(|operation| match operation {
            "ListAccessKeys" | "ListEmailIdentities" => {
                Some((403, json!({"__type": "AccessDeniedException"}).to_string()))
            }
            _ => None,
        })
        .await;
        let made = operations(&calls);
        let place = |operation: &str| made.iter().position(|made| made == operation).unwrap();
        assert!(place("PutAccountSendingAttributes") < place("ListEmailIdentities"), "{made:?}");
        assert!(place("UpdateItem") < place("PutEvents"), "{made:?}");
        assert!(!made.contains(&"DeleteAccessKey".to_owned()), "{made:?}");
        let (_, body) = calls.lock().unwrap()[place("PutAccountSendingAttributes")].clone();
        assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), json!({"SendingEnabled": false}));
        assert_eq!(recorded(&calls)["sending"]["S"], "paused");
        assert_eq!(recorded(&calls)["sending_paused_at"]["S"], "2026-11-23T10:00:00Z");
        let (_, event) = calls.lock().unwrap()[place("PutEvents")].clone();
        assert!(event.contains("containment") && event.contains("tenant_notice"), "{event}");
    }

    #[tokio::test]
    async fn operators_are_notified_although_kms_does_not_answer() {
        let calls = take_steps(|operation| match operation {
            "Decrypt" => Some((500, json!({"__type": "KMSInternalException"}).to_string())),
            _ => None,
        })
        .await;
        let made = operations(&calls);
        assert!(!made.contains(&"PutAccountSendingAttributes".to_owned()), "{made:?}");
        assert!(made.contains(&"PutEvents".to_owned()), "{made:?}");
        assert_eq!(recorded(&calls)["sending"]["S"], "failed");
    }
}
