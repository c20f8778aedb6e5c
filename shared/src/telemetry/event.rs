//! Events on our bus: what an operator must know.

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::error::ProvideErrorMetadata as _;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use jiff::Timestamp;
use serde::Serialize;
use thiserror::Error;

use super::{ConfigurationEvent, suspension_notice};
use crate::id::{AccessKeyId, DrillId, LinkId, MailId, OrderId, ProviderId, RotationId, TenantId};
use crate::record::{
    Assurance, BreachScope, DrillTimes, HaltChange, Order, Provider, ProviderChange, Rotation, RotationPhase,
    SuspensionReason,
};

/// An event could not be sent to the bus.
#[derive(Debug, Error)]
#[error("EventBridge did not accept the event {detail_type} of {subject} ({code})")]
pub struct PutEventFailed {
    detail_type: &'static str,
    subject: String,
    /// EventBridge's error code, which shows whether a permission is missing or EventBridge is temporarily unavailable.
    code: String,
}

/// Events that the bus did not accept.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("EventBridge did not accept {count} events ({code})")]
pub struct EventsLost {
    count: usize,
    code: String,
}

/// The most events of one request (EventBridge API, `PutEvents`, `Entries`).
pub const MAX_EVENTS: usize = 10;

/// An event, serialized as its `detail`. It contains ids, names that the API shows too, and reasons: every field is public.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Event {
    /// `Provider Verified`: a credential was accepted and stored.
    ProviderVerified(ProviderVerifiedEvent),
    /// `Provider Suspended`: no mail is sent until an operator or the tenant has acted.
    ProviderSuspended(ProviderEvent),
    /// `Provider Resumed`: what suspended it is over, and its mail goes out again.
    ProviderResumed(ProviderEvent),
    /// `Provider Changed`: a verification found something that callers see to be another now.
    ProviderChanged(ProviderChangedEvent),
    /// `Daily Quota Nearly Used`: most of what SES lets the account send in 24 hours is sent.
    DailyQuotaNearlyUsed(DailyQuotaEvent),
    /// `Provider Held`: an operator holds it, and no mail is sent until the operator lifts that.
    ProviderHeld(HoldEvent),
    /// `Provider Hold Lifted`: its mail goes out again, unless something else stands in the way.
    ProviderHoldLifted(HoldEvent),
    /// `Provider Not Revocable`: its key was looked at, and its revocation would not work.
    ProviderNotRevocable(RevocabilityEvent),
    /// `Mail Sent`: SES accepted this mail. Only where the operator wants it, and once at most.
    MailSent(MailSentEvent),
    /// `Mail Rejected`: this mail will never be sent.
    MailRejected(MailEvent),
    /// `Mail In Doubt`: SES may or may not have accepted it, and it will not be sent again.
    MailInDoubt(MailEvent),
    /// `Mail Expired`: it was not sent in time.
    MailExpired(MailEvent),
    /// `Provider Revoked`: the key was seen to be dead.
    ProviderRevoked(KeyEvent),
    /// `Revocation Blocked`: the key is alive, and a person has to act.
    RevocationBlocked(KeyEvent),
    /// `Revocation Unproven`: the key is refused, but nothing proves that it was deleted, and a person has to look.
    RevocationUnproven(KeyEvent),
    /// `Revoked Key Alive`: a key that was refused everywhere is accepted again. It is being deleted.
    RevokedKeyAlive(KeyEvent),
    /// `Breach Report Unmatched`: a report names a key or provider that nobody has handed over, so nothing was revoked.
    BreachReportUnmatched(UnmatchedReportEvent),
    /// `Revocation Ordered`: an order was placed.
    RevocationOrdered(OrderEvent),
    /// `Revocation Stopped`: none of its keys sends any more.
    RevocationStopped(OrderEvent),
    /// `Revocation Complete`: each of its keys is dead, or nobody handed it over.
    RevocationComplete(OrderEvent),
    /// `Sending Halted`: nothing is sent any more.
    SendingHalted(HaltChange),
    /// `Sending Resumed`: a halt was lifted, or the first deployment was opened.
    SendingResumed(HaltChange),
    /// `Breach Notice`: AWS itself said something about the keys of a tenant's account, and this was done about it.
    BreachNotice(NoticeEvent),
    /// `Credential Breach`: what a drill reports, as everybody else does.
    CredentialBreach(CredentialBreachEvent),
    /// `Drill Overdue`: a canary's key is not dead in time.
    DrillOverdue(DrillEvent),
    /// `Drill Finished`: a canary's key was seen dead, or is not waited for any longer.
    DrillFinished(DrillEvent),
    /// `Rotation Started`: another key was handed over for a provider, and verified.
    RotationStarted(RotationEvent),
    /// `Rotation Failing`: the new key is refused, and mail goes out with the old one.
    RotationFailing(RotationEvent),
    /// `Rotation Promoted`: the provider sends with the new key.
    RotationPromoted(RotationEvent),
    /// `Rotation Completed`: the old key is stopped, and `orders` revoke it.
    RotationCompleted(RotationEvent),
    /// `Rotation Failed`: the new key is stopped, and `orders` revoke it.
    RotationFailed(RotationEvent),
    /// `Retired Key Revoked`: a key that its provider does not send with any more was seen to be dead.
    RetiredKeyRevoked(KeyEvent),
    /// `Configuration Changed`: the configuration of a tenant's SES was made, mended or taken down, or a right for it is missing.
    ConfigurationChanged(ConfigurationEvent),
    /// `Onboarding Completed`: a key was accepted on a link's page.
    OnboardingCompleted(OnboardingEvent),
    /// `Onboarding Failed`: a key was not accepted on a link's page, which takes another one.
    OnboardingFailed(OnboardingEvent),
    /// `Onboarding Abandoned`: a link's time is over, and no key was accepted.
    OnboardingAbandoned(OnboardingEvent),
}

