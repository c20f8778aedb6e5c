//! Users of accounts and their keys, made and changed as an account's administrator would.

use std::collections::BTreeMap;

use chrono::Utc;
use fakecloud_core::auth::{Principal, PrincipalType};
use fakecloud_iam::{IamAccessKey, IamPolicy, IamUser, PolicyVersion};
use serde_json::{Value, json};

use super::{Iam, access_key};
use crate::random;
use crate::service::{Caller, ServiceResponse};

/// The characters of a secret access key.
const SECRET_ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// A user to create.
pub(crate) struct NewUser<'a> {
    /// The user's name.
    pub(crate) name: &'a str,
    /// The user's path, `/` or `/…/`.
    pub(crate) path: &'a str,
    /// Inline policies.
    pub(crate) policies: Vec<Value>,
    /// The user's permissions boundary.
    pub(crate) boundary: Option<Value>,
}

/// A key that was made.
pub(crate) struct NewKey {
    /// The ARN of the user, or the account's root.
    pub(crate) user_arn: String,
    /// The key's id.
    pub(crate) access_key_id: String,
    /// The key's secret; no `Debug` on this type.
    pub(crate) secret_access_key: String,
}

/// Why a user gets no further key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoFurtherKey {
    /// There is no such user.
    NoUser,
    /// It has two, and IAM allows no more (IAM user guide, "IAM and AWS STS quotas").
    TwoAlready,
}

/// The access keys that a user may have.
const MAX_KEYS: usize = 2;

impl Iam {
    /// Creates a further key of a user, as its administrator would.
    ///
    /// # Errors
    /// There is no such user, or it has as many keys as IAM allows.
    pub(crate) fn add_key(&self, account_id: &str, user_name: &str) -> Result<NewKey, NoFurtherKey> {
        let access_key_id = access_key::encode(access_key::LONG_TERM, account_id, random::bytes()).unwrap_or_default();
        let secret_access_key = random::text::<40>(SECRET_ALPHABET);
        let mut accounts = self.state.write();
        let state = accounts.get_mut(account_id).ok_or(NoFurtherKey::NoUser)?;
        let user = state.users.get(user_name).ok_or(NoFurtherKey::NoUser)?.clone();
        let keys = state.access_keys.entry(user_name.to_owned()).or_default();
        if keys.len() >= MAX_KEYS {
            return Err(NoFurtherKey::TwoAlready);
        }
        keys.push(IamAccessKey {
            access_key_id: access_key_id.clone(),
            secret_access_key: secret_access_key.clone(),
            user_name: user_name.to_owned(),
            status: "Active".to_owned(),
            created_at: Utc::now(),
        });
        drop(accounts);
        let caller = user_caller(&access_key_id, account_id, user.arn.clone(), user.user_id);
        self.credentials.remember(secret_access_key.clone(), caller);
        Ok(NewKey { user_arn: user.arn, access_key_id, secret_access_key })
    }

    /// Creates a user with a key, or with `None` a key of the account's root. The key's id decodes to `key_account_id`.
    /// Answers `None` where the account has a user of that name.
    pub(crate) fn create_key(
        &self,
        account_id: &str,
        key_account_id: &str,
        user: Option<&NewUser<'_>>,
    ) -> Option<NewKey> {
        // The accounts are twelve digits since the request was read.
        let access_key_id =
            access_key::encode(access_key::LONG_TERM, key_account_id, random::bytes()).unwrap_or_default();
        let secret_access_key = random::text::<40>(SECRET_ALPHABET);
        let caller = match user {
            Some(user) => self.create_user(user, account_id, &access_key_id, &secret_access_key)?,
            None => Caller::root(&access_key_id, account_id),
        };
        let user_arn = caller.arn().to_owned();
        self.credentials.remember(secret_access_key.clone(), caller);
        Some(NewKey { user_arn, access_key_id, secret_access_key })
    }

    /// Gives a key that the embedded service made an id and a secret as AWS makes them.
    pub(super) fn issue_as_aws(&self, account_id: &str, response: &mut ServiceResponse) {
        let xml = String::from_utf8_lossy(&response.body).into_owned();
        let element = |name: &str| {
            let (_, rest) = xml.split_once(&format!("<{name}>"))?;
            Some(rest.split_once(&format!("</{name}>"))?.0.to_owned())
        };
        let (Some(made_id), Some(made_secret)) = (element("AccessKeyId"), element("SecretAccessKey")) else { return };
        let Some(access_key_id) = access_key::encode(access_key::LONG_TERM, account_id, random::bytes()) else {
            return;
        };
        let secret_access_key = random::text::<40>(SECRET_ALPHABET);
        let mut accounts = self.state.write();
        let keys = accounts.get_or_create(account_id).access_keys.values_mut().flatten();
        for key in keys.filter(|key| key.access_key_id == made_id) {
            key.access_key_id.clone_from(&access_key_id);
            key.secret_access_key.clone_from(&secret_access_key);
        }
        drop(accounts);
        if let Some(caller) = self.credentials.user_of(&access_key_id) {
            self.credentials.remember(secret_access_key.clone(), caller);
        }
        response.body = xml.replacen(&made_id, &access_key_id, 1).replacen(&made_secret, &secret_access_key, 1).into();
    }

    /// Puts an account under an organization's service control policies.
    pub(crate) fn set_control_policies(&self, account_id: &str, policies: &[Value]) {
        let documents = policies.iter().map(Value::to_string).collect();
        self.control_policies.lock().insert(account_id.to_owned(), documents);
    }

