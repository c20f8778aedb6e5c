//! What was asked of the stand-in and how it went, for tests: never a body, never a secret.

use std::collections::{HashMap, VecDeque};

use parking_lot::Mutex;
use serde::Serialize;

/// Requests kept for each account.
const KEPT: usize = 10_000;

/// One request.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Entry {
    /// When it was answered, RFC 3339 with milliseconds.
    pub(crate) at: String,
    /// The caller's account; the key owner's where the key opened nothing; empty where nobody knows the key.
    pub(crate) account_id: String,
    /// The access key id it was signed with.
    pub(crate) access_key_id: String,
    /// The caller's ARN, where the signature was good.
    pub(crate) principal: Option<String>,
    /// The service.
    pub(crate) service: String,
    /// The API's operation.
    pub(crate) operation: String,
    /// The HTTP status; absent where the connection was reset.
    pub(crate) status: Option<u16>,
    /// The error code; `ConnectionReset` where there was no answer.
    pub(crate) error: Option<String>,
}

/// The last requests of each account.
#[derive(Default)]
pub(crate) struct RequestLog(Mutex<HashMap<String, VecDeque<Entry>>>);

impl RequestLog {
    /// Adds a request; the oldest of the account's makes room.
    pub(crate) fn add(&self, entry: Entry) {
        let mut accounts = self.0.lock();
        let entries = accounts.entry(entry.account_id.clone()).or_default();
        if entries.len() == KEPT {
            entries.pop_front();
        }
        entries.push_back(entry);
    }

    /// The requests of one account or of all, oldest first within an account.
    pub(crate) fn list(&self, account_id: Option<&str>) -> Vec<Entry> {
        let accounts = self.0.lock();
        match account_id {
            Some(id) => accounts.get(id).into_iter().flatten().cloned().collect(),
            None => accounts.values().flatten().cloned().collect(),
        }
    }
}
