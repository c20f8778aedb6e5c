//! What else a key can do. Probes cannot prove that it can do nothing else: they only say what was not observed.

use shared::policy::Finding;
use shared::record::{Check, CheckName, OwnPolicies};
use shared::tenant::{Failure, FailureKind as Kind};

use super::own_policies::evidence_of;
use super::{TRY_AGAIN, evidence};

/// A call that the key must not be allowed to make, and that is harmless to try. There are few of them, because intrusion
/// detection in the tenant's account looks for bursts of denials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExcessProbe {
    /// `iam:ListUserPolicies` on its own user
    ListUserPolicies,
    /// `iam:SimulatePrincipalPolicy` on its own user
    SimulatePrincipalPolicy,
    /// `iam:ListUsers`
    ListUsers,
    /// `dynamodb:ListTables`
    ListTables,
}

impl ExcessProbe {
    /// All probes, in the order of the calls. If a key may read its own policies, they decide and the other probes are not
    /// needed.
    pub(crate) const ALL: [Self; 4] =
        [Self::ListUserPolicies, Self::SimulatePrincipalPolicy, Self::ListUsers, Self::ListTables];

    fn action(self) -> &'static str {
        match self {
            Self::ListUserPolicies => "iam:ListUserPolicies",
            Self::SimulatePrincipalPolicy => "iam:SimulatePrincipalPolicy",
            Self::ListUsers => "iam:ListUsers",
            Self::ListTables => "dynamodb:ListTables",
        }
    }
}

/// Whether AWS allowed any probe. A call that fails after its authorization was allowed as well.
///
/// If the key's own policies were read, they decide, with their findings; the probes that were also made add to them.
pub(crate) fn check_excess(
    answers: &[(ExcessProbe, Result<(), Failure>)],
    own: Option<&(OwnPolicies, Vec<Finding>)>,
) -> (Check, Vec<Finding>) {
    let name = CheckName::Excess;
    let allowed =
        |answer: &Result<(), Failure>| answer.as_ref().map_or_else(|failure| failure.kind == Kind::NotFound, |()| true);
    let denied = |answer: &Result<(), Failure>| matches!(answer, Err(Failure { kind: Kind::Denied(_), .. }));
    let actions: Vec<_> = answers
        .iter()
        .filter(|(probe, answer)| allowed(answer) && (own.is_none() || *probe != ExcessProbe::ListUserPolicies))
        .map(|(probe, _)| probe.action())
        .collect();
    let open = answers.iter().find_map(|(probe, answer)| match answer {
        Err(failure) if !allowed(answer) && !denied(answer) => Some(evidence(probe.action(), failure)),
        _ => None,
    });
    let check = if let Some((own, findings)) = own {
        let mut seen = evidence_of(own, findings);
        if !actions.is_empty() {
            seen.push_str(&format!("; allowed as well: {}", actions.join(", ")));
        }
        Check::failed(
            name,
            seen,
            format!("{REMEDY} Reading its own policies is too much as well; `findings` has each statement at fault."),
        )
    } else if !actions.is_empty() {
        Check::failed(name, format!("allowed: {}", actions.join(", ")), REMEDY)
    } else if let Some(open) = open {
        Check::unknown(name, open, TRY_AGAIN)
    } else {
        Check::passed(name, format!("not observed in {} probes", answers.len()))
    };
    (check, actions.into_iter().map(|action| Finding::observed(action, None)).collect())
}

const REMEDY: &str = "The key can do more than send mail and delete itself. Take every other policy off the user and out of its groups, attach one of the policies of GET /policy alone, wait a minute, and try again.";

#[cfg(test)]
mod tests {
    use shared::policy::Principal;

    use super::*;
    use crate::check::own_policies::{PolicyTexts, assess};
    use crate::fixtures::failure::{EXPLICIT, NO_ALLOW, answered, denied, silent, throttled};
    use shared::record::CheckOutcome::{Failed, Passed, Unknown};

    fn no() -> Result<(), Failure> {
        Err(denied("iam:ListUsers", "*", NO_ALLOW))
    }

    fn asked<const N: usize>(answers: [Result<(), Failure>; N]) -> Vec<(ExcessProbe, Result<(), Failure>)> {
        ExcessProbe::ALL.into_iter().zip(answers).collect()
    }

    #[test]
    fn anything_that_aws_allows_is_too_much() {
        let explicit = || Err(denied("iam:ListUsers", "*", EXPLICIT));
        let missing = || Err(answered("NoSuchEntity", "", 404));
        let cases = [
            ([no(), no(), no(), no()], Passed, 0),
            ([explicit(), no(), explicit(), no()], Passed, 0),
            ([Ok(()), Ok(()), Ok(()), Ok(())], Failed, 4),
            ([no(), Ok(()), no(), no()], Failed, 1),
            ([missing(), no(), no(), no()], Failed, 1),
            ([no(), no(), no(), Err(throttled())], Unknown, 0),
            ([Err(silent()), no(), no(), no()], Unknown, 0),
            ([Err(silent()), no(), Ok(()), no()], Failed, 1),
            ([no(), no(), no(), Err(answered("ValidationError", "", 400))], Unknown, 0),
        ];
        for (answers, expected, found) in cases {
            let answers = asked(answers);
            let (check, findings) = check_excess(&answers, None);
            assert_eq!((check.outcome, findings.len()), (expected, found), "{answers:?}");
            assert!(findings.iter().all(Finding::is_excess));
        }
    }

    #[test]
    fn what_was_not_seen_is_said_to_be_not_seen() {
        assert_eq!(check_excess(&asked([no(), no(), no(), no()]), None).0.evidence, "not observed in 4 probes");
    }

    #[test]
    fn policies_that_were_read_are_too_much_and_probes_add_to_them() {
        let own = |unread: &[&str]| {
            let texts = PolicyTexts {
                documents: vec![("inline policy a".to_owned(), shared::policy::classic().into())],
                unread: unread.iter().map(|&what| what.to_owned()).collect(),
                allowed: vec![("iam:ListUserPolicies", "arn:aws:iam::123456789012:user/mailer".to_owned())],
            };
            assess(texts, &Principal::default())
        };
        let (check, findings) = check_excess(&asked([Ok(())]), Some(&own(&[])));
        assert_eq!((check.outcome, findings.len()), (Failed, 0));
        assert!(
            check.evidence.contains("policies read: 1, overprivileged: iam:ListUserPolicies (observed)"),
            "{check:?}"
        );

        let (check, findings) = check_excess(&asked([Ok(()), no(), no(), Ok(())]), Some(&own(&["the user's groups"])));
        assert_eq!((check.outcome, findings.len()), (Failed, 1));
        assert!(
            check.evidence.ends_with("not read: the user's groups; allowed as well: dynamodb:ListTables"),
            "{check:?}"
        );
    }
}
