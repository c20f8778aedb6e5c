//! The rate item in DynamoDB: one for each account and Region, because SES's quota applies to these.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use jiff::{SignedDuration, Timestamp};
use shared::mail::Priority;
use shared::record::{Item, Mails, Provider, RecordError, rate_pk};
use shared::runtime::Ambient;
use shared::telemetry::chain;

use super::breaker::{Breaker, ProbeSchedule};
use super::line::{Growth, LineUp, Lines, is_behind_others, line_up};
use super::{
    AccountQuota, FirstStart, HighPlan, Pace, ParkedSlot, ReservationPlan, Slot, StartRequest, halved_share,
    plan_starts,
};
use crate::delay::Delay;
use crate::wait_reason::WaitReason;

/// No reservation reaches beyond now.
const IF_IDLE: &str = "(attribute_not_exists(#tat) OR #tat < :now_us)";

/// A reservation does, and the last of these mails still starts within the horizon.
const IF_ROOM: &str = "#tat >= :now_us AND #tat <= :latest";

/// The same among mail of high priority.
const IF_HIGH_IDLE: &str = "(attribute_not_exists(#high_tat) OR #high_tat < :now_us)";
const IF_HIGH_ROOM: &str = "#high_tat >= :now_us AND #high_tat <= :high_latest";

/// The share is the one that the plan is based on.
const IF_SAME_SHARE: &str = "#share = :was_share";
const IF_NO_SHARE: &str = "attribute_not_exists(#share)";

/// SES gives answers, or it does not.
const IF_CLOSED: &str = "attribute_not_exists(#probe_at)";
const IF_OPEN: &str = "attribute_exists(#probe_at)";

/// A conditional write that fails returns the pace, so the second plan is right unless another process wrote in between.
pub(super) const MAX_PLANS: usize = 6;

/// How far a 429 postpones the next start.
const POSTPONED_BY: SignedDuration = SignedDuration::from_secs(1);

