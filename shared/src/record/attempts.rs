//! Counters of onboarding attempts: `verify` must not serve as a checker of stolen keys.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use super::item_update::ItemUpdate;
use super::{Providers, RecordError};
use crate::id::{AccessKeyId, TenantId};

/// Attempts of one tenant with one key id in one window: enough to correct a secret that was copied badly, and too few
/// to search for one.
const MAX_PER_KEY: u32 = 10;

/// Attempts of all tenants together with one key id in one window. Two tenants that mix up a key have room to find out;
/// more only serve whoever has the key checked under one tenant after the other, or brings the owner of the account's
/// intrusion detection 14 denials each time.
const MAX_PER_KEY_OF_ALL_TENANTS: u32 = 2 * MAX_PER_KEY;

/// Attempts of one tenant with any key id in one window. Whoever hands over more keys than this in an hour is having
/// them checked.
const MAX_PER_TENANT: u32 = 300;

/// Length of a window in seconds.
const WINDOW_S: i64 = 3600;

impl Providers {
    /// Counts an attempt. Returns the seconds until the next attempt is allowed if this one is too many.
    ///
    /// # Errors
    /// DynamoDB did not answer: the attempt must not be made.
    pub async fn count_attempt(
        &self,
        tenant_id: &TenantId,
        access_key_id: &AccessKeyId,
        now: Timestamp,
    ) -> Result<Option<u64>, RecordError> {
        let window = now.as_second() / WINDOW_S;
        let window_end = (window + 1) * WINDOW_S;
        let counters = [
            (format!("attempts#{tenant_id}#{access_key_id}"), MAX_PER_KEY),
            (format!("attempts#{tenant_id}"), MAX_PER_TENANT),
            // No tenant id is empty, so this is no counter of a tenant.
            (format!("attempts##{access_key_id}"), MAX_PER_KEY_OF_ALL_TENANTS),
        ];
        for (pk, limit) in counters {
            let update = ItemUpdate::new(
                pk,
                window.to_string(),
                "ADD attempts :one SET attempts_expire_at = :expiry",
                "attribute_not_exists(attempts) OR attempts < :limit",
            )
            .value(":one", AttributeValue::N("1".to_owned()))
            .value(":limit", AttributeValue::N(limit.to_string()))
            .value(":expiry", AttributeValue::N((window_end + WINDOW_S).to_string()));
            if !self.update(update).await? {
                return Ok(Some(u64::try_from(window_end - now.as_second()).unwrap_or(1).max(1)));
            }
        }
        Ok(None)
    }
}