/// What became of an onboarding link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OnboardingEvent {
    /// The link.
    pub link_id: LinkId,
    /// The operator's name for the tenant.
    pub tenant_id: TenantId,
    /// What the link is for: `connect` or `rotate`.
    pub intent: &'static str,
    /// The provider that the key was accepted for, or that the link is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<ProviderId>,
    /// The rotation that the key began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotation_id: Option<RotationId>,
    /// Why it was not accepted: `refused`, `undecided`, or what stood in the way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The checks that failed, or required ones of which nothing is known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<&'static str>,
    /// When the link was opened. Absent if nobody has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opened_at: Option<Timestamp>,
    /// How many keys were submitted with it.
    pub submissions: u32,
    /// How many of them were refused.
    pub refusals: u32,
}

/// A rotation of a provider's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RotationEvent {
    /// The operator's name for the tenant.
    pub tenant_id: TenantId,
    /// The provider.
    pub provider_id: ProviderId,
    /// The tenant's AWS account.
    pub account_id: String,
    /// The rotation.
    pub rotation_id: RotationId,
    /// The key that is replaced.
    pub old_access_key_id: AccessKeyId,
    /// The key that replaces it.
    pub new_access_key_id: AccessKeyId,
    /// When the old key is revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace_ends_at: Option<Timestamp>,
    /// Why it fails or failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The orders that revoke what is not used any more.
    pub orders: Vec<OrderId>,
}

impl RotationEvent {
    /// A provider's rotation.
    pub fn new(provider: &Provider, rotation: &Rotation) -> Self {
        let reason = match (rotation.phase, &rotation.failing) {
            (RotationPhase::Cancelled, _) => Some(rotation.phase.as_str().to_owned()),
            (_, Some(failing)) => Some(failing.reason.clone()),
            (_, None) => rotation.reason.clone(),
        };
        Self {
            tenant_id: provider.tenant_id.clone(),
            provider_id: provider.provider_id.clone(),
            account_id: provider.account_id.clone(),
            rotation_id: rotation.rotation_id.clone(),
            old_access_key_id: rotation.old_key.access_key_id.clone(),
            new_access_key_id: rotation.new_key.access_key_id.clone(),
            grace_ends_at: rotation.grace_ends_at,
            reason,
            orders: rotation.orders.clone(),
        }
    }
}

