//! Tenants: other AWS accounts in the stand-in, each with a user, a key, and an SES that sends.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use shared::http::{FieldError, decode};

use crate::service::iam::{Iam, NewUser, NoFurtherKey};
use crate::service::ses::Ses;

/// Why a tenant, or something of it, cannot be had.
#[derive(Debug)]
pub(super) enum TenantError {
    /// A field of the request is bad.
    Field(FieldError),
    /// It is there already.
    Exists(String),
    /// It is not there.
    Missing(String),
    /// AWS would not do it.
    Refused(String),
}

impl From<FieldError> for TenantError {
    fn from(error: FieldError) -> Self {
        Self::Field(error)
    }
}

impl TenantError {
    /// The HTTP status that says it.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Field(_) => StatusCode::BAD_REQUEST,
            Self::Exists(_) => StatusCode::CONFLICT,
            Self::Missing(_) => StatusCode::NOT_FOUND,
            Self::Refused(_) => StatusCode::FORBIDDEN,
        }
    }
}

/// What `POST /_local/tenants` asks for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewTenant {
    account_id: Option<String>,
    user_name: Option<String>,
    user_path: Option<String>,
    principal: Option<String>,
    key_account_id: Option<String>,
    policies: Option<Vec<Map<String, Value>>>,
    boundary: Option<Map<String, Value>>,
    scp: Option<Vec<Map<String, Value>>>,
    identities: Option<Vec<String>>,
    unverified_identities: Option<Vec<String>>,
    identities_elsewhere: Option<BTreeMap<String, Vec<String>>>,
    sandbox: Option<bool>,
    max_send_rate: Option<f64>,
    max_24_hour_send: Option<u32>,
}

impl NewTenant {
    /// Parses the JSON of a request.
    ///
    /// # Errors
    /// The field that is not what it should be.
    pub(super) fn parse(json: &[u8]) -> Result<Self, FieldError> {
        let tenant: Self = decode(json)?;
        let fail = |field: &str, problem: &str| Err(FieldError::new(field, problem));
        for (field, account) in [("account_id", &tenant.account_id), ("key_account_id", &tenant.key_account_id)] {
            let is_account = |digits: &str| digits.len() == 12 && digits.bytes().all(|byte| byte.is_ascii_digit());
            if !account.as_deref().is_none_or(is_account) {
                return fail(field, "must be twelve digits");
            }
        }
        let name = tenant.user_name();
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
        if !(1..=64).contains(&name.len()) || !name.bytes().all(known) {
            return fail("user_name", "must be 1 to 64 letters, digits or _+=,.@-");
        }
        let path = tenant.user_path();
        let printable = path.bytes().all(|byte| byte.is_ascii_graphic());
        if !path.starts_with('/') || !path.ends_with('/') || path.len() > 512 || !printable {
            return fail("user_path", "must begin and end with a slash");
        }
        if !matches!(tenant.principal.as_deref(), None | Some("user" | "root")) {
            return fail("principal", "must be user or root");
        }
        let is_bad = |identity: &String| identity.is_empty() || identity.contains(char::is_whitespace);
        for (field, identities) in
            [("identities", &tenant.identities), ("unverified_identities", &tenant.unverified_identities)]
        {
            if identities.iter().flatten().any(is_bad) {
                return fail(field, "must be domains or addresses");
            }
        }
        if tenant.identities_elsewhere.iter().flat_map(BTreeMap::values).flatten().any(is_bad) {
            return fail("identities_elsewhere", "must be Regions with domains or addresses");
        }
        if tenant.max_send_rate.is_some_and(|rate| rate <= 0.0) {
            return fail("max_send_rate", "must be above 0");
        }
        Ok(tenant)
    }

    fn user_name(&self) -> &str {
        self.user_name.as_deref().unwrap_or("mailer")
    }

    fn user_path(&self) -> &str {
        self.user_path.as_deref().unwrap_or("/")
    }

    fn is_root(&self) -> bool {
        self.principal.as_deref() == Some("root")
    }
}

/// The tenants' accounts.
pub(super) struct Tenants {
    iam: Arc<Iam>,
    ses: Arc<Ses>,
    region: String,
}

impl Tenants {
    /// Accounts of these services.
    pub(super) fn new(iam: Arc<Iam>, ses: Arc<Ses>, region: &str) -> Self {
        Self { iam, ses, region: region.to_owned() }
    }

