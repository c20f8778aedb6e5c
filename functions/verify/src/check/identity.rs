//! Whose key it is.

use shared::id::{AccessKeyId, InvalidAccessKeyId};
use shared::record::{Check, CheckName};
use shared::tenant::{CallerIdentity, Failure, FailureKind as Kind, Region, SecretAccessKey};

use super::pasted::{wrong_access_key_id, wrong_secret};
use super::{TRY_AGAIN, evidence};
use crate::submission::Submission;

const NEW_KEY: &str =
    "Create an IAM user with one of the policies of GET /policy, create an access key for it, and hand over that key.";

/// The IAM user that a key belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IamUser {
    /// The account, 12 digits.
    pub(crate) account_id: String,
    /// The user's ARN, with its path.
    pub(crate) arn: String,
    /// The user's name, without its path.
    pub(crate) name: String,
}

impl IamUser {
    /// The user's path, `/` or `/path/`.
    pub(crate) fn path(&self) -> &str {
        let path = self.arn.split_once(":user").map_or("/", |(_, path)| path);
        path.strip_suffix(&self.name).unwrap_or("/")
    }

    /// The ARN of another IAM resource of the account, such as `group/mailers`.
    pub(crate) fn sibling_arn(&self, resource: &str) -> String {
        let account = self.arn.split_once(":user/").map_or("", |(account, _)| account);
        format!("{account}:{resource}")
    }
}

/// The checks that need no call: the shape, and whether it is a long-term key. The key itself is returned if both passed.
pub(crate) fn check_shape(submission: &Submission) -> (Vec<Check>, Option<(AccessKeyId, SecretAccessKey)>) {
    let id = submission.access_key_id.access_key_id();
    let secret = submission.secret_access_key.secret_access_key();
    let (id_kind, secret_kind) = (submission.access_key_id.kind(), submission.secret_access_key.kind());
    let failed = |(evidence, remedy): (&str, &str)| Check::failed(CheckName::Shape, evidence, remedy);
    let shape = match (&id, &secret) {
        (Err(InvalidAccessKeyId::Shape), _) => match wrong_access_key_id(id_kind, secret_kind) {
            Some(wrong) => failed(wrong),
            None => Check::failed(
                CheckName::Shape,
                format!("access_key_id {}", InvalidAccessKeyId::Shape),
                "Copy the access key id again, whole and into its own field.",
            ),
        },
        (_, Err(invalid)) => match wrong_secret(secret_kind) {
            Some(wrong) => failed(wrong),
            None => Check::failed(
                CheckName::Shape,
                format!("secret_access_key {invalid}"),
                "Copy the secret access key again, whole and into its own field. AWS shows it only once: if it is lost, create another access key.",
            ),
        },
        _ => Check::passed(CheckName::Shape, "id and secret have the shape of an access key"),
    };
    let long_term = match &id {
        Ok(_) => Some(Check::passed(CheckName::LongTerm, "AKIA: a long-term key")),
        Err(InvalidAccessKeyId::Temporary) => {
            Some(Check::failed(CheckName::LongTerm, "ASIA: temporary credentials", NEW_KEY))
        }
        Err(InvalidAccessKeyId::Shape) => None,
    };
    let checks = std::iter::once(shape).chain(long_term).collect();
    (checks, id.ok().zip(secret.ok()))
}

/// Whether STS accepts id and secret.
pub(crate) fn check_live(answer: &Result<CallerIdentity, Failure>) -> Check {
    const CALL: &str = "sts:GetCallerIdentity";
    let name = CheckName::Live;
    match answer {
        Ok(identity) => Check::passed(name, format!("{CALL}: account {}", identity.account_id)),
        Err(failure) => match &failure.kind {
            Kind::KeyRefused => Check::failed(
                name,
                evidence(CALL, failure),
                "AWS does not know this access key. Look in IAM whether it exists and is active, and whether the Region's partition is that of your account. A key made in the last minute may need another one.",
            ),
            Kind::SignatureRefused => Check::failed(
                name,
                evidence(CALL, failure),
                "The secret does not belong to this access key id. Copy both again from the same key; if the secret is lost, create another access key.",
            ),
            _ => Check::unknown(name, evidence(CALL, failure), TRY_AGAIN),
        },
    }
}

