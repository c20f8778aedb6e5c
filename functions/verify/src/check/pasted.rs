//! What people paste into the fields of a key instead of it.

/// What a text looks like. It says nothing of the text itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PastedKind {
    /// An access key id: `AKIA…` or `ASIA…`.
    AccessKeyId,
    /// 40 characters: a secret access key.
    SecretAccessKey,
    /// 44 characters that begin with `B`: an SMTP password of SES (AWS: SES developer guide, "Obtaining Amazon SES SMTP
    /// credentials": Base64 of the version byte 4 and an HMAC).
    SmtpPassword,
    /// A long text of the same alphabet: a session token.
    SessionToken,
    /// An access key id and something else, such as a line of the CSV file.
    IdAndMore,
    /// The unique id of a user, role, group or policy (AWS: IAM user guide, "IAM identifiers").
    UniqueId,
    /// An ARN.
    Arn,
    /// Nothing at all.
    Empty,
    /// Something else.
    Other,
}

/// The shortest session token: real ones have several hundred characters.
const SHORTEST_TOKEN: usize = 100;

impl PastedKind {
    /// Looks at a text without what pasting leaves around it.
    pub(crate) fn of(text: &str) -> Self {
        let text = text.trim_matches(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '+' | '/' | '='));
        let base64 = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='));
        let is_id = |text: &str| {
            (text.starts_with("AKIA") || text.starts_with("ASIA"))
                && text.len() == 20
                && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        };
        if text.is_empty() {
            Self::Empty
        } else if is_id(text) {
            Self::AccessKeyId
        } else if text.starts_with("arn:") {
            Self::Arn
        } else if ["AIDA", "AROA", "AGPA", "ANPA"].iter().any(|prefix| text.starts_with(prefix))
            && (16..=32).contains(&text.len())
            && base64
        {
            Self::UniqueId
        } else if base64 && text.len() == 40 {
            Self::SecretAccessKey
        } else if base64 && text.len() == 44 && text.starts_with('B') {
            Self::SmtpPassword
        } else if base64 && text.len() >= SHORTEST_TOKEN {
            Self::SessionToken
        } else if text.split(|c: char| !c.is_ascii_alphanumeric()).any(is_id) {
            Self::IdAndMore
        } else {
            Self::Other
        }
    }
}

/// Evidence and remedy if the field of the access key id holds something known. `secret` is what the other field holds.
pub(crate) fn wrong_access_key_id(id: PastedKind, secret: PastedKind) -> Option<(&'static str, &'static str)> {
    Some(match (id, secret) {
        (PastedKind::SecretAccessKey, PastedKind::AccessKeyId) => SWAPPED,
        (PastedKind::SecretAccessKey | PastedKind::SmtpPassword, _) => (
            "access_key_id has the form of a secret",
            "Copy the access key id, which begins with AKIA, into this field, and the secret into its own.",
        ),
        (PastedKind::IdAndMore, _) => (
            "access_key_id holds more than the id",
            "Copy only the access key id (20 characters, begins with AKIA), and the secret into its own field.",
        ),
        (PastedKind::UniqueId, _) => (
            "access_key_id has the form of the unique id of a user or role",
            "Copy the access key id: it begins with AKIA and stands in IAM under the user's Security credentials.",
        ),
        (PastedKind::Arn, _) => (
            "access_key_id has the form of an ARN",
            "Copy the access key id: it begins with AKIA and stands in IAM under the user's Security credentials.",
        ),
        (PastedKind::Empty, _) => ("access_key_id is empty", "Copy the access key id, which begins with AKIA."),
        _ => return None,
    })
}

/// Evidence and remedy if the field of the secret holds something known.
pub(crate) fn wrong_secret(secret: PastedKind) -> Option<(&'static str, &'static str)> {
    Some(match secret {
        PastedKind::SmtpPassword => (
            "secret_access_key has the form of an SMTP password of Amazon SES: 44 characters that begin with B",
            "This is an SMTP password, which is made from a secret access key and cannot sign API calls. Hand over the secret access key itself (40 characters). If you only have SMTP credentials, create an access key for a user with one of the policies of GET /policy.",
        ),
        PastedKind::SessionToken => (
            "secret_access_key has the form of a session token",
            "This is the token of temporary credentials. Hand over the secret access key (40 characters) of a long-term key, whose id begins with AKIA.",
        ),
        PastedKind::AccessKeyId => (
            "secret_access_key has the form of an access key id",
            "Copy the secret access key (40 characters) into this field. AWS shows it only once: if it is lost, create another access key.",
        ),
        PastedKind::IdAndMore => (
            "secret_access_key holds an access key id as well",
            "Copy only the secret access key (40 characters), without the id, the comma and the heading of the file.",
        ),
        PastedKind::Empty => (
            "secret_access_key is empty",
            "Copy the secret access key. AWS shows it only once: if it is lost, create another access key.",
        ),
        _ => return None,
    })
}

const SWAPPED: (&str, &str) = (
    "access_key_id has the form of a secret, and secret_access_key that of an id",
    "The two are swapped. Hand them over the other way round.",
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_text_is_known_by_its_form() {
        let token = "IQoJb3JpZ2luX2VjE".repeat(20);
        let smtp: serde_json::Value =
            serde_json::from_str(include_str!("../../../../tests/verify/cases/K8-secret-is-smtp-password.json"))
                .unwrap();
        let smtp = smtp["secret_access_key"].as_str().unwrap();
        for (text, expected) in [
            (smtp, PastedKind::SmtpPassword),
            ("AKIASP2TPHJSQH3FJRUX", PastedKind::AccessKeyId),
            (" 'ASIAY34FZKBOKMUTVV7A'", PastedKind::AccessKeyId),
            ("abcdefghijklmnopqrstuvwxyzABCDEFGHIJ+/01", PastedKind::SecretAccessKey),
            (token.as_str(), PastedKind::SessionToken),
            ("AKIASP2TPHJSQH3FJRUX,abcdefghijklmnopqrstuvwxyzABCDEFGHIJ+/01", PastedKind::IdAndMore),
            ("Access key ID: AKIASP2TPHJSQH3FJRUX", PastedKind::IdAndMore),
            ("AIDASP2TPHJSQH3FJRUXX", PastedKind::UniqueId),
            ("arn:aws:iam::123456789012:user/mailer", PastedKind::Arn),
            (" \"\" ", PastedKind::Empty),
            ("hunter2", PastedKind::Other),
        ] {
            assert_eq!(PastedKind::of(text), expected, "{text}");
        }
    }
}
