//! A drill as the API shows it.

use serde::Serialize;
use shared::record::{Drill, DrillOutcome, DrillTimes};

/// A drill with its steps as they are now.
#[derive(Debug, Serialize)]
pub(super) struct DrillView {
    #[serde(flatten)]
    drill: Drill,
    /// Milliseconds from the event to the last refusal of the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    dead_after_ms: Option<i64>,
}

impl DrillView {
    /// A drill with its steps as they are now. A key that died too late is shown with its time, and the drill stays overdue.
    pub(super) fn new(mut drill: Drill, times: DrillTimes) -> Self {
        if drill.outcome == DrillOutcome::Running && times.seen_dead_at.is_some() {
            drill.outcome = DrillOutcome::Dead;
        }
        drill.times = times;
        Self { dead_after_ms: drill.times.dead_after_ms(drill.reported_at), drill }
    }

    /// How it stands.
    pub(super) fn outcome(&self) -> &'static str {
        self.drill.outcome.as_str()
    }
}
