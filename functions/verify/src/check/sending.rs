//! Whether a key may send, found out without sending.
//!
//! SES authorizes a call before it looks at the mail, so a mail that SES must reject shows whether the key is allowed:
//! rejected = allowed, denied = not allowed. The first probe comes from an address that nobody owns. A policy that is
//! limited to certain identities denies it, as does a policy without `ses:SendEmail`. In this case identities of the
//! account are probed, also with a mail that SES cannot accept.

use shared::record::{Check, CheckName};
use shared::tenant::{Denial, EmailIdentity as Identity, Failure, FailureKind as Kind};

use super::{TRY_AGAIN, evidence, permission_remedy};

const SEND: &str = "ses:SendEmail";
const RESOURCE: &str = "arn:aws:ses:*:<account>:identity/*";

/// The highest number of identities that are probed.
const MAX_PROBED_IDENTITIES: usize = 3;

/// What the probe from an unknown sender shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum UnknownSenderProbe {
    /// The check is decided.
    Decided(Check),
    /// The call was denied on the identity: the policy may be limited to other identities.
    DeniedOnIdentity {
        /// What was seen.
        evidence: String,
        /// The denial.
        denial: Denial,
    },
}

/// What the answer to the probe from an unknown sender shows.
pub(crate) fn read_unknown_sender_probe(probe: &Result<(), Failure>) -> UnknownSenderProbe {
    let name = CheckName::Sending;
    let failure = match probe {
        Ok(()) => return UnknownSenderProbe::Decided(Check::passed(name, format!("{SEND}: the probe was taken"))),
        Err(failure) => failure,
    };
    let seen = evidence(SEND, failure);
    match &failure.kind {
        kind if is_past_authorization(kind) => UnknownSenderProbe::Decided(Check::passed(name, seen)),
        Kind::Denied(denial) if names_resource(denial, ":identity/") => {
            UnknownSenderProbe::DeniedOnIdentity { evidence: seen, denial: denial.clone() }
        }
        Kind::Denied(denial) => {
            UnknownSenderProbe::Decided(Check::failed(name, seen, permission_remedy(SEND, RESOURCE, denial)))
        }
        _ => UnknownSenderProbe::Decided(Check::unknown(name, seen, TRY_AGAIN)),
    }
}

/// The addresses to probe from: of the account's identities, the first few that mail can be sent from.
pub(crate) fn own_senders(identities: &Result<Vec<Identity>, Failure>) -> Vec<String> {
    let identities = identities.as_deref().unwrap_or_default();
    identities
        .iter()
        .filter(|identity| identity.sending_enabled && !identity.name.is_empty())
        .take(MAX_PROBED_IDENTITIES)
        .map(|identity| match identity.name.contains('@') {
            true => identity.name.clone(),
            false => format!("invalid@{}", identity.name),
        })
        .collect()
}

/// Whether the key may send from the account's own identities, after the probe from an unknown sender was denied: `first`
/// is the evidence of that, and `first_denial` what denied it. One allowed identity is enough. Without one there is no proof that the key can send, so the check
/// fails.
pub(crate) fn check_own_senders(
    first: &str,
    first_denial: &Denial,
    identities: &Result<Vec<Identity>, Failure>,
    probes: &[Result<(), Failure>],
) -> Check {
    let name = CheckName::Sending;
    if let Err(failure) = identities
        && !matches!(failure.kind, Kind::Denied(_))
    {
        return Check::unknown(name, format!("{first}; {}", evidence("ses:ListEmailIdentities", failure)), TRY_AGAIN);
    }
    let allowed = |probe: &Result<(), Failure>| {
        probe.as_ref().map_or_else(|failure| is_past_authorization(&failure.kind), |()| true)
    };
    let denied = |probe: &Result<(), Failure>| matches!(probe, Err(Failure { kind: Kind::Denied(_), .. }));
    if probes.iter().any(allowed) {
        return Check::passed(name, format!("{SEND}: allowed from an identity of the account, not from any"));
    }
    if let Some(Err(failure)) = probes.iter().find(|probe| !denied(probe)) {
        return Check::unknown(name, format!("{first}; {}", evidence(SEND, failure)), TRY_AGAIN);
    }
    let own = match (identities, probes.last()) {
        (_, Some(Err(failure))) => {
            format!("from {} of the account's identities: {}", probes.len(), evidence(SEND, failure))
        }
        (Err(failure), _) => evidence("ses:ListEmailIdentities", failure),
        (Ok(_), _) => "the account has no verified identity to try".to_owned(),
    };
    // An explicit deny is the reason, whichever probe met it: allowing more would not help.
    let denials = || std::iter::once(first_denial).chain(probes.iter().filter_map(denial));
    let reason = denials().find(|denial| denial.is_explicit()).or_else(|| denials().last()).unwrap_or(first_denial);
    Check::failed(name, format!("{first}; {own}"), permission_remedy(SEND, RESOURCE, reason))
}

/// Whether the default configuration set of an identity prevents sending. SES applies it to every mail that names no
/// configuration set, and then requires `ses:SendEmail` on it too. Only a denial that names one can show this.
pub(crate) fn check_default_configuration_set(probes: &[Result<(), Failure>]) -> Check {
    let name = CheckName::DefaultConfigurationSet;
    let remedy = "If an identity of yours has a default configuration set, allow ses:SendEmail on its ARN too (arn:aws:ses:*:<account>:configuration-set/<name>), or mail from that identity will be rejected.";
    let named = probes.iter().filter_map(denial).any(|denial| names_resource(denial, ":configuration-set/"));
    if named {
        Check::warning(name, format!("{SEND}: denied on an identity's default configuration set"), remedy)
    } else {
        Check::unknown(name, "only a denial while sending tells; the probes met none", remedy)
    }
}

