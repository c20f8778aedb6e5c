//! The quotas on the rate item.

use jiff::Timestamp;
use shared::record::{Provider, RecordError, rate_pk};

use super::table::{Rates, number, update_pace};
use super::{AccountReading, quota};

/// The account was not read since.
const IF_UNREAD: &str = "(attribute_not_exists(#read_at) OR #read_at <= :before)";

impl Rates {
    /// Until when an account's daily quota keeps mail back, as this process knows.
    pub(crate) fn quota_blocks_until(&self, provider: &Provider, now: Timestamp) -> Option<Timestamp> {
        let pk = rate_pk(&provider.account_id, provider.region.as_str());
        self.cached(&pk).and_then(|pace| pace.quota.blocks_until(now))
    }

    /// SES says that the daily quota is used up: nothing is sent for a while.
    pub(crate) async fn record_used_up(&self, provider: &Provider, now: Timestamp) -> Result<Timestamp, RecordError> {
        let until = now.saturating_add(quota::USED_UP_FOR).unwrap_or(now);
        let pk = rate_pk(&provider.account_id, provider.region.as_str());
        let request = self
            .item_update(&pk)
            .update_expression("SET #quota_until = :until")
            .expression_attribute_names("#quota_until", "quota_until")
            .expression_attribute_values(":until", number(until.as_millisecond()));
        if let (Some(pace), _) = update_pace(request, &pk).await? {
            self.cache(&pk, pace);
        }
        Ok(until)
    }

    /// Whether this process is to read the account now: one does every fifteen minutes, if mail is sent.
    pub(crate) async fn elect_reading(&self, provider: &Provider, now: Timestamp) -> Result<bool, RecordError> {
        let pk = rate_pk(&provider.account_id, provider.region.as_str());
        if self.cached(&pk).is_some_and(|pace| !pace.quota.is_reading_due(now)) {
            return Ok(false);
        }
        let before = now.saturating_sub(quota::READ_EVERY).unwrap_or(now);
        let request = self
            .item_update(&pk)
            .update_expression("SET #read_at = :now")
            .condition_expression(IF_UNREAD)
            .expression_attribute_names("#read_at", "read_at")
            .expression_attribute_values(":now", number(now.as_millisecond()))
            .expression_attribute_values(":before", number(before.as_millisecond()));
        let (pace, is_elected) = update_pace(request, &pk).await?;
        if let Some(pace) = pace {
            self.cache(&pk, pace);
        }
        Ok(is_elected)
    }

    /// Records what the account says of its quotas. True if operators have to be told that the daily one is nearly used up:
    /// the first time in a day.
    pub(crate) async fn record_reading(
        &self,
        provider: &Provider,
        reading: AccountReading,
        now: Timestamp,
    ) -> Result<bool, RecordError> {
        let pk = rate_pk(&provider.account_id, provider.region.as_str());
        let is_told = self.cached(&pk).is_some_and(|pace| pace.quota.is_told(now));
        let is_to_tell = reading.is_nearly_used() && !is_told;
        let mut expression =
            "SET #rate = :rate, #max_24_hours = :max_24_hours, #sent_24_hours = :sent_24_hours, #reserved = :zero"
                .to_owned();
        let mut request = self
            .item_update(&pk)
            .expression_attribute_names("#rate", "rate_milli")
            .expression_attribute_names("#max_24_hours", "max_24_hour_send")
            .expression_attribute_names("#sent_24_hours", "sent_last_24_hours")
            .expression_attribute_names("#reserved", "reserved")
            .expression_attribute_values(":rate", number(reading.rate_milli))
            .expression_attribute_values(":max_24_hours", number(reading.max_24_hour_send))
            .expression_attribute_values(":sent_24_hours", number(reading.sent_last_24_hours))
            .expression_attribute_values(":zero", number(0));
        if is_to_tell {
            expression.push_str(", #told_at = :now");
            request = request
                .expression_attribute_names("#told_at", "quota_told_at")
                .expression_attribute_values(":now", number(now.as_millisecond()));
        }
        if let (Some(pace), _) = update_pace(request.update_expression(expression), &pk).await? {
            self.cache(&pk, pace);
        }
        Ok(is_to_tell)
    }
}
