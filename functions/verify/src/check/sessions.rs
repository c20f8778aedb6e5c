//! Whether sessions minted from the key are worthless. They live up to 36 hours, and the deletion of the key does not end
//! them.

use shared::policy::{Applies, AuthorizationRequest, Decision, PolicyDocument, RequestContext, evaluate};
use shared::record::{Check, CheckName};
use shared::tenant::{Failure, FailureKind, SessionProbe};

use super::identity::IamUser;
use super::{TRY_AGAIN, evidence};

const MINT: &str = "sts:GetSessionToken";
const USE: &str = "ses:GetAccount with the session";

const REMEDY: &str = "Whoever has the key can mint sessions that send mail until 36 hours after the key is deleted (AWS: GetSessionToken). The hardened policy denies every session: GET /policy?account_id=…&style=hardened";

/// What the probe shows, and whether it saw that sessions are worthless.
pub(crate) fn check_sessions(probe: &SessionProbe) -> (Check, Option<bool>) {
    let name = CheckName::Sessions;
    match (&probe.minted, &probe.used) {
        (Ok(()), Some(Ok(()))) => {
            (Check::warning(name, format!("{MINT}: answered; {USE}: answered"), REMEDY), Some(false))
        }
        (Ok(()), Some(Err(failure @ Failure { kind: FailureKind::Denied(_), .. }))) => {
            (Check::passed(name, format!("{MINT}: answered; {}", evidence(USE, failure))), Some(true))
        }
        (Ok(()), Some(Err(failure))) => {
            (Check::unknown(name, format!("{MINT}: answered; {}", evidence(USE, failure)), TRY_AGAIN), None)
        }
        // A session that was minted before this denial may be in use: that it is worthless was not seen.
        (Err(failure @ Failure { kind: FailureKind::Denied(_), .. }), _) => {
            let seen = format!("{}; sessions minted before that was denied were not seen", evidence(MINT, failure));
            (Check::passed(name, seen), None)
        }
        (Err(failure), _) => (Check::unknown(name, evidence(MINT, failure), TRY_AGAIN), None),
        (Ok(()), None) => (Check::unknown(name, format!("{MINT}: answered without a session"), TRY_AGAIN), None),
    }
}

/// What the policies show, if all of them were read.
pub(crate) fn check_sessions_in_policies(documents: &[PolicyDocument], user: &IamUser, region: &str) -> (Check, bool) {
    let name = CheckName::Sessions;
    let partition = user.arn.split(':').nth(1).unwrap_or("aws");
    let identity = format!("arn:{partition}:ses:{region}:{}:identity/example.com", user.account_id);
    // A session of GetSessionToken has the user's name and the time at which it was minted (AWS: IAM user guide, "AWS
    // global condition context keys").
    let context = RequestContext::partial()
        .with("aws:username", user.name.as_str())
        .with("aws:PrincipalArn", user.arn.as_str())
        .with("aws:TokenIssueTime", "2026-01-01T00:00:00Z");
    let is_denied = ["ses:SendEmail", "ses:SendRawEmail", "ses:SendTemplatedEmail"].into_iter().all(|action| {
        let request = AuthorizationRequest { action, resource: &identity, context: &context };
        let evaluation = evaluate(documents, &request);
        let certainly_denied =
            evaluation.considered.iter().any(|one| one.effect == "Deny" && one.applies == Applies::Yes);
        let never_allowed = evaluation.decision != Decision::Allowed
            && evaluation.considered.iter().all(|one| one.effect == "Deny" || one.applies == Applies::No);
        certainly_denied || never_allowed
    });
    if is_denied {
        (Check::passed(name, "the policies deny every session"), true)
    } else {
        (Check::warning(name, "the policies do not deny sessions", REMEDY), false)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::record::CheckOutcome::{Passed, Unknown, Warning};

    use super::*;
    use crate::fixtures::failure::{EXPLICIT, NO_ALLOW, denied, key_refused, silent, throttled};

    #[test]
    fn a_session_that_ses_answers_warns_and_one_that_it_denies_is_worthless() {
        let no = |tail| Err(denied("sts:GetSessionToken", "*", tail));
        let cases = [
            (Ok(()), Some(Ok(())), Warning, Some(false)),
            (Ok(()), Some(no(EXPLICIT)), Passed, Some(true)),
            (Ok(()), Some(no(NO_ALLOW)), Passed, Some(true)),
            (Ok(()), Some(Err(key_refused())), Unknown, None),
            (Ok(()), Some(Err(silent())), Unknown, None),
            (Ok(()), None, Unknown, None),
            (no(EXPLICIT), None, Passed, None),
            (Err(throttled()), None, Unknown, None),
        ];
        for (minted, used, expected, denied) in cases {
            let probe = SessionProbe { minted, used };
            let (check, sessions_denied) = check_sessions(&probe);
            assert_eq!((check.outcome, sessions_denied), (expected, denied), "{probe:?}");
        }
    }

    #[test]
    fn policies_that_were_read_show_whether_sessions_are_denied() {
        let user = IamUser {
            account_id: "123456789012".to_owned(),
            arn: "arn:aws:iam::123456789012:user/mailer".to_owned(),
            name: "mailer".to_owned(),
        };
        let hardened = shared::policy::hardened("123456789012").unwrap();
        let on_the_allow = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ses:*",
            "Resource": "*", "Condition": {"Null": {"aws:TokenIssueTime": "true"}}}]})
        .to_string();
        let one_condition_too_many = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "ses:*", "Resource": "*"},
            {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {
                "Null": {"aws:TokenIssueTime": "false"}, "NotIpAddress": {"aws:SourceIp": "192.0.2.1"}}}]})
        .to_string();
        let by_template = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "ses:*", "Resource": "*"},
            {"Effect": "Deny", "Action": ["ses:SendEmail", "ses:SendRawEmail"], "Resource": "*", "Condition": {
                "Null": {"aws:TokenIssueTime": "false"}}}]})
        .to_string();
        for (text, expected) in [
            (hardened.as_str(), true),
            (&on_the_allow, true),
            (shared::policy::classic(), false),
            (&one_condition_too_many, false),
            (&by_template, false),
        ] {
            let document = PolicyDocument::parse(text).unwrap();
            let (check, denied) = check_sessions_in_policies(&[document], &user, "eu-central-1");
            assert_eq!(denied, expected, "{text}");
            assert_eq!(check.outcome, if expected { Passed } else { Warning });
        }
    }
}
