//! `GET /halt`: whether all sending is halted, who changed that last and why, and whether Lambda polls the send queue.

use serde::Serialize;
use shared::http::{Problem, QueryParameters, Request, RequestLog, Response, respond};
use shared::queue::MappingState;
use shared::record::{Halt, HaltChange, HaltState};

use crate::intake::Intake;

/// The halt as it is shown.
#[derive(Debug, Serialize)]
pub(super) struct HaltView<'a> {
    halted: bool,
    /// Absent until somebody changes it by this API: a first deployment is halted by nobody.
    #[serde(flatten)]
    change: Option<&'a HaltChange>,
    /// AWS's word for the state of the send queue's event source mapping; `null` if Lambda did not tell it.
    mapping_state: Option<&'a str>,
}

impl<'a> HaltView<'a> {
    /// The view of a state, and of the mapping if Lambda told it.
    pub(super) fn new(state: &'a HaltState, mapping: Option<&'a MappingState>) -> Self {
        Self {
            halted: state.halt == Halt::Halted,
            change: state.change.as_ref(),
            mapping_state: mapping.map(MappingState::as_str),
        }
    }
}

impl Intake {
    pub(super) async fn get_halt(&self, request: &Request, log: &mut RequestLog) -> Result<Response, Problem> {
        QueryParameters::from_request(request, &[])?;
        let state = self.providers.halt_state().await?;
        let mapping = self.mapping_state().await;
        log.outcome(if state.halt == Halt::Halted { "halted" } else { "open" });
        Ok(respond(200, &HaltView::new(&state, mapping.as_ref())))
    }
}
