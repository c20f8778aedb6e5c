//! Counters of onboarding attempts: `verify` must not serve as a checker of stolen keys.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use super::item::string;
use super::write::made;
use super::{Providers, RecordError};
use crate::id::{AccessKeyId, TenantId};

/// Attempts of one tenant with one key id that a window takes: enough to correct a secret that was copied badly, and too
/// few to search with.
const PER_KEY: u32 = 10;

/// Attempts of one tenant with any key id. One that hands over more keys than this in an hour is having them checked.
const PER_TENANT: u32 = 300;

/// Length of a window in seconds.
const WINDOW_S: i64 = 3600;

impl Providers {
    /// Counts an attempt. Answers the seconds until the next one is taken, where this one is one too many.
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
        let ends = (window + 1) * WINDOW_S;
        let counters =
            [(format!("attempts#{tenant_id}#{access_key_id}"), PER_KEY), (format!("attempts#{tenant_id}"), PER_TENANT)];
        for (pk, limit) in counters {
            let answer = self
                .client
                .update_item()
                .table_name(&self.table)
                .key("pk", string(&pk))
                .key("sk", string(window.to_string()))
                .update_expression("ADD attempts :one SET attempts_expire_at = :expiry")
                .condition_expression("attribute_not_exists(attempts) OR attempts < :limit")
                .expression_attribute_values(":one", AttributeValue::N("1".to_owned()))
                .expression_attribute_values(":limit", AttributeValue::N(limit.to_string()))
                .expression_attribute_values(":expiry", AttributeValue::N((ends + WINDOW_S).to_string()))
                .send()
                .await;
            if !made(answer, "UpdateItem", pk)? {
                return Ok(Some(u64::try_from(ends - now.as_second()).unwrap_or(1).max(1)));
            }
        }
        Ok(None)
    }
}
