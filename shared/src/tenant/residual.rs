//! Calls that show what may outlive a key, the one that removes some of it, and the one that stops its sending if it cannot
//! be deleted. They are made with the key itself, right before or after it is to delete itself, so each is tried once:
//! whoever calls has seconds.

use std::collections::BTreeMap;

use aws_smithy_types::retry::RetryConfig;
use aws_types::request_id::RequestId;

use super::calls::{for_tenant, send};
use super::write_tracker::WriteTracker;
use super::{Clients, Credential, Failure};

/// An access key of the caller's user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserAccessKey {
    /// Its id, as IAM has it.
    pub access_key_id: String,
    /// Whether it is active.
    pub is_active: bool,
}

/// The SES identities of the account in the credential's Region, as far as one page goes. The names may be addresses, so
/// the type has no `Debug`.
pub struct IdentityNames {
    /// The names.
    pub names: Vec<String>,
    /// Whether there are no more.
    pub complete: bool,
}

/// Identities on the one page that is read, the most that SES lists at once (SES API v2 reference, `ListEmailIdentities`).
const PAGE_SIZE: i32 = 1000;

impl Clients {
    /// `iam:ListAccessKeys` of the signing key's own user. A user has two keys at most (IAM user guide, "IAM and AWS STS
    /// quotas"), so one page has all of them.
    ///
    /// # Errors
    /// The refusal, classified.
    pub async fn list_own_access_keys(&self, credential: &Credential) -> Result<Vec<UserAccessKey>, Failure> {
        let call = self.iam.list_access_keys();
        let answer = send!(call, for_tenant!(aws_sdk_iam, credential).retry_config(RetryConfig::disabled()))?;
        let keys = answer.access_key_metadata().iter().map(|key| UserAccessKey {
            access_key_id: key.access_key_id().unwrap_or_default().to_owned(),
            is_active: key.status().is_none_or(|status| *status == aws_sdk_iam::types::StatusType::Active),
        });
        Ok(keys.collect())
    }

    /// `ses:ListEmailIdentities`: the first page, those first that mail can be sent from.
    ///
    /// # Errors
    /// The refusal, classified.
    pub async fn list_identity_names(&self, credential: &Credential) -> Result<IdentityNames, Failure> {
        let call = self.ses.list_email_identities().page_size(PAGE_SIZE);
        let answer = send!(call, for_tenant!(aws_sdk_sesv2, credential).retry_config(RetryConfig::disabled()))?;
        let complete = answer.next_token().is_none_or(str::is_empty);
        let mut identities = answer.email_identities.unwrap_or_default();
        identities.sort_by_key(|identity| !identity.sending_enabled);
        let names = identities.into_iter().filter_map(|identity| identity.identity_name).collect();
        Ok(IdentityNames { names, complete })
    }

    /// `ses:GetEmailIdentityPolicies`: an identity's policies by their names; SES has at most 20 of them. It takes one call a
    /// second (SES API v2 reference, `GetEmailIdentityPolicies`).
    ///
    /// # Errors
    /// The refusal, classified.
    pub async fn get_identity_policies(
        &self,
        credential: &Credential,
        identity: &str,
    ) -> Result<BTreeMap<String, String>, Failure> {
        let call = self.ses.get_email_identity_policies().email_identity(identity);
        let answer = send!(call, for_tenant!(aws_sdk_sesv2, credential).retry_config(RetryConfig::disabled()))?;
        Ok(answer.policies.unwrap_or_default().into_iter().collect())
    }

    /// `ses:DeleteEmailIdentityPolicy`. It succeeds also if there is no such policy, and takes one call a second (SES API v2
    /// reference, `DeleteEmailIdentityPolicy`).
    ///
    /// # Errors
    /// The refusal, classified.
    pub async fn delete_identity_policy(
        &self,
        credential: &Credential,
        identity: &str,
        policy_name: &str,
    ) -> Result<(), Failure> {
        let call = self.ses.delete_email_identity_policy().email_identity(identity).policy_name(policy_name);
        send!(call, for_tenant!(aws_sdk_sesv2, credential).retry_config(RetryConfig::disabled())).map(drop)
    }

    /// `ses:PutAccountSendingAttributes`: pauses the account's sending in the credential's Region (SES API v2 reference).
    /// Pausing what is paused succeeds. Returns AWS's request id.
    ///
    /// # Errors
    /// The refusal, classified.
    pub async fn pause_sending(&self, credential: &Credential) -> Result<Option<String>, Failure> {
        let call = self.ses.put_account_sending_attributes().sending_enabled(false);
        let answer = send!(call, for_tenant!(aws_sdk_sesv2, credential).retry_config(RetryConfig::disabled()))?;
        Ok(answer.request_id().map(str::to_owned))
    }
}
