//! What a mail's delivery does for the account's quotas: it notes that the daily one is used up, and reads the account.

use shared::record::{LedgerRow, Provider};
use shared::telemetry::{DailyQuotaEvent, Event, chain};
use shared::tenant::Credential;
use tokio::time::timeout;

use super::{Delivery, RECORD_TIMEOUT};
use crate::delivery_error::DeliveryError;
use crate::disposition::Disposition;
use crate::ledger;
use crate::rate::{AccountReading, ParkedSlot};
use crate::wait_reason::WaitReason;

impl Delivery {
    /// SES says that the daily quota is used up, and did not take the mail: it is parked, and no other mail of the account asks
    /// until the quota may be less than used up.
    pub(super) async fn wait_for_quota(
        &self,
        row: &LedgerRow,
        provider: &Provider,
        credential: &Credential,
    ) -> Result<Disposition, DeliveryError> {
        let now = self.services.ambient.now();
        let eta = self.services.rates.record_used_up(provider, now).await?;
        let waiting = ledger::waiting_row(row, WaitReason::DailyQuota.as_str(), eta, now);
        self.services.ledger.write(&waiting, Some(row)).await?;
        let parked = self.wait_or_change_provider(ParkedSlot { reason: WaitReason::DailyQuota, eta }).await;
        self.read_account_if_due(provider, credential).await;
        parked
    }

    /// Reads the account's quotas, every fifteen minutes while mail is sent. It is no concern of the mail: an error is logged, and
    /// the account is read again in fifteen minutes.
    pub(super) async fn read_account_if_due(&self, provider: &Provider, credential: &Credential) {
        let time_limit = self.remaining().saturating_sub(RECORD_TIMEOUT);
        let error = match timeout(time_limit, self.read_account(provider, credential)).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error,
            Err(_) => "timed out".to_owned(),
        };
        tracing::warn!(provider_id = %provider.provider_id, error, "reading the quotas of an account failed");
    }

    async fn read_account(&self, provider: &Provider, credential: &Credential) -> Result<(), String> {
        let (rates, ambient) = (&self.services.rates, &self.services.ambient);
        if !rates.elect_reading(provider, ambient.now()).await.map_err(|error| chain(&error))? {
            return Ok(());
        }
        let account = self.services.tenants.get_account(credential).await.map_err(|failure| failure.to_string())?;
        let reading = AccountReading::new(account.max_send_rate, account.max_24_hour_send, account.sent_last_24_hours);
        let is_to_tell = rates.record_reading(provider, reading, ambient.now()).await.map_err(|error| chain(&error))?;
        if !is_to_tell {
            return Ok(());
        }
        let AccountReading { max_24_hour_send, sent_last_24_hours, .. } = reading;
        tracing::warn!(
            provider_id = %provider.provider_id,
            max_24_hour_send,
            sent_last_24_hours,
            "the daily quota of an account is nearly used up"
        );
        let event = Event::DailyQuotaNearlyUsed(DailyQuotaEvent {
            tenant_id: provider.tenant_id.clone(),
            provider_id: provider.provider_id.clone(),
            account_id: provider.account_id.clone(),
            region: provider.region.to_string(),
            max_24_hour_send,
            sent_last_24_hours,
        });
        self.services.bus.put(&event, ambient.now()).await.map_err(|error| chain(&error))
    }
}
