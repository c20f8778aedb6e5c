//! The two policies that a key is measured against: what it must be able to do, and what it may do at most.

use std::sync::LazyLock;

use crate::document::PolicyDocument;
use crate::published::classic;

/// What the product calls with a tenant's key (ARCHITECTURE.md).
pub(crate) const SES_ACTIONS: [&str; 6] = [
    "ses:GetAccount",
    "ses:SendEmail",
    "ses:SendRawEmail",
    "ses:ListEmailIdentities",
    "ses:CreateConfigurationSet",
    "ses:CreateConfigurationSetEventDestination",
];

/// What the product calls on the key's own user.
pub(crate) const IAM_ACTIONS: [&str; 2] = ["iam:GetUser", "iam:DeleteAccessKey"];

/// What SES checks in place of `ses:SendEmail` if a mail is made of a template. Optional: all other mail goes without it.
pub(crate) const TEMPLATE_ACTIONS: [&str; 1] = ["ses:SendTemplatedEmail"];

/// What the product calls only if it cannot delete the key and the tenant has agreed to it: it pauses the account's sending.
/// Optional.
pub(crate) const CONTAINMENT_ACTIONS: [&str; 1] = ["ses:PutAccountSendingAttributes"];

/// What reads the policies of the key's own user, inline and attached, and its groups. Optional: with them an onboarding
/// proves what the key may do, without them it only observes.
pub(crate) const OWN_USER_READS: [&str; 4] =
    ["iam:ListUserPolicies", "iam:GetUserPolicy", "iam:ListAttachedUserPolicies", "iam:ListGroupsForUser"];

/// What reads the policies of groups.
pub(crate) const GROUP_READS: [&str; 3] =
    ["iam:ListGroupPolicies", "iam:GetGroupPolicy", "iam:ListAttachedGroupPolicies"];

/// What reads managed policies, a permissions boundary included.
pub(crate) const POLICY_READS: [&str; 2] = ["iam:GetPolicy", "iam:GetPolicyVersion"];

/// The actions without which a key is [`Insufficient`](crate::Verdict::Insufficient): what the product calls with it.
pub fn required_actions() -> impl Iterator<Item = &'static str> {
    SES_ACTIONS.into_iter().chain(IAM_ACTIONS)
}

/// The actions that a key may have and need not: they read the policies that apply to it, send mail by template, or pause the
/// account's sending.
pub fn optional_actions() -> impl Iterator<Item = &'static str> {
    let reads = OWN_USER_READS.into_iter().chain(GROUP_READS).chain(POLICY_READS);
    reads.chain(TEMPLATE_ACTIONS).chain(CONTAINMENT_ACTIONS)
}

/// `sts:GetCallerIdentity` needs no permission and cannot be denied (AWS: STS API reference), so a policy that grants
/// it never grants too much.
const ALWAYS_ALLOWED: &str = r#"{"Statement":{"Effect":"Allow","Action":"sts:GetCallerIdentity","Resource":"*"}}"#;

/// What a key may have besides what it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OwnPolicyReads {
    /// It can read all policies of its own user, and then also those of groups and the managed ones.
    Whole,
    /// It cannot, so a permission to read some of them serves nothing and is excess.
    Partial,
}

static CEILING: LazyLock<Vec<PolicyDocument>> = LazyLock::new(|| {
    let reads = serde_json::json!({"Version": "2012-10-17", "Statement": reads("*", "${aws:username}")});
    parse_all(&[classic(), &classic().replace("arn:aws:", "arn:*:"), ALWAYS_ALLOWED, &reads.to_string()])
});

/// What no key may exceed: the classic policy as published (most keys have exactly that, so it comes first and is
/// compared at a glance), the classic policy in any partition, what AWS always allows, and perhaps reading the own
/// policies.
pub(crate) fn ceiling(own_reads: OwnPolicyReads) -> &'static [PolicyDocument] {
    match own_reads {
        OwnPolicyReads::Whole => &CEILING,
        OwnPolicyReads::Partial => &CEILING[..CEILING.len() - 1],
    }
}

/// Exactly what a key needs and may have besides, with its own user under any path.
pub(crate) fn floor(own_reads: OwnPolicyReads, partition: &str, user_name: &str) -> Vec<PolicyDocument> {
    let user = user_name.replace('$', "${$}").replace('*', "${*}").replace('?', "${?}");
    let mut statements = vec![
        serde_json::json!({"Effect": "Allow", "Action": SES_ACTIONS, "Resource": "*"}),
        serde_json::json!({"Effect": "Allow", "Action": TEMPLATE_ACTIONS, "Resource": "*"}),
        serde_json::json!({"Effect": "Allow", "Action": CONTAINMENT_ACTIONS, "Resource": "*"}),
        serde_json::json!({"Effect": "Allow", "Action": IAM_ACTIONS, "Resource": own_user(partition, &user)}),
    ];
    if own_reads == OwnPolicyReads::Whole {
        statements.extend(reads(partition, &user));
    }
    parse_all(&[&serde_json::json!({"Version": "2012-10-17", "Statement": statements}).to_string()])
}

/// The ARNs of the key's own user, with and without path. A name is unique in its account, whatever the path is (AWS: IAM
/// API reference, `CreateUser`), so this is one user.
fn own_user(partition: &str, user: &str) -> [String; 2] {
    [format!("arn:{partition}:iam::*:user/{user}"), format!("arn:{partition}:iam::*:user/*/{user}")]
}

/// Statements that allow what reads the policies of a user. An IAM call only reaches the caller's account and AWS's own
/// policies, so the account may be a star. A policy cannot name the groups of its user, so all groups are within bounds.
fn reads(partition: &str, user: &str) -> [serde_json::Value; 3] {
    let of_account = |kind: &str| format!("arn:{partition}:iam::*:{kind}/*");
    [
        serde_json::json!({"Effect": "Allow", "Action": OWN_USER_READS, "Resource": own_user(partition, user)}),
        serde_json::json!({"Effect": "Allow", "Action": GROUP_READS, "Resource": of_account("group")}),
        serde_json::json!({"Effect": "Allow", "Action": POLICY_READS, "Resource": of_account("policy")}),
    ]
}

/// A test parses all of these documents. One that did not parse would allow nothing, so that every permission would be
/// excess: the safe side.
fn parse_all(texts: &[&str]) -> Vec<PolicyDocument> {
    texts.iter().filter_map(|text| PolicyDocument::parse(text).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_documents_parse() {
        assert_eq!(ceiling(OwnPolicyReads::Whole).len(), 4);
        assert_eq!(ceiling(OwnPolicyReads::Partial), &ceiling(OwnPolicyReads::Whole)[..3]);
        for partition in ["aws", "aws-cn"] {
            assert_eq!(floor(OwnPolicyReads::Whole, partition, "a*b$c").len(), 1);
        }
    }
}