/// Whether SES gives this answer only to a caller that may send.
fn is_past_authorization(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::NotVerified(_)
            | Kind::MessageRejected
            | Kind::MailFromNotVerified
            | Kind::SendingPaused
            | Kind::AccountSuspended
            | Kind::DailyQuota
    )
}

fn denial(probe: &Result<(), Failure>) -> Option<&Denial> {
    match probe {
        Err(Failure { kind: Kind::Denied(denial), .. }) => Some(denial),
        _ => None,
    }
}

fn names_resource(denial: &Denial, part: &str) -> bool {
    denial.resource.as_deref().is_some_and(|resource| resource.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::failure::{EXPLICIT, NO_ALLOW, answered, denied, key_refused, silent, throttled};
    use shared::record::CheckOutcome::{self, Failed, Passed, Unknown, Warning};

    const UNKNOWN: &str = "arn:aws:ses:eu-central-1:1:identity/invalid@invalid";
    const OWN: &str = "arn:aws:ses:eu-central-1:1:identity/example.com";
    const SET: &str = "arn:aws:ses:eu-central-1:1:configuration-set/main";

    fn rejected() -> Failure {
        answered("MessageRejected", "Email address is not verified. The following identities failed: a@b", 400)
    }

    fn identity(name: &str, sending_enabled: bool) -> Identity {
        Identity { name: name.to_owned(), sending_enabled }
    }

    #[test]
    fn a_rejected_mail_is_an_allowed_one() {
        let decided: [(Result<(), Failure>, CheckOutcome); 13] = [
            (Err(rejected()), Passed),
            (Err(answered("MessageRejected", "Illegal address", 400)), Passed),
            (Err(answered("MailFromDomainNotVerifiedException", "", 400)), Passed),
            (Err(answered("AccountSendingPausedException", "", 400)), Passed),
            (Err(answered("AccountSuspendedException", "", 400)), Passed),
            (Err(answered("LimitExceededException", "Daily message quota exceeded.", 400)), Passed),
            (Ok(()), Passed),
            (Err(denied(SEND, "*", NO_ALLOW)), Failed),
            (Err(denied(SEND, "user u", EXPLICIT)), Failed),
            (Err(answered("BadRequestException", "", 400)), Unknown),
            (Err(throttled()), Unknown),
            (Err(key_refused()), Unknown),
            (Err(silent()), Unknown),
        ];
        for (probe, expected) in decided {
            let UnknownSenderProbe::Decided(check) = read_unknown_sender_probe(&probe) else { panic!("{probe:?}") };
            assert_eq!(check.outcome, expected, "{probe:?}");
        }
        assert!(matches!(
            read_unknown_sender_probe(&Err(denied(SEND, UNKNOWN, NO_ALLOW))),
            UnknownSenderProbe::DeniedOnIdentity { .. }
        ));
    }

    #[test]
    fn a_denial_on_an_unknown_identity_is_decided_by_the_accounts_own() {
        let own = || Ok(vec![identity("example.com", true)]);
        type Identities = Result<Vec<Identity>, Failure>;
        type Probes = Vec<Result<(), Failure>>;
        let cases: [(Identities, Probes, CheckOutcome); 9] = [
            (own(), vec![Err(rejected())], Passed),
            (own(), vec![Ok(())], Passed),
            (own(), vec![Err(denied(SEND, OWN, NO_ALLOW)), Err(rejected())], Passed),
            (own(), vec![Err(denied(SEND, OWN, NO_ALLOW))], Failed),
            (own(), vec![Err(denied(SEND, OWN, NO_ALLOW)), Err(silent())], Unknown),
            (own(), vec![Err(denied(SEND, SET, NO_ALLOW))], Failed),
            (Ok(vec![]), vec![], Failed),
            (Err(denied("ses:ListEmailIdentities", "*", NO_ALLOW)), vec![], Failed),
            (Err(throttled()), vec![], Unknown),
        ];
        for (identities, probes, expected) in cases {
            let check = check_own_senders("first", &Denial::parse(NO_ALLOW), &identities, &probes);
            assert_eq!(check.outcome, expected, "{identities:?} {probes:?}");
        }
    }

    /// Case A13: SES names the identity in every denial, so that this one looks like a policy that is limited to others.
    #[test]
    fn an_explicit_deny_of_an_unknown_sender_is_named_and_not_answered_by_allowing() {
        let identities = Err(denied("ses:ListEmailIdentities", "*", EXPLICIT));
        let check = check_own_senders("first", &Denial::parse(EXPLICIT), &identities, &[]);
        let remedy = check.remedy.unwrap();
        assert!(remedy.contains("identity-based policy") && !remedy.contains("Allow"), "{remedy}");
    }

    #[test]
    fn few_verified_identities_are_probed() {
        let identities = Ok(["a.example", "off.example", "x@b.example", "c.example", "d.example"]
            .map(|name| identity(name, name != "off.example"))
            .to_vec());
        assert_eq!(own_senders(&identities), ["invalid@a.example", "x@b.example", "invalid@c.example"]);
        assert!(own_senders(&Err(silent())).is_empty());
    }

    #[test]
    fn a_default_configuration_set_is_known_by_a_denial_that_names_it() {
        assert_eq!(check_default_configuration_set(&[Err(denied(SEND, SET, NO_ALLOW))]).outcome, Warning);
        assert_eq!(check_default_configuration_set(&[Err(denied(SEND, OWN, NO_ALLOW))]).outcome, Unknown);
        assert_eq!(check_default_configuration_set(&[]).outcome, Unknown);
    }
}