    /// Creates a tenant and answers its credential. The account may exist, and keeps what the request says nothing of; its
    /// user may not.
    ///
    /// # Errors
    /// The account has a user of that name.
    pub(super) fn create(&self, tenant: &NewTenant) -> Result<Value, TenantError> {
        let account_id = tenant.account_id.clone().unwrap_or_else(|| self.iam.free_account());
        let key_account = tenant.key_account_id.as_deref().unwrap_or(&account_id);
        let user = NewUser {
            name: tenant.user_name(),
            path: tenant.user_path(),
            policies: tenant.policies.iter().flatten().map(|policy| json!(policy)).collect(),
            boundary: tenant.boundary.as_ref().map(|policy| json!(policy)),
        };
        let user = (!tenant.is_root()).then_some(&user);
        let key = self.iam.create_key(&account_id, key_account, user).ok_or_else(|| {
            TenantError::Exists(format!("The account {account_id} has a user {} already.", tenant.user_name()))
        })?;
        if let Some(policies) = &tenant.scp {
            let policies: Vec<Value> = policies.iter().map(|policy| json!(policy)).collect();
            self.iam.set_control_policies(&account_id, &policies);
        }
        let here = self.region.as_str();
        let verified = tenant.identities.iter().flatten().map(|name| (here, name, true));
        let unverified = tenant.unverified_identities.iter().flatten().map(|name| (here, name, false));
        let elsewhere = tenant.identities_elsewhere.iter().flatten();
        let elsewhere = elsewhere.flat_map(|(region, names)| names.iter().map(|name| (region.as_str(), name, true)));
        let identities = verified.chain(unverified).chain(elsewhere);
        let limits = (tenant.max_send_rate, tenant.max_24_hour_send);
        self.ses.set_up_account(&account_id, tenant.sandbox, limits, identities);
        Ok(json!({
            "account_id": account_id,
            "user_arn": key.user_arn,
            "access_key_id": key.access_key_id,
            "secret_access_key": key.secret_access_key,
            "region": self.region,
        }))
    }

    /// The state of a tenant: its users' keys, its identities and limits.
    ///
    /// # Errors
    /// There is no such account.
    pub(super) fn describe(&self, account_id: &str) -> Result<Value, TenantError> {
        let Some((users, root_keys)) = self.iam.describe_account(account_id) else {
            return Err(TenantError::Missing(format!("There is no account {account_id}.")));
        };
        let mut tenant = self.ses.describe_account(account_id);
        tenant["account_id"] = json!(account_id);
        tenant["users"] = json!(users);
        tenant["root_access_keys"] = json!(root_keys);
        Ok(tenant)
    }

    /// Replaces the inline policies of a tenant's users, or of one, as its administrator would.
    ///
    /// # Errors
    /// There is no such account or user.
    pub(super) fn set_policies(
        &self,
        account_id: &str,
        user_name: Option<&str>,
        policies: &[Map<String, Value>],
    ) -> Result<(), TenantError> {
        let policies: Vec<Value> = policies.iter().map(|policy| json!(policy)).collect();
        if self.iam.set_policies(account_id, user_name, &policies) {
            return Ok(());
        }
        Err(TenantError::Missing(format!("There is no account {account_id}, or no such user.")))
    }

    /// Creates a further key of a tenant's user, and answers it as [`Tenants::create`] does.
    ///
    /// # Errors
    /// There is no such user, or it has two keys.
    pub(super) fn add_key(&self, account_id: &str, user_name: &str) -> Result<Value, TenantError> {
        let key = self.iam.add_key(account_id, user_name).map_err(|none| match none {
            NoFurtherKey::NoUser => TenantError::Missing(format!("{account_id} has no user {user_name}.")),
            NoFurtherKey::TwoAlready => TenantError::Exists(format!("{user_name} has two access keys already.")),
        })?;
        Ok(json!({
            "account_id": account_id,
            "user_arn": key.user_arn,
            "access_key_id": key.access_key_id,
            "secret_access_key": key.secret_access_key,
            "region": self.region,
        }))
    }

    /// Activates, deactivates or (`None`) deletes a key of a tenant's user, as its administrator would.
    ///
    /// # Errors
    /// No user of the account has it.
    pub(super) fn set_key_status(
        &self,
        account_id: &str,
        access_key_id: &str,
        status: Option<&str>,
    ) -> Result<(), TenantError> {
        if self.iam.set_key_status(account_id, access_key_id, status) {
            return Ok(());
        }
        Err(TenantError::Missing(format!("No user of {account_id} has the key {access_key_id}.")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_field_is_refused_by_its_name() {
        for (json, field) in [
            (json!({"account_id": "12345"}), "account_id"),
            (json!({"key_account_id": 123_456_789_012_u64}), "key_account_id"),
            (json!({"user_name": "a b"}), "user_name"),
            (json!({"user_path": "team"}), "user_path"),
            (json!({"principal": "role"}), "principal"),
            (json!({"policies": ["x"]}), "policies[0]"),
            (json!({"identities": "example.com"}), "identities"),
            (json!({"unverified_identities": ["a b"]}), "unverified_identities"),
            (json!({"identities_elsewhere": {"eu-west-1": ["a b"]}}), "identities_elsewhere"),
            (json!({"sandbox": 1}), "sandbox"),
            (json!({"max_send_rate": 0}), "max_send_rate"),
            (json!({"secret": "x"}), "secret"),
        ] {
            assert_eq!(NewTenant::parse(json.to_string().as_bytes()).unwrap_err().field, field, "{json}");
        }
    }
}