/// A provider whose credential was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProviderVerifiedEvent {
    /// The operator's name for the tenant.
    pub tenant_id: TenantId,
    /// The provider.
    pub provider_id: ProviderId,
    /// The tenant's AWS account.
    pub account_id: String,
    /// How well it is known that the key can do nothing else.
    pub assurance: Assurance,
}

/// What happened to a provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProviderEvent {
    /// The operator's name for the tenant.
    pub tenant_id: TenantId,
    /// The provider.
    pub provider_id: ProviderId,
    /// The tenant's AWS account.
    pub account_id: String,
    /// Why, if there is a reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What the tenant has to be told, to be passed on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_notice: Option<String>,
}

impl ProviderEvent {
    /// Something that happened to this provider.
    pub fn new(provider: &Provider, reason: Option<String>) -> Self {
        Self {
            tenant_id: provider.tenant_id.clone(),
            provider_id: provider.provider_id.clone(),
            account_id: provider.account_id.clone(),
            reason,
            tenant_notice: None,
        }
    }

    /// The suspension of this provider.
    pub fn suspended(provider: &Provider, reason: SuspensionReason) -> Self {
        Self {
            tenant_notice: Some(suspension_notice(provider, reason)),
            ..Self::new(provider, Some(reason.as_str().to_owned()))
        }
    }
}

/// How much of an account's daily quota is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DailyQuotaEvent {
    /// The operator's name for the tenant.
    pub tenant_id: TenantId,
    /// The provider whose mail was sent.
    pub provider_id: ProviderId,
    /// The tenant's AWS account, whose quota it is.
    pub account_id: String,
    /// The Region, each of which has a quota of its own.
    pub region: String,
    /// The recipients that SES takes in 24 hours.
    pub max_24_hour_send: i64,
    /// Those that it has taken in the last 24 hours.
    pub sent_last_24_hours: i64,
}

/// What a verification found to be another now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProviderChangedEvent {
    /// The operator's name for the tenant.
    pub tenant_id: TenantId,
    /// The provider.
    pub provider_id: ProviderId,
    /// The tenant's AWS account.
    pub account_id: String,
    /// What changed.
    pub changes: Vec<ProviderChange>,
}

/// A change of an operator's hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HoldEvent {
    /// The operator's name for the tenant.
    pub tenant_id: TenantId,
    /// The provider.
    pub provider_id: ProviderId,
    /// The tenant's AWS account.
    pub account_id: String,
    /// Why, in words.
    pub reason: String,
    /// The ARN that signed the request.
    pub changed_by: String,
}

/// A live key whose revocation would not work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RevocabilityEvent {
    /// The operator's name for the tenant.
    pub tenant_id: TenantId,
    /// The provider.
    pub provider_id: ProviderId,
    /// The tenant's AWS account.
    pub account_id: String,
    /// The access key id. It is not a secret, and the tenant needs it to act.
    pub access_key_id: AccessKeyId,
    /// What stands in the way: `delete_denied`, `secret_unreadable`, …
    pub reason: &'static str,
    /// Since when that is known.
    pub since: Timestamp,
    /// When the key was last proved revocable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revocable_at: Option<Timestamp>,
}

/// A mail that SES accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MailSentEvent {
    /// The operator's name for the tenant.
    pub tenant_id: TenantId,
    /// The provider that sent it.
    pub provider_id: ProviderId,
    /// The caller's idempotency key.
    pub mail_id: MailId,
    /// SES's id of the mail, by which its own events tell of deliveries, bounces and complaints.
    pub ses_message_id: String,
}

/// What happened to a mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MailEvent {
    /// The operator's name for the tenant, as written in the mail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
    /// The provider, as written in the mail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
    /// The caller's idempotency key. Absent if the message could not be parsed far enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mail_id: Option<String>,
    /// The SQS message that carried it.
    pub message_id: String,
    /// Why: a code, and the name of a field if one is invalid; never its value.
    pub reason: String,
}

