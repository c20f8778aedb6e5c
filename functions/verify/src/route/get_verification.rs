//! `GET /providers/{provider_id}/verifications/{verification_id}`: a verification that was asked for; `latest` in place of its id means the
//! latest of them.

use shared::http::{Problem, Request, RequestLog, Response, respond};
use shared::id::VerificationId;

use super::{path_parameter, provider_id};
use crate::Verify;
use crate::verification_view::VerificationView;

/// The word for the latest.
const LATEST: &str = "latest";

impl Verify {
    /// Answers with one verification.
    pub(crate) async fn get_verification(&self, request: &Request, log: &mut RequestLog) -> Result<Response, Problem> {
        let provider_id = provider_id(request)?;
        log.provider(&provider_id);
        let verification_id = match path_parameter(request, "verification_id")? {
            LATEST => self.providers.watch(&provider_id).await?.and_then(|item| item.watch.latest),
            id => VerificationId::parse(id).ok(),
        };
        let verification_id = verification_id.ok_or_else(|| Problem::not_found("verification"))?;
        let verification = self.providers.asked_verification(&provider_id, &verification_id).await?;
        let verification = verification.ok_or_else(|| Problem::not_found("verification"))?;
        Ok(respond(200, &VerificationView::new(&provider_id, &verification)))
    }
}
