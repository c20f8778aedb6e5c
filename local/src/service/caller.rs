//! Who makes a request.

use chrono::{DateTime, Utc};
use fakecloud_core::auth::{Principal, PrincipalType};

/// The identity behind an access key, with what policies may ask about it.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The access key id the request was signed with.
    pub(crate) access_key_id: String,
    /// The identity: a user, a role's session or the account's root.
    pub(crate) principal: Principal,
    /// The ARN of the role behind a session. `aws:PrincipalArn` is this one, not the session's.
    pub(crate) role_arn: Option<String>,
    /// Policies given when the session was made.
    pub(crate) session_policies: Vec<String>,
    /// `lambda:SourceFunctionArn`: the function whose execution environment the session was made for.
    pub(crate) source_function_arn: Option<String>,
    /// When the session was made; absent for long-term keys, as `aws:TokenIssueTime` is.
    pub(crate) token_issued_at: Option<DateTime<Utc>>,
}

/// An account's root identity, as policies see it.
pub(crate) fn root_principal(account_id: &str) -> Principal {
    Principal {
        arn: format!("arn:aws:iam::{account_id}:root"),
        user_id: account_id.to_owned(),
        account_id: account_id.to_owned(),
        principal_type: PrincipalType::Root,
        source_identity: None,
        tags: None,
    }
}

impl Caller {
    /// The account's root identity.
    pub(crate) fn root(access_key_id: &str, account_id: &str) -> Self {
        Self {
            access_key_id: access_key_id.to_owned(),
            principal: root_principal(account_id),
            role_arn: None,
            session_policies: Vec::new(),
            source_function_arn: None,
            token_issued_at: None,
        }
    }

    /// The twelve digits of the caller's account.
    pub(crate) fn account_id(&self) -> &str {
        &self.principal.account_id
    }

    /// The caller's ARN as denials name it.
    pub(crate) fn arn(&self) -> &str {
        &self.principal.arn
    }

    /// Whether this is the account's root.
    pub(crate) fn is_root(&self) -> bool {
        self.principal.is_root()
    }

    /// The name of the IAM user, where the caller is one.
    pub(crate) fn user_name(&self) -> Option<&str> {
        if self.principal.principal_type != PrincipalType::User {
            return None;
        }
        let (_, path) = self.principal.arn.rsplit_once(":user/")?;
        path.rsplit('/').next()
    }
}
