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

use super::breaker::{Breaker, LAST_RESORT_AFTER, ProbeSchedule};
use super::{Estimate, FirstStart, Pace, ReservationPlan, estimate_delays, halved_share, plan_starts};
use crate::delay::Delay;

/// No reservation reaches beyond now.
const IF_IDLE: &str = "(attribute_not_exists(#tat) OR #tat < :now)";

/// A reservation does, and the last of these mails still starts within the horizon.
const IF_ROOM: &str = "#tat >= :now AND #tat <= :latest";

/// The share is the one that the plan is based on.
const IF_SAME_SHARE: &str = "#share = :was_share";
const IF_NO_SHARE: &str = "attribute_not_exists(#share)";

/// SES gives answers, or it does not.
const IF_CLOSED: &str = "attribute_not_exists(#probe_at)";
const IF_OPEN: &str = "attribute_exists(#probe_at)";

/// The breaker is the one that the decision was made on.
const IF_SAME_BREAKER: &str = "#breaker_version = :was_version";
const IF_NO_BREAKER: &str = "attribute_not_exists(#breaker_version)";

/// The deferred mails reach as far as they did when the estimate was made, or further; or they reach less far.
const IF_DEFERRED_BEYOND: &str = "#deferred >= :from";
const IF_NOT_DEFERRED_BEYOND: &str = "(attribute_not_exists(#deferred) OR #deferred < :from)";

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
    /// SES gives no answers: the mail is requeued with this delay, unless it is the one that tries.
    BreakerOpen(Delay),
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
    /// A start that is not used is lost: the account then sends slower, never faster. No start is before `lead` from now:
    /// the time that a mail needs until its request.
    pub(crate) async fn reserve(
        &self,
        provider: &Provider,
        recipients: &[u32],
        lead: SignedDuration,
        ambient: &Ambient,
    ) -> Result<Vec<Slot>, RecordError> {
        let pk = rate_pk(&provider.account_id, provider.region.as_str());
        let mut pace = self.cached(&pk);
        let mut slots = Vec::with_capacity(recipients.len());
        for _ in 0..MAX_PLANS {
            let now = ambient.now() + lead;
            if let Some(known) = pace.filter(|pace| pace.breaker.is_open()) {
                let deferred = self.defer(&pk, &known, recipients, provider.max_send_rate, ambient.now()).await;
                pace = self.cached(&pk);
                if pace.is_none_or(|pace| pace.breaker.is_open()) {
                    return Ok(deferred.into_iter().map(Slot::BreakerOpen).collect());
                }
            }
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
                let deferred = self.defer(&pk, &pace, rest, provider.max_send_rate, ambient.now()).await;
                slots.extend(deferred.into_iter().map(Slot::Later));
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
        request = request.expression_attribute_names("#probe_at", "probe_at");
        request = match plan.was_share {
            None => request.condition_expression(format!("{condition} AND {IF_NO_SHARE} AND {IF_CLOSED}")),
            Some(was) => request
                .condition_expression(format!("{condition} AND {IF_SAME_SHARE} AND {IF_CLOSED}"))
                .expression_attribute_values(":was_share", number(was)),
        };
        update_pace(request.update_expression(expression), pk).await
    }

    /// Delays for mails without a start. It only writes an estimate, so neither a lost race nor an error matters. While the
    /// breaker is open, the write also tells whether it still is.
    async fn defer(&self, pk: &str, pace: &Pace, recipients: &[u32], max_send_rate: f64, now: Timestamp) -> Vec<Delay> {
        let Estimate { delays, total_ms, from_ms } = estimate_delays(pace, recipients, max_send_rate, now);
        let is_open = pace.breaker.is_open();
        if total_ms > 0 || is_open {
            let is_behind_others = pace.deferred_ms >= from_ms;
            let (set, condition) = if is_behind_others {
                ("SET #deferred = #deferred + :total", IF_DEFERRED_BEYOND)
            } else {
                ("SET #deferred = :from_and_total", IF_NOT_DEFERRED_BEYOND)
            };
            let mut request = self
                .item_update(pk)
                .update_expression(set)
                .expression_attribute_names("#deferred", "deferred")
                .expression_attribute_values(":from", number(from_ms));
            request = if is_behind_others {
                request.expression_attribute_values(":total", number(total_ms))
            } else {
                request.expression_attribute_values(":from_and_total", number(from_ms + total_ms))
            };
            request = if is_open {
                request
                    .condition_expression(format!("{condition} AND {IF_OPEN}"))
                    .expression_attribute_names("#probe_at", "probe_at")
            } else {
                request.condition_expression(condition)
            };
            match update_pace(request, pk).await {
                Ok((Some(pace), _)) => self.cache(pk, pace),
                Ok((None, _)) => {}
                Err(error) => {
                    tracing::warn!(error = chain(&error), pk, "updating the estimate of deferred mail failed")
                }
            }
        }
        delays
    }

    /// Whether SES gave no answers when this process wrote the rate item last.
    pub(crate) fn is_breaker_open(&self, provider: &Provider) -> bool {
        self.breaker(provider).is_open()
    }

    /// Whether a mail may be elected to try now. A mail of which a try may be the last one waits until it is plain that no
    /// other mail tries.
    pub(crate) fn is_probe_due(&self, provider: &Provider, is_last_resort: bool, now: Timestamp) -> bool {
        let wait = if is_last_resort { super::millis(LAST_RESORT_AFTER) } else { 0 };
        self.breaker(provider).probe.is_some_and(|probe| probe.at_ms + wait <= now.as_millisecond())
    }

    /// Elects a mail to try whether SES accepts mail again. False if another one was elected, or if the breaker is closed.
    pub(crate) async fn elect_probe(&self, provider: &Provider, ambient: &Ambient) -> Result<bool, RecordError> {
        self.change_breaker(provider, |breaker| breaker.elect(ambient.now())).await
    }

    /// The elected mail was not sent, or SES refused it for what it is: the next one may try at once.
    pub(crate) async fn release_probe(&self, provider: &Provider, ambient: &Ambient) -> Result<(), RecordError> {
        self.change_breaker(provider, |breaker| breaker.after_no_probe(ambient.now())).await.map(drop)
    }

    /// Records that a request ended without an answer.
    pub(crate) async fn record_unknown(&self, provider: &Provider, ambient: &Ambient) -> Result<(), RecordError> {
        let is_changed = self.change_breaker(provider, |breaker| breaker.after_unknown(ambient.now())).await?;
        if is_changed && self.is_breaker_open(provider) {
            let account_id = &provider.account_id;
            tracing::warn!(account_id, region = %provider.region, "breaker opened, because SES gives no answers");
        }
        Ok(())
    }

    /// Records that SES accepted a mail. Writes nothing if all is well.
    pub(crate) async fn record_acceptance(
        &self,
        provider: &Provider,
        begun: Timestamp,
        is_probe: bool,
    ) -> Result<(), RecordError> {
        let was_open = self.is_breaker_open(provider);
        let is_changed = self.change_breaker(provider, |breaker| breaker.after_acceptance(begun, is_probe)).await?;
        if is_changed && was_open {
            let account_id = &provider.account_id;
            tracing::info!(account_id, region = %provider.region, "breaker closed, because SES accepts mail again");
        }
        Ok(())
    }

    /// Writes what `change` makes of the breaker, on the condition that it is still the one that was changed. False if the
    /// change no longer applies.
    async fn change_breaker(
        &self,
        provider: &Provider,
        change: impl Fn(&Breaker) -> Option<Breaker>,
    ) -> Result<bool, RecordError> {
        let pk = rate_pk(&provider.account_id, provider.region.as_str());
        let mut known = self.cached(&pk).map(|pace| pace.breaker).unwrap_or_default();
        for _ in 0..MAX_PLANS {
            let Some(next) = change(&known) else { return Ok(false) };
            let request = breaker_update(self.item_update(&pk), &known, &next);
            let (found, is_done) = update_pace(request, &pk).await?;
            if let Some(pace) = found {
                self.cache(&pk, pace);
                known = pace.breaker;
            }
            if is_done {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn breaker(&self, provider: &Provider) -> Breaker {
        let pk = rate_pk(&provider.account_id, provider.region.as_str());
        self.cached(&pk).map(|pace| pace.breaker).unwrap_or_default()
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

/// The write that replaces the breaker `was` by `next`.
fn breaker_update(request: UpdateItemFluentBuilder, was: &Breaker, next: &Breaker) -> UpdateItemFluentBuilder {
    let mut request = request
        .expression_attribute_names("#breaker_version", "breaker_version")
        .expression_attribute_names("#unknowns", "unknowns")
        .expression_attribute_names("#unknown_at", "unknown_at")
        .expression_attribute_names("#probe_at", "probe_at")
        .expression_attribute_names("#probe_interval", "probe_interval")
        .expression_attribute_values(":version", number(next.version))
        .expression_attribute_values(":unknowns", number(next.unknowns))
        .expression_attribute_values(":unknown_at", number(next.unknown_at_ms));
    request = match was.version {
        0 => request.condition_expression(IF_NO_BREAKER),
        version => {
            request.condition_expression(IF_SAME_BREAKER).expression_attribute_values(":was_version", number(version))
        }
    };
    let set = "SET #breaker_version = :version, #unknowns = :unknowns, #unknown_at = :unknown_at";
    match next.probe {
        Some(ProbeSchedule { at_ms, interval_ms }) => request
            .update_expression(format!("{set}, #probe_at = :probe_at, #probe_interval = :probe_interval"))
            .expression_attribute_values(":probe_at", number(at_ms))
            .expression_attribute_values(":probe_interval", number(interval_ms)),
        None => request.update_expression(format!("{set} REMOVE #probe_at, #probe_interval")),
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
        breaker: Breaker {
            version: value("breaker_version").unwrap_or(0),
            unknowns: value("unknowns").unwrap_or(0),
            unknown_at_ms: value("unknown_at").unwrap_or(0),
            probe: value("probe_at")
                .map(|at_ms| ProbeSchedule { at_ms, interval_ms: value("probe_interval").unwrap_or(0) }),
        },
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
