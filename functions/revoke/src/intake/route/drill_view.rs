//! A drill as the API shows it.

use jiff::Timestamp;
use serde::Serialize;
use shared::record::{Drill, DrillTimes};

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
    /// A drill with its steps as they are now, and how it stands by them.
    pub(super) fn new(mut drill: Drill, times: DrillTimes, now: Timestamp) -> Self {
        drill.times = times;
        drill.outcome = drill.outcome_at(now);
        Self { dead_after_ms: drill.dead_after_ms(), drill }
    }

    /// How it stands.
    pub(super) fn outcome(&self) -> &'static str {
        self.drill.outcome.as_str()
    }
}
