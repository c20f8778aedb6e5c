//! What else a key can do. Probes cannot prove that it can do nothing else: they only say what was not observed.

use shared::policy::Finding;
use shared::record::{Check, CheckName};
use shared::tenant::{Failure, FailureKind, ListProbe};

use super::own_policies::{Assessment, evidence_of};
use super::{NOT_SUBSCRIBED, TRY_AGAIN, evidence};

/// A call that the key must not be allowed to make, and that is harmless to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExcessProbe {
    /// `iam:ListUserPolicies` on its own user. Harmless in itself, if it may read all of them: then they decide.
    ListUserPolicies,
    /// `iam:UpdateAccessKey` on its own user: switches a deleted breach's second key on again.
    UpdateAccessKey,
    /// `iam:AttachUserPolicy` on its own user
    AttachUserPolicy,
    /// `iam:CreateAccessKey` for a user that cannot exist
    CreateAccessKey,
    /// `iam:PutUserPolicy` for a user that cannot exist
    PutUserPolicy,
    /// `iam:ListAccessKeys` of its own user: part of "manage own access keys", and shows a second key.
    ListAccessKeys,
    /// `iam:AddUserToGroup` of its own user
    AddUserToGroup,
    /// `iam:UpdateLoginProfile` on its own user
    UpdateLoginProfile,
    /// What another service holds.
    List(ListProbe),
}

/// A probe and AWS's answer.
pub(crate) type ProbeAnswer = (ExcessProbe, Result<(), Failure>);

/// What an answer says about a permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProbeOutcome {
    /// AWS allowed the call. One that fails after its authorization was allowed as well.
    Allowed,
    /// Denied by a Deny statement.
    ExplicitlyDenied,
    /// Denied because nothing allows it, or by a text that does not say why.
    Denied,
    /// The account or Region does not have the service, so there is nothing to allow.
    NotAvailable,
    /// The service refused the call in a form that is not known. Waiting would not change it.
    NotTold,
    /// No answer: only a later try can tell.
    Open,
}

impl ExcessProbe {
    /// All probes in the order of the calls, those that would do the most damage first.
    pub(crate) fn all() -> Vec<Self> {
        [
            Self::ListUserPolicies,
            Self::UpdateAccessKey,
            Self::AttachUserPolicy,
            Self::CreateAccessKey,
            Self::PutUserPolicy,
            Self::ListAccessKeys,
            Self::AddUserToGroup,
            Self::UpdateLoginProfile,
        ]
        .into_iter()
        .chain(ListProbe::ALL.map(Self::List))
        .collect()
    }

    /// The IAM action that the call needs.
    pub(crate) fn action(self) -> &'static str {
        match self {
            Self::ListUserPolicies => "iam:ListUserPolicies",
            Self::UpdateAccessKey => "iam:UpdateAccessKey",
            Self::AttachUserPolicy => "iam:AttachUserPolicy",
            Self::CreateAccessKey => "iam:CreateAccessKey",
            Self::PutUserPolicy => "iam:PutUserPolicy",
            Self::ListAccessKeys => "iam:ListAccessKeys",
            Self::AddUserToGroup => "iam:AddUserToGroup",
            Self::UpdateLoginProfile => "iam:UpdateLoginProfile",
            Self::List(list) => list.action(),
        }
    }

    /// What an answer to this probe says.
    pub(crate) fn outcome(self, answer: &Result<(), Failure>) -> ProbeOutcome {
        let failure = match answer {
            Ok(()) => return ProbeOutcome::Allowed,
            Err(failure) => failure,
        };
        let is_list = matches!(self, Self::List(_));
        match &failure.kind {
            FailureKind::NotFound if !is_list => ProbeOutcome::Allowed,
            FailureKind::Denied(denial) if denial.is_explicit() => ProbeOutcome::ExplicitlyDenied,
            FailureKind::Denied(_) => ProbeOutcome::Denied,
            _ if failure.code.as_deref().is_some_and(|code| NOT_SUBSCRIBED.contains(&code)) => {
                ProbeOutcome::NotAvailable
            }
            // STS, IAM and SES have just known this key, and the time of its propagation is over (the retry policy): a
            // service that still does not know it is not enabled for the account.
            FailureKind::KeyRefused | FailureKind::Forbidden if is_list => ProbeOutcome::NotAvailable,
            FailureKind::NotFound | FailureKind::BadRequest => ProbeOutcome::NotTold,
            // Not implemented: no server error that goes away.
            _ if failure.status == Some(501) => ProbeOutcome::NotTold,
            _ => ProbeOutcome::Open,
        }
    }
}

/// What no probe looks for, because a harmless one is not known: creating a key or putting a policy on the own user would
/// do it, roles are refused by their own policy whatever the key may do, and a role is passed to a service only while
/// something is created in it.
const NOT_LOOKED_FOR: &str = "not looked for: iam:CreateAccessKey and iam:PutUserPolicy limited to its own user, iam:PassRole, sts:AssumeRole, and whatever else none of these probes needs";

