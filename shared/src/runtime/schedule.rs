//! The event of EventBridge's schedule.

use serde::Deserialize;

/// An event of a schedule; nothing of it is used. No other event is read as one.
#[derive(Debug, Deserialize)]
pub struct ScheduledEvent {
    #[serde(rename = "detail-type")]
    _detail_type: ScheduledDetailType,
}

#[derive(Debug, Deserialize)]
enum ScheduledDetailType {
    #[serde(rename = "Scheduled Event")]
    Scheduled,
}
