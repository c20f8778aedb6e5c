//! Tenants: other AWS accounts in the stand-in, each with a user, a key, and an SES that sends.

use axum::http::StatusCode;
use chrono::Utc;
use fakecloud_core::auth::{Principal, PrincipalType};
use fakecloud_iam::{IamAccessKey, IamUser};
use fakecloud_ses::EmailIdentity;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use shared::http::{FieldError, decode};

use super::access_key;
use super::caller::Caller;
use super::engine::Engine;
use super::random;
use crate::faults::Faults;

/// What AWS attaches to a user whose key it found in public. Its document is AWS's, as the embedded IAM has it.
const QUARANTINE: &str = "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3";

/// The characters of a secret access key.
const SECRET_ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Why a tenant, or something of it, cannot be had.
#[derive(Debug)]
pub(crate) enum TenantError {
    /// A field of the request is bad.
    Field(FieldError),
    /// It is there already.
    Exists(String),
    /// It is not there.
    Missing(String),
}

impl From<FieldError> for TenantError {
    fn from(error: FieldError) -> Self {
        Self::Field(error)
    }
}

impl TenantError {
    /// The HTTP status that says it.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Field(_) => StatusCode::BAD_REQUEST,
            Self::Exists(_) => StatusCode::CONFLICT,
            Self::Missing(_) => StatusCode::NOT_FOUND,
        }
    }
}

/// What `POST /_local/tenants` asks for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTenant {
    account_id: Option<String>,
    user_name: Option<String>,
    user_path: Option<String>,
    principal: Option<String>,
    key_account_id: Option<String>,
    policies: Option<Vec<Map<String, Value>>>,
    identities: Option<Vec<String>>,
    sandbox: Option<bool>,
    max_send_rate: Option<f64>,
}

