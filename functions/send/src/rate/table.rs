//! The rate item in DynamoDB: one for each account and Region, because SES's quota applies to these.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use jiff::{SignedDuration, Timestamp};
use shared::record::{Item, Mails, Provider, RecordError, rate_pk};
use shared::runtime::Ambient;
use shared::telemetry::chain;

use super::{Estimate, FirstStart, Pace, ReservationPlan, estimate_delays, halved_share, plan_starts};
use crate::delay::Delay;

/// No reservation reaches beyond now.
const IF_IDLE: &str = "(attribute_not_exists(#tat) OR #tat < :now)";

/// A reservation does, and the last of these mails still starts within the horizon.
const IF_ROOM: &str = "#tat >= :now AND #tat <= :latest";

/// The share is the one that the plan is based on.
const IF_SAME_SHARE: &str = "#share = :was_share";
const IF_NO_SHARE: &str = "attribute_not_exists(#share)";

/// Mails were deferred beyond the reservations before, so the next estimate starts after them; or none were.
const IF_DEFERRED_BEYOND: &str = "#deferred >= :tat";
const IF_NOT_DEFERRED_BEYOND: &str = "(attribute_not_exists(#deferred) OR #deferred < :tat)";

/// A conditional write that fails returns the pace, so the second plan is right unless another process wrote in between.
const MAX_PLANS: usize = 6;

/// How far a 429 postpones the next start.
const POSTPONED_BY: SignedDuration = SignedDuration::from_secs(1);

/// How long an item lives after its last write: a pace that is older than a day has no meaning.
const ITEM_LIFE: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The most paces that a process caches. A cached pace only saves a write, so all may be dropped at once.
const MAX_CACHED: usize = 1024;

/// When a mail may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// At this time.
    At(Timestamp),
    /// There is no start within the horizon: the mail is requeued with this delay.
    Later(Delay),
}

/// The rate items.
#[derive(Debug)]
pub(crate) struct Rates {
    mails: Mails,
    /// The paces that this process read last.
    paces: Mutex<HashMap<String, Pace>>,
}

impl Rates {
    /// The rate items in this table.
    pub(crate) fn new(mails: Mails) -> Self {
        Self { mails, paces: Mutex::default() }
    }

    /// Reserves starts for mails with these numbers of recipients, in one write for all of them. Mails after the last one
    /// that fits get a delay.
    ///
    /// A start that is not used is lost: the account then sends slower, never faster.
    pub(crate) async fn reserve(
        &self,
        provider: &Provider,
        recipients: &[u32],
        ambient: &Ambient,
    ) -> Result<Vec<Slot>, RecordError> {
        let pk = rate_pk(&provider.account_id, provider.region.as_str());
        let mut pace = self.cached(&pk);
        let mut slots = Vec::with_capacity(recipients.len());
        for _ in 0..MAX_PLANS {
            let now = ambient.now();
            let Some(plan) = plan_starts(pace.as_ref(), recipients, provider.max_send_rate, now) else { break };
            let (found, is_done) = self.reserve_planned(&pk, &plan, now).await?;
            pace = found;
            if is_done && let Some(pace) = pace {
                let first_ms = pace.tat_ms - plan.total_ms;
                let starts = plan.offsets_ms.iter().map(|offset_ms| start(first_ms + offset_ms, now));
                slots.extend(starts.map(Slot::At));
                break;
            }
        }
        if let Some(pace) = pace {
            self.cache(&pk, pace);
            let rest = &recipients[slots.len()..];
            if !rest.is_empty() {
                slots.extend(self.defer(&pk, &pace, rest, provider.max_send_rate, ambient.now()).await);
            }
        }
        // Without a pace every plan failed, and the item was not there: the mails are received again in a moment.
        slots.resize(recipients.len(), Slot::Later(Delay::SHORT_OF_TIME));
        Ok(slots)
    }

    /// Halves the share and postpones the next start after a 429. An error does not matter to the mail, which is requeued
    /// anyway; the next 429 tries again.
    pub(crate) async fn slow_down(&self, provider: &Provider, ambient: &Ambient) -> Result<(), RecordError> {
        let pk = rate_pk(&provider.account_id, provider.region.as_str());
        let mut pace = self.cached(&pk);
        while let Some(current) = pace {
            let now = ambient.now();
            let Some(share) = halved_share(&current, now) else { break };
            let request = self
                .pace_update(&pk, now)
                .update_expression(
                    "SET #share = :share, #share_changed = :now, #tat = #tat + :postponed_by, #expires_at = :expiry",
                )
                .condition_expression(IF_SAME_SHARE)
                .expression_attribute_names("#share_changed", "share_changed")
                .expression_attribute_values(":share", number(share))
                .expression_attribute_values(":was_share", number(current.share))
                .expression_attribute_values(":postponed_by", number(super::millis(POSTPONED_BY)));
            let (found, is_done) = update_pace(request, &pk).await?;
            if is_done {
                let account_id = &provider.account_id;
                tracing::info!(account_id, region = %provider.region, share, "send rate slowed down after a 429");
            }
            // If another share was written just now, another process has handled a 429 of the same moment.
            pace = if is_done { None } else { found.filter(|found| found.share != current.share) };
            if let Some(found) = found {
                self.cache(&pk, found);
            }
        }
        Ok(())
    }