/// How long an item lives after its last write: a pace that is older than a day has no meaning.
const ITEM_LIFE: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The most paces that a process caches. A cached pace only saves a write, so all may be dropped at once.
const MAX_CACHED: usize = 1024;

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

    /// Reserves starts for mails, in one write for all of a priority. Mails without one line up.
    ///
    /// A start that is not used is lost: the account then sends slower, never faster. No start is before `lead` from now:
    /// the time that a mail needs until its request.
    pub(crate) async fn reserve(
        &self,
        provider: &Provider,
        wanted: &[StartRequest],
        lead: SignedDuration,
        ambient: &Ambient,
    ) -> Result<Vec<Slot>, RecordError> {
        // The urgent first, then what has come back, in their order.
        let mut order: Vec<usize> = (0..wanted.len()).collect();
        order.sort_by_key(|place| (wanted[*place].priority != Priority::High, wanted[*place].is_new));
        let high = order.iter().take_while(|place| wanted[**place].priority == Priority::High).count();
        let (urgent, others) = order.split_at(high);
        let mut slots = vec![Slot::Later(Delay::SHORT_OF_TIME); wanted.len()];
        for (priority, places) in [(Priority::High, urgent), (Priority::Normal, others)] {
            let mails: Vec<StartRequest> = places.iter().map(|place| wanted[*place]).collect();
            if mails.is_empty() {
                continue;
            }
            let reserved = self.reserve_of(provider, priority, &mails, lead, ambient).await?;
            for (place, slot) in places.iter().zip(reserved) {
                slots[*place] = slot;
            }
        }
        Ok(slots)
    }

    /// Reserves starts for mails of one priority, what has come back before what is new.
    async fn reserve_of(
        &self,
        provider: &Provider,
        priority: Priority,
        wanted: &[StartRequest],
        lead: SignedDuration,
        ambient: &Ambient,
    ) -> Result<Vec<Slot>, RecordError> {
        let pk = rate_pk(&provider.account_id, provider.region.as_str());
        let mut pace = self.cached(&pk);
        let mut slots = Vec::with_capacity(wanted.len());
        for _ in 0..MAX_PLANS {
            let now = ambient.now() + lead;
            if let Some(known) = pace.filter(|pace| pace.breaker.is_open()) {
                let lined_up = self.line_up(&pk, &known, wanted, provider, ambient.now()).await;
                pace = self.cached(&pk);
                if pace.is_none_or(|pace| pace.breaker.is_open()) {
                    return Ok(lined_up.into_iter().map(while_open).collect());
                }
            }
            if let Some(eta) = pace.and_then(|pace| pace.quota.blocks_until(now)) {
                slots.resize(wanted.len(), Slot::Parked(ParkedSlot { reason: WaitReason::DailyQuota, eta }));
                break;
            }
            let is_trying = |mail: &StartRequest| pace.is_none_or(|pace| !is_behind_others(&pace, *mail, now));
            let recipients: Vec<u32> =
                wanted.iter().take_while(|mail| is_trying(mail)).map(|mail| mail.recipients).collect();
            let rate = max_send_rate(pace.as_ref(), provider, now);
            let Some(plan) = plan_starts(pace.as_ref(), &recipients, priority, rate, now) else { break };
            let (found, is_done) = self.reserve_planned(&pk, &plan, now).await?;
            pace = found;
            // SES may have told another process. The starts are lost, and nobody needs them.
            if let Some(eta) = pace.and_then(|pace| pace.quota.used_up_until(now)) {
                slots.resize(wanted.len(), Slot::Parked(ParkedSlot { reason: WaitReason::DailyQuota, eta }));
                break;
            }
            if is_done && let Some(pace) = pace {
                let first_us = pace.tat_us - plan.total_us;
                let starts = plan.offsets_us.iter().map(|offset_us| start(first_us + offset_us, now));
                // This process may not have known that others have lined up: then the starts are lost, and nobody is overtaken.
                let is_first = |mail: &StartRequest| !is_behind_others(&pace, *mail, now);
                slots.extend(
                    starts.zip(wanted).take_while(|(_, mail)| is_first(mail)).map(|(start, _)| Slot::At(start)),
                );
                break;
            }
        }
        if let Some(pace) = pace {
            self.cache(&pk, pace);
            let rest = &wanted[slots.len()..];
            if !rest.is_empty() {
                slots.extend(self.line_up(&pk, &pace, rest, provider, ambient.now()).await);
            }
        }
        // Without a pace every plan failed, and the item was not there: the mails are received again in a moment.
        slots.resize(wanted.len(), Slot::Later(Delay::SHORT_OF_TIME));
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
                .expression_attribute_values(":now", number(now.as_millisecond()))
                .expression_attribute_values(":share", number(share))
                .expression_attribute_values(":was_share", number(current.share))
                .expression_attribute_values(":postponed_by", number(super::millis(POSTPONED_BY) * 1000));
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
        let mut request =
            self.pace_update(pk, now).expression_attribute_values(":now_us", number(now.as_microsecond()));
        let (mut expression, mut condition) = (format!("{set}, #expires_at = :expiry"), condition.to_owned());
        if is_share_changed {
            expression.push_str(", #share = :share, #share_changed = :now");
            request = request
                .expression_attribute_names("#share_changed", "share_changed")
                .expression_attribute_values(":now", number(now.as_millisecond()))
                .expression_attribute_values(":share", number(plan.share));
        }
        request = match plan.first {
            FirstStart::Now => {
                request.expression_attribute_values(":now_and_total", number(now.as_microsecond() + plan.total_us))
            }
            FirstStart::BehindOthers { latest_us } => request
                .expression_attribute_values(":total", number(plan.total_us))
                .expression_attribute_values(":latest", number(latest_us)),
        };
        if let Some(HighPlan { first, total_us }) = plan.high {
            request = request.expression_attribute_names("#high_tat", "high_tat");
            let (set, high_condition) = match first {
                FirstStart::Now => (", #high_tat = :now_and_high_total", IF_HIGH_IDLE),
                FirstStart::BehindOthers { .. } => (", #high_tat = #high_tat + :high_total", IF_HIGH_ROOM),
            };
            expression.push_str(set);
            condition.push_str(&format!(" AND {high_condition}"));
            request = match first {
                FirstStart::Now => {
                    request.expression_attribute_values(":now_and_high_total", number(now.as_microsecond() + total_us))
                }
                FirstStart::BehindOthers { latest_us } => request
                    .expression_attribute_values(":high_total", number(total_us))
                    .expression_attribute_values(":high_latest", number(latest_us)),
            };
        }
        expression.push_str(" ADD #reserved :recipients");
        request = request
            .expression_attribute_names("#reserved", "reserved")
            .expression_attribute_values(":recipients", number(plan.recipients.into()))
            .expression_attribute_names("#probe_at", "probe_at");
        request = match plan.was_share {
            None => request.condition_expression(format!("{condition} AND {IF_NO_SHARE} AND {IF_CLOSED}")),
            Some(was) => request
                .condition_expression(format!("{condition} AND {IF_SAME_SHARE} AND {IF_CLOSED}"))
                .expression_attribute_values(":was_share", number(was)),
        };
        update_pace(request.update_expression(expression), pk).await
    }

    /// Lines mails up that found no start. It only writes estimates, so neither a lost race nor an error matters. While the
    /// breaker is open, the write also tells whether it still is.
    async fn line_up(
        &self,
        pk: &str,
        pace: &Pace,
        wanted: &[StartRequest],
        provider: &Provider,
        now: Timestamp,
    ) -> Vec<Slot> {
        let (slots, change) = line_up(pace, wanted, max_send_rate(Some(pace), provider, now), now);
        for request in self.line_updates(pk, pace, change, now) {
            match update_pace(request, pk).await {
                Ok((Some(pace), _)) => self.cache(pk, pace),
                Ok((None, _)) => {}
                Err(error) => {
                    tracing::warn!(error = chain(&error), pk, "updating the estimate of mail that waits failed");
                }
            }
        }
        slots
    }

    fn line_updates(
        &self,
        pk: &str,
        pace: &Pace,
        change: LineUp,
        now: Timestamp,
    ) -> impl Iterator<Item = UpdateItemFluentBuilder> {
        let is_open = pace.breaker.is_open();
        let conditional = |request: UpdateItemFluentBuilder, condition: Option<&str>| match (condition, is_open) {
            (None, false) => request,
            (Some(condition), false) => request.condition_expression(condition),
            (condition, true) => request
                .condition_expression(
                    [condition, Some(IF_OPEN)].into_iter().flatten().collect::<Vec<_>>().join(" AND "),
                )
                .expression_attribute_names("#probe_at", "probe_at"),
        };
        let grow = |name: &str, was_ms: i64, Growth { from_ms, total_ms }: Growth| {
            let request = self
                .item_update(pk)
                .expression_attribute_names("#line", name)
                .expression_attribute_values(":from", number(from_ms));
            // The line reaches as far as it did when the estimate was made, or further; or less far.
            let (request, condition) = match was_ms >= from_ms {
                true => (
                    request
                        .update_expression("SET #line = #line + :total")
                        .expression_attribute_values(":total", number(total_ms)),
                    "#line >= :from",
                ),
                false => (
                    request
                        .update_expression("SET #line = :from_and_total")
                        .expression_attribute_values(":from_and_total", number(from_ms + total_ms)),
                    "(attribute_not_exists(#line) OR #line < :from)",
                ),
            };
            conditional(request, Some(condition))
        };
        let parked = (change.parked_cost_ms > 0).then(|| {
            let request = self
                .item_update(pk)
                .update_expression("SET #parked_seen = :now ADD #parked_cost :cost")
                .expression_attribute_names("#parked_seen", "parked_seen")
                .expression_attribute_names("#parked_cost", "parked_cost")
                .expression_attribute_values(":now", number(now.as_millisecond()))
                .expression_attribute_values(":cost", number(change.parked_cost_ms));
            conditional(request, None)
        });
        let new = change.new.map(|growth| grow("deferred", pace.lines.new_ms, growth));
        let returned = change.returned.map(|growth| grow("returned", pace.lines.returned_ms, growth));
        [new, returned, parked].into_iter().flatten()
    }

    /// The pace of an account, read if this process does not know it.
    pub(crate) async fn pace(&self, provider: &Provider) -> Result<Option<Pace>, RecordError> {
        let pk = rate_pk(&provider.account_id, provider.region.as_str());
        let pace = self.mails.item(&pk).await?.as_ref().and_then(pace);
        if let Some(pace) = pace {
            self.cache(&pk, pace);
        }
        Ok(pace)
    }

    /// Records that parked mail was released, which extends the line of new mail, and whether more is parked.
    pub(crate) async fn record_release(
        &self,
        provider: &Provider,
        (line_ms, released_cost_ms): (i64, i64),
        is_more: bool,
        now: Timestamp,
    ) -> Result<(), RecordError> {
        let pk = rate_pk(&provider.account_id, provider.region.as_str());
        let request = self
            .pace_update(&pk, now)
            .condition_expression("attribute_exists(#tat) AND attribute_exists(#share)")
            .expression_attribute_names("#line", "deferred")
            .expression_attribute_names("#parked_seen", "parked_seen")
            .expression_attribute_names("#parked_cost", "parked_cost")
            .expression_attribute_values(":line", number(line_ms));
        let set = "SET #line = :line, #expires_at = :expiry";
        let request = match is_more {
            true => request
                .update_expression(format!("{set}, #parked_seen = :now ADD #parked_cost :released"))
                .expression_attribute_values(":now", number(now.as_millisecond()))
                .expression_attribute_values(":released", number(-released_cost_ms)),
            false => request.update_expression(format!("{set} REMOVE #parked_seen, #parked_cost")),
        };
        if let (Some(pace), _) = update_pace(request, &pk).await? {
            self.cache(&pk, pace);
        }
        Ok(())
    }

    /// An update of a rate item that returns the pace whether its condition holds or not.
    pub(super) fn item_update(&self, pk: &str) -> UpdateItemFluentBuilder {
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
            .expression_attribute_values(":expiry", number((now + ITEM_LIFE).as_second()))
    }

    pub(super) fn cached(&self, pk: &str) -> Option<Pace> {
        self.paces.lock().unwrap_or_else(PoisonError::into_inner).get(pk).copied()
    }

    pub(super) fn cache(&self, pk: &str, pace: Pace) {
        let mut paces = self.paces.lock().unwrap_or_else(PoisonError::into_inner);
        if paces.len() >= MAX_CACHED {
            paces.clear();
        }
        paces.insert(pk.to_owned(), pace);
    }
}

