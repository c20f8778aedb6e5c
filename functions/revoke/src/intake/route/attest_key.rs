//! `POST /revocations/{order_id}/attestation`: a person says that a key is dead whose deletion could not be proved.

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use shared::http::{FieldError, Problem, Request, RequestLog, Response, body, respond};
use shared::id::{AccessKeyId, OrderId};
use shared::record::{Attestation, AttestationOutcome};
use shared::telemetry::chain;

use super::{log_keys, parameter, signer};
use crate::intake::Intake;
use crate::intake::breach_report::{MAX_REPORTED_BY_CHARS, checked_reason, checked_text};
use crate::intake::revocation_view::RevocationView;
use crate::work_item::enqueue_key;

/// The body.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AttestationRequest {
    access_key_id: String,
    attested_by: String,
    reason: String,
}

impl AttestationRequest {
    /// The key, and what `signer` attests of it.
    ///
    /// # Errors
    /// The field that is wrong.
    pub(super) fn into_attestation(
        self,
        signer: &str,
        now: Timestamp,
    ) -> Result<(AccessKeyId, Attestation), FieldError> {
        let access_key_id =
            AccessKeyId::from_pasted(&self.access_key_id).map_err(FieldError::from_display("access_key_id"))?;
        let attestation = Attestation {
            attested_at: now,
            attested_by: checked_text("attested_by", &self.attested_by, MAX_REPORTED_BY_CHARS)?,
            signed_by: signer.to_owned(),
            reason: checked_reason("reason", &self.reason)?,
        };
        Ok((access_key_id, attestation))
    }
}

impl Intake {
    pub(super) async fn attest_key(&self, request: &Request, log: &mut RequestLog) -> Result<Response, Problem> {
        let signer = signer(request)?;
        let order_id =
            parameter(request, "order_id", OrderId::parse).ok_or_else(|| Problem::not_found("revocation"))?;
        log.order(&order_id);
        let (access_key_id, attestation) = body::<AttestationRequest>(request)?
            .into_attestation(signer, self.ambient.now())
            .map_err(|invalid| Problem::bad_request(&invalid))?;
        let order = self.providers.order(&order_id).await?.ok_or_else(|| Problem::not_found("revocation"))?;
        let is_listed = order.fan_out.is_some()
            && self.providers.key(&access_key_id).await?.is_some_and(|key| key.orders.contains(&order_id));
        if !is_listed && !order.access_key_ids.contains(&access_key_id) {
            return Err(Problem::bad_request(&FieldError::new("access_key_id", "names no key of this revocation")));
        }
        let attest = self.providers.attest(&access_key_id, &attestation, &self.secrets, &self.ambient);
        let key = match Box::pin(attest).await? {
            AttestationOutcome::Attested(key) => key,
            AttestationOutcome::NotUnproven(key) => {
                log.outcome("not_unproven");
                let detail =
                    "Only a key that is `refused_unproven` can be attested, and only once. Look at the revocation.";
                return Err(Problem::new(409, detail).with("key_status", &key.state.name().as_str()));
            }
            AttestationOutcome::NoSuchKey => return Err(Problem::not_found("key")),
        };
        // The worker notifies operators. If this is lost, the sweep enqueues it.
        if let Err(error) = enqueue_key(&self.queue, &access_key_id, Some(&order_id), Duration::ZERO).await {
            tracing::error!(
                order_id = %order_id,
                access_key_id = access_key_id.masked(),
                error = chain(&error),
                "attested key not enqueued: the sweep notifies operators"
            );
        }
        let keys = [(access_key_id, Some(*key))];
        log_keys(&keys, log);
        log.outcome("attested");
        let counts = self.counts(&order, &keys).await?;
        Ok(respond(200, &RevocationView::with_counts(&order, counts, &keys)))
    }
}
