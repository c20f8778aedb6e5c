//! `PUT /providers/{provider_id}/hold`: the provider sends nothing until the operator lifts it.

use serde::{Deserialize, Serialize};
use shared::http::{Problem, Request, RequestLog, Response, body, respond};
use shared::id::ProviderId;
use shared::record::{Hold, HoldOutcome, Provider, StatusName};
use shared::telemetry::{Event, HoldEvent, chain};

use super::{parameter, signer};
use crate::intake::Intake;
use crate::intake::breach_report::checked_reason;

/// The body of both routes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HoldRequest {
    pub(super) reason: String,
}

/// What both routes answer.
#[derive(Serialize)]
struct HoldView<'a> {
    provider_id: &'a ProviderId,
    status: StatusName,
    /// `null` if the provider is not held.
    hold: Option<&'a Hold>,
}

impl HoldRequest {
    /// The provider in the path, the reason in the body and who signed.
    pub(super) fn parse<'a>(
        request: &'a Request,
        log: &mut RequestLog,
    ) -> Result<(ProviderId, String, &'a str), Problem> {
        let signer = signer(request)?;
        let provider_id =
            parameter(request, "provider_id", ProviderId::parse).ok_or_else(|| Problem::not_found("provider"))?;
        log.provider(&provider_id);
        let Self { reason } = body(request)?;
        let reason = checked_reason("reason", &reason).map_err(|invalid| Problem::bad_request(&invalid))?;
        Ok((provider_id, reason, signer))
    }
}

impl Intake {
    pub(super) async fn put_hold(&self, request: &Request, log: &mut RequestLog) -> Result<Response, Problem> {
        let (provider_id, reason, signer) = HoldRequest::parse(request, log)?;
        let outcome = self.providers.hold(&provider_id, &reason, signer, &self.ambient).await?;
        self.answer_hold(outcome, (&reason, signer), log).await
    }

    /// Tells operators of a change, and answers with the hold as it is. The event is put once: what holds stands in the item.
    pub(super) async fn answer_hold(
        &self,
        outcome: HoldOutcome,
        (reason, signer): (&str, &str),
        log: &mut RequestLog,
    ) -> Result<Response, Problem> {
        let (provider, is_changed) = match outcome {
            HoldOutcome::Changed(provider) => (provider, true),
            HoldOutcome::Unchanged(provider) => (provider, false),
            HoldOutcome::Stopped(provider) => {
                log.tenant(&provider.tenant_id);
                log.outcome("stopped");
                let detail =
                    "An order has stopped the provider: it sends nothing any more, held or not. Look at its status.";
                return Err(Problem::new(409, detail)
                    .kind("provider-stopped")
                    .with("provider_status", &provider.status.status)
                    .with("reason", &provider.status.reason));
            }
            HoldOutcome::NoSuchProvider => return Err(Problem::not_found("provider")),
        };
        log.tenant(&provider.tenant_id);
        let hold = provider.hold.as_ref().filter(|hold| hold.is_in_force());
        if is_changed {
            self.tell_hold(&provider, hold.is_some(), (reason, signer)).await;
        }
        log.outcome(match (is_changed, hold.is_some()) {
            (true, true) => "held",
            (true, false) => "lifted",
            (false, _) => "unchanged",
        });
        Ok(respond(200, &HoldView { provider_id: &provider.provider_id, status: provider.status.status, hold }))
    }

    async fn tell_hold(&self, provider: &Provider, is_held: bool, (reason, signer): (&str, &str)) {
        tracing::warn!(
            provider_id = %provider.provider_id,
            held = is_held,
            changed_by = signer,
            reason,
            "hold of a provider changed"
        );
        let event = hold_event(provider, is_held, (reason, signer));
        if let Err(error) = self.bus.put(&event, self.ambient.now()).await {
            tracing::error!(
                provider_id = %provider.provider_id,
                held = is_held,
                error = chain(&error),
                "operators not told of a change of a hold"
            );
        }
    }
}

fn hold_event(provider: &Provider, is_held: bool, (reason, signer): (&str, &str)) -> Event {
    let event = HoldEvent {
        tenant_id: provider.tenant_id.clone(),
        provider_id: provider.provider_id.clone(),
        account_id: provider.account_id.clone(),
        reason: reason.to_owned(),
        changed_by: signer.to_owned(),
    };
    if is_held { Event::ProviderHeld(event) } else { Event::ProviderHoldLifted(event) }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_sample_events_are_what_is_put_on_the_bus() {
        let provider: Provider = serde_json::from_value(json!({
            "provider_id": "prv_01KAQX5D8E3C9V7N2M4R6T8W0Y", "tenant_id": "acme", "name": "Main",
            "region": "eu-central-1", "account_id": "171436882533", "user_name": "mailer",
            "user_arn": "arn:aws:iam::171436882533:user/mailer", "access_key_id": "AKIASP2TPHJSQH3FJRUX",
            "status": "active", "max_send_rate": 14.0, "max_24_hour_send": -1.0, "sandbox": false,
            "created_at": "2026-11-23T09:00:00Z", "updated_at": "2026-11-23T09:00:00Z",
        }))
        .unwrap();
        let signer = "arn:aws:sts::111122223333:assumed-role/operator-backend/backend";
        for (sample, is_held, reason) in [
            (include_str!("../../../../../events/revoke-provider-held.json"), true, "Complaints about a campaign"),
            (include_str!("../../../../../events/revoke-provider-hold-lifted.json"), false, "The campaign is stopped"),
        ] {
            let sample: Value = serde_json::from_str(sample).unwrap();
            let event = hold_event(&provider, is_held, (reason, signer));
            assert_eq!(
                (&sample["source"], &sample["detail-type"]),
                (&json!("sendingbee.revoke"), &json!(event.detail_type()))
            );
            assert_eq!(sample["detail"], serde_json::to_value(&event).unwrap());
        }
    }
}
