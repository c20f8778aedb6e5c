//! Access keys: who has which, what they open, and which are dead.
//!
//! IAM's state is the truth about users' and sessions' keys. This adds what it has no room for: keys of an
//! account's root, and the last words of a deleted key, which AWS honours for some seconds more.

use std::collections::HashMap;
use std::time::Instant;

use fakecloud_core::auth::{Principal, PrincipalType};
use fakecloud_iam::{IamState, SharedIamState};
use parking_lot::Mutex;

use super::access_key;
use super::caller::Caller;

/// What an access key id opens.
#[derive(Clone)]
pub(crate) struct Credential {
    /// Signs requests.
    pub(crate) secret_access_key: String,
    /// Has to accompany requests signed with a session's key.
    pub(crate) session_token: Option<String>,
    /// Whom the key speaks for.
    pub(crate) caller: Caller,
}

/// What became of a key.
pub(crate) enum KeyState {
    /// It opens this.
    Live(Box<Credential>),
    /// It was a session's and is past its time.
    Expired,
    /// It was this, until then.
    Deleted(Box<Credential>, Instant),
    /// No such key, or a deactivated one.
    Unknown,
}

struct Known {
    credential: Credential,
    deleted_at: Option<Instant>,
}

/// The keys of all accounts.
pub(crate) struct Credentials {
    iam: SharedIamState,
    /// Keys made by [`super::tenant`], and every root's: user keys are looked up here only once they are dead.
    known: Mutex<HashMap<String, Known>>,
}

impl Credentials {
    /// Keys over IAM's state.
    pub(crate) fn new(iam: SharedIamState) -> Self {
        Self { iam, known: Mutex::new(HashMap::new()) }
    }

    /// Takes note of a key, so that its account is known even when it is dead. For a root's key this is all there
    /// is; a user's has to be in IAM's state too.
    pub(crate) fn remember(&self, secret_access_key: String, caller: Caller) {
        let id = caller.access_key_id.clone();
        let credential = Credential { secret_access_key, session_token: None, caller };
        self.known.lock().insert(id, Known { credential, deleted_at: None });
    }

    /// What became of the key with this id.
    pub(crate) fn find(&self, access_key_id: &str) -> KeyState {
        let known = self.known.lock().get(access_key_id).map(|known| (known.credential.clone(), known.deleted_at));
        match &known {
            Some((credential, None)) if credential.caller.is_root() => {
                return KeyState::Live(Box::new(credential.clone()));
            }
            _ => {}
        }
        if let Some(credential) = self.find_in_iam(access_key_id) {
            return KeyState::Live(Box::new(credential));
        }
        match known {
            Some((credential, Some(at))) => return KeyState::Deleted(Box::new(credential), at),
            // Deactivated or deleted behind our back.
            Some((_, None)) => return KeyState::Unknown,
            None => {}
        }
        let expired = self.iam.read().iter().any(|(_, state)| state.sts_credential_expired(access_key_id));
        if expired { KeyState::Expired } else { KeyState::Unknown }
    }

    /// The account a key belongs to, dead or alive; `None` for a key nobody made.
    pub(crate) fn owner(&self, access_key_id: &str) -> Option<String> {
        let known = self.known.lock();
        known.get(access_key_id).map(|known| known.credential.caller.account_id().to_owned())
    }

    /// Takes note that a key was deleted or deactivated (`dead`), or activated again.
    pub(crate) fn mark(&self, access_key_id: &str, dead: bool) {
        if let Some(known) = self.known.lock().get_mut(access_key_id) {
            known.deleted_at = dead.then(Instant::now);
        }
    }

    /// Deletes a key of an account's root. False where the account's root has no such key.
    pub(crate) fn delete_root_key(&self, account_id: &str, access_key_id: &str) -> bool {
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
    pub(crate) fn root_keys(&self, account_id: &str) -> Vec<String> {
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

    fn find_in_iam(&self, access_key_id: &str) -> Option<Credential> {
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

fn credential_in(state: &IamState, access_key_id: &str) -> Option<Credential> {
    let found = state.credential_secret_readonly(access_key_id)?;
    let principal_type = PrincipalType::from_arn(&found.principal_arn);
    let role_arn = found
        .principal_arn
        .split_once(":assumed-role/")
        .and_then(|(_, rest)| state.roles.get(rest.split('/').next()?))
        .map(|role| role.arn.clone());
    Some(Credential {
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
            token_issued_at: found.token_issued_at,
        },
    })
}
