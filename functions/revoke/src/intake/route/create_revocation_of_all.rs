//! `POST /revocations/all`: an order for every provider. Sending is halted before anything else is done.

use serde::Deserialize;
use serde_json::json;
use shared::http::{Problem, Request, RequestLog, Response, body};

use super::signer;
use crate::intake::Intake;
use crate::intake::breach_report::RevocationRequest;

/// The body: that of `POST /revocations` without its scope.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AllRequest {
    reason: String,
    reported_by: Option<String>,
    remove_identity_policies: Option<bool>,
    confirm: Option<String>,
}

impl Intake {
    pub(super) async fn create_revocation_of_all(
        &self,
        request: &Request,
        log: &mut RequestLog,
    ) -> Result<Response, Problem> {
        let signer = signer(request)?;
        let AllRequest { reason, reported_by, remove_identity_policies, confirm } = body(request)?;
        let scope = json!({ "all": true });
        let report = RevocationRequest { scope, reason, reported_by, remove_identity_policies, confirm }
            .into_report(signer)
            .map_err(|invalid| Problem::bad_request(&invalid))?;
        self.answer_report(request, report, log).await
    }
}
