//! `GET /drills/{drill_id}`: a drill, and how far it has come.

use shared::http::{Problem, QueryParameters, Request, RequestLog, Response, respond};
use shared::id::DrillId;

use super::drill_view::DrillView;
use super::parameter;
use crate::intake::Intake;

impl Intake {
    pub(super) async fn get_drill(&self, request: &Request, log: &mut RequestLog) -> Result<Response, Problem> {
        QueryParameters::from_request(request, &[])?;
        let drill_id = parameter(request, "drill_id", DrillId::parse).ok_or_else(|| Problem::not_found("drill"))?;
        let drill = self.providers.drill(&drill_id).await?.ok_or_else(|| Problem::not_found("drill"))?;
        log.provider(&drill.provider_id);
        log.access_key(&drill.access_key_id);
        let times = self.drill_times(&drill).await?;
        let view = DrillView::new(drill, times, self.ambient.now());
        log.outcome(view.outcome());
        Ok(respond(200, &view))
    }
}
