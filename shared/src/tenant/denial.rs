//! What the text of a denial says: which action, on which resource, and whether a policy denied it explicitly.

/// Which kind of policy denied it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeniedBy {
    /// No policy allowed it (implicit deny).
    NoAllow,
    /// A Deny statement of an identity-based policy.
    IdentityPolicy,
    /// A service control policy of the organisation; AWS always calls these explicit.
    ServiceControlPolicy,
    /// A permissions boundary.
    PermissionsBoundary,
    /// A policy of the resource itself, such as SES's sending authorization policies.
    ResourcePolicy,
    /// An explicit deny of another kind, or one whose kind the text does not say.
    OtherPolicy,
}

/// A parsed denial. The text itself is not kept: its tail may hold policy ARNs, console URLs and authorization ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The IAM action, such as `ses:SendRawEmail`.
    pub action: Option<String>,
    /// The ARN that was denied; absent if AWS names none, or something that is not an ARN.
    pub resource: Option<String>,
    /// Which kind of policy denied it.
    pub by: DeniedBy,
    /// For an implicit deny, the kind of policy that would have to allow it, if the text says so. Never
    /// [`DeniedBy::NoAllow`].
    pub not_allowed_by: Option<DeniedBy>,
    /// Whether the text names a policy that AWS attaches to quarantine a leaked key.
    pub names_quarantine: bool,
}

/// What the names of AWS's quarantine policies start with, of any version.
pub(super) const QUARANTINE_POLICY: &str = "AWSCompromisedKeyQuarantine";

impl Denial {
    /// Parses AWS's wording, in IAM's form (`… to perform: A on resource: R because …`) and in SES's (with quotes).
    /// A part that cannot be parsed is absent.
    pub fn parse(text: &str) -> Self {
        let kind = || {
            [
                ("service control policy", DeniedBy::ServiceControlPolicy),
                ("permissions boundary", DeniedBy::PermissionsBoundary),
                ("resource-based policy", DeniedBy::ResourcePolicy),
                ("identity-based policy", DeniedBy::IdentityPolicy),
            ]
            .into_iter()
            .find_map(|(words, kind)| text.contains(words).then_some(kind))
        };
        let explicit = text.contains("explicit deny");
        let by = if explicit { kind().unwrap_or(DeniedBy::OtherPolicy) } else { DeniedBy::NoAllow };
        // AWS: IAM user guide, "Troubleshoot access denied error messages": "because no permissions boundary allows the
        // … action", and the same of the other kinds, some of which are not told apart here.
        let implicit = !explicit && text.contains("because no ");
        let not_allowed_by = implicit.then(|| kind().unwrap_or(DeniedBy::OtherPolicy));
        Self {
            // EC2 says "to perform this operation" before it names the action, where it names it.
            action: text
                .match_indices("to perform")
                .find_map(|(at, _)| after(&text[at..], "to perform").filter(|word| is_action(word))),
            resource: after(text, "on resource").filter(|word| word.starts_with("arn:")),
            by,
            not_allowed_by,
            names_quarantine: explicit && text.contains(QUARANTINE_POLICY),
        }
    }

    /// Whether the denial is about all that the key sends by this action: somebody denied it explicitly, and not by a policy of
    /// the one resource. SES names the sender's identity in every denial, so the resource does not tell.
    pub fn is_of_key(&self) -> bool {
        self.is_explicit() && self.by != DeniedBy::ResourcePolicy
    }

    /// Whether a Deny statement denied it, as far as the text says.
    pub fn is_explicit(&self) -> bool {
        self.by != DeniedBy::NoAllow
    }

    /// Whether the denying policy may be one that AWS attached to the user to quarantine a key that it found in public.
    /// AWS does not do so by a service control policy, a permissions boundary or a policy of the resource.
    pub fn may_be_quarantine(&self) -> bool {
        matches!(self.by, DeniedBy::IdentityPolicy | DeniedBy::OtherPolicy)
    }
}

/// The word after `marker`, without the colon, quotes and punctuation around it.
fn after(text: &str, marker: &str) -> Option<String> {
    let (_, rest) = text.split_once(marker)?;
    let word = rest.trim_start_matches([':', ' ', '`', '\'', '"']).split([' ', '`', '\'', '"', '\n']).next()?;
    let word = word.trim_end_matches(['.', ',', ';']);
    (!word.is_empty() && word.len() <= 512).then(|| word.to_owned())
}

