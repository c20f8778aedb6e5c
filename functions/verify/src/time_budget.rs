//! The time that one onboarding may take.

use std::future::Future;
use std::time::Duration;

use shared::http::Problem;
use shared::tenant::{Failure, FailureKind as Kind};
use thiserror::Error;
use tokio::time::{Instant, sleep_until, timeout_at};

/// Limit for all calls into the tenant's account together. API Gateway gives up after 30 s and Lambda stops the function
/// after 29 s; the rest is for sealing and storing.
const CHECKS_TIMEOUT: Duration = Duration::from_secs(24);

/// Limit for the last answer of our own account, so that the caller still gets a response.
const OWN_ACCOUNT_TIMEOUT: Duration = Duration::from_secs(27);

/// The deadlines that all calls of one onboarding share.
pub(crate) struct TimeBudget {
    started: Instant,
}

/// Our own account did not answer in time. It names the operation.
#[derive(Debug, Error)]
#[error("our own account did not answer in time: {0}")]
struct OwnAccountTimeout(&'static str);

impl TimeBudget {
    /// The budget of an onboarding that starts now.
    pub(crate) fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// The time since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// The answer of a call into the tenant's account, or [`Kind::Unknown`] once the time for checks is used up. Boxed,
    /// because the future of an SDK call is a large value of a deep type, and a verification makes a dozen of them.
    pub(crate) async fn call_tenant<T>(&self, call: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        timeout_at(self.started + CHECKS_TIMEOUT, Box::pin(call))
            .await
            .unwrap_or_else(|_| Err(Failure { kind: Kind::Unknown, code: None, status: None, request_id: None }))
    }

    /// The answer of our own account. `operation`, such as "read the key item", is for the log.
    ///
    /// # Errors
    /// The call's own error as a problem, or 503 once the time of the whole onboarding is used up.
    pub(crate) async fn call_own<T, E: Into<Problem>>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Problem> {
        match timeout_at(self.started + OWN_ACCOUNT_TIMEOUT, Box::pin(call)).await {
            Ok(answer) => answer.map_err(Into::into),
            Err(_) => Err(Problem::unavailable().caused_by(&OwnAccountTimeout(operation))),
        }
    }

    /// Waits, and returns whether checks may still be made afterwards. If not, it returns at once.
    pub(crate) async fn pause(&self, delay: Duration) -> bool {
        let until = Instant::now() + delay;
        if until >= self.started + CHECKS_TIMEOUT {
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
        let budget = TimeBudget::start();
        let answer = budget.call_tenant(std::future::pending::<Result<(), Failure>>()).await;
        assert!(answer.is_err_and(|failure| failure.is_unknown()));
        assert_eq!(budget.elapsed().as_secs(), 24);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_our_own_account_past_the_end() {
        let budget = TimeBudget::start();
        let answer = budget.call_own("read the key item", std::future::pending::<Result<(), Problem>>()).await;
        let cause = OwnAccountTimeout("read the key item");
        assert_eq!(answer, Err(Problem::unavailable().caused_by(&cause)));
        assert_eq!(budget.elapsed().as_secs(), 27);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_past_the_end_is_not_waited_for() {
        let budget = TimeBudget::start();
        assert!(budget.pause(Duration::from_secs(23)).await);
        assert!(!budget.pause(Duration::from_secs(2)).await);
        assert_eq!(budget.elapsed().as_secs(), 23);
    }
}
