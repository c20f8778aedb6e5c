//! `GET /providers/{provider_id}/rotations/{rotation_id}`: how far a rotation has come.

use shared::http::{Problem, Request, RequestLog, Response, respond};

use super::{provider_id, rotation_id};
use crate::Verify;
use crate::rotation_view::RotationView;

impl Verify {
    /// Answers with one rotation: the provider's latest, or an earlier one that is closed.
    pub(crate) async fn get_rotation(&self, request: &Request, log: &mut RequestLog) -> Result<Response, Problem> {
        let (provider_id, rotation_id) = (provider_id(request)?, rotation_id(request)?);
        log.provider(&provider_id);
        let verified = self.providers.verified_provider(&provider_id).await?;
        let verified = verified.ok_or_else(|| Problem::not_found("provider"))?;
        log.tenant(&verified.provider.tenant_id);
        let latest = verified.provider.rotation.as_ref().filter(|rotation| rotation.rotation_id == rotation_id);
        if let Some(rotation) = latest {
            let report = verified.rotation_reports.as_ref().map(|reports| &reports.new_key);
            return Ok(respond(200, &RotationView::new(&provider_id, rotation, report)));
        }
        let item = self.providers.rotation_item(&provider_id, &rotation_id).await?;
        let item = item.ok_or_else(|| Problem::not_found("rotation"))?;
        Ok(respond(200, &RotationView::new(&provider_id, &item.rotation, None)))
    }
}