/// What happened to an access key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyEvent {
    /// The operator's name for the tenant.
    pub tenant_id: TenantId,
    /// The provider.
    pub provider_id: ProviderId,
    /// The tenant's AWS account.
    pub account_id: String,
    /// The access key id. It is not a secret, and the tenant needs it to act.
    pub access_key_id: AccessKeyId,
    /// The key's state: `revoked`, `refused_unproven`, `revocation_blocked` or `revoking`.
    pub state: String,
    /// `quarantined`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What stands as proof of the deletion: `deleted`, `no_such_entity`, `write_ahead` or `attested`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof: Option<&'static str>,
    /// What may outlive the key.
    pub residual_access: ResidualAccessSummary,
    /// What was done in the tenant's account because the key could not be deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub containment: Option<ContainmentSummary>,
    /// What the tenant has to be told, to be passed on. It names the IAM user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_notice: Option<String>,
    /// The latest orders that revoke it.
    pub orders: Vec<OrderId>,
}

/// What may still give access when the key is dead. `null` = not known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ResidualAccessSummary {
    /// Until when a session may live that was minted with the key. Absent while the key lives, and if sessions were seen to
    /// be worthless.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sessions_possible_until: Option<Timestamp>,
    /// Other access keys of the same user, right before the deletion.
    pub other_access_key_ids: Option<Vec<String>>,
    /// How many SES identity policies that name another account were found right before the deletion and not removed.
    pub foreign_identity_policies: Option<usize>,
    /// Whether all identity policies of the Region were read.
    pub identity_policies_complete: bool,
}

/// How far an order has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OrderEvent {
    /// The order.
    pub order_id: OrderId,
    /// What it covers.
    pub scope: BreachScope,
    /// Who reported it, as the report says.
    pub reported_by: String,
    /// When it was written.
    pub created_at: Timestamp,
    /// The counts of its keys, as `GET /revocations/{order_id}` shows them.
    pub counts: serde_json::Value,
}

impl OrderEvent {
    /// An order with the counts of its keys.
    pub fn new(order: &Order, counts: serde_json::Value) -> Self {
        Self {
            order_id: order.order_id.clone(),
            scope: order.scope.clone(),
            reported_by: order.reported_by.clone(),
            created_at: order.created_at,
            counts,
        }
    }
}

/// What was done in a tenant's account with its consent. Nothing of it is undone by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ContainmentSummary {
    /// The pause of the account's sending in the provider's Region: `paused`, `denied`, `failed` or `withheld`.
    pub sending: &'static str,
    /// When SES last confirmed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sending_paused_at: Option<Timestamp>,
    /// AWS's error code, if the last try had one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How many SES identity policies that name another account were removed.
    pub identity_policies_removed: usize,
}

/// A breach report that reached nobody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnmatchedReportEvent {
    /// The order that was written for it, if one was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
    /// The key that it names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_key_id: Option<AccessKeyId>,
    /// The provider that it names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<ProviderId>,
    /// The service of AWS that it is a notice of, such as `aws.health`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<&'static str>,
    /// The account that a notice came from. Nobody but AWS writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    /// `unknown_key`, `unknown_provider`; of a notice also `foreign_account`: the key is of another account than the notice,
    /// `unknown_user`: no provider sends with a key of the user, and `no_key`: what it names is no key and no user.
    pub reason: &'static str,
}

/// A notice of AWS from a tenant's account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NoticeEvent {
    /// The service that made it: `aws.health`, `aws.guardduty` or `aws.iam`.
    pub source: &'static str,
    /// The account that it came from.
    pub account_id: String,
    /// What it says: AWS Health's event type code, GuardDuty's finding type, the name of the quarantine policy.
    pub finding: String,
    /// EventBridge's id of the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    /// What was done: `revoked` (there are orders), `alerted` (a person has to judge) or `unmatched` (it reaches no provider;
    /// `Breach Report Unmatched` says why).
    pub action: &'static str,
    /// Why a notice that names keys was not acted on: `finding_type`, `own_probes_possible`, `other_account` or `call_failed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// The providers that it reaches.
    pub provider_ids: Vec<ProviderId>,
    /// The orders that it led to.
    pub orders: Vec<OrderId>,
    /// How many of the things that it names reach no provider.
    pub unmatched: usize,
}

/// A report of ours on our own bus, as `revoke` reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CredentialBreachEvent {
    /// What it covers.
    pub scope: BreachScope,
    /// Why, in words.
    pub reason: &'static str,
    /// Who reports it.
    pub reported_by: String,
}

