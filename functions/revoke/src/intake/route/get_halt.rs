//! `GET /halt`: whether all sending is stopped, and who said so.

use shared::http::{Problem, QueryParameters, Request, RequestLog, Response, respond};

use crate::intake::Intake;

impl Intake {
    pub(super) async fn get_halt(&self, request: &Request, log: &mut RequestLog) -> Result<Response, Problem> {
        QueryParameters::from_request(request, &[])?;
        let halt = self.providers.halt_item().await?;
        log.outcome(if halt.halted { "halted" } else { "open" });
        Ok(respond(200, &halt))
    }
}
