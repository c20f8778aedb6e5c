//! Whether AWS has put the user under quarantine, as it does when it finds a key in public.
//!
//! What AWS's policies `AWSCompromisedKeyQuarantine…` deny (public mirror zoph-io/MAMIP of AWS's managed policies):
//! - V2 since version 5 and V3 deny `iam:DeleteAccessKey` and `sts:GetSessionToken`.
//! - all versions deny `iam:UpdateAccessKey` and `iam:AttachUserPolicy`.
//! - none denies `ses:GetAccount`, `iam:ListAccessKeys` or the lists of [`is_control`].
//!
//! The hardened policy denies all of them, and so hides a quarantine that does not deny `iam:DeleteAccessKey`. The key that
//! may read its own policies shows it by name.

use shared::record::{Check, CheckName};
use shared::tenant::{AccountStatus, Denial, DeniedBy, Failure, FailureKind, ListProbe};

use super::excess::{ExcessProbe, ProbeAnswer};
use super::{TRY_AGAIN, evidence};

/// What the names of AWS's policies begin with.
const POLICY: &str = "AWSCompromisedKeyQuarantine";

const DELETE: &str = "iam:DeleteAccessKey";

const REMEDY: &str = "This is what AWS does to a user whose key it found in public (policy AWSCompromisedKeyQuarantine). Delete the key in IAM now, look in CloudTrail for what was done with it, and hand over a key of a new user. If it was a Deny statement of your own, take it out, or let it deny everything else as the hardened policy does.";

/// What the probe of `iam:DeleteAccessKey` shows.
pub(crate) fn check_quarantine(probe: &Result<(), Failure>, account: &Result<AccountStatus, Failure>) -> Check {
    let name = CheckName::Quarantine;
    let failure = match probe {
        Ok(()) => return Check::unknown(name, format!("{DELETE}: the probe was not refused"), TRY_AGAIN),
        Err(failure) => failure,
    };
    match &failure.kind {
        FailureKind::Denied(denial) if denial.names_quarantine => by_name(DELETE, failure),
        FailureKind::Denied(denial) if denial.may_be_quarantine() => match account {
            Ok(_) => Check::failed(name, format!("{}; ses:GetAccount: answered", evidence(DELETE, failure)), REMEDY),
            Err(_) => Check::unknown(
                name,
                format!("{}; ses:GetAccount: not answered", evidence(DELETE, failure)),
                "Take out the Deny statement that covers iam:DeleteAccessKey. If AWS attached it, delete the key.",
            ),
        },
        FailureKind::Denied(_) => Check::passed(name, format!("{}, which is no quarantine", evidence(DELETE, failure))),
        FailureKind::NotFound => Check::passed(name, evidence(DELETE, failure)),
        _ => Check::unknown(name, evidence(DELETE, failure), TRY_AGAIN),
    }
}

/// What the excess probes show: an identity-based policy denies what every version denies, and not what none denies.
/// `None` if there is no sign of a quarantine.
pub(crate) fn quarantine_in_probes(answers: &[ProbeAnswer]) -> Option<Check> {
    let denial = |answer: &Result<(), Failure>| match answer {
        Err(Failure { kind: FailureKind::Denied(denial), .. }) => Some(denial.clone()),
        _ => None,
    };
    let named = answers.iter().find_map(|(probe, answer)| {
        let failure = answer.as_ref().err()?;
        denial(answer)?.names_quarantine.then(|| by_name(probe.action(), failure))
    });
    if named.is_some() {
        return named;
    }
    let by_identity_policy =
        |denial: Option<Denial>| denial.is_some_and(|denial| denial.by == DeniedBy::IdentityPolicy);
    let of = |wanted: ExcessProbe| answers.iter().find(|(probe, _)| *probe == wanted);
    let (update, attach) = (of(ExcessProbe::UpdateAccessKey)?, of(ExcessProbe::AttachUserPolicy)?);
    if !by_identity_policy(denial(&update.1)) || !by_identity_policy(denial(&attach.1)) {
        return None;
    }
    // A key that may list its policies may do so because its Deny excepts that, as the hardened policy's does.
    let is_excepted = |probe| probe == ExcessProbe::ListUserPolicies;
    let control = answers.iter().find(|(probe, answer)| {
        let implicitly = |denial: Denial| !denial.is_explicit();
        is_control(*probe) && denial(answer).map_or_else(|| answer.is_ok() && !is_excepted(*probe), implicitly)
    })?;
    let failure = update.1.as_ref().err()?;
    let seen = evidence(update.0.action(), failure);
    let as_well = format!("{seen}; {} as well, {} not", attach.0.action(), control.0.action());
    Some(Check::failed(CheckName::Quarantine, as_well, REMEDY))
}

/// The quarantine policy among the user's managed policies.
pub(crate) fn quarantine_attached(policy_arn: &str) -> Check {
    Check::failed(CheckName::Quarantine, format!("iam:ListAttachedUserPolicies: {policy_arn}"), REMEDY)
}

/// Whether this managed policy is one that AWS attaches to quarantine a user, of any version.
pub(crate) fn is_quarantine_policy(policy_arn: &str) -> bool {
    policy_arn
        .split_once(":iam::aws:policy/")
        .is_some_and(|(_, name)| name.rsplit('/').next().unwrap_or_default().starts_with(POLICY))
}

/// Whether the failed check names AWS's policy, so that it cannot be a Deny statement of the tenant's own.
pub(crate) fn is_by_name(check: &Check) -> bool {
    check.evidence.contains(POLICY)
}

