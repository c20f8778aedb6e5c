//! What people see of the system: log lines and events. Neither ever contains a secret, an address, a subject or a body.

mod configuration_event;
mod event;
mod log;
mod suspension_notice;

pub use configuration_event::ConfigurationEvent;
pub use event::{
    Bus, ContainmentSummary, CredentialBreachEvent, DailyQuotaEvent, DrillEvent, Event, EventsLost, HoldEvent,
    KeyEvent, MAX_EVENTS, MailEvent, MailSentEvent, NoticeEvent, OnboardingEvent, OrderEvent, ProviderChangedEvent,
    ProviderEvent, ProviderVerifiedEvent, PutEventFailed, ResidualAccessSummary, RevocabilityEvent, RotationEvent,
    UnmatchedReportEvent,
};
pub use log::{chain, init, subscriber};
pub use suspension_notice::{suspension_notice, suspension_remedy};
