//! The rate item in DynamoDB: one of each account and Region, because that is what SES's quota is of.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use jiff::{SignedDuration, Timestamp};
use shared::record::{Item, Mails, Provider, RecordError, rate_pk};
use shared::runtime::Ambient;

use super::{Estimate, First, Pace, Plan, estimate, halved, plan};
use crate::delay::Delay;

/// Nobody has reserved beyond now.
const IF_IDLE: &str = "(attribute_not_exists(#tat) OR #tat < :now)";

/// Somebody has, and the last of these mails still starts within the horizon.
const IF_ROOM: &str = "#tat >= :now AND #tat <= :latest";

/// The share is the one that the plan rests on.
const IF_SAME_SHARE: &str = "#share = :was_share";
const IF_NO_SHARE: &str = "attribute_not_exists(#share)";

/// The next estimate goes behind mails that were put back before, or is the first one behind the reservations.
const IF_DEFERRED_BEYOND: &str = "#deferred >= :tat";
const IF_NOT_DEFERRED_BEYOND: &str = "(attribute_not_exists(#deferred) OR #deferred < :tat)";

/// A conditional write that fails tells the pace, so the second plan is right unless somebody came in between.
const MOST_PLANS: usize = 6;

/// How far a 429 pushes the pace forward.
const PUSHED: SignedDuration = SignedDuration::from_secs(1);

/// How long an item lives after its last write: past a day it says nothing any more.
const ITEM_LIFE: SignedDuration = SignedDuration::from_hours(7 * 24);

/// How many paces a process remembers. They only save a write, so all may be forgotten at once.
const MOST_KNOWN: usize = 1024;

/// Where a mail stands with the rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// It may start then.
    At(Timestamp),
    /// There is no start for it within the horizon: it goes back to the queue for so long.
    Later(Delay),
}

/// The rate items.
#[derive(Debug)]
pub(crate) struct Rates {
    mails: Mails,
    /// The paces this process saw last.
    known: Mutex<HashMap<String, Pace>>,
}

impl Rates {
    /// The rate items in this table.
    pub(crate) fn new(mails: Mails) -> Self {
        Self { mails, known: Mutex::default() }
    }

    /// Reserves starts for mails with so many recipients each, in one write for all of them. Mails behind the last one
    /// that fits are told when to come back.
    ///
    /// A start that is not used is lost: the account then sends slower, never faster.
    pub(crate) async fn reserve(
        &self,
        provider: &Provider,
        recipients: &[u32],
        ambient: &Ambient,
    ) -> Result<Vec<Slot>, RecordError> {
        let pk = rate_pk(&provider.account_id, provider.region.as_str());
        let mut known = self.known(&pk);
        let mut slots = Vec::with_capacity(recipients.len());
        for _ in 0..MOST_PLANS {
            let now = ambient.now();
            let Some(plan) = plan(known.as_ref(), recipients, provider.max_send_rate, now) else { break };
            let (pace, done) = self.write(&pk, &plan, now).await?;
            known = pace;
            if done && let Some(pace) = pace {
                let first_ms = pace.tat_ms - plan.total_ms;
                let starts = plan.offsets_ms.iter().map(|offset_ms| start(first_ms + offset_ms, now));
                slots.extend(starts.map(Slot::At));
                break;
            }
        }
        if let Some(pace) = known {
            self.remember(&pk, pace);
            let rest = &recipients[slots.len()..];
            if !rest.is_empty() {
                slots.extend(self.put_off(&pk, &pace, rest, provider.max_send_rate, ambient.now()).await);
            }
        }
        // Without a pace every plan failed against an item that was not there: come back in a moment.
        slots.resize(recipients.len(), Slot::Later(Delay::SHORT_OF_TIME));
        Ok(slots)
    }

    /// SES said 429: halves the share and pushes the pace forward. An error is none for the mail, which goes back to
    /// the queue anyway; the next 429 tries again.
    pub(crate) async fn slow_down(&self, provider: &Provider, ambient: &Ambient) -> Result<(), RecordError> {
        let pk = rate_pk(&provider.account_id, provider.region.as_str());
        let mut known = self.known(&pk);
        while let Some(pace) = known {
            let now = ambient.now();
            let Some(share) = halved(&pace, now) else { break };
            let request = self
                .update(&pk, now)
                .update_expression(
                    "SET #share = :share, #share_changed = :now, #tat = #tat + :pushed, #expires_at = :expiry",
                )
                .condition_expression(IF_SAME_SHARE)
                .expression_attribute_names("#share_changed", "share_changed")
                .expression_attribute_values(":share", number(share))
                .expression_attribute_values(":was_share", number(pace.share))
                .expression_attribute_values(":pushed", number(super::millis(PUSHED)));
            let (found, done) = ask(request, &pk).await?;
            if done {
                tracing::info!(account_id = provider.account_id, region = %provider.region, share, "slowed down");
            }
            // Another share that was changed just now is the same 429, heard by somebody else.
            known = if done { None } else { found.filter(|found| found.share != pace.share) };
            if let Some(found) = found {
                self.remember(&pk, found);
            }
        }
        Ok(())
    }

    /// Marks the account while a key of it is under suspicion, for all processes: each sees it when it reserves a start.
    pub(crate) async fn suspect(&self, provider: &Provider, until: Timestamp) -> Result<(), RecordError> {
        let pk = rate_pk(&provider.account_id, provider.region.as_str());
        let request = self
            .item(&pk)
            .update_expression("SET #suspected_until = :until")
            .expression_attribute_names("#suspected_until", "suspected_until")
            .expression_attribute_values(":until", number(until.as_millisecond()));
        if let (Some(pace), _) = ask(request, &pk).await? {
            self.remember(&pk, pace);
        }
        Ok(())
    }