/// A drill that ended or is overdue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DrillEvent {
    /// The drill.
    pub drill_id: DrillId,
    /// The canary.
    pub provider_id: ProviderId,
    /// `overdue`, or how it ended: `dead`, `dead_late`, `not_dead`.
    pub outcome: &'static str,
    /// When it was started.
    pub started_at: Timestamp,
    /// When EventBridge took its event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reported_at: Option<Timestamp>,
    /// The order that the event led to, and when each step was done.
    #[serde(flatten)]
    pub times: DrillTimes,
    /// Milliseconds from the event to the last refusal of the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_after_ms: Option<i64>,
}

impl Event {
    /// EventBridge's `detail-type`.
    pub fn detail_type(&self) -> &'static str {
        match self {
            Self::ProviderVerified(_) => "Provider Verified",
            Self::ProviderSuspended(_) => "Provider Suspended",
            Self::ProviderResumed(_) => "Provider Resumed",
            Self::ProviderChanged(_) => "Provider Changed",
            Self::DailyQuotaNearlyUsed(_) => "Daily Quota Nearly Used",
            Self::ProviderHeld(_) => "Provider Held",
            Self::ProviderHoldLifted(_) => "Provider Hold Lifted",
            Self::ProviderNotRevocable(_) => "Provider Not Revocable",
            Self::MailSent(_) => "Mail Sent",
            Self::MailRejected(_) => "Mail Rejected",
            Self::MailInDoubt(_) => "Mail In Doubt",
            Self::MailExpired(_) => "Mail Expired",
            Self::ProviderRevoked(_) => "Provider Revoked",
            Self::RevocationBlocked(_) => "Revocation Blocked",
            Self::RevocationUnproven(_) => "Revocation Unproven",
            Self::RevokedKeyAlive(_) => "Revoked Key Alive",
            Self::BreachReportUnmatched(_) => "Breach Report Unmatched",
            Self::RevocationOrdered(_) => "Revocation Ordered",
            Self::RevocationStopped(_) => "Revocation Stopped",
            Self::RevocationComplete(_) => "Revocation Complete",
            Self::SendingHalted(_) => "Sending Halted",
            Self::SendingResumed(_) => "Sending Resumed",
            Self::BreachNotice(_) => "Breach Notice",
            Self::CredentialBreach(_) => "Credential Breach",
            Self::DrillOverdue(_) => "Drill Overdue",
            Self::DrillFinished(_) => "Drill Finished",
            Self::RotationStarted(_) => "Rotation Started",
            Self::RotationFailing(_) => "Rotation Failing",
            Self::RotationPromoted(_) => "Rotation Promoted",
            Self::RotationCompleted(_) => "Rotation Completed",
            Self::RotationFailed(_) => "Rotation Failed",
            Self::RetiredKeyRevoked(_) => "Retired Key Revoked",
            Self::ConfigurationChanged(_) => "Configuration Changed",
            Self::OnboardingCompleted(_) => "Onboarding Completed",
            Self::OnboardingFailed(_) => "Onboarding Failed",
            Self::OnboardingAbandoned(_) => "Onboarding Abandoned",
        }
    }

    /// What the event is about, for errors: an access key id is masked.
    fn subject(&self) -> String {
        match self {
            Self::ProviderVerified(event) => event.provider_id.to_string(),
            Self::ProviderSuspended(event) | Self::ProviderResumed(event) => event.provider_id.to_string(),
            Self::ProviderChanged(event) => event.provider_id.to_string(),
            Self::DailyQuotaNearlyUsed(event) => event.provider_id.to_string(),
            Self::ProviderHeld(event) | Self::ProviderHoldLifted(event) => event.provider_id.to_string(),
            Self::ProviderNotRevocable(event) => event.provider_id.to_string(),
            Self::ConfigurationChanged(event) => event.provider_id.to_string(),
            Self::MailSent(event) => event.provider_id.to_string(),
            Self::MailRejected(event) | Self::MailInDoubt(event) | Self::MailExpired(event) => {
                event.provider_id.clone().unwrap_or_default()
            }
            Self::ProviderRevoked(event)
            | Self::RetiredKeyRevoked(event)
            | Self::RevocationBlocked(event)
            | Self::RevocationUnproven(event)
            | Self::RevokedKeyAlive(event) => event.provider_id.to_string(),
            Self::BreachReportUnmatched(event) => match (&event.access_key_id, &event.provider_id) {
                (Some(access_key_id), _) => access_key_id.masked(),
                (None, Some(provider_id)) => provider_id.to_string(),
                (None, None) => event.account_id.clone().unwrap_or_default(),
            },
            Self::RevocationOrdered(event) | Self::RevocationStopped(event) | Self::RevocationComplete(event) => {
                event.order_id.to_string()
            }
            Self::SendingHalted(_) | Self::SendingResumed(_) => "all sending".to_owned(),
            Self::BreachNotice(event) => event.account_id.clone(),
            Self::CredentialBreach(event) => event.reported_by.clone(),
            Self::DrillOverdue(event) | Self::DrillFinished(event) => event.drill_id.to_string(),
            Self::RotationStarted(event)
            | Self::RotationFailing(event)
            | Self::RotationPromoted(event)
            | Self::RotationCompleted(event)
            | Self::RotationFailed(event) => event.provider_id.to_string(),
            Self::OnboardingCompleted(event) | Self::OnboardingFailed(event) | Self::OnboardingAbandoned(event) => {
                event.link_id.to_string()
            }
        }
    }
}

