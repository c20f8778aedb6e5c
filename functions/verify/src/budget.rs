//! The time that a verification may take.

use std::future::Future;
use std::time::Duration;

use shared::http::Problem;
use shared::tenant::{Failure, Kind};
use tokio::time::{Instant, sleep_until, timeout_at};

/// The longest that all checks together may take. API Gateway gives up after 30 s and the function is stopped after 29;
/// what is left is for sealing and storing.
const CHECKS: Duration = Duration::from_secs(24);

/// The longest until our own account must have answered, so that whoever waits hears of it.
const OWN: Duration = Duration::from_secs(27);

/// The deadlines that all calls of one verification share.
pub(crate) struct Budget {
    started: Instant,
}

impl Budget {
    /// The budget of a verification that starts now.
    pub(crate) fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// Time since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// The answer of a call into the tenant's account, or [`Kind::Unknown`] at the deadline of the checks. Boxed,
    /// because a call of an SDK is a deep type and a large value, and a verification is a dozen of them.
    pub(crate) async fn call<T>(&self, call: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        timeout_at(self.started + CHECKS, Box::pin(call))
            .await
            .unwrap_or_else(|_| Err(Failure { kind: Kind::Unknown, code: None, status: None, request_id: None }))
    }

    /// What our own account answers.
    ///
    /// # Errors
    /// Its own, as a problem, or 503 at the deadline of the whole verification.
    pub(crate) async fn own<T, E: Into<Problem>>(
        &self,
        asked: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Problem> {
        match timeout_at(self.started + OWN, Box::pin(asked)).await {
            Ok(answer) => answer.map_err(Into::into),
            Err(_) => {
                tracing::error!("our own account has not answered in time");
                Err(Problem::unavailable())
            }
        }
    }

    /// Waits, and answers whether there is time left to do anything after it. It does not wait in vain.
    pub(crate) async fn pause(&self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        if until >= self.started + CHECKS {
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
    async fn nobody_waits_for_our_own_account_past_the_end() {
        let budget = Budget::start();
        let answer = budget.own(std::future::pending::<Result<(), Problem>>()).await;
        assert_eq!(answer, Err(Problem::unavailable()));
        assert_eq!(budget.elapsed().as_secs(), 27);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_past_the_end_is_not_waited_for() {
        let budget = Budget::start();
        assert!(budget.pause(Duration::from_secs(23)).await);
        assert!(!budget.pause(Duration::from_secs(2)).await);
        assert_eq!(budget.elapsed().as_secs(), 23);
    }
}
