//! Records in DynamoDB: what decides whether a mail may be sent, and what happened to mails and keys.
//!
//! | table | handle | items |
//! |---|---|---|
//! | Providers | [`Providers`] | [`Provider`], [`KeyItem`], [`Order`], the halt item, audit trail, idempotency, attempts, senders of webhooks, canaries, drills, onboarding links |
//! | Secrets | [`Secrets`] | sealed secrets, one item a lane |
//! | Mails | [`Mails`] | the ledger's rows ([`LedgerRow`]), and the rate items and refused keys of `send` |
//!
//! Reads that decide something are strongly consistent; the indexes only list. Writes that change a state are
//! conditional, so every step can be repeated.
//!
//! What is written to the Providers table goes through two files: `item_update` (a conditional update of one item) and
//! `transaction` (several writes, or none).

mod attempts;
mod attestation;
mod audit;
mod batch_get;
mod configuration;
mod configuration_change;
mod consent;
mod containment;
mod drill;
mod erasure;
mod fan_out;
mod fence;
mod halt;
mod hold;
mod item;
mod item_update;
mod key;
mod key_state;
mod link_submission;
mod mail;
mod mail_change;
mod onboarding;
mod onboarding_link;
mod onboarding_link_change;
mod order;
mod parked_mail;
mod progress;
mod provider;
mod provider_status;
mod residual_access;
mod revocability;
mod rotation;
mod rotation_change;
mod rounds;
mod secret;
mod slot;
mod status;
mod stop;
mod sweep;
mod sweep_index;
mod table;
mod transaction;
mod turn;
mod verification;
mod watch;
mod webhook;

pub use attestation::{Attestation, AttestationOutcome};
pub use audit::{AuditEvent, AuditPosition, StoredAuditEvent};
pub use configuration::{
    Configuration, ConfigurationConsent, ConfigurationItem, ConfigurationLook, ConfigurationNews, ConfigurationState,
    DnsPurpose, DnsRecord, IdentityState, MAX_CHANGES, MAX_IDENTITIES, MadeChange, MissingRight, SetChange, SetSeen,
    StartedChange, StuckConfiguration, configuration_set_name,
};
pub use configuration_change::ConfigurationOutcome;
pub use consent::Consent;
pub use containment::{BreachContainment, PauseOutcome};
pub use drill::{Canary, Drill, DrillOutcome, DrillTimes};
pub use erasure::{ERASED, Erasure, RowKey};
pub use fan_out::{
    FanOut, KEYS_ON_A_PAGE, ListPosition, ListedProvider, OrderFilter, OrderPage, OrderPosition, Pass, REPEAT_AFTER,
    ScopePage,
};
pub use fence::{FENCE_CLOSED_FOR, Fences};
pub use halt::{HALT_PK, HALT_SK, Halt, HaltChange, HaltState};
pub use hold::{Hold, HoldOutcome};
pub use item::{Item, RecordError};
pub use key::{KeyItem, MAX_ORDERS, Owner, Plane, Proof, Receipt, RefusedCall};
pub use key_state::{BlockReason, KeyState};
pub use link_submission::{LinkSubmission, SubmissionBegun, SubmissionKind, SubmissionResult};
pub use mail::{LedgerRow, MailState, Mails, mail_pk, rate_pk};
pub use mail_change::{MailCancelled, MailPosition, RESENT, ResendFilter, ResendOutcome};
pub use onboarding::{Idempotency, Onboarded, Onboarding};
pub use onboarding_link::{LinkEnd, LinkIntent, LinkPurpose, LinkState, OnboardingLink};
pub use order::{AllProviders, BreachScope, OFF_BOARDING, Order, OrderMilestone, ROTATED};
pub use parked_mail::{PARKING_NOTED_FOR, ParkedLane, ParkedMail, ParkedPage};
pub use progress::ProgressOutcome;
use progress::StateChange;
pub use provider::{Provider, ProviderPage, VerifiedProvider};
pub use residual_access::{
    ForeignPolicy, IdentityPolicies, MAX_FOREIGN_POLICIES, MAX_SESSION_DURATION, OtherKey, OtherKeys, ReadOutcome,
    Removal, ResidualAccess,
};
pub use revocability::{Revocability, RevocabilityFault, RevocabilityLooks, UnprovenPosition};
pub use rotation::{
    Failing, PromotedBy, Rotation, RotationKey, RotationPhase, RotationReports, RotationRole, SigningOrder, StopEffect,
};
pub use rotation_change::{CancelOutcome, RotationItem, RotationStart, RotationStarted};
pub use secret::Secrets;
pub use slot::{after_with_jitter, next_slot, slot_of};
pub use status::{Status, StatusName, Suspension, SuspensionReason};
pub use stop::StopOutcome;
pub use sweep::{Due, DuePage, DueSubject};
pub use table::Providers;
pub use turn::Turn;
pub use verification::{
    Assurance, Check, CheckName, CheckOutcome, OwnPolicies, PolicyBreadth, RegionSuggestion, VerificationOutcome,
    VerificationReport,
};
pub use watch::{
    AskOutcome, AskedVerification, FailingVerification, ProviderChange, ProviderUpdate, Watch, WatchItem, WatchNews,
    WatchRecord, WatchedAccount,
};
pub use webhook::{
    InvalidSenderName, LiveSecret, MAX_LIVE_SECRETS, SenderName, WebhookChange, WebhookScope, WebhookSender,
};