    /// Whether a key of the account was under suspicion when this process reserved a start last.
    pub(crate) fn is_suspected(&self, provider: &Provider, now: Timestamp) -> bool {
        let pk = rate_pk(&provider.account_id, provider.region.as_str());
        self.known(&pk).is_some_and(|pace| pace.suspected_until_ms > now.as_millisecond())
    }

    async fn write(&self, pk: &str, plan: &Plan, now: Timestamp) -> Result<(Option<Pace>, bool), RecordError> {
        let changes = plan.was_share != Some(plan.share);
        let (set, condition) = match plan.first {
            First::Now => ("SET #tat = :now_and_total", IF_IDLE),
            First::BehindOthers { .. } => ("SET #tat = #tat + :total", IF_ROOM),
        };
        let mut request = self.update(pk, now);
        let mut expression = format!("{set}, #expires_at = :expiry");
        if changes {
            expression.push_str(", #share = :share, #share_changed = :now");
            request = request
                .expression_attribute_names("#share_changed", "share_changed")
                .expression_attribute_values(":share", number(plan.share));
        }
        request = match plan.first {
            First::Now => {
                request.expression_attribute_values(":now_and_total", number(now.as_millisecond() + plan.total_ms))
            }
            First::BehindOthers { latest_ms } => request
                .expression_attribute_values(":total", number(plan.total_ms))
                .expression_attribute_values(":latest", number(latest_ms)),
        };
        request = match plan.was_share {
            None => request.condition_expression(format!("{condition} AND {IF_NO_SHARE}")),
            Some(was) => request
                .condition_expression(format!("{condition} AND {IF_SAME_SHARE}"))
                .expression_attribute_values(":was_share", number(was)),
        };
        ask(request.update_expression(expression), pk).await
    }

    /// Delays for mails without a start. Only an estimate is written, so neither a lost race nor an error matters.
    async fn put_off(
        &self,
        pk: &str,
        pace: &Pace,
        recipients: &[u32],
        max_send_rate: f64,
        now: Timestamp,
    ) -> Vec<Slot> {
        let Estimate { delays, total_ms } = estimate(pace, recipients, max_send_rate, now);
        if total_ms > 0 {
            let (set, condition) = if pace.deferred_ms >= pace.tat_ms {
                ("SET #deferred = #deferred + :total", IF_DEFERRED_BEYOND)
            } else {
                ("SET #deferred = :tat_and_total", IF_NOT_DEFERRED_BEYOND)
            };
            let mut request = self
                .item(pk)
                .update_expression(set)
                .condition_expression(condition)
                .expression_attribute_names("#deferred", "deferred")
                .expression_attribute_values(":tat", number(pace.tat_ms));
            request = if pace.deferred_ms >= pace.tat_ms {
                request.expression_attribute_values(":total", number(total_ms))
            } else {
                request.expression_attribute_values(":tat_and_total", number(pace.tat_ms + total_ms))
            };
            match ask(request, pk).await {
                Ok((Some(pace), _)) => self.remember(pk, pace),
                Ok((None, _)) => {}
                Err(error) => tracing::warn!(error = shared::telemetry::chain(&error), "estimate not written"),
            }
        }
        delays.into_iter().map(Slot::Later).collect()
    }

    /// An update of a rate item that answers the pace, whether it went through or not.
    fn item(&self, pk: &str) -> UpdateItemFluentBuilder {
        self.mails
            .client
            .update_item()
            .table_name(&self.mails.table)
            .key("pk", AttributeValue::S(pk.to_owned()))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }

    /// An update with what all changes of the pace use.
    fn update(&self, pk: &str, now: Timestamp) -> UpdateItemFluentBuilder {
        self.item(pk)
            .expression_attribute_names("#tat", "tat")
            .expression_attribute_names("#share", "share")
            .expression_attribute_names("#expires_at", "expires_at")
            .expression_attribute_values(":now", number(now.as_millisecond()))
            .expression_attribute_values(":expiry", number((now + ITEM_LIFE).as_second()))
    }

    fn known(&self, pk: &str) -> Option<Pace> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(pk).copied()
    }

    fn remember(&self, pk: &str, pace: Pace) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_KNOWN {
            known.clear();
        }
        known.insert(pk.to_owned(), pace);
    }
}

/// The pace after the write, or the one that stood in its way.
async fn ask(request: UpdateItemFluentBuilder, pk: &str) -> Result<(Option<Pace>, bool), RecordError> {
    match request.send().await {
        Ok(answer) => Ok((answer.attributes.as_ref().and_then(pace), true)),
        Err(error) => match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(failed)) => Ok((failed.item().and_then(pace), false)),
            _ => Err(RecordError::dynamodb("UpdateItem", pk)(error)),
        },
    }
}

fn pace(item: &Item) -> Option<Pace> {
    let value = |name: &str| item.get(name).and_then(|value| value.as_n().ok()).and_then(|value| value.parse().ok());
    Some(Pace {
        tat_ms: value("tat")?,
        deferred_ms: value("deferred").unwrap_or(0),
        share: value("share")?,
        share_changed_ms: value("share_changed")?,
        suspected_until_ms: value("suspected_until").unwrap_or(0),
    })
}

fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn start(ms: i64, now: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_without_a_pace_is_none() {
        let item = |names: &[&str]| -> Item { names.iter().map(|name| ((*name).to_owned(), number(1))).collect() };
        assert!(pace(&item(&["tat", "share", "share_changed"])).is_some());
        assert!(pace(&item(&["tat"])).is_none());
        assert!(pace(&Item::new()).is_none());
    }
}
