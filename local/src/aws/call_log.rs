//! The requests to the stand-in and how they were answered, for tests: never a body, never a secret.

use std::collections::{BTreeMap, HashMap, VecDeque};

use parking_lot::Mutex;
use serde::Serialize;

/// Requests kept for each account.
const MAX_KEPT: usize = 100_000;

/// One request.
#[derive(Clone, Debug, Serialize)]
pub(super) struct LoggedCall {
    /// When it was answered, RFC 3339 with milliseconds.
    pub(super) at: String,
    /// The caller's account; the key owner's where the key opened nothing; empty where nobody knows the key.
    pub(super) account_id: String,
    /// The access key id it was signed with.
    pub(super) access_key_id: String,
    /// The caller's ARN, where the signature was good.
    pub(super) principal: Option<String>,
    /// The service.
    pub(super) service: String,
    /// The API's operation.
    pub(super) operation: String,
    /// The HTTP status; absent where there was no answer.
    pub(super) status: Option<u16>,
    /// The error code; `ConnectionReset` or `NoAnswer` where there was no answer.
    pub(super) error: Option<String>,
}

/// Requests that have these in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct CallKind {
    /// As in [`LoggedCall`], and the rest too.
    account_id: String,
    principal: Option<String>,
    service: String,
    operation: String,
    error: Option<String>,
}

/// How many requests there were of a kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct CallCount {
    #[serde(flatten)]
    kind: CallKind,
    count: u64,
}

/// The last requests of each account, and how many there were of each kind.
#[derive(Default)]
pub(super) struct CallLog {
    kept: Mutex<HashMap<String, VecDeque<LoggedCall>>>,
    counts: Mutex<BTreeMap<CallKind, u64>>,
}

impl CallLog {
    /// Adds a request; the oldest of the account's makes room.
    pub(super) fn add(&self, call: LoggedCall) {
        let kind = CallKind {
            account_id: call.account_id.clone(),
            principal: call.principal.clone(),
            service: call.service.clone(),
            operation: call.operation.clone(),
            error: call.error.clone(),
        };
        *self.counts.lock().entry(kind).or_default() += 1;
        let mut accounts = self.kept.lock();
        let calls = accounts.entry(call.account_id.clone()).or_default();
        if calls.len() == MAX_KEPT {
            calls.pop_front();
        }
        calls.push_back(call);
    }

    /// The requests of one account or of all, oldest first within an account.
    pub(super) fn list(&self, account_id: Option<&str>) -> Vec<LoggedCall> {
        let accounts = self.kept.lock();
        match account_id {
            Some(id) => accounts.get(id).into_iter().flatten().cloned().collect(),
            None => accounts.values().flatten().cloned().collect(),
        }
    }

    /// How many requests there were of each kind, those that are no longer kept included.
    pub(super) fn counts(&self) -> Vec<CallCount> {
        self.counts.lock().iter().map(|(kind, count)| CallCount { kind: kind.clone(), count: *count }).collect()
    }
}
