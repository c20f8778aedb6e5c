//! What SES knows of a tenant's account beside its identities: limits, mail it took, and the faults that strike it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::Value;

use crate::faults::{Faults, Plan, SendRate};

/// Over which time SES counts a daily quota.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Limits of an account: recipients a second and in 24 hours.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Limits {
    /// Whether mail goes to verified addresses only.
    pub(crate) sandbox: bool,
    /// MaxSendRate.
    pub(crate) max_send_rate: f64,
    /// Max24HourSend.
    pub(crate) max_24_hour_send: u32,
}

impl Limits {
    /// What a new account has:
    /// <https://docs.aws.amazon.com/ses/latest/dg/request-production-access.html>.
    pub(crate) const SANDBOX: Self = Self { sandbox: true, max_send_rate: 1.0, max_24_hour_send: 200 };

    /// What an account is usually given with production access.
    pub(crate) const PRODUCTION: Self = Self { sandbox: false, max_send_rate: 14.0, max_24_hour_send: 50_000 };
}

struct Account {
    limits: Limits,
    faults: Faults,
    rate: SendRate,
    sent: VecDeque<(Instant, usize)>,
    sent_in_window: usize,
    inbox: Vec<Arc<Value>>,
}

impl Account {
    fn new(limits: Limits) -> Self {
        Self {
            limits,
            faults: Faults::default(),
            rate: SendRate::new(limits.max_send_rate, Instant::now()),
            sent: VecDeque::new(),
            sent_in_window: 0,
            inbox: Vec::new(),
        }
    }

    fn sent_last_24_hours(&mut self, now: Instant) -> usize {
        while let Some((_, recipients)) = self.sent.pop_front_if(|(at, _)| now.duration_since(*at) > DAY) {
            self.sent_in_window -= recipients;
        }
        self.sent_in_window
    }
}

/// The accounts that send. One nobody set up has production access, as the operator's own would.
#[derive(Default)]
pub(crate) struct Accounts(Mutex<HashMap<String, Account>>);

impl Accounts {
    /// Sets of an account's limits what is given, and answers all of them. A move into the sandbox or out of it brings the limits
    /// that go with it.
    pub(crate) fn change_limits(&self, account_id: &str, sandbox: Option<bool>, max_send_rate: Option<f64>) -> Limits {
        self.with(account_id, |account| {
            let mut limits = match sandbox {
                Some(sandbox) if sandbox != account.limits.sandbox => {
                    if sandbox {
                        Limits::SANDBOX
                    } else {
                        Limits::PRODUCTION
                    }
                }
                _ => account.limits,
            };
            limits.max_send_rate = max_send_rate.unwrap_or(limits.max_send_rate);
            if limits != account.limits {
                account.limits = limits;
                account.rate = SendRate::new(limits.max_send_rate, Instant::now());
            }
            limits
        })
    }

    /// An account's limits.
    pub(crate) fn limits(&self, account_id: &str) -> Limits {
        self.with(account_id, |account| account.limits)
    }

    /// Replaces an account's faults.
    pub(crate) fn set_faults(&self, account_id: &str, faults: Faults) {
        self.with(account_id, |account| {
            account.rate = SendRate::new(account.limits.max_send_rate, Instant::now());
            account.faults = faults;
        });
    }

    /// An account's faults as they are now.
    pub(crate) fn faults(&self, account_id: &str) -> Faults {
        self.with(account_id, |account| account.faults.clone())
    }

    /// Whether any account asks for connections to be refused.
    pub(crate) fn refuse_connections(&self) -> bool {
        self.0.lock().values().any(|account| account.faults.refuse_connections)
    }

    /// What is to happen to a request of an account.
    pub(crate) fn plan(&self, account_id: &str, operation: &str) -> Plan {
        self.with(account_id, |account| account.faults.plan(operation))
    }

    /// Whether a mail to so many recipients keeps within the rate, where it is enforced.
    pub(crate) fn admit(&self, account_id: &str, recipients: usize) -> bool {
        self.with(account_id, |account| {
            let rate = account.limits.max_send_rate;
            !account.faults.enforce_max_send_rate || account.rate.admit(recipients, rate, Instant::now())
        })
    }

    /// Recipients sent to in the last 24 hours.
    pub(crate) fn sent_last_24_hours(&self, account_id: &str) -> usize {
        self.with(account_id, |account| account.sent_last_24_hours(Instant::now()))
    }

    /// Takes a mail into the account's inbox and counts its recipients.
    pub(crate) fn deliver(&self, account_id: &str, mail: Value, recipients: usize) {
        let mail = Arc::new(mail);
        self.with(account_id, |account| {
            account.sent.push_back((Instant::now(), recipients));
            account.sent_in_window += recipients;
            account.inbox.push(mail);
        });
    }

    /// The mail of one account, or of all of them.
    pub(crate) fn inbox(&self, account_id: Option<&str>) -> Vec<Arc<Value>> {
        let accounts = self.0.lock();
        match account_id {
            Some(id) => accounts.get(id).map(|account| account.inbox.clone()).unwrap_or_default(),
            None => accounts.values().flat_map(|account| account.inbox.iter().cloned()).collect(),
        }
    }

    fn with<T>(&self, account_id: &str, work: impl FnOnce(&mut Account) -> T) -> T {
        let mut accounts = self.0.lock();
        match accounts.get_mut(account_id) {
            Some(account) => work(account),
            None => work(accounts.entry(account_id.to_owned()).or_insert_with(|| Account::new(Limits::PRODUCTION))),
        }
    }
}