/// The event bus of our own account.
#[derive(Clone, Debug)]
pub struct Bus {
    client: Client,
    name: String,
    source: &'static str,
}

impl Bus {
    /// The bus of this name. `source`, such as `sendingbee.send`, is the event source that the function's role may use.
    pub fn new(client: Client, name: String, source: &'static str) -> Self {
        Self { client, name, source }
    }

    /// Sends the event to the bus. Delivery is at least once: a caller that cannot record that it has sent an event sends it
    /// again.
    ///
    /// # Errors
    /// EventBridge refused it or could not be reached in three attempts.
    pub async fn put(&self, event: &Event, now: Timestamp) -> Result<(), PutEventFailed> {
        let failed = |code: Option<&str>| PutEventFailed {
            detail_type: event.detail_type(),
            subject: event.subject(),
            code: code.unwrap_or("no answer").to_owned(),
        };
        let entry = self.entry(event, now).ok_or_else(|| failed(Some("not built")))?;
        let answer = self.client.put_events().entries(entry).send().await.map_err(|error| failed(error.code()))?;
        // PutEvents answers 200 even for an entry that it did not accept.
        match answer.failed_entry_count() {
            0 => Ok(()),
            _ => Err(failed(answer.entries().first().and_then(|entry| entry.error_code()))),
        }
    }

    /// Sends events to the bus in one request, at most [`MAX_EVENTS`] of them, each with its time. What it does not accept is not sent
    /// again.
    ///
    /// # Errors
    /// How many it did not accept, and EventBridge's error code of one of them.
    pub async fn put_all(&self, events: &[(Event, Timestamp)]) -> Result<(), EventsLost> {
        let lost =
            |count: usize, code: Option<&str>| EventsLost { count, code: code.unwrap_or("no answer").to_owned() };
        let entries: Option<Vec<_>> = events.iter().map(|(event, at)| self.entry(event, *at)).collect();
        let entries = entries.ok_or_else(|| lost(events.len(), Some("not built")))?;
        let answer = self.client.put_events().set_entries(Some(entries)).send().await;
        let answer = answer.map_err(|error| lost(events.len(), error.code()))?;
        let mut codes = answer.entries().iter().filter_map(|entry| entry.error_code());
        match usize::try_from(answer.failed_entry_count()).unwrap_or(events.len()) {
            0 => Ok(()),
            count => Err(lost(count, codes.next())),
        }
    }

    fn entry(&self, event: &Event, at: Timestamp) -> Option<PutEventsRequestEntry> {
        let entry = PutEventsRequestEntry::builder()
            .event_bus_name(&self.name)
            .source(self.source)
            .detail_type(event.detail_type())
            .time(aws_smithy_types::DateTime::from_millis(at.as_millisecond()))
            .detail(serde_json::to_string(event).ok()?);
        Some(entry.build())
    }
}
