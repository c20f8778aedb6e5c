//! `DELETE /providers/{provider_id}/rotations/{rotation_id}`: a rotation ends before its new key is promoted, and that key
//! dies.

use shared::http::{Problem, Request, RequestLog, Response, respond, signer};
use shared::record::{CancelOutcome, RotationPhase};

use super::{provider_id, rotation_id};
use crate::Verify;
use crate::rotation_view::RotationView;

/// How often a cancellation is tried again because the provider has changed.
const MAX_ATTEMPTS: usize = 4;

impl Verify {
    /// Cancels a rotation. The new key is revoked, because its secret was handed over: nobody has to trust that it is
    /// forgotten. It can be repeated.
    pub(crate) async fn cancel_rotation(&self, request: &Request, log: &mut RequestLog) -> Result<Response, Problem> {
        let signer = signer(request).ok_or_else(|| {
            Problem::new(403, "A rotation is cancelled only by requests that are signed with IAM credentials.")
        })?;
        let (provider_id, rotation_id) = (provider_id(request)?, rotation_id(request)?);
        log.provider(&provider_id);
        for _ in 0..MAX_ATTEMPTS {
            let provider = self.providers.provider(&provider_id).await?;
            let provider = provider.ok_or_else(|| Problem::not_found("provider"))?;
            log.tenant(&provider.tenant_id);
            let latest = provider.rotation.as_ref().filter(|rotation| rotation.rotation_id == rotation_id);
            let rotation = match latest {
                Some(rotation) => rotation.clone(),
                None => {
                    let item = self.providers.rotation_item(&provider_id, &rotation_id).await?;
                    item.ok_or_else(|| Problem::not_found("rotation"))?.rotation
                }
            };
            match rotation.phase {
                RotationPhase::Candidate => {}
                RotationPhase::Cancelled => {
                    log.outcome("cancelled_before");
                    return Ok(respond(202, &RotationView::new(&provider_id, &rotation, None)));
                }
                phase => {
                    log.outcome("not_cancellable");
                    return Err(Problem::new(
                        409,
                        "The rotation is past its promotion, or has ended. To go back to the old key during the grace, report the new one: POST /revocations.",
                    )
                    .kind("rotation-not-cancellable")
                    .with("phase", &phase));
                }
            }
            match self.providers.cancel_rotation(&provider, signer, &self.ambient).await? {
                CancelOutcome::Cancelled(rotation) => {
                    log.outcome("cancelled");
                    return Ok(respond(202, &RotationView::new(&provider_id, &rotation, None)));
                }
                CancelOutcome::Changed => {}
            }
        }
        Err(Problem::unavailable())
    }
}
