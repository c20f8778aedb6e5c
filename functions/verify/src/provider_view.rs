//! A provider as callers see it: no secret, and the key's id shortened.

use jiff::Timestamp;
use serde::Serialize;
use shared::id::{ProviderId, TenantId, VerificationId};
use shared::record::{
    Assurance, Consent, Hold, PolicyBreadth, RevocabilityFault, StatusName, SuspensionReason, VerificationReport,
    VerifiedProvider, WatchItem, WatchedAccount,
};
use shared::telemetry::suspension_remedy;
use shared::tenant::Region;

use crate::rotation_view::RotationView;

/// The public form of a provider.
#[derive(Serialize)]
pub(crate) struct ProviderView<'a> {
    provider_id: &'a ProviderId,
    tenant_id: &'a TenantId,
    name: &'a str,
    region: Region,
    account_id: &'a str,
    user_arn: &'a str,
    access_key_id: String,
    status: StatusName,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    quota: Quota,
    sandbox: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    consent: Option<&'a Consent>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    canary: bool,
    /// An operator's hold, while it is in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    hold: Option<&'a Hold>,
    /// When it was last proved that the key's revocation would work.
    #[serde(skip_serializing_if = "Option::is_none")]
    revocable_at: Option<Timestamp>,
    /// Whether it would, as it was seen last; absent until somebody has looked.
    #[serde(skip_serializing_if = "Option::is_none")]
    revocability: Option<RevocabilityView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    assurance: Option<Assurance>,
    policy_breadth: PolicyBreadth,
    #[serde(skip_serializing_if = "Option::is_none")]
    rotation: Option<RotationView<'a>>,
    /// What the tenant can do about a suspension.
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
    /// What its verifications have shown since it was onboarded.
    #[serde(skip_serializing_if = "Option::is_none")]
    watch: Option<WatchView<'a>>,
    created_at: Timestamp,
    updated_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<&'a VerificationReport>,
}

/// The watch over a provider.
#[derive(Serialize)]
struct WatchView<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    checked_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verified_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_check_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failing: Option<FailingView>,
    #[serde(skip_serializing_if = "is_zero")]
    unanswered: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<&'a WatchedAccount>,
    /// The verification that somebody asked for and that is running.
    #[serde(skip_serializing_if = "Option::is_none")]
    running: Option<&'a VerificationId>,
}

/// What failed when it was last verified, before it suspends.
#[derive(Serialize)]
struct FailingView {
    reason: SuspensionReason,
    since: Timestamp,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Whether the key's revocation would work.
#[derive(Serialize)]
struct RevocabilityView {
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<RevocabilityFault>,
    since: Timestamp,
}

/// What SES allowed the account to send when the key was verified.
#[derive(Serialize)]
struct Quota {
    max_send_rate: f64,
    max_24_hour_send: f64,
}

impl<'a> ProviderView<'a> {
    /// A provider in a list, without its report.
    pub(crate) fn without_report(verified: &'a VerifiedProvider) -> Self {
        let VerifiedProvider { provider, report, .. } = verified;
        Self {
            provider_id: &provider.provider_id,
            tenant_id: &provider.tenant_id,
            name: &provider.name,
            region: provider.region,
            account_id: &provider.account_id,
            user_arn: &provider.user_arn,
            access_key_id: provider.access_key_id.masked(),
            status: provider.status.status,
            reason: provider.status.reason.as_deref(),
            quota: Quota { max_send_rate: provider.max_send_rate, max_24_hour_send: provider.max_24_hour_send },
            sandbox: provider.sandbox,
            consent: provider.consent.as_ref(),
            canary: provider.canary,
            hold: provider.hold.as_ref().filter(|hold| hold.is_in_force()),
            revocable_at: provider.shown_revocability().and_then(|seen| seen.revocable_at),
            revocability: provider.shown_revocability().map(|seen| RevocabilityView {
                state: if seen.fault.is_some() { "not_revocable" } else { "revocable" },
                reason: seen.fault,
                since: seen.since,
            }),
            assurance: report.assurance,
            policy_breadth: report.policy_breadth,
            rotation: provider
                .rotation
                .as_ref()
                .map(|rotation| RotationView::new(&provider.provider_id, rotation, None)),
            remedy: provider.status.suspension().map(|reason| suspension_remedy(provider, reason)),
            watch: None,
            created_at: provider.created_at,
            updated_at: provider.updated_at,
            report: None,
        }
    }

    /// One provider, with the latest report that accepted its key.
    pub(crate) fn with_report(verified: &'a VerifiedProvider) -> Self {
        Self { report: Some(&verified.report), ..Self::without_report(verified) }
    }

