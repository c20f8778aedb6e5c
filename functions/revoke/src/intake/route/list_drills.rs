//! `GET /drills?limit=`: the latest drills, newest first.

use serde::Serialize;
use shared::http::{Problem, QueryParameters, Request, RequestLog, Response, invalid, respond};

use super::drill_view::DrillView;
use crate::intake::Intake;

/// The number of drills if the caller does not say.
const DEFAULT_LIMIT: i32 = 25;

const MAX_LIMIT: i32 = 100;

#[derive(Serialize)]
struct DrillList {
    drills: Vec<DrillView>,
}

impl Intake {
    pub(super) async fn list_drills(&self, request: &Request, log: &mut RequestLog) -> Result<Response, Problem> {
        let query = QueryParameters::from_request(request, &["limit"])?;
        let limit = query.get("limit").map_or(Some(DEFAULT_LIMIT), |limit| limit.parse().ok());
        let limit = limit
            .filter(|limit| (1..=MAX_LIMIT).contains(limit))
            .ok_or_else(|| invalid("limit", format!("must be a number from 1 to {MAX_LIMIT}")))?;
        let mut drills = Vec::new();
        for drill in self.providers.latest_drills(limit).await? {
            let times = self.drill_times(&drill).await?;
            drills.push(DrillView::new(drill, times, self.ambient.now()));
        }
        log.outcome("listed");
        Ok(respond(200, &DrillList { drills }))
    }
}