    /// Replaces the inline policies of all users of an account, or of one. False where there is no such account or user.
    pub(crate) fn set_policies(&self, account_id: &str, user_name: Option<&str>, policies: &[Value]) -> bool {
        let mut accounts = self.state.write();
        let Some(state) = accounts.get_mut(account_id) else { return false };
        if user_name.is_some_and(|name| !state.users.contains_key(name)) {
            return false;
        }
        for user in state.users.keys().filter(|user| user_name.is_none_or(|name| name == user.as_str())) {
            state.user_inline_policies.insert(user.clone(), named(policies));
        }
        true
    }

    /// An account's users with their keys, and the ids of its root's keys. `None` where there is no such account.
    pub(crate) fn describe_account(&self, account_id: &str) -> Option<(Vec<Value>, Vec<String>)> {
        let accounts = self.state.read();
        let roots = self.credentials.root_keys(account_id);
        let state = accounts.get(account_id);
        if state.is_none() && roots.is_empty() {
            return None;
        }
        let users = state
            .into_iter()
            .flat_map(|state| state.users.values().map(move |user| (user, state)))
            .map(|(user, state)| {
                let keys = state.access_keys.get(&user.user_name).map(Vec::as_slice).unwrap_or_default();
                let keys: Vec<Value> =
                    keys.iter().map(|key| json!({"access_key_id": key.access_key_id, "status": key.status})).collect();
                json!({"user_name": user.user_name, "user_arn": user.arn, "access_keys": keys})
            })
            .collect();
        Some((users, roots))
    }

    /// Activates, deactivates or (`None`) deletes a user's key. False where no user of the account has it.
    pub(crate) fn set_key_status(&self, account_id: &str, access_key_id: &str, status: Option<&str>) -> bool {
        let mut accounts = self.state.write();
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
        if found.is_some() {
            self.credentials.mark(access_key_id, status != Some("Active"));
        }
        found.is_some()
    }

    /// The number of an account that is not there yet.
    pub(crate) fn free_account(&self) -> String {
        loop {
            // The first digit is fixed so that the number never looks like a short one.
            let account_id = format!("1{}", random::text::<11>(b"0123456789"));
            if self.state.read().get(&account_id).is_none() {
                return account_id;
            }
        }
    }

    /// Completes a user's ARN with the user's path, which a request does not say.
    pub(super) fn add_user_path(&self, resource: &mut String) {
        let Some((head, name)) = resource.split_once(":user/") else { return };
        let account = head.rsplit(':').next().unwrap_or_default();
        let accounts = self.state.read();
        if let Some(user) = accounts.get(account).and_then(|state| state.users.get(name)) {
            resource.clone_from(&user.arn);
        }
    }

    fn create_user(
        &self,
        user: &NewUser<'_>,
        account_id: &str,
        access_key_id: &str,
        secret_access_key: &str,
    ) -> Option<Caller> {
        let (name, path) = (user.name.to_owned(), user.path.to_owned());
        let arn = format!("arn:aws:iam::{account_id}:user{path}{name}");
        let user_id = format!("AIDA{}", random::text::<17>(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"));
        let mut accounts = self.state.write();
        let state = accounts.get_or_create(account_id);
        if state.users.contains_key(&name) {
            return None;
        }
        let boundary = user.boundary.as_ref().map(|document| {
            let boundary = boundary_policy(account_id, &name, document);
            let arn = boundary.arn.clone();
            state.policies.insert(arn.clone(), boundary);
            arn
        });
        state.users.insert(
            name.clone(),
            IamUser {
                user_name: name.clone(),
                user_id: user_id.clone(),
                arn: arn.clone(),
                path,
                created_at: Utc::now(),
                tags: Vec::new(),
                permissions_boundary: boundary,
            },
        );
        state.user_inline_policies.insert(name.clone(), named(&user.policies));
        let key = IamAccessKey {
            access_key_id: access_key_id.to_owned(),
            secret_access_key: secret_access_key.to_owned(),
            user_name: name.clone(),
            status: "Active".to_owned(),
            created_at: Utc::now(),
        };
        state.access_keys.insert(name, vec![key]);
        Some(user_caller(access_key_id, account_id, arn, user_id))
    }
}

/// A user who calls with this key.
fn user_caller(access_key_id: &str, account_id: &str, arn: String, user_id: String) -> Caller {
    Caller {
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
        source_function_arn: None,
        token_issued_at: None,
    }
}

/// A managed policy that is a user's permissions boundary.
fn boundary_policy(account_id: &str, user_name: &str, document: &Value) -> IamPolicy {
    let (policy_name, created_at) = (format!("{user_name}-boundary"), Utc::now());
    IamPolicy {
        arn: format!("arn:aws:iam::{account_id}:policy/{policy_name}"),
        policy_id: format!("ANPA{}", random::text::<17>(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")),
        policy_name,
        path: "/".to_owned(),
        description: String::new(),
        created_at,
        tags: Vec::new(),
        default_version_id: "v1".to_owned(),
        versions: vec![PolicyVersion {
            version_id: "v1".to_owned(),
            document: document.to_string(),
            is_default: true,
            created_at,
        }],
        next_version_num: 2,
        attachment_count: 0,
    }
}

/// Inline policies under names of ours.
fn named(policies: &[Value]) -> BTreeMap<String, String> {
    policies.iter().enumerate().map(|(index, policy)| (format!("policy-{}", index + 1), policy.to_string())).collect()
}
