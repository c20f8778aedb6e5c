//! Records in DynamoDB: what decides what may be sent, and what became of it.
//!
//! | table | handle | items |
//! |---|---|---|
//! | Providers | [`Providers`] | [`Provider`], [`Key`], [`Order`], the halt item, audit trail, idempotency, attempts |
//! | Secrets | [`Secrets`] | sealed secrets, one item a lane |
//! | Mails | [`Mails`] | the ledger's rows ([`Row`]), and the rate items and refused keys of `send` |
//!
//! Reads that decide something are strongly consistent; the indexes only list. Writes that change a state are
//! conditional, so that every step can be tried again.

mod attempts;
mod audit;
mod halt;
mod id;
mod item;
mod key;
mod key_state;
mod mail;
mod onboarding;
mod order;
mod progress;
mod provider;
mod secret;
mod status;
mod stop;
mod sweep;
mod table;
mod write;

pub use crate::tenant::AccessKeyId;
pub use audit::AuditEvent;
pub use halt::{HALT_PK, HALT_SK, Halt};
pub use id::{InvalidId, MailId, OrderId, ProviderId, TenantId};
pub use item::{Item, RecordError};
pub use key::{Key, Owner, Plane, Proof, Receipt, Refusal};
pub use key_state::{Hindrance, KeyState};
pub use mail::{Mails, Row, State, mail_pk, rate_pk};
pub use onboarding::{Idempotency, Onboarded, Onboarding};
pub use order::{Order, Scope};
pub use provider::{Page, Provider};
pub use secret::Secrets;
pub use status::{Status, StatusName};
pub use stop::Stop;
pub use sweep::{Due, DuePage, Subject};
pub use table::Providers;
