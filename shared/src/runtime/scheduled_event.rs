//! The event that a schedule invokes a function with.

use serde::Deserialize;

/// An event of EventBridge's schedule; nothing of it is used (EventBridge user guide, "Events from AWS services").
#[derive(Deserialize)]
pub struct ScheduledEvent {
    #[serde(rename = "detail-type")]
    _detail_type: ScheduledDetailType,
}

/// The detail type of its events.
#[derive(Deserialize)]
pub enum ScheduledDetailType {
    /// The only one.
    #[serde(rename = "Scheduled Event")]
    Scheduled,
}
