//! What SES knows of a tenant's account beside its identities: limits, mail it took, and the faults that strike it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::Value;

use super::send_rate::SendRate;

/// Over which time SES counts a daily quota.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// SendLimits of an account: recipients a second and in 24 hours.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct SendLimits {
    /// Whether mail goes to verified addresses only.
    pub(super) sandbox: bool,
    /// MaxSendRate.
    pub(super) max_send_rate: f64,
    /// Max24HourSend.
    pub(super) max_24_hour_send: u32,
}

impl SendLimits {
    /// What a new account has:
    /// <https://docs.aws.amazon.com/ses/latest/dg/request-production-access.html>.
    pub(super) const SANDBOX: Self = Self { sandbox: true, max_send_rate: 1.0, max_24_hour_send: 200 };

    /// What an account is usually given with production access.
    pub(super) const PRODUCTION: Self = Self { sandbox: false, max_send_rate: 14.0, max_24_hour_send: 50_000 };
}

struct SendingAccount {
    limits: SendLimits,
    rate: SendRate,
    sent: VecDeque<(Instant, usize)>,
    sent_in_window: usize,
    inbox: Vec<Arc<Value>>,
}

impl SendingAccount {
    fn new(limits: SendLimits) -> Self {
        Self {
            limits,
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
pub(super) struct SendingAccounts(Mutex<HashMap<String, SendingAccount>>);

impl SendingAccounts {
    /// Sets of an account's limits what is given, and answers all of them. A move into the sandbox or out of it brings the limits
    /// that go with it.
    pub(super) fn change_limits(
        &self,
        account_id: &str,
        sandbox: Option<bool>,
        (max_send_rate, max_24_hour_send): (Option<f64>, Option<u32>),
    ) -> SendLimits {
        self.with(account_id, |account| {
            let mut limits = match sandbox {
                Some(sandbox) if sandbox != account.limits.sandbox => {
                    if sandbox {
                        SendLimits::SANDBOX
                    } else {
                        SendLimits::PRODUCTION
                    }
                }
                _ => account.limits,
            };
            limits.max_send_rate = max_send_rate.unwrap_or(limits.max_send_rate);
            limits.max_24_hour_send = max_24_hour_send.unwrap_or(limits.max_24_hour_send);
            if limits != account.limits {
                account.limits = limits;
                account.rate = SendRate::new(limits.max_send_rate, Instant::now());
            }
            limits
        })
    }

    /// An account's limits.
    pub(super) fn limits(&self, account_id: &str) -> SendLimits {
        self.with(account_id, |account| account.limits)
    }

    /// Whether a mail to so many recipients keeps within the account's rate.
    pub(super) fn admit(&self, account_id: &str, recipients: usize) -> bool {
        self.with(account_id, |account| {
            let rate = account.limits.max_send_rate;
            account.rate.admit(recipients, rate, Instant::now())
        })
    }

    /// Makes the account's rate start with a second's worth.
    pub(super) fn refill(&self, account_id: &str) {
        self.with(account_id, |account| account.rate = SendRate::new(account.limits.max_send_rate, Instant::now()));
    }

    /// Recipients sent to in the last 24 hours.
    pub(super) fn sent_last_24_hours(&self, account_id: &str) -> usize {
        self.with(account_id, |account| account.sent_last_24_hours(Instant::now()))
    }

    /// Adds a mail to the account's inbox and counts its recipients.
    pub(super) fn deliver(&self, account_id: &str, mail: Value, recipients: usize) {
        let mail = Arc::new(mail);
        self.with(account_id, |account| {
            account.sent.push_back((Instant::now(), recipients));
            account.sent_in_window += recipients;
            account.inbox.push(mail);
        });
    }

    /// The mail of one account, or of all of them.
    pub(super) fn inbox(&self, account_id: Option<&str>) -> Vec<Arc<Value>> {
        let accounts = self.0.lock();
        match account_id {
            Some(id) => accounts.get(id).map(|account| account.inbox.clone()).unwrap_or_default(),
            None => accounts.values().flat_map(|account| account.inbox.iter().cloned()).collect(),
        }
    }

    fn with<T>(&self, account_id: &str, work: impl FnOnce(&mut SendingAccount) -> T) -> T {
        let mut accounts = self.0.lock();
        match accounts.get_mut(account_id) {
            Some(account) => work(account),
            None => work(
                accounts.entry(account_id.to_owned()).or_insert_with(|| SendingAccount::new(SendLimits::PRODUCTION)),
            ),
        }
    }
}
