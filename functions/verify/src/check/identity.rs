//! Who a key is.

use shared::id::{AccessKeyId, InvalidAccessKeyId};
use shared::tenant::{CallerIdentity, Failure, Kind, Region, SecretAccessKey};

use super::{Check, CheckName, TRY_AGAIN, evidence};
use crate::submission::Submission;

const NEW_KEY: &str =
    "Create an IAM user with one of the policies of GET /policy, create an access key for it, and hand over that key.";

/// The IAM user that a key belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    /// The account, 12 digits.
    pub(crate) account_id: String,
    /// The user's ARN, with its path.
    pub(crate) user_arn: String,
    /// The user's name, without its path.
    pub(crate) user_name: String,
}

impl Caller {
    /// The user's path, `/` or `/path/`.
    pub(crate) fn user_path(&self) -> &str {
        let path = self.user_arn.split_once(":user").map_or("/", |(_, path)| path);
        path.strip_suffix(&self.user_name).unwrap_or("/")
    }

    /// The ARN of something else in the account's IAM, such as `group/mailers`.
    pub(crate) fn beside(&self, resource: &str) -> String {
        let account = self.user_arn.split_once(":user/").map_or("", |(account, _)| account);
        format!("{account}:{resource}")
    }
}

/// The checks that need nobody: shape, and whether it is a long-term key. The key comes with them where both passed.
pub(crate) fn shape(submission: &Submission) -> (Vec<Check>, Option<(AccessKeyId, SecretAccessKey)>) {
    let id = submission.access_key_id.access_key_id();
    let secret = submission.secret_access_key.secret_access_key();
    let shape = match (&id, &secret) {
        (Err(InvalidAccessKeyId::Shape), _) => Check::failed(
            CheckName::Shape,
            format!("access_key_id {}", InvalidAccessKeyId::Shape),
            "Copy the access key id again, whole and into its own field.",
        ),
        (_, Err(invalid)) => Check::failed(
            CheckName::Shape,
            format!("secret_access_key {invalid}"),
            "Copy the secret access key again, whole and into its own field. AWS shows it only once: if it is lost, create another access key.",
        ),
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
pub(crate) fn live(answer: &Result<CallerIdentity, Failure>) -> Check {
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

/// Whether the key belongs to an IAM user of the Region's partition. Asked before anything that could touch keys: with
/// root's key, `iam:DeleteAccessKey` manages root's keys.
pub(crate) fn iam_user(identity: &CallerIdentity, region: Region) -> (Check, Option<Caller>) {
    let name = CheckName::IamUser;
    let failed = |evidence: String| (Check::failed(name, evidence, NEW_KEY), None);
    let mut parts = identity.arn.splitn(6, ':');
    let mut next = || parts.next().unwrap_or_default();
    let (_arn, partition, service, _region, account, resource) = (next(), next(), next(), next(), next(), next());
    if resource == "root" {
        return failed("the key belongs to the account's root user".to_owned());
    }
    if service == "sts" {
        return failed(format!("the key belongs to a session ({})", kind_of(resource)));
    }
    let user_name = resource.strip_prefix("user/").and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    let whole = service == "iam" && !user_name.is_empty() && is_account(account) && account == identity.account_id;
    if !whole {
        let unread = Check::unknown(name, "sts:GetCallerIdentity: an ARN that is no user's", NEW_KEY);
        return (unread, None);
    }
    if partition != region.partition() {
        return failed(format!("the user is in partition {partition}, the Region in {}", region.partition()));
    }
    let caller =
        Caller { account_id: account.to_owned(), user_arn: identity.arn.clone(), user_name: user_name.to_owned() };
    (Check::passed(name, format!("sts:GetCallerIdentity: {}", identity.arn)), Some(caller))
}

/// Whether the account is the one that the key's id tells.
pub(crate) fn account(access_key_id: &AccessKeyId, caller: &Caller) -> Check {
    let name = CheckName::Account;
    match access_key_id.account_id() {
        Some(told) if told == caller.account_id => Check::passed(name, format!("id and STS both say account {told}")),
        Some(told) => Check::failed(
            name,
            format!("the id tells account {told}, STS says {}", caller.account_id),
            "Id and account contradict each other, which no key of AWS's does. Create another access key and hand over that one.",
        ),
        None => Check::warning(
            name,
            format!("the id is of an older generation and tells no account; STS says {}", caller.account_id),
            "Create another access key for the user when you next rotate: newer ids tell their account, so that a report about a leaked key can be placed at once.",
        ),
    }
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

/// The word before the slash of an ARN's resource.
fn kind_of(resource: &str) -> &str {
    resource.split('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::Outcome::{self, Failed, Passed, Unknown, Warning};
    use super::super::failures::{answered, key_refused, signature_refused, silent, throttled};
    use super::*;

    fn submission(id: &str, secret: &str) -> Submission {
        Submission::of(&serde_json::json!({"tenant_id": "acme", "name": "x", "region": "eu-central-1",
            "access_key_id": id, "secret_access_key": secret}))
    }

    #[test]
    fn a_key_of_another_shape_is_refused_by_the_right_check_and_not_repeated() {
        const SECRET: &str = "MARKERMARKERMARKERMARKERMARKERMARKERMARK";
        type Expected = &'static [(CheckName, Outcome)];
        let cases: [(&str, &str, Expected, bool); 6] = [
            ("AKIASP2TPHJSQH3FJRUX", SECRET, &[(CheckName::Shape, Passed), (CheckName::LongTerm, Passed)], true),
            (" 'AKIASP2TPHJSQH3FJRUX'", SECRET, &[(CheckName::Shape, Passed), (CheckName::LongTerm, Passed)], true),
            ("ASIAY34FZKBOKMUTVV7A", SECRET, &[(CheckName::Shape, Passed), (CheckName::LongTerm, Failed)], false),
            ("AKIASP2TPHJSQH3FJRUX", "MARKER", &[(CheckName::Shape, Failed), (CheckName::LongTerm, Passed)], false),
            (SECRET, "AKIASP2TPHJSQH3FJRUX", &[(CheckName::Shape, Failed)], false),
            ("", "", &[(CheckName::Shape, Failed)], false),
        ];
        for (id, secret, expected, whole) in cases {
            let (checks, key) = shape(&submission(id, secret));
            let seen: Vec<_> = checks.iter().map(|check| (check.name, check.outcome)).collect();
            assert_eq!(seen, expected, "{id}");
            assert_eq!(key.is_some(), whole, "{id}");
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
            assert_eq!(live(&answer).outcome, expected, "{answer:?}");
        }
    }

    #[test]
    fn only_an_iam_user_of_the_partition_is_taken() {
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
            let (check, caller) = iam_user(&identity, eu);
            assert_eq!(check.outcome, expected, "{arn}");
            assert_eq!(caller.as_ref().map(|caller| caller.user_name.as_str()), user_name, "{arn}");
        }
    }

    #[test]
    fn a_users_path_and_neighbours_are_read_off_its_arn() {
        for (arn, path) in
            [("arn:aws:iam::1:user/u", "/"), ("arn:aws:iam::1:user/a/b/u", "/a/b/"), ("arn:aws:iam::1:user/u/u", "/u/")]
        {
            let caller = Caller { account_id: "1".to_owned(), user_arn: arn.to_owned(), user_name: "u".to_owned() };
            assert_eq!(caller.user_path(), path, "{arn}");
            assert_eq!(caller.beside("group/g"), "arn:aws:iam::1:group/g", "{arn}");
        }
    }

    #[test]
    fn the_account_must_be_the_one_that_the_id_tells() {
        let cases =
            [("AKIASP2TPHJSQH3FJRUX", Passed), ("AKIAIOSFODNN7EXAMPLE", Warning), ("AKIAY34FZKBOKMUTVV7A", Failed)];
        for (id, expected) in cases {
            let caller =
                Caller { account_id: "171436882533".to_owned(), user_arn: String::new(), user_name: String::new() };
            assert_eq!(account(&AccessKeyId::from_pasted(id).unwrap(), &caller).outcome, expected, "{id}");
        }
    }
}