/// Whether AWS allowed any probe.
///
/// If the key's own policies were read, they decide, with their findings; the probes that were also made add to them.
/// `unmade` are probes that were not made, and why.
pub(crate) fn check_excess(
    answers: &[ProbeAnswer],
    unmade: &[(ExcessProbe, &'static str)],
    own: Option<&Assessment>,
) -> (Check, Vec<Finding>) {
    let name = CheckName::Excess;
    let with = |wanted: ProbeOutcome| {
        answers.iter().filter(move |(probe, answer)| probe.outcome(answer) == wanted).map(|(probe, _)| probe.action())
    };
    // Reading the own policies is judged with them.
    let actions: Vec<_> = with(ProbeOutcome::Allowed).filter(|action| *action != "iam:ListUserPolicies").collect();
    let open = answers.iter().find_map(|(probe, answer)| match answer {
        Err(failure) if probe.outcome(answer) == ProbeOutcome::Open => Some(evidence(probe.action(), failure)),
        _ => None,
    });
    let findings = || actions.iter().map(|action| Finding::observed(action, None)).collect();
    if let Some(own) = own {
        let has_excess = own.findings.iter().any(Finding::is_excess);
        let mut seen = evidence_of(&own.own_policies, &own.findings);
        if !actions.is_empty() {
            seen.push_str(&format!("; allowed as well: {}", actions.join(", ")));
        }
        let check = if own.interrupted && actions.is_empty() && !own.has_static_excess() {
            Check::unknown(name, seen, TRY_AGAIN)
        } else if has_excess || !actions.is_empty() {
            let partly = if own.own_policies.complete { "" } else { PARTLY_READ };
            Check::failed(name, seen, format!("{REMEDY} `findings` has each statement at fault.{partly}"))
        } else {
            Check::passed(name, seen)
        };
        return (check, findings());
    }
    let check = if !actions.is_empty() {
        Check::failed(name, format!("allowed: {}", actions.join(", ")), REMEDY)
    } else if let Some(open) = open {
        Check::unknown(name, open, TRY_AGAIN)
    } else {
        let mut seen = format!("not observed in {} probes", answers.len());
        for (what, result) in
            [("not available in the account", ProbeOutcome::NotAvailable), ("not told", ProbeOutcome::NotTold)]
        {
            let actions: Vec<_> = with(result).collect();
            if !actions.is_empty() {
                seen.push_str(&format!("; {what}: {}", actions.join(", ")));
            }
        }
        for (probe, why) in unmade {
            seen.push_str(&format!("; {} not probed: {why}", probe.action()));
        }
        Check::passed(name, format!("{seen}; {NOT_LOOKED_FOR}"))
    };
    (check, findings())
}

const REMEDY: &str = "The key can do more than send mail and delete itself. Take every other policy off the user and out of its groups, attach one of the policies of GET /policy alone, wait a minute, and try again.";

const PARTLY_READ: &str = " A key that may read some of its policies but not all of them proves nothing by it: let it read all, as the hardened policy does, or none.";

#[cfg(test)]
mod tests {
    use shared::policy::Principal;
    use shared::record::CheckOutcome::{Failed, Passed, Unknown};

    use super::*;
    use crate::check::own_policies::{PolicyTexts, assess};
    use crate::fixtures::failure::{EXPLICIT, NO_ALLOW, answered, denied, key_refused, silent, throttled};

    fn no() -> Result<(), Failure> {
        Err(denied("iam:ListUsers", "*", NO_ALLOW))
    }

    /// The answers of all probes, with this one instead of a denial.
    fn but(probe: ExcessProbe, answer: Result<(), Failure>) -> Vec<ProbeAnswer> {
        let mut answers: Vec<_> = ExcessProbe::all().into_iter().map(|probe| (probe, no())).collect();
        answers.iter_mut().find(|(one, _)| *one == probe).unwrap().1 = answer;
        answers
    }

    #[test]
    fn anything_that_aws_allows_is_too_much() {
        let missing = || Err(answered("NoSuchEntity", "", 404));
        for probe in ExcessProbe::all().into_iter().filter(|probe| *probe != ExcessProbe::ListUserPolicies) {
            let answers = but(probe, Ok(()));
            let (check, findings) = check_excess(&answers, &[], None);
            assert_eq!((check.outcome, findings.len()), (Failed, 1), "{probe:?}");
            assert_eq!(check.evidence, format!("allowed: {}", probe.action()));
            assert!(findings.iter().all(Finding::is_excess));

            let answers = but(probe, missing());
            let expected = if matches!(probe, ExcessProbe::List(_)) { Passed } else { Failed };
            assert_eq!(check_excess(&answers, &[], None).0.outcome, expected, "{probe:?}");
        }
    }

    /// What a service says that the account does not have must not stand in the way for ever, and says that nothing is
    /// allowed there. An answer that may be another one later leaves it open.
    #[test]
    fn a_service_that_is_not_there_allows_nothing_and_one_that_does_not_answer_is_open() {
        let list = ExcessProbe::List(ListProbe::Regions);
        let write = ExcessProbe::UpdateAccessKey;
        let cases = [
            (list, Err(answered("OptInRequired", "You are not subscribed to this service.", 401)), Passed),
            (
                list,
                Err(answered("SubscriptionRequiredException", "The AWS Access Key Id needs a subscription", 400)),
                Passed,
            ),
            (list, Err(answered("NotSignedUp", "Your account is not signed up for the S3 service.", 403)), Passed),
            (list, Err(answered("PendingVerification", "Your account is currently being verified.", 400)), Passed),
            (list, Err(answered("SomethingNew", "", 403)), Passed),
            (list, Err(key_refused()), Passed),
            (list, Err(answered("UnsupportedOperation", "", 400)), Passed),
            (list, Err(answered("NotImplemented", "", 501)), Passed),
            (write, Err(answered("ValidationError", "", 400)), Passed),
            (write, Err(key_refused()), Unknown),
            (write, Err(answered("SomethingNew", "", 403)), Unknown),
            (list, Err(throttled()), Unknown),
            (list, Err(silent()), Unknown),
            (list, Err(answered("InternalFailure", "", 500)), Unknown),
        ];
        for (probe, answer, expected) in cases {
            let shown = format!("{probe:?} {answer:?}");
            let (check, findings) = check_excess(&but(probe, answer), &[], None);
            assert_eq!((check.outcome, findings.len()), (expected, 0), "{shown}");
        }
        // What was allowed outweighs what is open.
        let mut answers = but(list, Err(silent()));
        answers[1].1 = Ok(());
        assert_eq!(check_excess(&answers, &[], None).0.outcome, Failed);
    }

    #[test]
    fn what_was_not_seen_and_not_looked_for_is_said() {
        let explicit = || Err(denied("iam:ListUsers", "*", EXPLICIT));
        let mut answers = but(ExcessProbe::UpdateAccessKey, explicit());
        answers.pop();
        let unmade = [(ExcessProbe::List(ListProbe::Tables), "enough was denied")];
        let (check, _) = check_excess(&answers, &unmade, None);
        assert_eq!(check.outcome, Passed);
        let start = "not observed in 13 probes; dynamodb:ListTables not probed: enough was denied; not looked for: ";
        assert!(check.evidence.starts_with(start), "{check:?}");
        for narrow in ["iam:PassRole", "sts:AssumeRole", "iam:CreateAccessKey", "iam:PutUserPolicy"] {
            assert!(check.evidence.contains(narrow));
        }
        let (check, _) =
            check_excess(&but(ExcessProbe::List(ListProbe::Keys), Err(answered("OptInRequired", "", 403))), &[], None);
        assert!(check.evidence.contains("; not available in the account: kms:ListKeys; "), "{check:?}");
    }

    fn read(text: &str, unread: &[&str], interrupted: bool) -> Assessment {
        let texts = PolicyTexts {
            documents: vec![("inline policy a".to_owned(), text.as_bytes().to_vec())],
            unread: unread.iter().map(|&what| what.to_owned()).collect(),
            allowed: vec![("iam:ListUserPolicies", "arn:aws:iam::123456789012:user/mailer".to_owned())],
            interrupted,
            ..PolicyTexts::default()
        };
        let subject = Principal {
            account_id: Some("123456789012".to_owned()),
            user_name: Some("mailer".to_owned()),
            ..Principal::default()
        };
        assess(texts, &subject)
    }

    #[test]
    fn policies_that_were_read_decide_and_probes_add_to_them() {
        let hardened = shared::policy::hardened("123456789012").unwrap();
        let asked = |answer| vec![(ExcessProbe::ListUserPolicies, Ok(())), (ExcessProbe::UpdateAccessKey, answer)];
        // Read whole, with nothing beyond: the engine decides, and reading is no fault.
        let (check, findings) = check_excess(&asked(no())[..1], &[], Some(&read(&hardened, &[], false)));
        assert_eq!((check.outcome, findings.len()), (Passed, 0), "{check:?}");
        // Read in part, because it may not read the rest.
        let (check, _) = check_excess(&asked(no()), &[], Some(&read(&hardened, &["the user's groups"], false)));
        assert_eq!(check.outcome, Failed, "{check:?}");
        assert!(check.remedy.unwrap().contains("or none"));
        // Read in part, because AWS did not answer.
        let (check, _) = check_excess(&asked(no()), &[], Some(&read(&hardened, &["the user's groups"], true)));
        assert_eq!(check.outcome, Unknown, "{check:?}");
        // A probe that was allowed as well.
        let own = read(&hardened, &["the user's groups"], true);
        let (check, findings) = check_excess(&asked(Ok(())), &[], Some(&own));
        assert_eq!((check.outcome, findings.len()), (Failed, 1));
        assert!(check.evidence.ends_with("; allowed as well: iam:UpdateAccessKey"), "{check:?}");
        // Too much in what was read, even if not all of it was.
        let star = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#;
        assert_eq!(check_excess(&asked(no()), &[], Some(&read(star, &["x"], true))).0.outcome, Failed);
    }
}
