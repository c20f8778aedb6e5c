//! What a mail's delivery tells the account's breaker.

use std::time::Duration;

use jiff::Timestamp;
use shared::record::{Provider, RecordError};
use shared::telemetry::chain;
use shared::tenant::{Failure, FailureKind};
use tokio::time::timeout;

use super::Delivery;
use super::admission::Start;

/// The longest that a write may take: it must not use up the time for the mail's own record.
const WRITE_TIMEOUT: Duration = Duration::from_secs(2);

impl Delivery {
    /// SES accepted the mail.
    pub(super) async fn close_breaker(&self, provider: &Provider, begun: Timestamp, start: Start) {
        let rates = &self.services.rates;
        self.attempt(provider, rates.record_acceptance(provider, begun, start.is_probe)).await;
    }

    /// SES gave no answer, or one that is no acceptance. A refusal of the mail or the key ends an outage as little as it
    /// proves one, so the next mail tries at once; throttling, and a request that did not reach SES, leave it to its time.
    pub(super) async fn record_on_breaker(&self, provider: &Provider, failure: &Failure, start: Start) {
        let (rates, ambient) = (&self.services.rates, &self.services.ambient);
        match failure.kind {
            FailureKind::Unknown => self.attempt(provider, rates.record_unknown(provider, ambient)).await,
            FailureKind::NotWritten | FailureKind::Throttled => {}
            _ if start.is_probe => self.release_probe(provider).await,
            _ => {}
        }
    }

    /// The mail was elected to try and was not sent.
    pub(super) async fn release_probe(&self, provider: &Provider) {
        self.attempt(provider, self.services.rates.release_probe(provider, &self.services.ambient)).await;
    }

    /// The breaker is no concern of the mail: an error is logged, and the next mail tells it again.
    async fn attempt(&self, provider: &Provider, write: impl Future<Output = Result<(), RecordError>>) {
        let time_limit = self.remaining_before_acknowledgement().min(WRITE_TIMEOUT);
        let error = match timeout(time_limit, write).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => chain(&error),
            Err(_) => "timed out".to_owned(),
        };
        tracing::warn!(provider_id = %provider.provider_id, error, "writing the breaker of an account failed");
    }
}
