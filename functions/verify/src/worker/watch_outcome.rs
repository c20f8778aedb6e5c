//! What a verification changes. Pure.

use jiff::Timestamp;
use serde_json::Value;
use shared::record::{
    AuditEvent, CheckName, CheckOutcome, FailingVerification, Provider, ProviderChange, ProviderUpdate, Status,
    StatusName, SuspensionReason, VerificationOutcome, VerificationReport, VerifiedProvider, Watch, WatchNews,
    WatchedAccount,
};
use shared::runtime::Ambient;
use shared::tenant::{AccountStatus, User};

use super::tenant_notice::tenant_notice;
use super::watch_finding::WatchFinding;
use super::watch_schedule::{CONFIRMED_AFTER, Depth, WatchSchedule};

/// Who writes into the audit trail.
const BY: &str = "verify-worker";

/// Checks that never refuse a key in use, and whose outcome callers see.
const SHOWN: [CheckName; 5] = [
    CheckName::ConsoleLogin,
    CheckName::DefaultConfigurationSet,
    CheckName::Breadth,
    CheckName::SecondKey,
    CheckName::Sessions,
];

/// What a verification saw.
#[derive(Debug)]
pub(crate) struct Seen {
    /// How thorough it was.
    pub(crate) depth: Depth,
    /// What its checks mean.
    pub(crate) finding: WatchFinding,
    /// The report.
    pub(crate) report: VerificationReport,
    /// What SES said, if it answered.
    pub(crate) account: Option<AccountStatus>,
    /// What IAM said about the user, if it answered.
    pub(crate) user: Option<User>,
}

/// What is written after a verification.
#[derive(Debug)]
pub(crate) struct WatchOutcome {
    pub(crate) after: Watch,
    pub(crate) update: ProviderUpdate,
    pub(crate) trail: Vec<AuditEvent>,
    /// When the provider is verified next, once operators were told.
    pub(crate) next: Timestamp,
    /// The provider's status afterwards.
    pub(crate) status: Status,
}

/// What follows from what was seen. A failure suspends when it was seen twice, an hour apart; a pass of all checks ends a suspension.
pub(crate) fn after_verification(
    verified: &VerifiedProvider,
    before: &Watch,
    seen: &Seen,
    schedule: WatchSchedule,
    now: Timestamp,
    ambient: &Ambient,
) -> WatchOutcome {
    let provider = &verified.provider;
    let mut after = Watch { asked: None, untold: Vec::new(), ..before.clone() };
    let mut update = ProviderUpdate::default();
    let mut trail = Vec::new();
    let audit = |event, reason: String| AuditEvent { event, at: now, by: BY.to_owned(), reason: Some(reason) };

    let changes = changes(verified, before, seen);
    if !changes.is_empty() {
        let named: Vec<String> =
            changes.iter().map(|change| format!("{}: {} -> {}", change.field, change.before, change.after)).collect();
        trail.push(audit("changed", named.join(", ")));
        after.untold.push(WatchNews::Changed(changes));
    }
    if let Some(account) = &seen.account {
        let quota = (account.max_send_rate, account.max_24_hour_send, !account.production_access);
        update.quota =
            (quota != (provider.max_send_rate, provider.max_24_hour_send, provider.sandbox)).then_some(quota);
        after.seen = Some(WatchedAccount {
            enforcement: account.enforcement.clone(),
            sending_enabled: account.sending_enabled,
            sent_last_24_hours: account.sent_last_24_hours,
            permissions_boundary: boundary(seen, before),
        });
    }
    if seen.depth == Depth::All && seen.report.outcome == VerificationOutcome::Accepted {
        update.report = Some(seen.report.clone());
    }

    match seen.finding {
        WatchFinding::Unanswered => after.unanswered = before.unanswered.saturating_add(1),
        _ => {
            after.unanswered = 0;
            after.checked_at = Some(now);
            if seen.depth == Depth::All {
                after.verified_at = Some(now);
            }
        }
    }
    let mut suspend = |reason: SuspensionReason, after: &mut Watch| {
        if provider.status.suspension() != Some(reason) {
            trail.push(audit("suspended", reason.as_str().to_owned()));
            let tenant_notice = tenant_notice(provider, reason);
            after.untold.push(WatchNews::Suspended { reason, tenant_notice });
            update.status = Some(Status::because(StatusName::Suspended, reason.as_str()));
        }
    };
    match seen.finding {
        WatchFinding::Unanswered => {}
        WatchFinding::Passed => {
            after.failing = None;
            if let (Depth::All, Some(reason)) = (seen.depth, provider.status.suspension()) {
                trail.push(audit("resumed", reason.as_str().to_owned()));
                after.untold.push(WatchNews::Resumed(reason));
                update.status = Some(Status::plain(StatusName::Active));
            }
        }
        WatchFinding::Failed(reason) => {
            let failing = failing(provider, before, reason, now);
            if now.duration_since(failing.since) >= CONFIRMED_AFTER {
                suspend(reason, &mut after);
                if reason == SuspensionReason::Quarantined {
                    after.untold.push(WatchNews::Quarantined);
                }
            }
            after.failing = Some(failing);
        }
        WatchFinding::Quarantined => {
            suspend(SuspensionReason::Quarantined, &mut after);
            after.untold.push(WatchNews::Quarantined);
            after.failing = Some(failing(provider, before, SuspensionReason::Quarantined, now));
        }
    }

    let status = update.status.clone().unwrap_or_else(|| provider.status.clone());
    let updated_at = if update.status.is_some() { now } else { provider.updated_at };
    let provider_after = Provider { status: status.clone(), updated_at, ..provider.clone() };
    let next = schedule.next(&provider_after, &after, now, ambient);
    WatchOutcome { after, update, trail, next, status }
}

