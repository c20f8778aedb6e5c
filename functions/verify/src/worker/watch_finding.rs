//! What the checks of a verification mean for a provider that is in use. Pure.

use shared::record::{Check, CheckName, CheckOutcome, SuspensionReason};
use shared::tenant::{AccountStatus, Failure, FailureKind};

use crate::check::quarantine;

/// What a verification has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WatchFinding {
    /// Everything is as it must be.
    Passed,
    /// It must not send, or cannot.
    Failed(SuspensionReason),
    /// AWS has put the user under quarantine, by a policy of that name: the key is known to others.
    Quarantined,
    /// Nothing, because AWS or we ourselves failed: nobody's fault.
    Unanswered,
}

/// The failed checks in the order in which one outweighs the next.
const BY_WEIGHT: [CheckName; 13] = [
    CheckName::Live,
    CheckName::IamUser,
    CheckName::Account,
    CheckName::Quarantine,
    CheckName::SendingStatus,
    CheckName::DeleteAccessKey,
    CheckName::GetUser,
    CheckName::SesRegion,
    CheckName::Sending,
    CheckName::Excess,
    CheckName::Assurance,
    CheckName::Shape,
    CheckName::LongTerm,
];

/// What the checks that were made have shown. `live` is STS's refusal, if it refused; `account` what SES said.
pub(crate) fn watch_finding(checks: &[Check], live: Option<&Failure>, account: Option<&AccountStatus>) -> WatchFinding {
    let failed =
        |name: CheckName| checks.iter().find(|check| check.name == name && check.outcome == CheckOutcome::Failed);
    if let Some(check) = BY_WEIGHT.into_iter().find_map(failed) {
        return failure_of(check, live);
    }
    if checks.iter().any(Check::is_undecided) {
        return WatchFinding::Unanswered;
    }
    match account {
        // At onboarding a pause is a warning: the key is good. Here it is what keeps mail waiting.
        Some(account) if !account.sending_enabled => WatchFinding::Failed(SuspensionReason::SendingPaused),
        _ => WatchFinding::Passed,
    }
}

fn failure_of(check: &Check, live: Option<&Failure>) -> WatchFinding {
    WatchFinding::Failed(match check.name {
        CheckName::Live if live.is_some_and(|failure| failure.kind == FailureKind::KeyRefused) => {
            SuspensionReason::KeyGone
        }
        CheckName::Quarantine if quarantine::is_by_name(check) => return WatchFinding::Quarantined,
        CheckName::Quarantine => SuspensionReason::Quarantined,
        CheckName::SendingStatus => SuspensionReason::AccountSuspended,
        CheckName::DeleteAccessKey | CheckName::GetUser => SuspensionReason::NotRevocable,
        CheckName::SesRegion => SuspensionReason::SesUnavailable,
        CheckName::Sending => SuspensionReason::PermissionMissing,
        CheckName::Excess => SuspensionReason::ExcessPermissions,
        CheckName::Assurance => SuspensionReason::AssuranceLost,
        _ => SuspensionReason::KeyRejected,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::failure::{account_status, key_refused, signature_refused};

    fn failed(name: CheckName) -> Check {
        Check::failed(name, "", "")
    }

    #[test]
    fn each_failed_check_suspends_for_a_reason_of_its_own() {
        use SuspensionReason as R;
        for (check, reason) in [
            (CheckName::IamUser, R::KeyRejected),
            (CheckName::Account, R::KeyRejected),
            (CheckName::Quarantine, R::Quarantined),
            (CheckName::SendingStatus, R::AccountSuspended),
            (CheckName::DeleteAccessKey, R::NotRevocable),
            (CheckName::GetUser, R::NotRevocable),
            (CheckName::SesRegion, R::SesUnavailable),
            (CheckName::Sending, R::PermissionMissing),
            (CheckName::Excess, R::ExcessPermissions),
            (CheckName::Assurance, R::AssuranceLost),
        ] {
            let checks = [Check::passed(CheckName::Shape, ""), failed(check)];
            assert_eq!(watch_finding(&checks, None, None), WatchFinding::Failed(reason), "{check:?}");
            // A failure stands whatever else was not answered.
            let checks = [Check::unknown(CheckName::Live, "", ""), failed(check)];
            assert_eq!(watch_finding(&checks, None, None), WatchFinding::Failed(reason), "{check:?}");
        }
        let every_failing = CheckName::ALL.into_iter().filter(|name| {
            // These warn or do not apply to a key that was taken.
            !matches!(name, CheckName::NotReported) && name.is_required()
        });
        assert!(every_failing.clone().all(|name| BY_WEIGHT.contains(&name)), "{:?}", every_failing.collect::<Vec<_>>());
    }

    #[test]
    fn a_key_that_aws_does_not_know_is_gone_and_one_with_another_secret_is_rejected() {
        let dead = [failed(CheckName::Live)];
        for (answer, reason) in
            [(key_refused(), SuspensionReason::KeyGone), (signature_refused(), SuspensionReason::KeyRejected)]
        {
            assert_eq!(watch_finding(&dead, Some(&answer), None), WatchFinding::Failed(reason));
        }
    }

    #[test]
    fn a_quarantine_by_its_name_is_a_breach_and_a_denial_alone_has_to_be_seen_again() {
        let attached = quarantine::quarantine_attached("arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3");
        assert_eq!(watch_finding(&[attached], None, None), WatchFinding::Quarantined);
    }

    #[test]
    fn what_aws_does_not_answer_is_nobodys_fault_and_an_optional_check_does_not_matter() {
        let unknown = |name| Check::unknown(name, "", "");
        assert_eq!(watch_finding(&[unknown(CheckName::SesRegion)], None, None), WatchFinding::Unanswered);
        assert_eq!(watch_finding(&[unknown(CheckName::SecondKey)], None, None), WatchFinding::Passed);
        let paused = account_status(false, "HEALTHY");
        let expected = WatchFinding::Failed(SuspensionReason::SendingPaused);
        assert_eq!(watch_finding(&[], None, Some(&paused)), expected);
        assert_eq!(watch_finding(&[], None, Some(&account_status(true, "PROBATION"))), WatchFinding::Passed);
    }
}
