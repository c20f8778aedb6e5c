//! The calls around the decisions: one key, step by step.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use shared::custody::{CustodyError, Holder, Lane};
use shared::id::AccessKeyId;
use shared::record::{KeyItem, KeyState, Owner, Plane, ProgressOutcome, Proof, RecordError};
use shared::telemetry::{Event, KeyEvent, chain};
use shared::tenant::{Credential, Failure, Kind};

use super::Worker;
use super::step::{
    Deletion, HONOURED_FOR, NoSecret, Sight, Step, Then, deleted, is_hurried, next, no_secret, planes, probed, told,
    write_ahead,
};
use crate::queue::Deadline;

/// The longest that a call into a tenant's AWS may take. A longer one counts as not answered.
const CALL: Duration = Duration::from_secs(4);

/// The longest that a step takes: three calls, and the reads and writes around them.
const STEP: SignedDuration = SignedDuration::from_secs(20);

/// Steps of one key in one invocation. The rules end each chain sooner; this is the fence behind them.
const STEPS: u32 = 8;

/// Rounds of recording one answer, should other workers come first.
const ROUNDS: u32 = 4;

/// [`HONOURED_FOR`], as a delay.
const SOON: Duration = Duration::from_secs(HONOURED_FOR.as_secs().unsigned_abs());

impl Worker {
    /// Takes a key's steps until there is nothing to do now.
    ///
    /// # Errors
    /// The key could not be read or written. What a tenant's AWS answers is never an error here.
    pub(super) async fn revoke(&self, access_key_id: &AccessKeyId, deadline: Deadline) -> Result<(), RecordError> {
        for _ in 0..STEPS {
            let Some(key) = self.providers.key(access_key_id).await? else { return Ok(()) };
            let Some(owner) = &key.owner else { return Ok(()) };
            let now = self.ambient.now();
            let step = next(&key, now);
            let wait = match step {
                Step::Nothing => return Ok(()),
                Step::Wait(until) => until.duration_since(now),
                Step::Tell | Step::Delete | Step::Probe => SignedDuration::ZERO,
            };
            if !deadline.leaves(wait + STEP, now) {
                self.book(&key).await;
                return Ok(());
            }
            let then = match step {
                Step::Nothing => return Ok(()),
                Step::Wait(_) => {
                    tokio::time::sleep(Duration::try_from(wait).unwrap_or_default()).await;
                    Then::Now
                }
                Step::Tell => self.tell(&key, owner).await?,
                Step::Delete => self.delete(&key, owner).await?,
                Step::Probe => self.probe(&key, owner).await?,
            };
            match then {
                Then::Now => {}
                Then::Soon | Then::Rest => return Ok(()),
            }
        }
        Ok(())
    }

    /// Has the key delete itself.
    async fn delete(&self, key: &KeyItem, owner: &Owner) -> Result<Then, RecordError> {
        let credential = match self.open(key, owner).await? {
            Ok(credential) => credential,
            Err(why) => return self.without_secret(key, why).await,
        };
        let seen_at = self.ambient.now();
        let sight = Sight::of(&limited(self.tenants.get_caller_identity(&credential)).await);
        // Only a key that is seen alive right now is worth a write-ahead; see `step`.
        let (key, ahead) = if sight == Sight::Alive {
            let ahead = self.ambient.now();
            let after = write_ahead(key, seen_at, ahead);
            if !self.write(key, &after).await? {
                return Ok(Then::Now);
            }
            (after, Some(ahead))
        } else {
            (key.clone(), None)
        };
        // Booked before the call leaves: if this worker dies now, the key is looked at in seconds all the same. A key that
        // has been on its way for long is left to the sweep, or each retry would bring the next in seconds.
        let booked = is_hurried(&key, seen_at) && self.book(&key).await;
        let answer = match sight {
            Sight::WrongSecret => Deletion::WrongSecret,
            _ => self.delete_own(&credential).await,
        };
        let now = self.ambient.now();
        let outcome = |key: &KeyItem| deleted(key, ahead, (&sight, seen_at), &answer, now);
        let then = self.record(&key, outcome, &answer).await?;
        if then == Then::Soon && !booked {
            self.book(&key).await;
        }
        Ok(then)
    }