/// The failure as it has lasted: without a pass between, and of this key.
fn failing(provider: &Provider, before: &Watch, reason: SuspensionReason, now: Timestamp) -> FailingVerification {
    let known = before.failing.clone();
    known
        .filter(|known| known.reason == reason && known.access_key_id == provider.access_key_id)
        .unwrap_or_else(|| FailingVerification { reason, since: now, access_key_id: provider.access_key_id.clone() })
}

fn boundary(seen: &Seen, before: &Watch) -> Option<String> {
    match &seen.user {
        Some(user) => user.permissions_boundary.clone(),
        None => before.seen.as_ref().and_then(|before| before.permissions_boundary.clone()),
    }
}

/// What callers see and is another now.
fn changes(verified: &VerifiedProvider, before: &Watch, seen: &Seen) -> Vec<ProviderChange> {
    let VerifiedProvider { provider, report, .. } = verified;
    let mut changes = Vec::new();
    let mut compare = |field: &str, before: Value, after: Value| {
        if before != after {
            changes.push(ProviderChange { field: field.to_owned(), before, after });
        }
    };
    if let Some(account) = &seen.account {
        compare("max_send_rate", Value::from(provider.max_send_rate), Value::from(account.max_send_rate));
        compare("max_24_hour_send", Value::from(provider.max_24_hour_send), Value::from(account.max_24_hour_send));
        compare("sandbox", Value::from(provider.sandbox), Value::from(!account.production_access));
        // What was never seen before has not changed, and the best standing is what an account begins with.
        let known = before.seen.as_ref().map_or("HEALTHY", |seen| seen.enforcement.as_str());
        compare("enforcement", Value::from(known), Value::from(account.enforcement.as_str()));
        if before.seen.is_some() && seen.user.is_some() {
            let known = before.seen.as_ref().and_then(|seen| seen.permissions_boundary.clone());
            compare("permissions_boundary", Value::from(known), Value::from(boundary(seen, before)));
        }
    }
    if seen.depth == Depth::All {
        let outcome = |report: &VerificationReport, name| {
            let check = report.checks.iter().find(|check| check.name == name)?;
            matches!(check.outcome, CheckOutcome::Passed | CheckOutcome::Warning).then_some(check.outcome.as_str())
        };
        for name in SHOWN {
            if let (Some(before), Some(after)) = (outcome(report, name), outcome(&seen.report, name)) {
                compare(name.as_str(), Value::from(before), Value::from(after));
            }
        }
        if let (Some(before), Some(after)) = (report.assurance, seen.report.assurance) {
            compare("assurance", Value::from(before.as_str()), Value::from(after.as_str()));
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use serde_json::json;
    use shared::record::{Assurance, Check};

    use super::*;
    use crate::fixtures::failure::account_status;
    use crate::fixtures::provider;
    use crate::report_builder::ReportBuilder;

    fn at(minutes: i64) -> Timestamp {
        "2026-11-23T09:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_mins(minutes)
    }

    fn report(second_key: CheckOutcome, assurance: Assurance) -> VerificationReport {
        let mut report = ReportBuilder::default();
        for name in CheckName::ALL {
            report.add(Check::passed(name, ""));
        }
        report.replace(Check {
            name: CheckName::SecondKey,
            outcome: second_key,
            evidence: String::new(),
            remedy: None,
        });
        report.set_assurance(assurance);
        report.finish(at(0))
    }

    fn verified(suspended_for: Option<SuspensionReason>) -> VerifiedProvider {
        let mut provider = provider();
        if let Some(reason) = suspended_for {
            provider.status = Status::because(StatusName::Suspended, reason.as_str());
        }
        let report = report(CheckOutcome::Passed, Assurance::Observed);
        VerifiedProvider { provider, report, rotation_reports: None }
    }

    fn seen(finding: WatchFinding, depth: Depth) -> Seen {
        Seen {
            depth,
            finding,
            report: report(CheckOutcome::Passed, Assurance::Observed),
            account: Some(account_status(true, "HEALTHY")),
            user: None,
        }
    }

    fn after(verified: &VerifiedProvider, before: &Watch, seen: &Seen, now: Timestamp) -> WatchOutcome {
        let ambient = Ambient::new(|| Timestamp::UNIX_EPOCH, || 0);
        after_verification(verified, before, seen, WatchSchedule::from_hours(24), now, &ambient)
    }

    fn told(outcome: &WatchOutcome) -> Vec<&'static str> {
        let news = outcome.after.untold.iter().map(|news| match news {
            WatchNews::Changed(_) => "changed",
            WatchNews::Suspended { .. } => "suspended",
            WatchNews::Resumed(_) => "resumed",
            WatchNews::Quarantined => "quarantined",
        });
        news.collect()
    }

    #[test]
    fn a_failure_suspends_when_it_is_seen_again_after_an_hour_and_is_told_once() {
        let failed = seen(WatchFinding::Failed(SuspensionReason::KeyGone), Depth::All);
        let first = after(&verified(None), &Watch::after_onboarding(at(-9)), &failed, at(0));
        assert_eq!((told(&first), &first.update.status, first.trail.len()), (vec![], &None, 0));
        assert!(first.next >= at(60) && first.next <= at(70), "{}", first.next);

        // Somebody looks meanwhile.
        let early = after(&verified(None), &first.after, &failed, at(59));
        assert_eq!((told(&early), early.status.status), (vec![], StatusName::Active));

        let second = after(&verified(None), &early.after, &failed, at(60));
        assert_eq!(told(&second), ["suspended"]);
        assert_eq!(second.update.status, Some(Status::because(StatusName::Suspended, "key_gone")));
        assert_eq!((second.trail[0].event, second.trail[0].reason.as_deref()), ("suspended", Some("key_gone")));

        let suspended = verified(Some(SuspensionReason::KeyGone));
        let third = after(&suspended, &Watch { untold: Vec::new(), ..second.after }, &failed, at(120));
        assert_eq!((told(&third), third.update.status), (vec![], None));
    }

    #[test]
    fn a_pass_between_two_failures_or_another_key_begins_again() {
        let failed = seen(WatchFinding::Failed(SuspensionReason::ExcessPermissions), Depth::All);
        let first = after(&verified(None), &Watch::default(), &failed, at(0)).after;
        let passed = after(&verified(None), &first, &seen(WatchFinding::Passed, Depth::All), at(30));
        assert_eq!(passed.after.failing, None);
        assert_eq!(after(&verified(None), &passed.after, &failed, at(70)).update.status, None);
        let mut rotated = verified(None);
        rotated.provider.access_key_id = shared::id::AccessKeyId::from_pasted("AKIAY34FZKBOKMUTVV7A").unwrap();
        assert_eq!(after(&rotated, &first, &failed, at(70)).update.status, None);
        // Another failure has to be confirmed itself.
        let other = seen(WatchFinding::Failed(SuspensionReason::NotRevocable), Depth::All);
        assert_eq!(after(&verified(None), &first, &other, at(70)).update.status, None);
    }

    #[test]
    fn what_is_not_answered_changes_nothing_but_when_it_is_asked_again() {
        let failed = seen(WatchFinding::Failed(SuspensionReason::KeyGone), Depth::All);
        let first = after(&verified(None), &Watch::default(), &failed, at(0)).after;
        let silent = Seen { account: None, ..seen(WatchFinding::Unanswered, Depth::All) };
        let outcome = after(&verified(None), &first, &silent, at(60));
        assert_eq!((outcome.after.unanswered, outcome.after.checked_at), (1, Some(at(0))));
        assert_eq!((outcome.after.failing.clone(), outcome.update.status.clone()), (first.failing.clone(), None));
        assert!(outcome.next < at(90));
        let again = after(&verified(None), &outcome.after, &failed, at(90));
        assert_eq!((again.after.unanswered, told(&again)), (0, vec!["suspended"]));
    }

    #[test]
    fn only_a_pass_of_all_checks_ends_a_suspension_whatever_it_is_for() {
        for reason in SuspensionReason::ALL {
            let suspended = verified(Some(reason));
            let outcome = after(&suspended, &Watch::default(), &seen(WatchFinding::Passed, Depth::All), at(5));
            assert_eq!(
                (told(&outcome), outcome.update.status),
                (vec!["resumed"], Some(Status::plain(StatusName::Active)))
            );
            assert_eq!(outcome.trail[0].reason.as_deref(), Some(reason.as_str()));
            let cheap = after(&suspended, &Watch::default(), &seen(WatchFinding::Passed, Depth::Cheap), at(5));
            assert_eq!((told(&cheap), cheap.update.status), (vec![], None));
        }
    }

    #[test]
    fn a_quarantine_is_reported_at_once() {
        let outcome = after(&verified(None), &Watch::default(), &seen(WatchFinding::Quarantined, Depth::Cheap), at(0));
        assert_eq!(told(&outcome), ["suspended", "quarantined"]);
        // A Deny statement that may be the tenant's own, after an hour.
        let denied = seen(WatchFinding::Failed(SuspensionReason::Quarantined), Depth::Cheap);
        let first = after(&verified(None), &Watch::default(), &denied, at(0));
        assert_eq!(told(&first), [] as [&str; 0]);
        assert_eq!(told(&after(&verified(None), &first.after, &denied, at(61))), ["suspended", "quarantined"]);
    }

    #[test]
    fn each_change_is_written_and_told_with_what_it_was() {
        let account = AccountStatus {
            production_access: false,
            max_send_rate: 50.0,
            max_24_hour_send: 200_000.0,
            sent_last_24_hours: 7.0,
            ..account_status(true, "PROBATION")
        };
        let seen = Seen {
            report: report(CheckOutcome::Warning, Assurance::Proven),
            account: Some(account),
            ..seen(WatchFinding::Passed, Depth::All)
        };
        let outcome = after(&verified(None), &Watch::default(), &seen, at(0));
        let [WatchNews::Changed(changes)] = &outcome.after.untold[..] else { panic!("{outcome:?}") };
        assert_eq!(
            serde_json::to_value(changes).unwrap(),
            json!([
                {"field": "max_send_rate", "before": 14.0, "after": 50.0},
                {"field": "max_24_hour_send", "before": 50000.0, "after": 200000.0},
                {"field": "sandbox", "before": false, "after": true},
                {"field": "enforcement", "before": "HEALTHY", "after": "PROBATION"},
                {"field": "second_key", "before": "passed", "after": "warning"},
                {"field": "assurance", "before": "observed", "after": "proven"},
            ])
        );
        assert_eq!(outcome.update.quota, Some((50.0, 200_000.0, true)));
        assert_eq!(outcome.update.report.as_ref(), Some(&seen.report));
        let watched = outcome.after.seen.as_ref().unwrap();
        assert_eq!((watched.enforcement.as_str(), watched.sent_last_24_hours), ("PROBATION", 7.0));
        // The same seen again is no change.
        let mut now = verified(None);
        now.provider = Provider { max_send_rate: 50.0, max_24_hour_send: 200_000.0, sandbox: true, ..now.provider };
        now.report = seen.report.clone();
        let again = after(&now, &outcome.after, &seen, at(1440));
        assert_eq!((told(&again), again.update.quota), (vec![], None));
    }

    #[test]
    fn a_permissions_boundary_that_comes_or_goes_is_a_change() {
        let user = |boundary: Option<&str>| shared::tenant::User {
            name: "u".to_owned(),
            arn: "arn:aws:iam::171436882533:user/u".to_owned(),
            has_console_login: false,
            permissions_boundary: boundary.map(str::to_owned),
        };
        let with = |boundary| Seen { user: Some(user(boundary)), ..seen(WatchFinding::Passed, Depth::Cheap) };
        let first = after(&verified(None), &Watch::default(), &with(None), at(0));
        assert_eq!(told(&first), [] as [&str; 0]);
        let bounded = after(&verified(None), &first.after, &with(Some("arn:aws:iam::1:policy/b")), at(1440));
        assert_eq!(told(&bounded), ["changed"]);
        // IAM did not answer.
        let silent = after(&verified(None), &bounded.after, &seen(WatchFinding::Passed, Depth::Cheap), at(2880));
        assert_eq!(silent.after.seen, bounded.after.seen);
    }
}
