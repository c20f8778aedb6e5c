//! What a key can do with its own user, and with other users.

use shared::policy::{Finding, FindingKind, Severity};
use shared::record::{Check, CheckName, CheckOutcome};
use shared::tenant::{AccountStatus, Failure, FailureKind as Kind, User};

use super::{TRY_AGAIN, evidence, permission_remedy};

const GET_USER: &str = "iam:GetUser";
const DELETE: &str = "iam:DeleteAccessKey";
const OWN_USER: &str = "its own user";

/// Whether the key may read its own user.
pub(crate) fn check_get_user(answer: &Result<User, Failure>) -> Check {
    let name = CheckName::GetUser;
    match answer {
        Ok(_) => Check::passed(name, format!("{GET_USER}: answered")),
        Err(failure) => match &failure.kind {
            Kind::Denied(denial) => {
                Check::failed(name, evidence(GET_USER, failure), permission_remedy(GET_USER, OWN_USER, denial.by))
            }
            _ => Check::unknown(name, evidence(GET_USER, failure), TRY_AGAIN),
        },
    }
}

/// Whether somebody signs in to the console as this user.
pub(crate) fn check_console_login(answer: &Result<User, Failure>) -> Check {
    let name = CheckName::ConsoleLogin;
    match answer {
        Ok(user) if user.has_console_login => Check::warning(
            name,
            format!("{GET_USER}: the user's console password was used"),
            "Use a user of its own for this key and take the console password off it: who signs in as this user has the key's permissions after the key is gone.",
        ),
        Ok(_) => Check::passed(name, format!("{GET_USER}: no console sign-in")),
        Err(failure) => Check::unknown(name, evidence(GET_USER, failure), "Allow iam:GetUser on its own user."),
    }
}

/// Whether the key may delete itself, by the probe with an id that cannot exist.
pub(crate) fn check_delete_access_key(probe: &Result<(), Failure>) -> Check {
    let name = CheckName::DeleteAccessKey;
    match probe {
        Ok(()) => Check::unknown(name, format!("{DELETE}: the probe was not refused"), TRY_AGAIN),
        Err(failure) => match &failure.kind {
            Kind::NotFound => Check::passed(name, evidence(DELETE, failure)),
            Kind::Denied(denial) => {
                Check::failed(name, evidence(DELETE, failure), permission_remedy(DELETE, OWN_USER, denial.by))
            }
            _ => Check::unknown(name, evidence(DELETE, failure), TRY_AGAIN),
        },
    }
}

/// Whether AWS has put the user under quarantine. The policies that AWS attaches to users with a leaked key
/// (`AWSCompromisedKeyQuarantine…`) deny `iam:DeleteAccessKey` and do not affect `ses:GetAccount`, and nothing else looks
/// like that.
pub(crate) fn check_quarantine(probe: &Result<(), Failure>, account: &Result<AccountStatus, Failure>) -> Check {
    let name = CheckName::Quarantine;
    let failure = match probe {
        Ok(()) => return Check::unknown(name, format!("{DELETE}: the probe was not refused"), TRY_AGAIN),
        Err(failure) => failure,
    };
    match &failure.kind {
        Kind::Denied(denial) if denial.may_be_quarantine() => match account {
            Ok(_) => Check::failed(
                name,
                format!("{}; ses:GetAccount: answered", evidence(DELETE, failure)),
                "This is what AWS does to a user whose key it found in public (policy AWSCompromisedKeyQuarantine). Delete the key in IAM now, look in CloudTrail for what was done with it, and hand over a key of a new user. If it was a Deny statement of your own, take it out.",
            ),
            Err(_) => Check::unknown(
                name,
                format!("{}; ses:GetAccount: not answered", evidence(DELETE, failure)),
                "Take out the Deny statement that covers iam:DeleteAccessKey. If AWS attached it, delete the key.",
            ),
        },
        Kind::Denied(_) => Check::passed(name, format!("{}, which is no quarantine", evidence(DELETE, failure))),
        Kind::NotFound => Check::passed(name, evidence(DELETE, failure)),
        _ => Check::unknown(name, evidence(DELETE, failure), TRY_AGAIN),
    }
}

