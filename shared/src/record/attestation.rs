//! Attestation: a person says that a key is dead whose deletion could not be proved.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::transaction::contended;
use super::{KeyItem, KeyState, ProgressOutcome, Proof, Providers, RecordError, Secrets, StateChange, sweep_index};
use crate::id::AccessKeyId;
use crate::runtime::Ambient;

/// Who says that a key is dead, and why. It is kept in the key's receipt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attestation {
    /// When.
    pub attested_at: Timestamp,
    /// Who looked, as the request says.
    pub attested_by: String,
    /// The ARN that signed the request.
    pub signed_by: String,
    /// What they saw.
    pub reason: String,
}

/// What an attestation did.
#[derive(Clone, Debug, PartialEq)]
pub enum AttestationOutcome {
    /// The key is `revoked` now, or was by an earlier delivery of the same attestation.
    Attested(Box<KeyItem>),
    /// The key is not `refused_unproven`, or somebody else has attested it: nothing was changed.
    NotUnproven(Box<KeyItem>),
    /// There is no such key item.
    NoSuchKey,
}

/// Attempts, if the worker writes progress in between.
const MAX_ATTEMPTS: u32 = 4;

impl Providers {
    /// Makes a key `revoked` on somebody's word, in one transaction: key item and provider become `revoked`, an audit event
    /// is written. `revoke-worker` shreds the revoke lane before it notifies operators. Only a key that is `refused_unproven` can be attested. It can be repeated.
    ///
    /// # Errors
    /// DynamoDB did not answer: it may or may not have been written.
    pub async fn attest(
        &self,
        access_key_id: &AccessKeyId,
        attestation: &Attestation,
        secrets: &Secrets,
        ambient: &Ambient,
    ) -> Result<AttestationOutcome, RecordError> {
        for _ in 0..MAX_ATTEMPTS {
            let Some(key) = self.key(access_key_id).await? else { return Ok(AttestationOutcome::NoSuchKey) };
            if key.state != KeyState::RefusedUnproven {
                let is_repeated =
                    key.receipt.attestation.as_ref().is_some_and(|earlier| earlier.is_same_as(attestation));
                return Ok(match key.state {
                    KeyState::Revoked if is_repeated => AttestationOutcome::Attested(Box::new(key)),
                    _ => AttestationOutcome::NotUnproven(Box::new(key)),
                });
            }
            let after = attested(&key, attestation);
            let change =
                StateChange { by: &attestation.signed_by, reason: Some(Proof::Attested.as_str()), secrets, ambient };
            match self.record_state(&key, &after, &change).await? {
                ProgressOutcome::Recorded => return Ok(AttestationOutcome::Attested(Box::new(after))),
                ProgressOutcome::Superseded => {}
            }
        }
        Err(contended(KeyItem::pk(access_key_id)))
    }
}

impl Attestation {
    /// Whether it says the same; the time may differ.
    fn is_same_as(&self, other: &Self) -> bool {
        (&self.attested_by, &self.signed_by, &self.reason) == (&other.attested_by, &other.signed_by, &other.reason)
    }
}

/// The key after its attestation. The worker shreds its lane and notifies operators.
fn attested(key: &KeyItem, attestation: &Attestation) -> KeyItem {
    let mut after = key.clone();
    after.state = KeyState::Revoked;
    after.updated_at = attestation.attested_at;
    after.attempts = key.attempts.saturating_add(1);
    after.receipt.deleted_by = Some(Proof::Attested);
    after.receipt.attestation = Some(attestation.clone());
    after.notification_pending = true;
    after.next_attempt_at = Some(sweep_index::due_after(attestation.attested_at));
    after
}
