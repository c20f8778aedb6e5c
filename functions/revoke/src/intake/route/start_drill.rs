//! `POST /drills`: a canary's breach is reported on the bus, and the drill is timed until its key is dead.

use http::HeaderValue;
use http::header::LOCATION;
use serde::Deserialize;
use shared::http::{FieldError, Problem, Request, RequestLog, Response, body, respond};
use shared::id::ProviderId;
use shared::record::DrillTimes;

use super::drill_view::DrillView;
use super::signer;
use crate::intake::Intake;
use crate::intake::drill::NoDrill;

/// The body.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DrillRequest {
    pub(super) provider_id: Option<String>,
}

impl Intake {
    pub(super) async fn start_drill(&self, request: &Request, log: &mut RequestLog) -> Result<Response, Problem> {
        let signer = signer(request)?;
        let DrillRequest { provider_id } = body(request)?;
        let provider_id = provider_id
            .map(|id| ProviderId::parse(&id).map_err(FieldError::from_display("provider_id")))
            .transpose()
            .map_err(|invalid| Problem::bad_request(&invalid))?;
        let drill = self.begin_drill(provider_id.as_ref(), signer).await.map_err(not_started)?;
        log.provider(&drill.provider_id);
        log.access_key(&drill.access_key_id);
        log.outcome("started");
        let location = HeaderValue::from_str(&format!("/drills/{}", drill.drill_id));
        let mut response = respond(202, &DrillView::new(drill, DrillTimes::default(), self.ambient.now()));
        if let Ok(location) = location {
            response.headers.insert(LOCATION, location);
        }
        Ok(response)
    }
}

fn not_started(reason: NoDrill) -> Problem {
    match reason {
        NoDrill::UnknownProvider => Problem::bad_request(&FieldError::new("provider_id", "names no provider")),
        NoDrill::NotACanary | NoDrill::NotActive | NoDrill::NoneLeft => Problem::new(409, reason.to_string()),
        NoDrill::Record(error) => error.into(),
    }
}
