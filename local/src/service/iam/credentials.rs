//! Access keys: whose they are, what they open, and which are dead.
//!
//! IAM's state is the truth about users' and sessions' keys. This adds what it has no room for: keys of an
//! account's root, and deleted keys, which AWS honours for some seconds more.

use std::collections::HashMap;
use std::time::Instant;

use fakecloud_core::auth::{Principal, PrincipalType};
use fakecloud_iam::{IamState, SharedIamState};
use parking_lot::Mutex;

use super::{Iam, access_key};
use crate::service::{Caller, ServiceError};

/// What an access key id opens.
#[derive(Clone)]
pub(crate) struct SignerCredential {
    /// Signs requests.
    pub(crate) secret_access_key: String,
    /// Has to accompany requests signed with a session's key.
    pub(crate) session_token: Option<String>,
    /// Whom the key speaks for.
    pub(crate) caller: Caller,
}

/// The state of a key.
enum CredentialState {
    /// It opens this.
    Live(Box<SignerCredential>),
    /// It was a session's and is past its time.
    Expired,
    /// It was this, until then.
    Deleted(Box<SignerCredential>, Instant),
    /// No such key, or a deactivated one.
    Unknown,
}

struct KnownKey {
    credential: SignerCredential,
    deleted_at: Option<Instant>,
}

/// The keys of all accounts.
pub(super) struct Credentials {
    iam: SharedIamState,
    /// Keys that were made here, and every root's: user keys are looked up here only once they are dead.
    known: Mutex<HashMap<String, KnownKey>>,
}

impl Credentials {
    /// Keys over IAM's state.
    pub(super) fn new(iam: SharedIamState) -> Self {
        Self { iam, known: Mutex::new(HashMap::new()) }
    }

    /// Remembers a key, so that its account is known even when it is dead. For a root's key this is all there
    /// is; a user's has to be in IAM's state too.
    pub(super) fn remember(&self, secret_access_key: String, caller: Caller) {
        let id = caller.access_key_id.clone();
        let credential = SignerCredential { secret_access_key, session_token: None, caller };
        self.known.lock().insert(id, KnownKey { credential, deleted_at: None });
    }

    /// Whom a key that IAM has speaks for.
    pub(super) fn user_of(&self, access_key_id: &str) -> Option<Caller> {
        self.find_in_iam(access_key_id).map(|credential| credential.caller)
    }

    /// The state of the key with this id.
    fn find(&self, access_key_id: &str) -> CredentialState {
        let known = self.known.lock().get(access_key_id).map(|known| (known.credential.clone(), known.deleted_at));
        match &known {
            Some((credential, None)) if credential.caller.is_root() => {
                return CredentialState::Live(Box::new(credential.clone()));
            }
            _ => {}
        }
        if let Some(credential) = self.find_in_iam(access_key_id) {
            return CredentialState::Live(Box::new(credential));
        }
        match known {
            Some((credential, Some(at))) => return CredentialState::Deleted(Box::new(credential), at),
            // Deactivated or deleted behind our back.
            Some((_, None)) => return CredentialState::Unknown,
            None => {}
        }
        let expired = self.iam.read().iter().any(|(_, state)| state.sts_credential_expired(access_key_id));
        if expired { CredentialState::Expired } else { CredentialState::Unknown }
    }

    /// The account a key belongs to: a user's or a root's key, dead or alive, or a session's while it lasts. `None` for any
    /// other.
    fn owner(&self, access_key_id: &str) -> Option<String> {
        if let Some(known) = self.known.lock().get(access_key_id) {
            return Some(known.credential.caller.account_id().to_owned());
        }
        let account_id = access_key::account(access_key_id)?;
        let accounts = self.iam.read();
        accounts.get(&account_id)?.sts_temp_credentials.contains_key(access_key_id).then_some(account_id)
    }

    /// Notes that a key was deleted or deactivated (`dead`), or activated again.
    pub(super) fn mark(&self, access_key_id: &str, dead: bool) {
        if let Some(known) = self.known.lock().get_mut(access_key_id) {
            known.deleted_at = dead.then(Instant::now);
        }
    }

    /// Deletes a key of an account's root. False where the account's root has no such key.
    pub(super) fn delete_root_key(&self, account_id: &str, access_key_id: &str) -> bool {
        match self.known.lock().get_mut(access_key_id) {
            Some(known)
                if known.deleted_at.is_none()
                    && known.credential.caller.is_root()
                    && known.credential.caller.account_id() == account_id =>
            {
                known.deleted_at = Some(Instant::now());
                true
            }
            _ => false,
        }
    }

    /// The ids of an account's root keys that are alive.
    pub(super) fn root_keys(&self, account_id: &str) -> Vec<String> {
        let known = self.known.lock();
        known
            .iter()
            .filter(|(_, known)| {
                let caller = &known.credential.caller;
                known.deleted_at.is_none() && caller.is_root() && caller.account_id() == account_id
            })
            .map(|(id, _)| id.clone())
            .collect()
    }

    fn find_in_iam(&self, access_key_id: &str) -> Option<SignerCredential> {
        let accounts = self.iam.read();
        // Nearly every id names its account, which spares a walk through all of them.
        if let Some(state) = access_key::account(access_key_id).and_then(|id| accounts.get(&id))
            && let Some(credential) = credential_in(state, access_key_id)
        {
            return Some(credential);
        }
        accounts.iter().find_map(|(_, state)| credential_in(state, access_key_id))
    }
}

impl Iam {
    /// What an access key id opens.
    ///
    /// # Errors
    /// The key is unknown, deleted, inactive or expired.
    pub(crate) fn signer(&self, access_key_id: &str) -> Result<Box<SignerCredential>, ServiceError> {
        match self.credentials.find(access_key_id) {
            CredentialState::Live(mut credential) => {
                credential.caller.source_function_arn = self.function_of(&credential.caller);
                Ok(credential)
            }
            CredentialState::Expired => Err(ServiceError::ExpiredKey),
            CredentialState::Deleted(credential, at)
                if at.elapsed() < self.setup.faults.of_account(credential.caller.account_id()).deleted_key_honoured =>
            {
                Ok(credential)
            }
            CredentialState::Deleted(..) | CredentialState::Unknown => Err(ServiceError::UnknownKey),
        }
    }

    /// The account that a key belongs to, where it is known.
    pub(crate) fn key_owner(&self, access_key_id: &str) -> Option<String> {
        self.credentials.owner(access_key_id)
    }
}

fn credential_in(state: &IamState, access_key_id: &str) -> Option<SignerCredential> {
    let found = state.credential_secret_readonly(access_key_id)?;
    let principal_type = PrincipalType::from_arn(&found.principal_arn);
    let role_arn = found
        .principal_arn
        .split_once(":assumed-role/")
        .and_then(|(_, rest)| state.roles.get(rest.split('/').next()?))
        .map(|role| role.arn.clone());
    Some(SignerCredential {
        secret_access_key: found.secret_access_key,
        session_token: found.session_token,
        caller: Caller {
            access_key_id: access_key_id.to_owned(),
            principal: Principal {
                arn: found.principal_arn,
                user_id: found.user_id,
                account_id: found.account_id,
                principal_type,
                source_identity: None,
                tags: found.principal_tags.map(|tags| tags.into_iter().collect()),
            },
            role_arn,
            session_policies: found.session_policies,
            source_function_arn: None,
            token_issued_at: found.token_issued_at,
        },
    })
}
