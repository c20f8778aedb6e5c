//! The take-down of what was configured in a tenant's SES, when its provider is off-boarded.
//!
//! Only this worker can still do it: the stop has shredded the send lane. It comes before the deletion, because the key signs it, and it
//! must not matter to it: three seconds at most, while the survey is made, and not again before the next survey. Nothing that
//! comes of it stops the deletion. After a breach it is not tried at all, and the set stays.

use std::time::Duration;

use shared::record::{Configuration, ConfigurationItem, KeyItem, Owner, configuration_set_name};
use shared::telemetry::chain;
use shared::tenant::{Credential, Failure, FailureKind};
use tokio::time::{sleep, timeout};

use super::Worker;
use super::key_step::is_survey_due;

/// The time for all of it: two calls, the second between them, and the reads and the write around them.
const TAKE_DOWN_TIMEOUT: Duration = Duration::from_secs(3);

/// SES takes such a call once a second.
const BETWEEN_CALLS: Duration = Duration::from_secs(1);

/// What became of a set.
enum TakenDown {
    /// It was deleted.
    Deleted,
    /// It was gone.
    Gone,
    /// There is one that is not ours.
    Foreign,
}

impl Worker {
    /// Deletes the configuration set of a provider that is off-boarded, if there is one of ours.
    pub(super) async fn take_down(&self, key: &KeyItem, owner: &Owner, credential: &Credential) {
        if key.retired || !is_survey_due(key, self.ambient.now()) {
            return;
        }
        if timeout(TAKE_DOWN_TIMEOUT, self.try_take_down(key, owner, credential)).await.is_err() {
            tracing::warn!(
                provider_id = %owner.provider_id,
                "the configuration set was not taken down in time: it stays in the tenant's account"
            );
        }
    }

    async fn try_take_down(&self, key: &KeyItem, owner: &Owner, credential: &Credential) {
        let provider_id = owner.provider_id.as_str();
        let configuration = match self.providers.configuration(&owner.provider_id).await {
            Ok(Some(ConfigurationItem { configuration, .. })) if configuration.may_stand() => configuration,
            Ok(_) => return,
            Err(error) => {
                tracing::warn!(
                    provider_id,
                    error = chain(&error),
                    "configuration not read: its set stays in the tenant's account"
                );
                return;
            }
        };
        if self.is_breach_reported(key).await != Some(false) {
            return;
        }
        match self.delete_set(owner, credential).await {
            Ok(TakenDown::Foreign) => {}
            Ok(taken_down) => {
                self.note_take_down(owner, &configuration, matches!(taken_down, TakenDown::Deleted)).await
            }
            Err(failure) => tracing::warn!(
                provider_id,
                error = %failure,
                request_id = failure.request_id,
                "the configuration set was not taken down: it stays in the tenant's account"
            ),
        }
    }

    async fn delete_set(&self, owner: &Owner, credential: &Credential) -> Result<TakenDown, Failure> {
        let name = configuration_set_name(&owner.provider_id);
        match self.tenants.get_configuration_set(credential, &name).await {
            Ok(set) if set.tag.as_deref() == Some(owner.provider_id.as_str()) => {}
            Ok(_) => return Ok(TakenDown::Foreign),
            Err(Failure { kind: FailureKind::NotFound, .. }) => return Ok(TakenDown::Gone),
            Err(failure) => return Err(failure),
        }
        sleep(BETWEEN_CALLS).await;
        match self.tenants.delete_configuration_set(credential, &name).await {
            Ok(()) => Ok(TakenDown::Deleted),
            Err(Failure { kind: FailureKind::NotFound, .. }) => Ok(TakenDown::Gone),
            Err(failure) => Err(failure),
        }
    }

    async fn note_take_down(&self, owner: &Owner, read: &Configuration, is_deleted: bool) {
        let after = read.taken_down(is_deleted.then(|| self.ambient.now()));
        let written = self
            .providers
            .record_configuration(&owner.provider_id, read, after, None, "revoke-worker", &self.ambient)
            .await;
        let error = match &written {
            Ok(Some(_)) => None,
            Ok(None) => Some("somebody else wrote it first".to_owned()),
            Err(error) => Some(chain(error)),
        };
        tracing::info!(provider_id = %owner.provider_id, is_deleted, error, "configuration set taken down");
    }
}