    async fn delete_own(&self, credential: &Credential) -> Deletion {
        let answer = limited(self.tenants.delete_own_access_key(credential)).await;
        // AWS's quarantine denies the deletion and leaves SES alone, so that a thief can still send (AWS managed policy
        // AWSCompromisedKeyQuarantineV3).
        if let Err(Failure { kind: Kind::Denied(denial), .. }) = &answer {
            let quarantined = denial.may_be_quarantine() && limited(self.tenants.get_account(credential)).await.is_ok();
            return Deletion::Denied { quarantined };
        }
        Deletion::of(&answer)
    }

    /// Sees whether the key is refused on every plane that says something about it.
    async fn probe(&self, key: &KeyItem, owner: &Owner) -> Result<Then, RecordError> {
        let credential = match self.open(key, owner).await? {
            Ok(credential) => credential,
            Err(why) => return self.without_secret(key, why).await,
        };
        let at = self.ambient.now();
        let mut sights = BTreeMap::new();
        for plane in planes(key) {
            let sight = match plane {
                Plane::Sts => Sight::of(&limited(self.tenants.get_caller_identity(&credential)).await),
                Plane::Ses => Sight::of(&limited(self.tenants.get_account(&credential)).await),
            };
            sights.insert(plane, sight);
        }
        let now = self.ambient.now();
        // What was seen is about the key as it was read; if somebody else moved it on, it is looked at anew.
        let outcome = |fresh: &KeyItem| (fresh.attempts == key.attempts).then(|| probed(fresh, &sights, at, now));
        let then = self.record(key, outcome, &sights).await?;
        if then == Then::Soon {
            self.book(key).await;
        }
        Ok(then)
    }

    /// Tells operators the key's state. At least once: an event that was put but not recorded is put again.
    async fn tell(&self, key: &KeyItem, owner: &Owner) -> Result<Then, RecordError> {
        if let Some(event) = event(key, owner)
            && let Err(error) = self.bus.put(&event, self.ambient.now()).await
        {
            tracing::error!(
                access_key_id = key.access_key_id.masked(),
                provider_id = %owner.provider_id,
                error = chain(&error),
                "operators could not be told of a key's state; the sweep tries again"
            );
            return Ok(Then::Rest);
        }
        let now = self.ambient.now();
        self.record(key, |fresh| (fresh.attempts == key.attempts).then(|| told(fresh, now)), &"told").await
    }

    /// Opens the revoke lane.
    async fn open(&self, key: &KeyItem, owner: &Owner) -> Result<Result<Credential, NoSecret>, RecordError> {
        let Some(sealed) = self.secrets.get(&key.access_key_id, Lane::Revoke).await? else {
            return Ok(Err(NoSecret::Missing));
        };
        let holder =
            Holder { tenant_id: &owner.tenant_id, provider_id: &owner.provider_id, access_key_id: &key.access_key_id };
        Ok(match self.custody.open(holder, &sealed).await {
            Ok(secret_access_key) => {
                Ok(Credential { access_key_id: key.access_key_id.clone(), secret_access_key, region: owner.region })
            }
            Err(error) => {
                tracing::error!(provider_id = %owner.provider_id, error = chain(&error), "the revoke lane stays shut");
                Err(match error {
                    CustodyError::Unavailable { .. } => NoSecret::Unavailable,
                    CustodyError::Refused { .. } | CustodyError::Content { .. } => NoSecret::Unreadable,
                })
            }
        })
    }

    async fn without_secret(&self, key: &KeyItem, why: NoSecret) -> Result<Then, RecordError> {
        let now = self.ambient.now();
        let outcome = |fresh: &KeyItem| (fresh.attempts == key.attempts).then(|| no_secret(fresh, why, now));
        let then = self.record(key, outcome, &why).await?;
        if then == Then::Soon {
            self.book(key).await;
        }
        Ok(then)
    }

    /// Records what a step came to, on the key as it is then: `outcome` makes of it what it is now, or nothing, if
    /// somebody else moved it on.
    async fn record<W: std::fmt::Debug>(
        &self,
        key: &KeyItem,
        outcome: impl Fn(&KeyItem) -> Option<(KeyItem, Then)>,
        what: &W,
    ) -> Result<Then, RecordError> {
        let mut before = key.clone();
        for _ in 0..ROUNDS {
            let Some((after, then)) = outcome(&before) else { break };
            if self.write(&before, &after).await? {
                return Ok(then);
            }
            match self.providers.key(&key.access_key_id).await? {
                Some(fresh) => before = fresh,
                None => break,
            }
        }
        tracing::info!(access_key_id = key.access_key_id.masked(), ?what, "another worker moved this key on");
        Ok(Then::Rest)
    }

