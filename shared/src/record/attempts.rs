//! Counters of onboarding attempts: `verify` must not serve as a checker of stolen keys.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use super::item::string;
use super::{AccessKeyId, Providers, RecordError, TenantId};

/// How many attempts a window takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempts {
    /// Attempts of one tenant with one key id.
    pub per_key: u32,
    /// Attempts of one tenant with any key id.
    pub per_tenant: u32,
    /// Length of the window in seconds.
    pub window_s: i64,
}

/// Ten tries an hour are enough to correct a secret that was copied badly, and too few to search with. A tenant that
/// hands over more than 300 keys in an hour is having them checked.
pub const ONBOARDING_ATTEMPTS: Attempts = Attempts { per_key: 10, per_tenant: 300, window_s: 3600 };

impl Providers {
    /// Counts an attempt. Answers the seconds until the next one is taken, where this one is one too many.
    ///
    /// # Errors
    /// DynamoDB did not answer: the attempt must not be made.
    pub async fn count_attempt(
        &self,
        tenant_id: &TenantId,
        access_key_id: &AccessKeyId,
        limits: Attempts,
        now: Timestamp,
    ) -> Result<Option<u64>, RecordError> {
        let window = now.as_second() / limits.window_s;
        let ends = (window + 1) * limits.window_s;
        let counters = [
            (format!("attempts#{tenant_id}#{access_key_id}"), limits.per_key),
            (format!("attempts#{tenant_id}"), limits.per_tenant),
        ];
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
                .expression_attribute_values(":expiry", AttributeValue::N((ends + limits.window_s).to_string()))
                .send()
                .await;
            match answer {
                Ok(_) => {}
                Err(error)
                    if matches!(
                        error.as_service_error(),
                        Some(UpdateItemError::ConditionalCheckFailedException(_))
                    ) =>
                {
                    return Ok(Some(u64::try_from(ends - now.as_second()).unwrap_or(1).max(1)));
                }
                Err(error) => return Err(RecordError::dynamodb("UpdateItem", pk)(error)),
            }
        }
        Ok(None)
    }
}