    /// The same with its watch.
    pub(crate) fn with_watch(verified: &'a VerifiedProvider, item: Option<&'a WatchItem>) -> Self {
        let watch = item.map(|WatchItem { watch, next_attempt_at }| WatchView {
            checked_at: watch.checked_at,
            verified_at: watch.verified_at,
            next_check_at: *next_attempt_at,
            failing: watch
                .failing
                .as_ref()
                .filter(|failing| failing.access_key_id == verified.provider.access_key_id)
                .map(|failing| FailingView { reason: failing.reason, since: failing.since }),
            unanswered: watch.unanswered,
            account: watch.seen.as_ref(),
            running: watch.asked.as_ref(),
        });
        Self { watch, ..Self::with_report(verified) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::id::AccessKeyId;
    use shared::record::{Provider, Revocability, Status, VerificationOutcome};

    use super::*;

    #[test]
    fn a_view_shortens_the_key_and_a_list_leaves_reports_out() {
        let provider = Provider {
            provider_id: ProviderId::parse("prv_01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap(),
            tenant_id: TenantId::parse("acme").unwrap(),
            name: "Main".to_owned(),
            region: Region::parse("eu-central-1").unwrap(),
            account_id: "171436882533".to_owned(),
            user_name: "mailer".to_owned(),
            user_arn: "arn:aws:iam::171436882533:user/mailer".to_owned(),
            access_key_id: AccessKeyId::from_pasted("AKIASP2TPHJSQH3FJRUX").unwrap(),
            status: Status::because(StatusName::Suspended, "sending_paused"),
            max_send_rate: 14.0,
            max_24_hour_send: -1.0,
            sandbox: false,
            consent: Some(Consent {
                pause_sending: true,
                given_at: Timestamp::UNIX_EPOCH,
                signed_by: "arn:aws:iam::111122223333:user/ops".to_owned(),
            }),
            canary: true,
            rotation: None,
            suspension: None,
            hold: Some(Hold {
                reason: "a complaint".to_owned(),
                held_by: "arn:aws:iam::111122223333:user/ops".to_owned(),
                held_at: Timestamp::UNIX_EPOCH,
                lifted_at: None,
            }),
            revocability: Some(Revocability {
                access_key_id: AccessKeyId::from_pasted("AKIASP2TPHJSQH3FJRUX").unwrap(),
                fault: Some(RevocabilityFault::DeleteDenied),
                since: Timestamp::UNIX_EPOCH,
                revocable_at: Some(Timestamp::UNIX_EPOCH),
            }),
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
        };
        let report = VerificationReport {
            checked_at: Timestamp::UNIX_EPOCH,
            outcome: VerificationOutcome::Accepted,
            assurance: Some(Assurance::Proven),
            sessions_denied: Some(true),
            policy_breadth: PolicyBreadth::AllUsers,
            recommended_policy: "hardened-1".to_owned(),
            checks: Vec::new(),
            findings: Vec::new(),
            own_policies: None,
            region_suggestion: None,
        };
        let mut verified = VerifiedProvider { provider, report, rotation_reports: None };
        let whole = serde_json::to_value(ProviderView::with_report(&verified)).unwrap();
        assert_eq!(
            whole,
            json!({
                "provider_id": "prv_01ARZ3NDEKTSV4RRFFQ69G5FAV", "tenant_id": "acme", "name": "Main",
                "region": "eu-central-1", "account_id": "171436882533",
                "user_arn": "arn:aws:iam::171436882533:user/mailer", "access_key_id": "AKIA…JRUX",
                "status": "suspended", "reason": "sending_paused",
                "quota": {"max_send_rate": 14.0, "max_24_hour_send": -1.0}, "sandbox": false,
                "consent": {"pause_sending": true, "given_at": "1970-01-01T00:00:00Z",
                    "signed_by": "arn:aws:iam::111122223333:user/ops"}, "canary": true,
                "hold": {"reason": "a complaint", "held_by": "arn:aws:iam::111122223333:user/ops",
                    "held_at": "1970-01-01T00:00:00Z"},
                "revocable_at": "1970-01-01T00:00:00Z",
                "revocability": {"state": "not_revocable", "reason": "delete_denied", "since": "1970-01-01T00:00:00Z"},
                "assurance": "proven", "policy_breadth": "all_users", "remedy": "Resume it in the SES console \
                    (https://eu-central-1.console.aws.amazon.com/ses/home?region=eu-central-1#/account), or with: aws sesv2 \
                    put-account-sending-attributes --sending-enabled --region eu-central-1", "created_at": "1970-01-01T00:00:00Z",
                "updated_at": "1970-01-01T00:00:00Z",
                "report": {"checked_at": "1970-01-01T00:00:00Z", "verdict": "accepted", "assurance": "proven",
                    "sessions_denied": true, "policy_breadth": "all_users",
                    "recommended_policy": "hardened-1", "checks": [], "findings": []}
            })
        );
        let listed = serde_json::to_value(ProviderView::without_report(&verified)).unwrap();
        assert!(listed.get("report").is_none() && listed["consent"] == whole["consent"]);

        // What was seen of a key that it does not send with says nothing.
        verified.provider.revocability.as_mut().unwrap().access_key_id =
            AccessKeyId::from_pasted("AKIAY34FZKBOKMUTVV7A").unwrap();
        verified.provider.hold.as_mut().unwrap().lifted_at = Some(Timestamp::UNIX_EPOCH);
        let other = serde_json::to_value(ProviderView::without_report(&verified)).unwrap();
        assert!(["hold", "revocable_at", "revocability"].iter().all(|field| other.get(field).is_none()), "{other}");
    }
}