fn by_name(action: &str, failure: &Failure) -> Check {
    let seen = format!("{}, by {POLICY}", evidence(action, failure));
    Check::failed(CheckName::Quarantine, seen, REMEDY)
}

/// What no version denies. `s3:ListAllMyBuckets` is denied by the newer ones.
fn is_control(probe: ExcessProbe) -> bool {
    match probe {
        ExcessProbe::ListUserPolicies | ExcessProbe::ListAccessKeys => true,
        ExcessProbe::List(list) => list != ListProbe::Buckets,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use shared::record::CheckOutcome::{Failed, Passed, Unknown};

    use super::*;
    use crate::fixtures::failure::{
        EXPLICIT, NO_ALLOW, ORGANIZATION, account_status, answered, denied, key_refused, silent, throttled,
    };

    const NAMED: &str =
        "with an explicit deny in an identity-based policy: arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV2";

    #[test]
    fn a_missing_permission_to_delete_itself_is_not_taken_for_quarantine() {
        let delete = |tail| Err(denied(DELETE, "arn:aws:iam::1:user/u", tail));
        let account = || account_status(true, "HEALTHY");
        let no_account = || Err(denied("ses:GetAccount", "*", NO_ALLOW));
        let missing = answered("NoSuchEntity", "The Access Key with id X cannot be found.", 404);
        let cases = [
            (Err(missing), Ok(account()), Passed),
            (delete(NO_ALLOW), Ok(account()), Passed),
            (delete(EXPLICIT), Ok(account()), Failed),
            (delete("with an explicit deny"), Ok(account()), Failed),
            (delete(EXPLICIT), no_account(), Unknown),
            (delete(NAMED), no_account(), Failed),
            (delete(ORGANIZATION), Ok(account()), Passed),
            (delete("with an explicit deny in a permissions boundary"), Ok(account()), Passed),
            (Err(throttled()), Ok(account()), Unknown),
            (Err(key_refused()), Ok(account()), Unknown),
            (Err(silent()), no_account(), Unknown),
            (Ok(()), Ok(account()), Unknown),
        ];
        for (probe, account, expected) in cases {
            assert_eq!(check_quarantine(&probe, &account).outcome, expected, "{probe:?} {account:?}");
        }
    }

    /// What each version denies explicitly of the probes. V4's body is not known.
    #[test]
    fn a_key_without_the_hardened_policy_shows_every_version_by_its_probes() {
        use ExcessProbe::*;
        let v1: &[ExcessProbe] = &[UpdateAccessKey, AttachUserPolicy, CreateAccessKey, PutUserPolicy];
        let v2: &[ExcessProbe] =
            &[UpdateAccessKey, AttachUserPolicy, CreateAccessKey, PutUserPolicy, AddUserToGroup, UpdateLoginProfile];
        let v3: Vec<_> = v2.iter().copied().chain([List(ListProbe::Buckets)]).collect();
        let all = ExcessProbe::all();
        let probed = |explicit: &[ExcessProbe], tail: &str| -> Vec<ProbeAnswer> {
            all.iter()
                .map(|probe| {
                    let tail = if explicit.contains(probe) { tail } else { NO_ALLOW };
                    (*probe, Err(denied(probe.action(), "*", tail)))
                })
                .collect()
        };
        for version in [v1, v2, &v3] {
            let check = quarantine_in_probes(&probed(version, EXPLICIT)).unwrap();
            assert_eq!(check.outcome, Failed);
        }
        // The hardened policy denies everything else itself; an organization's policy is no quarantine.
        assert!(quarantine_in_probes(&probed(&all, EXPLICIT)).is_none());
        assert!(quarantine_in_probes(&probed(&[], EXPLICIT)).is_none());
        assert!(quarantine_in_probes(&probed(v2, ORGANIZATION)).is_none());
        assert!(quarantine_in_probes(&probed(&[UpdateAccessKey], EXPLICIT)).is_none());
        // It may except the reading of policies.
        let mut hardened = probed(&all, EXPLICIT);
        hardened[0].1 = Ok(());
        assert!(quarantine_in_probes(&hardened).is_none());
        // What an administrator's key may do, a quarantine does not deny all.
        let mut administrator = probed(v2, EXPLICIT);
        administrator.iter_mut().filter(|(probe, _)| !v2.contains(probe)).for_each(|(_, answer)| *answer = Ok(()));
        assert!(quarantine_in_probes(&administrator).is_some());
        // The name alone is enough, also beside the hardened policy.
        let check = quarantine_in_probes(&probed(&all, NAMED)).unwrap();
        assert!(check.evidence.ends_with("by AWSCompromisedKeyQuarantine"), "{check:?}");
        assert!(quarantine_in_probes(&[]).is_none());
    }

    #[test]
    fn an_attached_quarantine_is_known_by_its_name_and_its_owner() {
        for (arn, expected) in [
            ("arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3", true),
            ("arn:aws-us-gov:iam::aws:policy/AWSCompromisedKeyQuarantineV4", true),
            ("arn:aws:iam::aws:policy/service-role/AWSCompromisedKeyQuarantine", true),
            ("arn:aws:iam::123456789012:policy/AWSCompromisedKeyQuarantineV3", false),
            ("arn:aws:iam::aws:policy/AdministratorAccess", false),
        ] {
            assert_eq!(is_quarantine_policy(arn), expected, "{arn}");
        }
    }
}
