//! What people see of the system: log lines and events. Neither ever contains a secret, an address, a subject or a body.

mod event;
mod log;

pub use event::{
    Bus, ContainmentSummary, CredentialBreachEvent, DrillEvent, Event, HoldEvent, KeyEvent, MailEvent, NoticeEvent,
    OnboardingEvent, OrderEvent, ProviderEvent, ProviderVerifiedEvent, PutEventFailed, ResidualAccessSummary,
    RevocabilityEvent, RotationEvent, UnmatchedReportEvent,
};
pub use log::{chain, init, subscriber};
