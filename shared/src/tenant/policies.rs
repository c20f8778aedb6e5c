//! Reading the policies of a key's own user and its groups, while the key is verified. A key that may read all of them
//! proves by them what it may do.

use percent_encoding::percent_decode_str;

use super::calls::{for_tenant, send};
use super::write_tracker::WriteTracker;
use super::{Clients, Credential, Failure};

/// One page of names or ARNs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePage {
    /// The names on the page.
    pub names: Vec<String>,
    /// Whether there is no further page.
    pub complete: bool,
}

impl Clients {
    /// `iam:ListUserPolicies`: names of a user's inline policies.
    ///
    /// # Errors
    /// The refusal, classified.
    pub async fn list_user_policies(&self, credential: &Credential, user_name: &str) -> Result<NamePage, Failure> {
        let answer = send!(self.iam.list_user_policies().user_name(user_name), for_tenant!(aws_sdk_iam, credential))?;
        Ok(NamePage { names: answer.policy_names().to_vec(), complete: !answer.is_truncated() })
    }

    /// `iam:GetUserPolicy`: the document of a user's inline policy.
    ///
    /// # Errors
    /// The refusal, classified.
    pub async fn get_user_policy(
        &self,
        credential: &Credential,
        user_name: &str,
        policy_name: &str,
    ) -> Result<Vec<u8>, Failure> {
        let call = self.iam.get_user_policy().user_name(user_name).policy_name(policy_name);
        Ok(decoded(send!(call, for_tenant!(aws_sdk_iam, credential))?.policy_document()))
    }

    /// `iam:ListAttachedUserPolicies`: ARNs of the managed policies attached to a user.
    ///
    /// # Errors
    /// The refusal, classified.
    pub async fn list_attached_user_policies(
        &self,
        credential: &Credential,
        user_name: &str,
    ) -> Result<NamePage, Failure> {
        let answer =
            send!(self.iam.list_attached_user_policies().user_name(user_name), for_tenant!(aws_sdk_iam, credential))?;
        let arns = answer.attached_policies().iter().filter_map(|policy| policy.policy_arn()).map(str::to_owned);
        Ok(NamePage { names: arns.collect(), complete: !answer.is_truncated() })
    }

    /// `iam:ListGroupsForUser`: names of the groups that a user is in.
    ///
    /// # Errors
    /// The refusal, classified.
    pub async fn list_groups_for_user(&self, credential: &Credential, user_name: &str) -> Result<NamePage, Failure> {
        let answer = send!(self.iam.list_groups_for_user().user_name(user_name), for_tenant!(aws_sdk_iam, credential))?;
        let names = answer.groups().iter().map(|group| group.group_name().to_owned()).collect();
        Ok(NamePage { names, complete: !answer.is_truncated() })
    }

    /// `iam:ListGroupPolicies`: names of a group's inline policies.
    ///
    /// # Errors
    /// The refusal, classified.
    pub async fn list_group_policies(&self, credential: &Credential, group_name: &str) -> Result<NamePage, Failure> {
        let answer =
            send!(self.iam.list_group_policies().group_name(group_name), for_tenant!(aws_sdk_iam, credential))?;
        Ok(NamePage { names: answer.policy_names().to_vec(), complete: !answer.is_truncated() })
    }

    /// `iam:GetGroupPolicy`: the document of a group's inline policy.
    ///
    /// # Errors
    /// The refusal, classified.
    pub async fn get_group_policy(
        &self,
        credential: &Credential,
        group_name: &str,
        policy_name: &str,
    ) -> Result<Vec<u8>, Failure> {
        let call = self.iam.get_group_policy().group_name(group_name).policy_name(policy_name);
        Ok(decoded(send!(call, for_tenant!(aws_sdk_iam, credential))?.policy_document()))
    }

    /// `iam:ListAttachedGroupPolicies`: ARNs of the managed policies attached to a group.
    ///
    /// # Errors
    /// The refusal, classified.
    pub async fn list_attached_group_policies(
        &self,
        credential: &Credential,
        group_name: &str,
    ) -> Result<NamePage, Failure> {
        let answer = send!(
            self.iam.list_attached_group_policies().group_name(group_name),
            for_tenant!(aws_sdk_iam, credential)
        )?;
        let arns = answer.attached_policies().iter().filter_map(|policy| policy.policy_arn()).map(str::to_owned);
        Ok(NamePage { names: arns.collect(), complete: !answer.is_truncated() })
    }

    /// `iam:GetPolicy`: which version of a managed policy is in force.
    ///
    /// # Errors
    /// The refusal, classified.
    pub async fn get_policy(&self, credential: &Credential, policy_arn: &str) -> Result<String, Failure> {
        let answer = send!(self.iam.get_policy().policy_arn(policy_arn), for_tenant!(aws_sdk_iam, credential))?;
        Ok(answer.policy().and_then(|policy| policy.default_version_id()).unwrap_or_default().to_owned())
    }

    /// `iam:GetPolicyVersion`: the document of a version of a managed policy.
    ///
    /// # Errors
    /// The refusal, classified.
    pub async fn get_policy_version(
        &self,
        credential: &Credential,
        policy_arn: &str,
        version_id: &str,
    ) -> Result<Vec<u8>, Failure> {
        let call = self.iam.get_policy_version().policy_arn(policy_arn).version_id(version_id);
        let answer = send!(call, for_tenant!(aws_sdk_iam, credential))?;
        Ok(decoded(answer.policy_version().and_then(|version| version.document()).unwrap_or_default()))
    }
}

/// IAM returns documents URL-encoded as in RFC 3986 (AWS: IAM API reference, `GetUserPolicy`), where a plus sign stands
/// for itself.
fn decoded(document: &str) -> Vec<u8> {
    percent_decode_str(document).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_url_decoded_and_a_plus_stays() {
        assert_eq!(decoded("%7B%22Version%22%3A%222012-10-17%22%7D"), br#"{"Version":"2012-10-17"}"#);
        assert_eq!(decoded("a+b%2B%20%zz"), b"a+b+ %zz");
    }
}
