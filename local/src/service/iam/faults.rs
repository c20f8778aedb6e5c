//! Faults of an account's users and keys.

use super::Iam;
use crate::faults::{AccountFaults, Quarantine};

impl Iam {
    /// Attaches or detaches AWS's quarantine, what AWS attaches to a user whose key it found in public (the documents are AWS's,
    /// as the embedded IAM has them); deactivates or activates keys.
    pub(super) fn apply(&self, account_id: &str, previous: &AccountFaults, faults: &AccountFaults) {
        let mut changed = Vec::new();
        {
            let mut accounts = self.state.write();
            let state = accounts.get_or_create(account_id);
            for user in state.users.keys() {
                let attached = state.user_policies.entry(user.clone()).or_default();
                attached.retain(|arn| Quarantine::ALL.iter().all(|version| version.policy_arn() != arn));
                attached.extend(faults.quarantine.map(|version| version.policy_arn().to_owned()));
            }
            // Keys change only when the fault comes or goes: a test may set their state, too.
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
    }
}