fn is_action(word: &str) -> bool {
    word.split_once(':').is_some_and(|(service, name)| {
        !service.is_empty()
            && !name.is_empty()
            && service.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && name.bytes().all(|b| b.is_ascii_alphanumeric())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_have_to_allow_it_is_read_and_a_text_that_does_not_say_is_not_guessed() {
        let denied = |tail: &str| Denial::parse(&format!("User: arn is not authorized to perform: iam:GetUser {tail}"));
        for (tail, expected) in [
            ("because no identity-based policy allows the iam:GetUser action", Some(DeniedBy::IdentityPolicy)),
            ("because no permissions boundary allows the iam:GetUser action", Some(DeniedBy::PermissionsBoundary)),
            ("because no service control policy allows the iam:GetUser action", Some(DeniedBy::ServiceControlPolicy)),
            ("because no session policy allows the iam:GetUser action", Some(DeniedBy::OtherPolicy)),
            ("on resource: user u", None),
        ] {
            let denial = denied(tail);
            assert_eq!((denial.by, denial.not_allowed_by), (DeniedBy::NoAllow, expected), "{tail}");
            assert!(!denial.is_explicit());
        }
    }

    #[test]
    fn a_quarantine_is_known_by_the_name_of_its_policy() {
        let denied = |tail: &str| Denial::parse(&format!("User: arn is not authorized to perform: iam:GetUser {tail}"));
        let quarantine =
            "with an explicit deny in an identity-based policy: arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV2";
        assert!(denied(quarantine).names_quarantine && denied(quarantine).is_explicit());
        assert!(!denied("with an explicit deny in an identity-based policy").names_quarantine);
    }

    #[test]
    fn a_denial_is_read_in_each_of_aws_wordings() {
        let user = "arn:aws:iam::123456789012:user/mailer";
        let identity = "arn:aws:ses:us-east-1:123456789012:identity/example.com";
        let cases = [
            (
                format!(
                    "User: {user} is not authorized to perform: iam:GetUser on resource: {user} because no identity-based policy allows the iam:GetUser action"
                ),
                (Some("iam:GetUser"), Some(user), DeniedBy::NoAllow),
            ),
            (
                format!(
                    "User: {user} is not authorized to perform: iam:DeleteAccessKey on resource: user mailer with an explicit deny in an identity-based policy: arn:aws:iam::aws:policy/X https://console (authorization id 1)"
                ),
                (Some("iam:DeleteAccessKey"), None, DeniedBy::IdentityPolicy),
            ),
            (
                format!(
                    "User: {user} is not authorized to perform: ses:GetAccount with an explicit deny in a service control policy"
                ),
                (Some("ses:GetAccount"), None, DeniedBy::ServiceControlPolicy),
            ),
            (
                format!(
                    "User: {user} is not authorized to perform: ses:GetAccount with an explicit deny in a permissions boundary"
                ),
                (Some("ses:GetAccount"), None, DeniedBy::PermissionsBoundary),
            ),
            (
                format!(
                    "User: {user} is not authorized to perform: ses:SendEmail on resource: {identity} with an explicit deny in a resource-based policy"
                ),
                (Some("ses:SendEmail"), Some(identity), DeniedBy::ResourcePolicy),
            ),
            (
                format!("User `{user}' is not authorized to perform `ses:SendRawEmail' on resource `{identity}'"),
                (Some("ses:SendRawEmail"), Some(identity), DeniedBy::NoAllow),
            ),
            (
                format!(
                    "You are not authorized to perform this operation. User: {user} is not authorized to perform: ec2:DescribeRegions because no identity-based policy allows the ec2:DescribeRegions action"
                ),
                (Some("ec2:DescribeRegions"), None, DeniedBy::NoAllow),
            ),
            ("You are not authorized to perform this operation.".to_owned(), (None, None, DeniedBy::NoAllow)),
            ("Access Denied".to_owned(), (None, None, DeniedBy::NoAllow)),
        ];
        for (text, (action, resource, by)) in cases {
            let denial = Denial::parse(&text);
            assert_eq!(
                (denial.action.as_deref(), denial.resource.as_deref(), denial.by),
                (action, resource, by),
                "{text}"
            );
        }
    }
}
