//! How well it is known that the key can do nothing beyond its purpose, and whether that is enough.

use shared::policy::HARDENED_VERSION;
use shared::record::{Assurance, Check, CheckName};

use super::excess::{ProbeAnswer, ProbeOutcome};

/// The assurance of a key of which no excess was seen. `proven`: all policies were read.
pub(crate) fn assurance_of(answers: &[ProbeAnswer], proven: bool) -> Assurance {
    let explicit = |(probe, answer): &ProbeAnswer| probe.outcome(answer) == ProbeOutcome::ExplicitlyDenied;
    if proven {
        Assurance::Proven
    } else if !answers.is_empty() && answers.iter().all(explicit) {
        Assurance::ExplicitlyDenied
    } else {
        Assurance::Observed
    }
}

/// Whether that is as much as the operator requires.
pub(crate) fn check_assurance(assurance: Assurance, required: Assurance) -> Check {
    let name = CheckName::Assurance;
    let seen = format!("{}; required: {}", assurance.as_str(), required.as_str());
    if assurance >= required {
        return Check::passed(name, seen);
    }
    let why = match required {
        Assurance::Proven => {
            "It must let the key read the policies of its own user, so that it is proven to do nothing else."
        }
        _ => "It must deny everything else explicitly: what nothing allows today may be allowed tomorrow.",
    };
    Check::failed(
        name,
        seen,
        format!(
            "Replace the user's policies with the hardened one, version {HARDENED_VERSION}: GET /policy?account_id=…&style=hardened. {why}"
        ),
    )
}

#[cfg(test)]
mod tests {
    use shared::record::CheckOutcome::{Failed, Passed};

    use super::*;
    use crate::check::excess::ExcessProbe;
    use crate::fixtures::failure::{EXPLICIT, NO_ALLOW, ORGANIZATION, answered, denied};

    #[test]
    fn one_implicit_denial_is_enough_to_have_only_observed() {
        let probed = |tails: &[&str]| -> Vec<ProbeAnswer> {
            let all = ExcessProbe::all().into_iter().zip(tails);
            all.map(|(probe, tail)| (probe, Err(denied(probe.action(), "*", tail)))).collect()
        };
        let mut unsubscribed = probed(&[EXPLICIT]);
        unsubscribed.push((ExcessProbe::AddUserToGroup, Err(answered("OptInRequired", "", 403))));
        for (answers, expected) in [
            (probed(&[EXPLICIT, ORGANIZATION, EXPLICIT]), Assurance::ExplicitlyDenied),
            (probed(&[EXPLICIT, NO_ALLOW, EXPLICIT]), Assurance::Observed),
            // A text that does not say which it was proves no Deny.
            (probed(&[EXPLICIT, "", EXPLICIT]), Assurance::Observed),
            (unsubscribed, Assurance::Observed),
            (Vec::new(), Assurance::Observed),
        ] {
            assert_eq!(assurance_of(&answers, false), expected, "{answers:?}");
            assert_eq!(assurance_of(&answers, true), Assurance::Proven);
        }
    }

    #[test]
    fn less_than_is_required_fails_with_the_policy_that_mends_it() {
        for required in Assurance::ALL {
            for assurance in Assurance::ALL {
                let check = check_assurance(assurance, required);
                assert_eq!(check.outcome, if assurance >= required { Passed } else { Failed }, "{check:?}");
                assert!(check.remedy.is_none_or(|remedy| remedy.contains(HARDENED_VERSION)));
            }
        }
    }
}
