//! The time that a verification may take.

use std::future::Future;
use std::time::Duration;

use shared::tenant::{Failure, Kind};
use tokio::time::{Instant, sleep_until, timeout_at};

/// The longest that all checks together may take. API Gateway gives up after 30 s and the function is stopped after 29;
/// what is left is for sealing and storing.
const CHECKS: Duration = Duration::from_secs(24);

/// A deadline that all calls of one verification share.
pub(crate) struct Budget {
    started: Instant,
    ends: Instant,
}

impl Budget {
    /// The budget of a verification that starts now.
    pub(crate) fn start() -> Self {
        let started = Instant::now();
        Self { started, ends: started + CHECKS }
    }

    /// Time since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// A call's answer, or [`Kind::Unknown`] at the deadline. Boxed, because a call of an SDK is a deep type and a large
    /// value, and a verification is a dozen of them.
    pub(crate) async fn call<T>(&self, call: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        timeout_at(self.ends, Box::pin(call))
            .await
            .unwrap_or_else(|_| Err(Failure { kind: Kind::Unknown, code: None, status: None, request_id: None }))
    }

    /// Waits, and answers whether there is time left to do anything after it. It does not wait in vain.
    pub(crate) async fn pause(&self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        if until >= self.ends {
            return false;
        }
        sleep_until(until).await;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_call_outlives_the_budget() {
        let budget = Budget::start();
        let answer = budget.call(std::future::pending::<Result<(), Failure>>()).await;
        assert!(answer.is_err_and(|failure| failure.is_unknown()));
        assert_eq!(budget.elapsed().as_secs(), 24);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_past_the_end_is_not_waited_for() {
        let budget = Budget::start();
        assert!(budget.pause(Duration::from_secs(23)).await);
        assert!(!budget.pause(Duration::from_secs(2)).await);
        assert_eq!(budget.elapsed().as_secs(), 23);
    }
}