impl NewTenant {
    /// Reads the JSON of a request.
    pub(crate) fn parse(json: &[u8]) -> Result<Self, FieldError> {
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
        if tenant.identities.iter().flatten().any(is_bad) {
            return fail("identities", "must be domains or addresses");
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

impl Engine {
    /// Creates a tenant and answers its credential. The account may exist, and keeps what the request says nothing of; its user may
    /// not.
    pub(crate) fn create_tenant(&self, tenant: NewTenant) -> Result<Value, TenantError> {
        let account_id = tenant.account_id.clone().unwrap_or_else(|| self.free_account());
        let key_account = tenant.key_account_id.as_deref().unwrap_or(&account_id);
        let access_key_id = access_key::encode(access_key::LONG_TERM, key_account, random::bytes())
            .ok_or_else(|| FieldError::new("account_id", "must be twelve digits"))?;
        let secret = random::text::<40>(SECRET_ALPHABET);

        let caller = if tenant.is_root() {
            Caller::root(&access_key_id, &account_id)
        } else {
            self.create_user(&tenant, &account_id, &access_key_id, &secret)?
        };
        let user_arn = caller.arn().to_owned();
        self.credentials.remember(secret.clone(), caller);
        let limits = self.accounts.change_limits(&account_id, tenant.sandbox, tenant.max_send_rate);
        let mut accounts = self.ses.write();
        let ses = accounts.get_or_create(&account_id);
        ses.account_settings.production_access_enabled = !limits.sandbox;
        for identity in tenant.identities.iter().flatten() {
            ses.identities.insert(identity.clone(), verified_identity(identity));
        }
        Ok(json!({
            "account_id": account_id,
            "user_arn": user_arn,
            "access_key_id": access_key_id,
            "secret_access_key": secret,
            "region": self.region,
        }))
    }

    /// The state of a tenant: its users' keys, its identities and limits.
    pub(crate) fn describe_tenant(&self, account_id: &str) -> Result<Value, TenantError> {
        let accounts = self.iam.read();
        let roots = self.credentials.root_keys(account_id);
        let state = accounts.get(account_id);
        if state.is_none() && roots.is_empty() {
            return Err(TenantError::Missing(format!("There is no account {account_id}.")));
        }
        let users: Vec<Value> = state
            .into_iter()
            .flat_map(|state| state.users.values().map(move |user| (user, state)))
            .map(|(user, state)| {
                let keys = state.access_keys.get(&user.user_name).map(Vec::as_slice).unwrap_or_default();
                let keys: Vec<Value> =
                    keys.iter().map(|key| json!({"access_key_id": key.access_key_id, "status": key.status})).collect();
                json!({"user_name": user.user_name, "user_arn": user.arn, "access_keys": keys})
            })
            .collect();
        let identities: Vec<String> = {
            let accounts = self.ses.read();
            accounts.get(account_id).map(|ses| ses.identities.keys().cloned().collect()).unwrap_or_default()
        };
        let limits = self.accounts.limits(account_id);
        Ok(json!({
            "account_id": account_id,
            "users": users,
            "root_access_keys": roots,
            "identities": identities,
            "sandbox": limits.sandbox,
            "max_send_rate": limits.max_send_rate,
            "max_24_hour_send": limits.max_24_hour_send,
            "sent_last_24_hours": self.accounts.sent_last_24_hours(account_id),
        }))
    }

    /// Replaces a tenant's faults.
    pub(crate) async fn set_faults(&self, account_id: &str, faults: Faults) -> Result<(), TenantError> {
        self.describe_tenant(account_id)?;
        let previous = self.accounts.faults(account_id);
        let mut changed = Vec::new();
        {
            let mut accounts = self.iam.write();
            let state = accounts.get_or_create(account_id);
            for user in state.users.keys() {
                let attached = state.user_policies.entry(user.clone()).or_default();
                attached.retain(|arn| arn != QUARANTINE);
                if faults.quarantine {
                    attached.push(QUARANTINE.to_owned());
                }
            }
            // Keys are touched only when the fault comes or goes: their state is a test's to set, too.
            if faults.deactivate_key != previous.deactivate_key {
                let status = if faults.deactivate_key { "Inactive" } else { "Active" };
                for key in state.access_keys.values_mut().flatten() {
                    status.clone_into(&mut key.status);
                    changed.push(key.access_key_id.clone());
                }
            }
        }
        for key in changed {
            self.credentials.mark(&key, faults.deactivate_key);
        }
        self.ses.write().get_or_create(account_id).account_settings.sending_enabled = !faults.paused;
        self.accounts.set_faults(account_id, faults);
        self.gate.set(!self.accounts.refuse_connections()).await;
        Ok(())
    }

    /// Activates, deactivates or (`None`) deletes a key of a tenant's user, as its administrator would.
    pub(crate) fn set_key_status(
        &self,
        account_id: &str,
        access_key_id: &str,
        status: Option<&str>,
    ) -> Result<(), TenantError> {
        let mut accounts = self.iam.write();
        let keys = accounts.get_mut(account_id).map(|state| &mut state.access_keys);
        let found = keys.into_iter().flat_map(|keys| keys.values_mut()).find_map(|keys| {
            let index = keys.iter().position(|key| key.access_key_id == access_key_id)?;
            match status {
                Some(status) => status.clone_into(&mut keys[index].status),
                None => drop(keys.remove(index)),
            }
            Some(())
        });
        drop(accounts);
        if found.is_none() {
            return Err(TenantError::Missing(format!("No user of {account_id} has the key {access_key_id}.")));
        }
        self.credentials.mark(access_key_id, status != Some("Active"));
        Ok(())
    }

    fn create_user(
        &self,
        tenant: &NewTenant,
        account_id: &str,
        access_key_id: &str,
        secret: &str,
    ) -> Result<Caller, TenantError> {
        let (name, path) = (tenant.user_name().to_owned(), tenant.user_path().to_owned());
        let arn = format!("arn:aws:iam::{account_id}:user{path}{name}");
        let user_id = format!("AIDA{}", random::text::<17>(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"));
        let mut accounts = self.iam.write();
        let state = accounts.get_or_create(account_id);
        if state.users.contains_key(&name) {
            return Err(TenantError::Exists(format!("The account {account_id} has a user {name} already.")));
        }
        state.users.insert(
            name.clone(),
            IamUser {
                user_name: name.clone(),
                user_id: user_id.clone(),
                arn: arn.clone(),
                path,
                created_at: Utc::now(),
                tags: Vec::new(),
                permissions_boundary: None,
            },
        );
        let policies = tenant.policies.iter().flatten().enumerate();
        let policies = policies.map(|(index, policy)| (format!("policy-{}", index + 1), json!(policy).to_string()));
        state.user_inline_policies.insert(name.clone(), policies.collect());
        let key = IamAccessKey {
            access_key_id: access_key_id.to_owned(),
            secret_access_key: secret.to_owned(),
            user_name: name.clone(),
            status: "Active".to_owned(),
            created_at: Utc::now(),
        };
        state.access_keys.insert(name, vec![key]);
        Ok(Caller {
            access_key_id: access_key_id.to_owned(),
            principal: Principal {
                arn,
                user_id,
                account_id: account_id.to_owned(),
                principal_type: PrincipalType::User,
                source_identity: None,
                tags: None,
            },
            role_arn: None,
            session_policies: Vec::new(),
            token_issued_at: None,
        })
    }

    fn free_account(&self) -> String {
        loop {
            // The first digit is fixed so that the number never looks like a short one.
            let account_id = format!("1{}", random::text::<11>(b"0123456789"));
            if self.iam.read().get(&account_id).is_none() {
                return account_id;
            }
        }
    }
}

/// An identity whose owner has done what verification asks. DKIM is off: signing would only cost time here.
fn verified_identity(name: &str) -> EmailIdentity {
    EmailIdentity {
        identity_name: name.to_owned(),
        identity_type: if name.contains('@') { "EMAIL_ADDRESS" } else { "DOMAIN" }.to_owned(),
        verified: true,
        created_at: Utc::now(),
        dkim_signing_enabled: false,
        dkim_signing_attributes_origin: "AWS_SES".to_owned(),
        dkim_domain_signing_private_key: None,
        dkim_domain_signing_selector: None,
        dkim_next_signing_key_length: None,
        dkim_public_key_b64: None,
        email_forwarding_enabled: true,
        mail_from_domain: None,
        mail_from_behavior_on_mx_failure: "USE_DEFAULT_VALUE".to_owned(),
        mail_from_domain_status: "NotStarted".to_owned(),
        configuration_set_name: None,
        bounce_topic: None,
        complaint_topic: None,
        delivery_topic: None,
        verification_token: None,
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
            (json!({"sandbox": 1}), "sandbox"),
            (json!({"max_send_rate": 0}), "max_send_rate"),
            (json!({"secret": "x"}), "secret"),
        ] {
            assert_eq!(NewTenant::parse(json.to_string().as_bytes()).unwrap_err().field, field, "{json}");
        }
    }
}