    async fn write(&self, before: &KeyItem, after: &KeyItem) -> Result<bool, RecordError> {
        let outcome = self.providers.record_progress(before, after, &self.secrets, &self.ambient).await?;
        let written = outcome == ProgressOutcome::Recorded;
        if written && before.state != after.state {
            let orders = after.orders.iter().map(|order| order.as_str()).collect::<Vec<_>>().join(" ");
            tracing::info!(
                access_key_id = after.access_key_id.masked(),
                provider_id = after.owner.as_ref().map(|owner| owner.provider_id.as_str()),
                orders,
                from = %before.state,
                to = %after.state,
                deleted_by = after.receipt.deleted_by.map(Proof::as_str),
                request_id = after.receipt.delete_request_id,
                revoking_for_ms = waited_ms(before, after.updated_at),
                "a key changed its state"
            );
        }
        Ok(written)
    }

    /// Books the key's next step; answers whether. If not, the sweep brings it.
    async fn book(&self, key: &KeyItem) -> bool {
        let booked = self.queue.step(&key.access_key_id, key.orders.first(), SOON).await;
        if let Err(error) = &booked {
            tracing::error!(access_key_id = key.access_key_id.masked(), error = chain(error), "no step was booked");
        }
        booked.is_ok()
    }
}

/// A call that counts as not answered after [`CALL`].
async fn limited<T>(call: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::time::timeout(CALL, call).await.unwrap_or(Err(Failure {
        kind: Kind::Unknown,
        code: None,
        status: None,
        request_id: None,
    }))
}

/// The event of a state that operators must know.
fn event(key: &KeyItem, owner: &Owner) -> Option<Event> {
    let detail = KeyEvent {
        tenant_id: owner.tenant_id.clone(),
        provider_id: owner.provider_id.clone(),
        account_id: owner.account_id.clone(),
        access_key_id: key.access_key_id.clone(),
        state: key.state.name().as_str().to_owned(),
        reason: key.state.reason().map(str::to_owned),
        orders: key.orders.iter().cloned().collect(),
    };
    match key.state {
        KeyState::Revoked | KeyState::RefusedUnproven => Some(Event::ProviderRevoked(detail)),
        KeyState::RevocationBlocked(_) => Some(Event::RevocationBlocked(detail)),
        _ => None,
    }
}

fn waited_ms(before: &KeyItem, now: Timestamp) -> i64 {
    i64::try_from(now.duration_since(before.updated_at).as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn sample(json: &str) -> Value {
        let sample: Value = serde_json::from_str(json).unwrap();
        assert_eq!(sample["source"], "sendingbee.revoke");
        sample
    }

    fn key(status: Value) -> KeyItem {
        let mut key = json!({
            "access_key_id": "AKIASP2TPHJSQH3FJRUX",
            "owner": {
                "provider_id": "prv_01KAQX5D8E3C9V7N2M4R6T8W0Y", "tenant_id": "acme", "account_id": "171436882533",
                "region": "eu-central-1"
            },
            "updated_at": "2026-11-23T10:00:07Z",
            "orders": ["rvk_01KAQX7Q5RD0B6S4M3Z1Y9T8WC"],
        });
        for (name, value) in status.as_object().unwrap() {
            key[name] = value.clone();
        }
        serde_json::from_value(key).unwrap()
    }

    #[test]
    fn the_sample_events_are_what_is_put_on_the_bus() {
        let cases = [
            (include_str!("../../../../events/revoke-provider-revoked.json"), json!({"status": "revoked"})),
            (
                include_str!("../../../../events/revoke-revocation-blocked.json"),
                json!({"status": "revocation_blocked", "reason": "quarantined"}),
            ),
        ];
        for (sample_json, status) in cases {
            let sample = sample(sample_json);
            let key = key(status);
            let event = event(&key, key.owner.as_ref().unwrap()).unwrap();
            assert_eq!(sample["detail-type"], event.detail_type());
            assert_eq!(sample["detail"], serde_json::to_value(&event).unwrap());
        }
    }

    #[test]
    fn a_key_on_its_way_has_no_event() {
        let key = key(json!({"status": "revoking"}));
        assert_eq!(event(&key, key.owner.as_ref().unwrap()), None);
    }
}