/// Whether the key belongs to an IAM user of the Region's partition. This is checked before any call that could affect
/// keys: with the root user's key, `iam:DeleteAccessKey` manages the root user's keys.
pub(crate) fn check_iam_user(identity: &CallerIdentity, region: Region) -> (Check, Option<IamUser>) {
    let name = CheckName::IamUser;
    let failed = |evidence: String| (Check::failed(name, evidence, NEW_KEY), None);
    let mut parts = identity.arn.splitn(6, ':');
    let mut next = || parts.next().unwrap_or_default();
    let (_arn, partition, service, _region, account, resource) = (next(), next(), next(), next(), next(), next());
    if resource == "root" {
        return failed("the key belongs to the account's root user".to_owned());
    }
    if service == "sts" {
        return failed(format!("the key belongs to a session ({})", resource_type(resource)));
    }
    let user_name = resource.strip_prefix("user/").and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    let whole = service == "iam" && !user_name.is_empty() && is_account_id(account) && account == identity.account_id;
    if !whole {
        let unread = Check::unknown(name, "sts:GetCallerIdentity: an ARN that is no user's", NEW_KEY);
        return (unread, None);
    }
    if partition != region.partition() {
        return failed(format!("the user is in partition {partition}, the Region in {}", region.partition()));
    }
    let user = IamUser { account_id: account.to_owned(), arn: identity.arn.clone(), name: user_name.to_owned() };
    (Check::passed(name, format!("sts:GetCallerIdentity: {}", identity.arn)), Some(user))
}

/// The failed check of a key that is to replace one of another account; `None` if the account is the same.
pub(crate) fn check_same_account(user: &IamUser, account_id: &str) -> Option<Check> {
    (user.account_id != account_id).then(|| {
        Check::failed(
            CheckName::Account,
            format!("the key belongs to account {}, the provider to {account_id}", user.account_id),
            format!(
                "Create the new access key in account {account_id}. A key of another account is a provider of its own: POST /providers"
            ),
        )
    })
}

/// Whether the account is the one that the key's id encodes.
pub(crate) fn check_account(access_key_id: &AccessKeyId, user: &IamUser) -> Check {
    let name = CheckName::Account;
    match access_key_id.account_id() {
        Some(told) if told == user.account_id => Check::passed(name, format!("id and STS both say account {told}")),
        Some(told) => Check::failed(
            name,
            format!("the id tells account {told}, STS says {}", user.account_id),
            "Id and account contradict each other, which no key of AWS's does. Create another access key and hand over that one.",
        ),
        None => Check::warning(
            name,
            format!("the id is of an older generation and tells no account; STS says {}", user.account_id),
            "Create another access key for the user when you next rotate: newer ids tell their account, so that a report about a leaked key can be placed at once.",
        ),
    }
}