/// Makes the write. Returns the pace after it and true, or the pace that its condition failed on and false.
pub(super) async fn update_pace(
    request: UpdateItemFluentBuilder,
    pk: &str,
) -> Result<(Option<Pace>, bool), RecordError> {
    match Box::pin(request.send()).await {
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
        tat_us: value("tat")?,
        high_tat_us: value("high_tat").unwrap_or(0),
        lines: Lines {
            new_ms: value("deferred").unwrap_or(0),
            returned_ms: value("returned").unwrap_or(0),
            parked_seen_ms: value("parked_seen").unwrap_or(0),
            parked_cost_ms: value("parked_cost").unwrap_or(0),
        },
        share: value("share")?,
        share_changed_ms: value("share_changed")?,
        suspected_until_ms: value("suspected_until").unwrap_or(0),
        breaker: Breaker {
            version: value("breaker_version").unwrap_or(0),
            unknowns: value("unknowns").unwrap_or(0),
            unknown_at_ms: value("unknown_at").unwrap_or(0),
            probe: value("probe_at")
                .map(|at_ms| ProbeSchedule { at_ms, interval_ms: value("probe_interval").unwrap_or(0) }),
        },
        quota: AccountQuota {
            until_ms: value("quota_until").unwrap_or(0),
            read_at_ms: value("read_at").unwrap_or(0),
            rate_milli: value("rate_milli").unwrap_or(0),
            max_24_hour_send: value("max_24_hour_send").unwrap_or(0),
            sent_last_24_hours: value("sent_last_24_hours").unwrap_or(0),
            reserved: value("reserved").unwrap_or(0),
            told_at_ms: value("quota_told_at").unwrap_or(0),
        },
    })
}

pub(super) fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// MaxSendRate as SES said lately, or as the provider's verification has seen it.
pub(crate) fn max_send_rate(pace: Option<&Pace>, provider: &Provider, now: Timestamp) -> f64 {
    pace.and_then(|pace| pace.quota.max_send_rate(now)).unwrap_or(provider.max_send_rate)
}

/// What a mail does while SES gives no answers.
fn while_open(slot: Slot) -> Slot {
    match slot {
        Slot::Later(delay) => Slot::BreakerOpen(delay),
        slot => slot,
    }
}

fn start(us: i64, now: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(us).unwrap_or(now)
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
