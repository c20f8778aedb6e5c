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

/// `sts:GetCallerIdentity` needs no permission and cannot be denied (AWS: STS API reference), so a policy that grants
/// it never grants too much.
const ALWAYS_ALLOWED: &str = r#"{"Statement":{"Effect":"Allow","Action":"sts:GetCallerIdentity","Resource":"*"}}"#;

static CEILING: LazyLock<Vec<PolicyDocument>> =
    LazyLock::new(|| parse_all(&[classic(), &classic().replace("arn:aws:", "arn:*:"), ALWAYS_ALLOWED]));

/// What no key may exceed: the classic policy as published (most keys have exactly that, so it comes first and is
/// compared at a glance), the classic policy in any partition, and what AWS always allows.
pub(crate) fn ceiling() -> &'static [PolicyDocument] {
    &CEILING
}

/// Exactly what a key needs, with its own user under any path.
pub(crate) fn floor(partition: &str, user_name: &str) -> Vec<PolicyDocument> {
    let user = user_name.replace('$', "${$}").replace('*', "${*}").replace('?', "${?}");
    let users = [format!("arn:{partition}:iam::*:user/{user}"), format!("arn:{partition}:iam::*:user/*/{user}")];
    let statements = serde_json::json!([
        {"Effect": "Allow", "Action": SES_ACTIONS, "Resource": "*"},
        {"Effect": "Allow", "Action": IAM_ACTIONS, "Resource": users},
    ]);
    parse_all(&[&serde_json::json!({"Version": "2012-10-17", "Statement": statements}).to_string()])
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
        assert_eq!(ceiling().len(), 3);
        for partition in ["aws", "aws-cn"] {
            assert_eq!(floor(partition, "a*b$c").len(), 1);
        }
    }
}