fn is_account_id(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

/// The word before the slash of an ARN's resource.
fn resource_type(resource: &str) -> &str {
    resource.split('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::failure::{answered, key_refused, signature_refused, silent, throttled};
    use crate::fixtures::submission_from;
    use shared::record::CheckOutcome::{self, Failed, Passed, Unknown, Warning};

    fn submission(id: &str, secret: &str) -> Submission {
        submission_from(&serde_json::json!({"tenant_id": "acme", "name": "x", "region": "eu-central-1",
            "access_key_id": id, "secret_access_key": secret}))
    }

    #[test]
    fn a_key_of_another_shape_is_refused_by_the_right_check_and_not_repeated() {
        const SECRET: &str = "MARKERMARKERMARKERMARKERMARKERMARKERMARK";
        type Expected = &'static [(CheckName, CheckOutcome)];
        let cases: [(&str, &str, Expected, bool); 6] = [
            ("AKIASP2TPHJSQH3FJRUX", SECRET, &[(CheckName::Shape, Passed), (CheckName::LongTerm, Passed)], true),
            (" 'AKIASP2TPHJSQH3FJRUX'", SECRET, &[(CheckName::Shape, Passed), (CheckName::LongTerm, Passed)], true),
            ("ASIAY34FZKBOKMUTVV7A", SECRET, &[(CheckName::Shape, Passed), (CheckName::LongTerm, Failed)], false),
            ("AKIASP2TPHJSQH3FJRUX", "MARKER", &[(CheckName::Shape, Failed), (CheckName::LongTerm, Passed)], false),
            (SECRET, "AKIASP2TPHJSQH3FJRUX", &[(CheckName::Shape, Failed)], false),
            ("", "", &[(CheckName::Shape, Failed)], false),
        ];
        for (id, secret, expected, whole) in cases {
            let (checks, key) = check_shape(&submission(id, secret));
            let seen: Vec<_> = checks.iter().map(|check| (check.name, check.outcome)).collect();
            assert_eq!(seen, expected, "{id}");
            assert_eq!(key.is_some(), whole, "{id}");
            assert!(!format!("{checks:?}").contains("MARKER"), "{checks:?}");
        }
    }

    /// Case K8 and its siblings: what was pasted instead is named.
    #[test]
    fn what_was_pasted_instead_of_a_key_is_named() {
        const SECRET: &str = "MARKERMARKERMARKERMARKERMARKERMARKERMARK";
        let id = "AKIASP2TPHJSQH3FJRUX";
        let both = format!("{id},{SECRET}");
        let smtp = "BMARKERMARKERMARKERMARKERMARKERMARKERMARKERM";
        let token = SECRET.repeat(8);
        let cases = [
            (id, smtp, "SMTP password"),
            (id, token.as_str(), "temporary credentials"),
            (id, id, "Copy the secret access key (40 characters)"),
            (id, both.as_str(), "without the id"),
            (id, "", "Copy the secret access key."),
            (id, "hunter2", "whole and into its own field"),
            (SECRET, id, "swapped"),
            (smtp, id, "begins with AKIA"),
            (both.as_str(), SECRET, "Copy only the access key id"),
            ("AIDASP2TPHJSQH3FJRUXX", SECRET, "Security credentials"),
            ("arn:aws:iam::123456789012:user/mailer", SECRET, "Security credentials"),
            ("", SECRET, "begins with AKIA"),
        ];
        for (id, secret, remedy) in cases {
            let (checks, key) = check_shape(&submission(id, secret));
            assert!(key.is_none());
            let shape = &checks[0];
            assert_eq!(shape.outcome, Failed);
            assert!(shape.remedy.as_ref().unwrap().contains(remedy), "{shape:?}");
            assert!(!format!("{checks:?}").contains("MARKER"), "{checks:?}");
        }
    }

    #[test]
    fn a_key_is_live_only_where_sts_says_so() {
        let identity = CallerIdentity { account_id: "123456789012".to_owned(), arn: String::new() };
        let cases = [
            (Ok(identity), Passed),
            (Err(key_refused()), Failed),
            (Err(signature_refused()), Failed),
            (Err(answered("SignatureDoesNotMatch", "Signature expired: 2026", 403)), Unknown),
            (Err(throttled()), Unknown),
            (Err(answered("InternalFailure", "", 500)), Unknown),
            (Err(answered("AccessDenied", "", 403)), Unknown),
            (Err(silent()), Unknown),
        ];
        for (answer, expected) in cases {
            assert_eq!(check_live(&answer).outcome, expected, "{answer:?}");
        }
    }

    #[test]
    fn only_an_iam_user_of_the_partition_is_accepted() {
        let eu = Region::parse("eu-central-1").unwrap();
        let cases = [
            ("arn:aws:iam::123456789012:user/mailer", Passed, Some("mailer")),
            ("arn:aws:iam::123456789012:user/apps/mail/mailer", Passed, Some("mailer")),
            ("arn:aws:iam::123456789012:root", Failed, None),
            ("arn:aws:sts::123456789012:assumed-role/admin/session", Failed, None),
            ("arn:aws:sts::123456789012:federated-user/bob", Failed, None),
            ("arn:aws-us-gov:iam::123456789012:user/mailer", Failed, None),
            ("arn:aws:iam::999999999999:user/mailer", Unknown, None),
            ("arn:aws:iam::123456789012:user/", Unknown, None),
            ("arn:aws:iam::123456789012:group/user", Unknown, None),
            ("", Unknown, None),
        ];
        for (arn, expected, user_name) in cases {
            let identity = CallerIdentity { account_id: "123456789012".to_owned(), arn: arn.to_owned() };
            let (check, user) = check_iam_user(&identity, eu);
            assert_eq!(check.outcome, expected, "{arn}");
            assert_eq!(user.as_ref().map(|user| user.name.as_str()), user_name, "{arn}");
        }
    }

    #[test]
    fn the_path_of_a_user_and_sibling_arns_are_parsed_from_its_arn() {
        for (arn, path) in
            [("arn:aws:iam::1:user/u", "/"), ("arn:aws:iam::1:user/a/b/u", "/a/b/"), ("arn:aws:iam::1:user/u/u", "/u/")]
        {
            let user = IamUser { account_id: "1".to_owned(), arn: arn.to_owned(), name: "u".to_owned() };
            assert_eq!(user.path(), path, "{arn}");
            assert_eq!(user.sibling_arn("group/g"), "arn:aws:iam::1:group/g", "{arn}");
        }
    }

    #[test]
    fn a_key_replaces_only_one_of_its_own_account() {
        let user = IamUser { account_id: "171436882533".to_owned(), arn: String::new(), name: String::new() };
        assert_eq!(check_same_account(&user, "171436882533"), None);
        let wrong = check_same_account(&user, "609629065308").unwrap();
        assert_eq!(wrong.outcome, Failed);
        assert!(wrong.evidence.contains("171436882533") && wrong.evidence.contains("609629065308"), "{wrong:?}");
    }

    #[test]
    fn the_account_must_be_the_one_that_the_id_encodes() {
        let cases =
            [("AKIASP2TPHJSQH3FJRUX", Passed), ("AKIAIOSFODNN7EXAMPLE", Warning), ("AKIAY34FZKBOKMUTVV7A", Failed)];
        for (id, expected) in cases {
            let user = IamUser { account_id: "171436882533".to_owned(), arn: String::new(), name: String::new() };
            assert_eq!(check_account(&AccessKeyId::from_pasted(id).unwrap(), &user).outcome, expected, "{id}");
        }
    }
}
