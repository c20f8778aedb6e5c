//! The breaker on the rate item.

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use jiff::Timestamp;
use shared::record::{Provider, RecordError, rate_pk};
use shared::runtime::Ambient;

use super::breaker::{Breaker, LAST_RESORT_AFTER, ProbeSchedule};
use super::table::{MAX_PLANS, Rates, number, update_pace};

/// The breaker is the one that the decision was made on.
const IF_SAME_BREAKER: &str = "#breaker_version = :was_version";
const IF_NO_BREAKER: &str = "attribute_not_exists(#breaker_version)";

impl Rates {
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