    /// Marks the account while one of its keys is under suspicion. Every process reads the mark when it reserves a start.
    pub(crate) async fn suspect(&self, provider: &Provider, until: Timestamp) -> Result<(), RecordError> {
        let pk = rate_pk(&provider.account_id, provider.region.as_str());
        let request = self
            .item_update(&pk)
            .update_expression("SET #suspected_until = :until")
            .expression_attribute_names("#suspected_until", "suspected_until")
            .expression_attribute_values(":until", number(until.as_millisecond()));
        if let (Some(pace), _) = update_pace(request, &pk).await? {
            self.cache(&pk, pace);
        }
        Ok(())
    }

    /// Whether a key of the account was under suspicion when this process reserved a start last.
    pub(crate) fn is_suspected(&self, provider: &Provider, now: Timestamp) -> bool {
        let pk = rate_pk(&provider.account_id, provider.region.as_str());
        self.cached(&pk).is_some_and(|pace| pace.suspected_until_ms > now.as_millisecond())
    }

    async fn reserve_planned(
        &self,
        pk: &str,
        plan: &ReservationPlan,
        now: Timestamp,
    ) -> Result<(Option<Pace>, bool), RecordError> {
        let is_share_changed = plan.was_share != Some(plan.share);
        let (set, condition) = match plan.first {
            FirstStart::Now => ("SET #tat = :now_and_total", IF_IDLE),
            FirstStart::BehindOthers { .. } => ("SET #tat = #tat + :total", IF_ROOM),
        };
        let mut request = self.pace_update(pk, now);
        let mut expression = format!("{set}, #expires_at = :expiry");
        if is_share_changed {
            expression.push_str(", #share = :share, #share_changed = :now");
            request = request
                .expression_attribute_names("#share_changed", "share_changed")
                .expression_attribute_values(":share", number(plan.share));
        }
        request = match plan.first {
            FirstStart::Now => {
                request.expression_attribute_values(":now_and_total", number(now.as_millisecond() + plan.total_ms))
            }
            FirstStart::BehindOthers { latest_ms } => request
                .expression_attribute_values(":total", number(plan.total_ms))
                .expression_attribute_values(":latest", number(latest_ms)),
        };
        request = match plan.was_share {
            None => request.condition_expression(format!("{condition} AND {IF_NO_SHARE}")),
            Some(was) => request
                .condition_expression(format!("{condition} AND {IF_SAME_SHARE}"))
                .expression_attribute_values(":was_share", number(was)),
        };
        update_pace(request.update_expression(expression), pk).await
    }

    /// Delays for mails without a start. It only writes an estimate, so neither a lost race nor an error matters.
    async fn defer(&self, pk: &str, pace: &Pace, recipients: &[u32], max_send_rate: f64, now: Timestamp) -> Vec<Slot> {
        let Estimate { delays, total_ms } = estimate_delays(pace, recipients, max_send_rate, now);
        if total_ms > 0 {
            let (set, condition) = if pace.deferred_ms >= pace.tat_ms {
                ("SET #deferred = #deferred + :total", IF_DEFERRED_BEYOND)
            } else {
                ("SET #deferred = :tat_and_total", IF_NOT_DEFERRED_BEYOND)
            };
            let mut request = self
                .item_update(pk)
                .update_expression(set)
                .condition_expression(condition)
                .expression_attribute_names("#deferred", "deferred")
                .expression_attribute_values(":tat", number(pace.tat_ms));
            request = if pace.deferred_ms >= pace.tat_ms {
                request.expression_attribute_values(":total", number(total_ms))
            } else {
                request.expression_attribute_values(":tat_and_total", number(pace.tat_ms + total_ms))
            };
            match update_pace(request, pk).await {
                Ok((Some(pace), _)) => self.cache(pk, pace),
                Ok((None, _)) => {}
                Err(error) => {
                    tracing::warn!(error = chain(&error), pk, "updating the estimate of deferred mail failed")
                }
            }
        }
        delays.into_iter().map(Slot::Later).collect()
    }

    /// An update of a rate item that returns the pace whether its condition holds or not.
    fn item_update(&self, pk: &str) -> UpdateItemFluentBuilder {
        self.mails
            .update(pk)
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }

    /// An update with the names and values that all changes of the pace use.
    fn pace_update(&self, pk: &str, now: Timestamp) -> UpdateItemFluentBuilder {
        self.item_update(pk)
            .expression_attribute_names("#tat", "tat")
            .expression_attribute_names("#share", "share")
            .expression_attribute_names("#expires_at", "expires_at")
            .expression_attribute_values(":now", number(now.as_millisecond()))
            .expression_attribute_values(":expiry", number((now + ITEM_LIFE).as_second()))
    }

    fn cached(&self, pk: &str) -> Option<Pace> {
        self.paces.lock().unwrap_or_else(PoisonError::into_inner).get(pk).copied()
    }

    fn cache(&self, pk: &str, pace: Pace) {
        let mut paces = self.paces.lock().unwrap_or_else(PoisonError::into_inner);
        if paces.len() >= MAX_CACHED {
            paces.clear();
        }
        paces.insert(pk.to_owned(), pace);
    }
}

/// Makes the write. Returns the pace after it and true, or the pace that its condition failed on and false.
async fn update_pace(request: UpdateItemFluentBuilder, pk: &str) -> Result<(Option<Pace>, bool), RecordError> {
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
