//! Turns: the seconds in which one call may be made to SES's control plane of an account and Region, whoever makes it.
//!
//! SES takes each of its management operations once a second for an account and Region, and several providers may share one.
//! A turn is taken by a conditional write right before the call. Whoever dies after it has cost the others a second.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use jiff::{SignedDuration, Timestamp};

use super::item::string;
use super::{Item, Providers, RecordError};
use crate::tenant::Region;

/// How long a turn lasts. A little more than SES's second: clocks differ, and a call takes its time to get there.
const TURN: SignedDuration = SignedDuration::from_millis(1_200);

/// Whether a turn could be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It is ours: the call may be made now.
    Taken,
    /// Another has it until then.
    Busy(Timestamp),
}

const TURN_SK: &str = "turn";

impl Providers {
    /// Takes the turn of an account and Region, if it is free.
    ///
    /// # Errors
    /// DynamoDB did not answer: it may or may not be taken.
    pub async fn take_turn(&self, account_id: &str, region: Region, now: Timestamp) -> Result<Turn, RecordError> {
        let pk = format!("turn#{account_id}#{region}");
        let free_at = now.saturating_add(TURN).unwrap_or(now);
        let answer = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("pk", string(&pk))
            .key("sk", string(TURN_SK))
            .update_expression("SET free_at_ms = :free")
            .condition_expression("attribute_not_exists(free_at_ms) OR free_at_ms <= :now")
            .expression_attribute_values(":free", millis(free_at))
            .expression_attribute_values(":now", millis(now))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let Err(error) = answer else { return Ok(Turn::Taken) };
        match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                Ok(Turn::Busy(failed.item().and_then(read_free_at).unwrap_or(free_at).min(free_at)))
            }
            _ => Err(RecordError::dynamodb("UpdateItem", pk)(error)),
        }
    }
}

fn millis(time: Timestamp) -> AttributeValue {
    AttributeValue::N(time.as_millisecond().to_string())
}

/// When a turn ends, as another has written it. A clock that is ahead costs nobody more than a turn: the caller caps it.
fn read_free_at(item: &Item) -> Option<Timestamp> {
    Timestamp::from_millisecond(item.get("free_at_ms")?.as_n().ok()?.parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_turn_is_read_as_it_was_written() {
        let now = Timestamp::from_millisecond(1_800_000_000_123).unwrap();
        let item = Item::from([("free_at_ms".to_owned(), millis(now))]);
        assert_eq!(read_free_at(&item), Some(now));
        assert_eq!(read_free_at(&Item::from([("free_at_ms".to_owned(), string("2027-01-15T08:00:00Z"))])), None);
    }
}