/// Whether the key can delete other users' keys, by the same probe on a user that cannot exist.
pub(crate) fn check_breadth(probe: &Result<(), Failure>) -> (Check, Option<Finding>) {
    let name = CheckName::Breadth;
    let check = match probe {
        Ok(()) => Check::unknown(name, format!("{DELETE} on another user: the probe was not refused"), TRY_AGAIN),
        Err(failure) => {
            let seen = evidence("iam:DeleteAccessKey on another user", failure);
            match &failure.kind {
                Kind::Denied(_) => Check::passed(name, seen),
                Kind::NotFound => Check::warning(
                    name,
                    seen,
                    "The policy covers all users (`user/*`). Replace it with the hardened one: GET /policy?account_id=…&style=hardened",
                ),
                _ => Check::unknown(name, seen, TRY_AGAIN),
            }
        }
    };
    // The classic policy allows it, so it is a notice and not excess.
    let finding = (check.outcome == CheckOutcome::Warning).then(|| Finding {
        kind: FindingKind::Notice,
        severity: Severity::Medium,
        explanation: "Whoever has the key can delete the access keys of other users of the account.".to_owned(),
        ..Finding::observed(DELETE, None)
    });
    (check, finding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::failure::account_status;
    use crate::fixtures::failure::{
        EXPLICIT, NO_ALLOW, ORGANIZATION, answered, denied, key_refused, silent, throttled,
    };
    use shared::record::CheckOutcome::{Failed, Passed, Unknown, Warning};

    fn user(has_console_login: bool) -> User {
        User { name: "u".to_owned(), arn: String::new(), has_console_login }
    }

    fn account() -> AccountStatus {
        account_status(true, "HEALTHY")
    }

    fn missing() -> Failure {
        answered("NoSuchEntity", "The Access Key with id X cannot be found.", 404)
    }

    #[test]
    fn the_answer_about_the_own_user_shows_console_logins() {
        let cases = [
            (Ok(user(false)), Passed, Passed),
            (Ok(user(true)), Passed, Warning),
            (Err(denied("iam:GetUser", "user u", NO_ALLOW)), Failed, Unknown),
            (Err(key_refused()), Unknown, Unknown),
            (Err(throttled()), Unknown, Unknown),
            (Err(silent()), Unknown, Unknown),
        ];
        for (answer, expected, login) in cases {
            assert_eq!(
                (check_get_user(&answer).outcome, check_console_login(&answer).outcome),
                (expected, login),
                "{answer:?}"
            );
        }
    }

    #[test]
    fn a_missing_permission_to_delete_itself_is_not_taken_for_quarantine() {
        let delete = |tail| Err(denied(DELETE, "arn:aws:iam::1:user/u", tail));
        let no_account = || Err(denied("ses:GetAccount", "*", NO_ALLOW));
        let cases = [
            (Err(missing()), Ok(account()), Passed, Passed),
            (delete(NO_ALLOW), Ok(account()), Failed, Passed),
            (delete(EXPLICIT), Ok(account()), Failed, Failed),
            (delete("with an explicit deny"), Ok(account()), Failed, Failed),
            (delete(EXPLICIT), no_account(), Failed, Unknown),
            (delete(ORGANIZATION), Ok(account()), Failed, Passed),
            (delete("with an explicit deny in a permissions boundary"), Ok(account()), Failed, Passed),
            (Err(throttled()), Ok(account()), Unknown, Unknown),
            (Err(key_refused()), Ok(account()), Unknown, Unknown),
            (Err(silent()), no_account(), Unknown, Unknown),
            (Ok(()), Ok(account()), Unknown, Unknown),
        ];
        for (probe, account, delete, quarantined) in cases {
            let seen = (check_delete_access_key(&probe).outcome, check_quarantine(&probe, &account).outcome);
            assert_eq!(seen, (delete, quarantined), "{probe:?} {account:?}");
        }
    }

    #[test]
    fn reaching_other_users_warns() {
        let cases = [
            (Err(missing()), Warning),
            (Err(denied(DELETE, "arn:aws:iam::1:user/x", NO_ALLOW)), Passed),
            (Err(denied(DELETE, "arn:aws:iam::1:user/x", EXPLICIT)), Passed),
            (Err(throttled()), Unknown),
            (Ok(()), Unknown),
        ];
        for (probe, expected) in cases {
            let (check, finding) = check_breadth(&probe);
            assert_eq!((check.outcome, finding.is_some()), (expected, expected == Warning), "{probe:?}");
            assert!(finding.is_none_or(|finding| !finding.is_excess()));
        }
    }
}
