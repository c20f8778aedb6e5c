//! The faults of all accounts.

use std::collections::HashMap;

use parking_lot::Mutex;

use super::account::AccountFaults;
use super::rule::FaultPlan;

/// The faults of all accounts; an account that nobody set any for has none.
#[derive(Debug, Default)]
pub(crate) struct FaultBook(Mutex<HashMap<String, AccountFaults>>);

impl FaultBook {
    /// An account's faults as they are now.
    pub(crate) fn of_account(&self, account_id: &str) -> AccountFaults {
        self.0.lock().get(account_id).cloned().unwrap_or_default()
    }

    /// Replaces an account's faults and answers those it had.
    pub(crate) fn replace(&self, account_id: &str, faults: AccountFaults) -> AccountFaults {
        self.0.lock().insert(account_id.to_owned(), faults).unwrap_or_default()
    }

    /// Whether any account asks for connections to be refused.
    pub(crate) fn refuses_connections(&self) -> bool {
        self.0.lock().values().any(|faults| faults.refuse_connections)
    }

    /// What is to happen to a request of an account for `operation` (`service:Operation`); uses up one of each fault that is
    /// counted. `resources` is asked for the names of what the request is about only where there are faults.
    pub(crate) fn plan(&self, account_id: &str, operation: &str, resources: impl FnOnce() -> Vec<String>) -> FaultPlan {
        match self.0.lock().get_mut(account_id) {
            Some(faults) => faults.plan(operation, &resources()),
            None => FaultPlan::default(),
        }
    }
}
