//! What leaves the system for people: log lines and events. Neither ever holds a secret, an address, a subject or a
//! body.

mod event;
mod log;

pub use event::{Bus, Event, KeyEvent, MailEvent, ProviderEvent, PutEventFailed};
pub use log::{chain, init};
