//! What a key can do with its own user, and with other users.

use shared::id::AccessKeyId;
use shared::policy::{Finding, FindingKind, Severity};
use shared::record::{Check, CheckName, CheckOutcome};
use shared::tenant::{DeletePermission, Failure, FailureKind as Kind, ListedKey, User};

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
                Check::failed(name, evidence(GET_USER, failure), permission_remedy(GET_USER, OWN_USER, denial))
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
    let seen = match probe {
        Ok(()) => format!("{DELETE}: the probe was not refused"),
        Err(failure) => evidence(DELETE, failure),
    };
    match DeletePermission::from_probe(probe) {
        DeletePermission::Allowed => Check::passed(name, seen),
        DeletePermission::Denied(denial) => Check::failed(name, seen, permission_remedy(DELETE, OWN_USER, &denial)),
        DeletePermission::Unknown => Check::unknown(name, seen, TRY_AGAIN),
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

const SECOND_KEY: &str = "Look in IAM whether the user has a second access key, and delete it: it outlives this one.";

/// The same, if the policies that were read show that the key may not ask.
pub(crate) fn second_key_not_asked() -> Check {
    Check::unknown(CheckName::SecondKey, "iam:ListAccessKeys: not asked, the policies do not allow it", SECOND_KEY)
}

/// The same for a key that replaces another one of its user: the second key is known.
pub(crate) fn check_replaced_key(replaced: &AccessKeyId) -> Check {
    Check::warning(
        CheckName::SecondKey,
        format!("the user has two access keys: this one and {}, which it replaces", replaced.masked()),
        "Nothing has to be done: the key that is replaced deletes itself when the grace is over. IAM lets a user have two access keys, so no third one can be created until then.",
    )
}

/// Whether the user has a second access key, which would outlive this one. Only a key that can do too much can tell.
pub(crate) fn check_second_key(answer: &Result<Vec<ListedKey>, Failure>) -> Check {
    const CALL: &str = "iam:ListAccessKeys";
    let name = CheckName::SecondKey;
    match answer {
        Ok(keys) => match keys.iter().find(|key| !key.is_own) {
            Some(key) => {
                let state = if key.is_active { "active" } else { "inactive" };
                Check::warning(name, format!("{CALL}: a second key, {}, {state}", key.masked_id), SECOND_KEY)
            }
            None => Check::passed(name, format!("{CALL}: no second key")),
        },
        Err(failure) => Check::unknown(name, evidence(CALL, failure), SECOND_KEY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::failure::{EXPLICIT, NO_ALLOW, answered, denied, key_refused, silent, throttled};
    use shared::record::CheckOutcome::{Failed, Passed, Unknown, Warning};

    fn user(has_console_login: bool) -> User {
        User { name: "u".to_owned(), arn: String::new(), has_console_login, permissions_boundary: None }
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
    fn a_key_must_be_able_to_delete_itself() {
        let cases = [
            (Err(missing()), Passed),
            (Err(denied(DELETE, "arn:aws:iam::1:user/u", NO_ALLOW)), Failed),
            (Err(denied(DELETE, "arn:aws:iam::1:user/u", EXPLICIT)), Failed),
            (Err(throttled()), Unknown),
            (Err(key_refused()), Unknown),
            (Ok(()), Unknown),
        ];
        for (probe, expected) in cases {
            assert_eq!(check_delete_access_key(&probe).outcome, expected, "{probe:?}");
        }
    }

    #[test]
    fn a_second_key_is_told_shortened() {
        let key = |id: &str, is_own| ListedKey { masked_id: id.to_owned(), is_active: true, is_own };
        let cases = [
            (Ok(vec![key("AKIA…JRUX", true)]), Passed, "no second key"),
            (Ok(vec![key("AKIA…JRUX", true), key("AKIA…WXYZ", false)]), Warning, "AKIA…WXYZ, active"),
            (Err(denied("iam:ListAccessKeys", "user u", NO_ALLOW)), Unknown, "AccessDenied"),
        ];
        for (answer, expected, told) in cases {
            let check = check_second_key(&answer);
            assert_eq!(check.outcome, expected, "{answer:?}");
            assert!(check.evidence.contains(told), "{check:?}");
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
